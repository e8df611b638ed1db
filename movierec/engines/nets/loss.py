"""Cross-entropy over all items without ever holding more than a chunk of (positions x items) logits.

The forward pass computes the gradients of hidden states, table and bias chunk by chunk into two reused buffers:
a fresh logits tensor a step is bound by page faults, and autograd would keep three of them.
Letters: P positions, R rows of a chunk, N items (0 = padding), C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_CHUNK_BYTES = 8 << 20


class Buffers:
    """The two (R, N) buffers that every chunk of every step shares."""

    def __init__(self, n_items: int, dtype: torch.dtype) -> None:
        size = torch.empty(0, dtype=dtype).element_size()
        self.rows = max(128, min(512, _CHUNK_BYTES // (size * max(1, n_items))))
        self.dtype = dtype
        self.logits = torch.empty(self.rows, n_items, dtype=dtype)  # (R, N)
        self.error = torch.empty_like(self.logits)  # (R, N)


@dataclass(frozen=True)
class Smoothing:
    """A share of every target goes to what is usual: q (N,), which sums to 1. Costs nothing: its part of each
    gradient is a product of sums, outside the chunks."""

    share: float
    usual: Tensor


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, table: Tensor, bias: Tensor, targets: Tensor, buffers: Buffers, smooth: Smoothing
    ) -> Tensor:
        low = hidden.to(buffers.dtype)  # (P, C)
        items = table[1:].to(buffers.dtype)  # (N, C): padding is never a candidate
        offsets = bias[1:].to(buffers.dtype)  # (N,)
        d_hidden = torch.empty_like(hidden)
        d_items = torch.zeros(table.shape[1], len(items))  # (C, N)
        d_bias = torch.zeros_like(bias)
        ones = torch.ones(1, buffers.rows, dtype=buffers.dtype)
        total = torch.zeros((), dtype=torch.float32)
        for start in range(0, len(targets), buffers.rows):
            h, target = low[start : start + buffers.rows], targets[start : start + buffers.rows] - 1
            logits, error = buffers.logits[: len(h)], buffers.error[: len(h)]
            torch.addmm(offsets, h, items.t(), out=logits)  # (R, N)
            torch.softmax(logits, 1, out=error)
            row = torch.arange(len(h))
            chance = error[row, target]  # (R,)
            total -= chance.float().clamp_min(1e-30).log().sum() - smooth.share * logits[row, target].float().sum()
            error[row, target] = chance - (1 - smooth.share)
            d_hidden[start : start + len(h)] = error @ items  # (R, C)
            d_items += h.t() @ error  # (C, N)
            d_bias[1:] += (ones[:, : len(h)] @ error)[0]  # (N,), as a product: sum() would copy to float32
        given, usual = hidden.sum(0), smooth.share * smooth.usual  # (C,), (N,)
        pull = usual @ table[1:]  # (C,)
        total -= given @ pull + len(targets) * (usual @ bias[1:])
        d_hidden -= pull
        d_items -= torch.outer(given, usual)
        d_bias[1:] -= len(targets) * usual
        d_table = F.pad(d_items.t(), (0, 0, 1, 0))  # (N + 1, C)
        ctx.save_for_backward(d_hidden, d_table, d_bias)
        ctx.count = max(1, len(targets))
        return total / ctx.count

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        share = grad / ctx.count
        d_hidden, d_table, d_bias = ctx.saved_tensors
        return d_hidden.mul_(share), d_table.mul_(share), d_bias.mul_(share), None, None, None


def cross_entropy(
    hidden: Tensor, table: Tensor, bias: Tensor, targets: Tensor, buffers: Buffers, smooth: Smoothing
) -> Tensor:
    """Mean of -(1 - s) log p(target) - s sum_i q_i log p(i), p = softmax(hidden table^T + bias), s the share of q.

    hidden (P, C), targets (P,) in 1..N.
    """
    loss: Tensor = _CrossEntropy.apply(hidden, table, bias, targets, buffers, smooth)
    return loss
