"""The net of SASRec (Kang & McAuley, ICDM 2018): causal self-attention, here pre-norm and with relative positions.

A learned bias for each head and distance stands for the position: scores do not depend on where a window was cut.
Letters: B viewers, T steps (oldest first, left-padded with 0), C channels, H heads, L longest distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from movierec.engines.nets.body import SCALE, Block, Drop, SequenceNet, Start

if TYPE_CHECKING:
    from movierec.engines.nets.graph import Graph

NEVER = -1e9  # attention to what comes later, or to padding
WIDER = 2  # inner channels of the feed-forward part, in channels


class Attention(Block):
    """x + scale * out(attention(norm(x))), then the same around a feed-forward part."""

    def __init__(self, start: Start, heads: int, length: int) -> None:
        super().__init__()
        channels = start.table.shape[1]
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(channels, bias=False) for _ in range(2))
        self.read_weight = start.gaussian(3 * channels, channels)
        self.out_weight = start.gaussian(channels, channels)
        self.far = nn.Parameter(torch.zeros(heads, length))  # (H, L) bias by distance
        self.wide_weight = start.gaussian(WIDER * channels, channels)
        self.wide_bias = nn.Parameter(torch.zeros(WIDER * channels))
        self.mix_weight = start.gaussian(channels, WIDER * channels)
        self.mix_bias = nn.Parameter(torch.zeros(channels))
        self.scales = nn.Parameter(torch.full((2,), SCALE))

    def forward(self, x: Tensor, real: Tensor, dtype: torch.dtype, rate: float, drop: Drop | None) -> Tensor:
        y = self._attend(self.norms[0](x).to(dtype), real).to(x.dtype)
        if drop is not None:
            y = drop(y, rate)
        x = x + self.scales[0] * y
        y = self.norms[1](x).to(dtype)
        y = F.gelu(F.linear(y, self.wide_weight.to(dtype), self.wide_bias.to(dtype)))  # (B, T, 2 * C)
        y = F.linear(y, self.mix_weight.to(dtype), self.mix_bias.to(dtype)).to(x.dtype)
        if drop is not None:
            y = drop(y, rate)
        return (x + self.scales[1] * y) * real

    def _attend(self, y: Tensor, real: Tensor) -> Tensor:
        """(B, T, C) from (B, T, C): each step looks at itself and what came before it."""
        batch, steps, _ = y.shape
        read = F.linear(y, self.read_weight.to(y.dtype)).view(batch, steps, 3, self.heads, -1)
        query, key, value = read.permute(2, 0, 3, 1, 4).unbind()  # (B, H, T, C / H) each
        step = torch.arange(steps)
        distance = step[:, None] - step
        bias = self.far[:, distance.clamp(0, self.far.shape[1] - 1)]  # (H, T, T)
        bias = bias + NEVER * (distance < 0) + NEVER * (1 - real.transpose(1, 2)[:, None])  # (B, H, T, T)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(y.dtype))  # (B, H, T, C / H)
        return F.linear(seen.transpose(1, 2).reshape(y.shape), self.out_weight.to(y.dtype))

    def write(self, graph: Graph, x: str, real: str) -> str:
        y = self._write_attention(graph, graph.norm(x, self.norms[0]), real)
        x = graph.add("Add", x, y)
        y = graph.add("Gelu", graph.linear(graph.norm(x, self.norms[1]), self.wide_weight, self.wide_bias))
        y = graph.linear(y, self.mix_weight * self.scales[1], self.mix_bias * self.scales[1])
        return graph.add("Mul", graph.add("Add", x, y), real)

    def _write_attention(self, graph: Graph, y: str, real: str) -> str:
        channels = self.out_weight.shape[0]
        shape = graph.put([0, 0, self.heads, channels // self.heads], np.int64)
        parts = [
            graph.add("Reshape", graph.linear(y, weight), shape) for weight in self.read_weight.split(channels)
        ]  # (B, T, H, C / H) each
        query, value = (graph.add("Transpose", part, perm=[0, 2, 1, 3]) for part in (parts[0], parts[2]))
        key = graph.add("Transpose", parts[1], perm=[0, 2, 3, 1])
        fit = graph.add("Mul", graph.add("MatMul", query, key), graph.put((channels // self.heads) ** -0.5))
        fit = graph.add("Add", graph.add("Add", fit, self._write_bias(graph, y)), _write_padding(graph, real))
        seen = graph.add("MatMul", graph.add("Softmax", fit, axis=-1), value)  # (B, H, T, C / H)
        seen = graph.add("Transpose", seen, perm=[0, 2, 1, 3])
        seen = graph.add("Reshape", seen, graph.put([0, 0, channels], np.int64))
        return graph.linear(seen, self.out_weight * self.scales[0])

    def _write_bias(self, graph: Graph, y: str) -> str:
        """(H, T, T) by distance; NEVER for what comes later."""
        zero, one = graph.put(0, np.int64), graph.put(1, np.int64)
        steps = graph.add("Range", zero, graph.add("Gather", graph.add("Shape", y), one), one)  # (T,)
        rows = graph.add("Unsqueeze", steps, graph.put([1], np.int64))
        distance = graph.add("Sub", rows, steps)  # (T, T)
        most = graph.put(self.far.shape[1] - 1, np.int64)
        bias = graph.add("Gather", graph.put(self.far), graph.add("Clip", distance, zero, most), axis=1)
        later = graph.add("Cast", graph.add("Less", distance, zero), to=graph.FLOAT)
        return graph.add("Add", bias, graph.add("Mul", later, graph.put(NEVER)))


def _write_padding(graph: Graph, real: str) -> str:
    """(B, 1, 1, T) NEVER where a step is padding."""
    row = graph.add("Transpose", real, perm=[0, 2, 1])  # (B, 1, T)
    none = graph.add("Mul", graph.add("Sub", row, graph.put(1.0)), graph.put(-NEVER))
    return graph.add("Unsqueeze", none, graph.put([1], np.int64))


def make(start: Start, layers: int, heads: int, length: int) -> SequenceNet:
    """A SASRec of so many layers, which looks up to `length` steps back."""
    return SequenceNet(start, [Attention(start, heads, length) for _ in range(layers)])
