"""The net of NextItNet (Yuan et al., WSDM 2019) and nothing else: no data, no loss, no files.

Letters: B viewers, T steps (oldest first, left-padded with 0), C channels, N items (0 = padding).
Padding is zero after every block and LayerNorm has no bias, so the amount of padding never changes a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Drop(Protocol):
    """Dropout by an explicit generator: `drop(x, rate)` of the same shape."""

    def __call__(self, x: Tensor, rate: float) -> Tensor: ...


class Block(nn.Module):
    """x + scale * mix(gelu(conv(norm(x)))): one dilated causal convolution of width 3."""

    def __init__(self, channels: int, dilation: int, generator: torch.Generator) -> None:
        super().__init__()
        self.dilation = dilation
        self.norm = nn.LayerNorm(channels, bias=False)
        self.conv_weight = nn.Parameter(_gaussian((channels, 3 * channels), generator))
        self.conv_bias = nn.Parameter(torch.zeros(channels))
        self.mix_weight = nn.Parameter(_gaussian((channels, channels), generator))
        self.mix_bias = nn.Parameter(torch.zeros(channels))
        self.scale = nn.Parameter(torch.full((1,), 0.1))

    def forward(self, x: Tensor, real: Tensor, dtype: torch.dtype, rate: float, drop: Drop | None) -> Tensor:
        """x (B, T, C) float32, real (B, T, 1) is 1 where a step is no padding; products run in `dtype`."""
        steps, step = x.shape[1], self.dilation
        y = F.pad(self.norm(x).to(dtype), (0, 0, 2 * step, 0))  # (B, 2 * dilation + T, C)
        y = torch.cat([y[:, i * step : i * step + steps] for i in range(3)], dim=2)  # (B, T, 3 * C)
        y = F.gelu(F.linear(y, self.conv_weight.to(dtype), self.conv_bias.to(dtype)))  # (B, T, C)
        y = F.linear(y, self.mix_weight.to(dtype), self.mix_bias.to(dtype)).to(x.dtype)
        if drop is not None:
            y = drop(y, rate)
        return (x + self.scale * y) * real


class NextItNet(nn.Module):
    """Item table, dilated residual blocks, tied output with a bias for each item."""

    def __init__(self, table: Tensor, bias: Tensor, dilations: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        channels = table.shape[1]
        self.table = nn.Parameter(table)  # (N + 1, C)
        self.bias = nn.Parameter(bias)  # (N + 1,)
        self.blocks = nn.ModuleList(Block(channels, d, generator) for d in dilations)
        self.norm = nn.LayerNorm(channels)

    def forward(
        self,
        items: Tensor,
        dtype: torch.dtype = torch.float32,
        rates: tuple[float, float, float] = (0.0, 0.0, 0.0),
        drop: Drop | None = None,
    ) -> Tensor:
        """Hidden states (B, T, C) of items (B, T); `rates` of dropout: embedding, blocks, head."""
        real = (items > 0).unsqueeze(2).to(self.table.dtype)  # (B, T, 1)
        x = F.embedding(items, self.table)  # (B, T, C)
        if drop is not None:
            x = drop(x, rates[0])
        x = x * real
        for block in self.blocks:
            x = block(x, real, dtype, rates[1], drop)
        x = self.norm(x)
        return x if drop is None else drop(x, rates[2])

    def last(self, items: Tensor) -> Tensor:
        """Scores (B, N + 1) of what follows the last step of items (B, T)."""
        return F.linear(self(items)[:, -1], self.table, self.bias)  # (B, N + 1)


def _gaussian(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator) * shape[1] ** -0.5
