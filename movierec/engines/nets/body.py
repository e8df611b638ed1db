"""What all sequence nets share: item table, inputs, tied output, gates of the features. A net adds its blocks.

Letters: B viewers, T steps (oldest first, left-padded with 0), C channels, N items (0 = padding).
Padding is zero after every block and no block has a bias before its first product, so the amount of padding never
changes a score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from movierec.engines.nets.steps import GAPS, RATINGS

if TYPE_CHECKING:
    from movierec.engines.nets.graph import Graph

FIRST_GATES = (0.5, 0.1)  # of transitions and EASE, where training starts
SCALE = 0.1  # of a residual branch, where training starts


class Drop(Protocol):
    """Dropout by an explicit generator: `drop(x, rate)` of the same shape."""

    def __call__(self, x: Tensor, rate: float) -> Tensor: ...


@dataclass(frozen=True)
class Start:
    """Where a net starts from: item vectors (N + 1, C), log popularity (N + 1,), what it is told, its own chance."""

    table: Tensor
    bias: Tensor
    features: bool
    gaps: bool
    ratings: bool
    generator: torch.Generator

    def gaussian(self, *shape: int) -> nn.Parameter:
        """Random weights, scaled for products over the last axis."""
        return nn.Parameter(torch.randn(shape, generator=self.generator) * shape[-1] ** -0.5)


class Block(nn.Module):
    """A residual block; `forward` for torch, `write` for the graph that serves."""

    def forward(self, x: Tensor, real: Tensor, dtype: torch.dtype, rate: float, drop: Drop | None) -> Tensor:
        """x (B, T, C) float32, real (B, T, 1) is 1 where a step is no padding; products run in `dtype`."""
        raise NotImplementedError

    def write(self, graph: Graph, x: str, real: str) -> str:
        """The nodes of `forward`; the name of what they give."""
        raise NotImplementedError


class SequenceNet(nn.Module):
    """Residual blocks between an item table and the same table as output, with a bias for each item."""

    def __init__(self, start: Start, blocks: Sequence[Block]) -> None:
        super().__init__()
        channels = start.table.shape[1]
        self.table = nn.Parameter(start.table.clone())  # (N + 1, C)
        self.bias = nn.Parameter(start.bias.clone())  # (N + 1,)
        self.gaps = nn.Parameter(torch.zeros(GAPS, channels)) if start.gaps else None
        self.ratings = nn.Parameter(torch.zeros(RATINGS, channels)) if start.ratings else None
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(channels)
        many = len(FIRST_GATES) if start.features else 0
        self.gate_weight = nn.Parameter(torch.zeros(many, channels))
        self.gate_bias = nn.Parameter(torch.tensor(FIRST_GATES[:many]))

    def forward(
        self,
        steps: Tensor,
        dtype: torch.dtype = torch.float32,
        rates: tuple[float, float, float] = (0.0, 0.0, 0.0),
        drop: Drop | None = None,
    ) -> Tensor:
        """Hidden states (B, T, C) of steps (B, T, 3); `rates` of dropout: embedding, blocks, head."""
        items, gaps, ratings = steps.unbind(2)
        real = (items > 0).unsqueeze(2).to(self.table.dtype)  # (B, T, 1)
        x = F.embedding(items, self.table)  # (B, T, C)
        if self.gaps is not None:
            x = x + F.embedding(gaps, self.gaps)
        if self.ratings is not None:
            x = x + F.embedding(ratings, self.ratings)
        if drop is not None:
            x = drop(x, rates[0])
        x = x * real
        for block in self.blocks:
            x = block(x, real, dtype, rates[1], drop)
        x = self.norm(x)
        return x if drop is None else drop(x, rates[2])

    def gates(self, hidden: Tensor) -> Tensor:
        """(., 2) how much transitions and EASE count after these states (., C); (., 0) in a net without features."""
        return F.linear(hidden, self.gate_weight, self.gate_bias)

    def last(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, N + 1) of what follows the last of steps (B, T, 3), without features, and the gates (B, 2)."""
        hidden = self(steps)[:, -1]  # (B, C)
        return F.linear(hidden, self.table, self.bias), self.gates(hidden)


MakeNet = Callable[[Start], SequenceNet]
