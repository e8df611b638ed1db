"""The net of NextItNet (Yuan et al., WSDM 2019): blocks of one dilated causal convolution of width 3.

Letters: B viewers, T steps (oldest first, left-padded with 0), C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from movierec.engines.nets.body import SCALE, Block, Drop, SequenceNet, Start

if TYPE_CHECKING:
    from movierec.engines.nets.graph import Graph


class Convolution(Block):
    """x + scale * mix(gelu(conv(norm(x)))): looks `dilation` and twice as many steps back."""

    def __init__(self, start: Start, dilation: int) -> None:
        super().__init__()
        channels = start.table.shape[1]
        self.dilation = dilation
        self.norm = nn.LayerNorm(channels, bias=False)
        self.conv_weight = start.gaussian(channels, 3 * channels)
        self.conv_bias = nn.Parameter(torch.zeros(channels))
        self.mix_weight = start.gaussian(channels, channels)
        self.mix_bias = nn.Parameter(torch.zeros(channels))
        self.scale = nn.Parameter(torch.full((1,), SCALE))

    def forward(self, x: Tensor, real: Tensor, dtype: torch.dtype, rate: float, drop: Drop | None) -> Tensor:
        steps, step = x.shape[1], self.dilation
        y = F.pad(self.norm(x).to(dtype), (0, 0, 2 * step, 0))  # (B, 2 * dilation + T, C)
        y = torch.cat([y[:, i * step : i * step + steps] for i in range(3)], dim=2)  # (B, T, 3 * C)
        y = F.gelu(F.linear(y, self.conv_weight.to(dtype), self.conv_bias.to(dtype)))  # (B, T, C)
        y = F.linear(y, self.mix_weight.to(dtype), self.mix_bias.to(dtype)).to(x.dtype)
        if drop is not None:
            y = drop(y, rate)
        return (x + self.scale * y) * real

    def write(self, graph: Graph, x: str, real: str) -> str:
        step = self.dilation
        y = graph.norm(x, self.norm)
        y = graph.add("Pad", y, graph.put([0, 2 * step, 0, 0, 0, 0], np.int64))  # (B, 2 * dilation + T, C)
        taps = [graph.cut(y, i * step, i * step - 2 * step or None) for i in range(3)]
        y = graph.add("Concat", *taps, axis=2)  # (B, T, 3 * C)
        y = graph.add("Gelu", graph.linear(y, self.conv_weight, self.conv_bias))
        y = graph.linear(y, self.mix_weight * self.scale, self.mix_bias * self.scale)  # the scale is folded in
        return graph.add("Mul", graph.add("Add", x, y), real)


def make(start: Start, dilations: Sequence[int]) -> SequenceNet:
    """A NextItNet with one block for each dilation, first to last."""
    return SequenceNet(start, [Convolution(start, dilation) for dilation in dilations])
