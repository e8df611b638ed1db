"""Cross-entropy over all items without ever holding more than a chunk of (positions x items) logits.

The forward pass computes all gradients chunk by chunk into a few reused buffers: a fresh logits tensor a step is
bound by page faults, and autograd would keep three of them.
Letters: P positions, R rows of a chunk, N items (0 = padding), C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from movierec.engines.nets.context import BatchContext

_CHUNK_BYTES = 8 << 20
_MOST_ROWS, _LEAST_ROWS = 512, 64


class Buffers:
    """The (R, N) buffers that every chunk of every step shares: logits, error, and the features where there are."""

    def __init__(self, n_items: int, dtype: torch.dtype, features: bool = False) -> None:
        size = torch.empty(0, dtype=dtype).element_size()
        rows = _CHUNK_BYTES // (size * max(1, n_items) * (2 if features else 1))
        self.rows = max(_LEAST_ROWS, min(_MOST_ROWS, rows) // _LEAST_ROWS * _LEAST_ROWS)
        self.dtype = dtype
        self.logits = torch.empty(self.rows, n_items, dtype=dtype)  # (R, N)
        self.error = torch.empty_like(self.logits)  # (R, N)
        self.features = [torch.empty_like(self.logits) for _ in range(2 if features else 0)]  # (R, N) each


@dataclass(frozen=True)
class Smoothing:
    """A share of every target goes to what is usual: q (N,), which sums to 1. Not where seen films are hidden: they are
    as usual as others, and would be pulled up where nothing holds them down."""

    share: float
    usual: Tensor


@dataclass(frozen=True)
class Task:
    """What is to be predicted, with what lies behind: `context` where features are added or seen films hidden."""

    targets: Tensor  # (P,) in 1..N
    context: BatchContext | None
    buffers: Buffers
    smooth: Smoothing
    tick: Callable[[], None]  # called at each chunk; may raise to stop


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, table: Tensor, bias: Tensor, gates: Tensor, task: Task) -> Tensor:
        buffers = task.buffers
        more = -len(hidden) % _LEAST_ROWS  # products of few shapes, as oneDNN keeps memory for each
        low = F.pad(hidden, (0, 0, 0, more)).to(buffers.dtype)  # (P', C)
        trust = F.pad(gates, (0, 0, 0, more)).to(buffers.dtype)  # (P', 2 or 0)
        items = table[1:].to(buffers.dtype)  # (N, C): padding is no candidate
        offsets = bias[1:].to(buffers.dtype)  # (N,)
        d_hidden, d_gates = low.new_empty(low.shape, dtype=torch.float32), torch.zeros(trust.shape)
        d_items = torch.zeros(table.shape[1], len(items))  # (C, N)
        d_bias = torch.zeros_like(bias)
        ones = torch.ones(1, buffers.rows, dtype=buffers.dtype)
        total = torch.zeros((), dtype=torch.float32)
        for start in range(0, len(low), buffers.rows):
            task.tick()
            h = low[start : start + buffers.rows]
            logits = torch.addmm(offsets, h, items.t(), out=buffers.logits[: len(h)])  # (R, N)
            features = [buffer[: len(h)] for buffer in buffers.features]
            _add(logits, features, trust[start : start + len(h)], task, start)
            error, loss = _error(logits, buffers.error[: len(h)], task, start)
            total += loss
            d_hidden[start : start + len(h)] = error @ items  # (R, C)
            d_items += h.t() @ error  # (C, N)
            d_bias[1:] += (ones[:, : len(h)] @ error)[0]  # (N,), as a product: sum() would copy to float32
            for column, feature in enumerate(features):
                d_gates[start : start + len(h), column] = torch.linalg.vecdot(error, feature)
        if task.smooth.share:
            total += _smooth(hidden, table, bias, d_hidden[: len(hidden)], d_items, d_bias, task.smooth)
        d_table = F.pad(d_items.t(), (0, 0, 1, 0))  # (N + 1, C)
        ctx.save_for_backward(d_hidden[: len(hidden)], d_table, d_bias, d_gates[: len(hidden)])
        ctx.count = max(1, len(task.targets))
        return total / ctx.count

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        share = grad / ctx.count
        d_hidden, d_table, d_bias, d_gates = ctx.saved_tensors
        return d_hidden.mul_(share), d_table.mul_(share), d_bias.mul_(share), d_gates.mul_(share), None


def _add(logits: Tensor, features: list[Tensor], gates: Tensor, task: Task, start: int) -> None:
    """Add both features, each times its gate, and hide what was seen; never the target, whatever the data holds."""
    if features:
        assert task.context is not None
        task.context.fill(start, features[0], features[1])
        for column, feature in enumerate(features):
            logits.addcmul_(feature, gates[:, column, None])
    if task.context is not None:
        row, target = _targets(task, start, len(logits))
        kept = logits[row, target]
        task.context.hide(start, logits)
        logits[row, target] = kept


def _error(logits: Tensor, error: Tensor, task: Task, start: int) -> tuple[Tensor, Tensor]:
    """(R, N) softmax less the target's share, in `error`, and the sum of the losses without what is usual."""
    row, target = _targets(task, start, len(logits))
    share = task.smooth.share
    torch.softmax(logits, 1, out=error)
    chance = error[row, target]  # (R,)
    error[row, target] = chance - (1 - share)
    error[len(row) :] = 0
    return error, -chance.float().clamp_min(1e-30).log().sum() + share * logits[row, target].float().sum()


def _targets(task: Task, start: int, most: int) -> tuple[Tensor, Tensor]:
    """Row and column of each target of a chunk; the last chunk may have rows without any."""
    target = task.targets[start : start + most] - 1
    return torch.arange(len(target)), target


def _smooth(
    hidden: Tensor, table: Tensor, bias: Tensor, d_hidden: Tensor, d_items: Tensor, d_bias: Tensor, smooth: Smoothing
) -> Tensor:
    """Give what is usual its share of each target: its part of all gradients is a product of sums, outside the chunks.
    The loss that it adds."""
    given, usual = hidden.sum(0), smooth.share * smooth.usual  # (C,), (N,)
    pull = usual @ table[1:]  # (C,)
    d_hidden -= pull
    d_items -= torch.outer(given, usual)
    d_bias[1:] -= len(hidden) * usual
    return -(given @ pull + len(hidden) * (usual @ bias[1:]))


def cross_entropy(hidden: Tensor, table: Tensor, bias: Tensor, gates: Tensor, task: Task) -> Tensor:
    """Mean of -(1 - s) log p(target) - s sum_i q_i log p(i), p = softmax(hidden table^T + bias + gates features).

    hidden (P, C), gates (P, 2) or (P, 0) where there are no features, s the share of smoothing.
    """
    assert task.context is None or not task.smooth.share
    loss: Tensor = _CrossEntropy.apply(hidden, table, bias, gates, task)
    return loss
