"""The fused softmax over all films and the one over drawn films: values and gradients against plain torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets_kit import net
from tiny import chain
from torch import Tensor
from torch.nn import functional as F

from movierec.engines.nets import context, crossfit, loss, sampled

N, C = 60, 8


def silent() -> None:
    """Nobody listens."""


class Behind:
    """What a BatchContext gives, from two made-up dense features and a made-up mask."""

    n_items = N

    def __init__(self, positions: int, generator: torch.Generator) -> None:
        self.features = torch.randn(2, positions + 64, N, generator=generator)
        self.seen = torch.rand(positions, N, generator=generator) < 0.2

    def fill(self, start: int, mk: Tensor, ez: Tensor, columns: object = None) -> None:
        for into, feature in zip((mk, ez), self.features, strict=True):
            into.copy_(feature[start : start + len(into)])

    def hide(self, start: int, logits: Tensor, columns: object = None) -> None:
        seen = self.seen[start : start + len(logits)]
        logits[: len(seen)][seen] = context.HIDDEN


@pytest.mark.parametrize(("behind", "share"), [(False, 0.0), (False, 0.3), (True, 0.0)])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 4e-2)])
def test_the_fused_loss_is_cross_entropy_and_so_are_its_gradients(
    dtype: torch.dtype, near: float, behind: bool, share: float
) -> None:
    generator = torch.Generator().manual_seed(3)
    hidden, table = torch.randn(700, C, generator=generator), torch.randn(N + 1, C, generator=generator) * 0.3
    bias, targets = torch.randn(N + 1, generator=generator), torch.randint(1, N + 1, (700,), generator=generator)
    made = Behind(700, generator) if behind else None
    gates = torch.rand(700, 2 if behind else 0, generator=generator)
    given = (hidden, table, bias, gates)
    ours, theirs = ([x.clone().requires_grad_() for x in given] for _ in range(2))
    buffers, usual = loss.Buffers(N, dtype, behind), torch.rand(N, generator=generator).softmax(0)
    assert buffers.rows < 700, "the test wants several chunks"
    task = loss.Task(targets, made, buffers, loss.Smoothing(share, usual), silent)
    for _ in range(2):  # the second pass meets used buffers
        mine = loss.cross_entropy(*ours, task)
    mine.backward()
    logits, smooth = theirs[0] @ theirs[1][1:].T + theirs[2][1:], usual.expand(700, N)
    if made is not None:
        logits = logits + theirs[3][:, :1] * made.features[0, :700] + theirs[3][:, 1:] * made.features[1, :700]
        seen = made.seen & ~F.one_hot(targets - 1, N).bool()
        logits = logits.masked_fill(seen, -1e4)
    wanted = (1 - share) * F.one_hot(targets - 1, N) + share * smooth
    plain = -(wanted * F.log_softmax(logits, 1)).sum(1).mean()
    plain.backward()
    assert mine.item() == pytest.approx(plain.item(), rel=near)
    for a, b in list(zip(ours, theirs, strict=True))[: 4 if behind else 3]:
        assert (a.grad - b.grad).norm() <= near * b.grad.norm()
    assert not ours[1].grad[0].any(), "padding is never a candidate"


@pytest.mark.parametrize("n_items", [100, 10_000, 100_000, 1_000_000])
def test_no_tensor_of_positions_times_items(n_items: int) -> None:
    made = loss.Buffers(10, torch.bfloat16, True)
    rows = max(64, min(512, (8 << 20) // (2 * n_items * 2)))
    assert rows * n_items * 2 <= max(128 * n_items, 8 << 20), "a chunk grows with the items only by its fewest rows"
    assert made.rows == 512


def test_films_are_drawn_once_each_by_popularity_and_never_padding() -> None:
    data = chain(viewers=100)
    made = sampled.Sampler(data, np.random.default_rng(0))
    made._many = 20
    counts = np.zeros(N + 1)
    for _ in range(300):
        drawn = made.draw()
        assert np.unique(drawn).size == 20
        counts[drawn] += 1
    assert not counts[0]
    views = data.popularity[1:]
    assert np.corrcoef(counts[1:], np.sqrt(views + 0.5))[0, 1] > 0.9


@pytest.mark.parametrize("features", [False, True])
def test_with_all_films_drawn_the_sampled_loss_is_the_full_one(features: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = chain(viewers=40)
    made = net("nextitnet", features, n_items=data.n_items)
    for weight in (made.gate_weight, made.gate_bias):
        weight.data[1:] = 0  # the rms of EASE is exact in one and estimated in the other
    events = np.concatenate(
        [np.arange(a, b - 1) for a, b in zip(data.offsets[:-2:2], data.offsets[1:-1:2], strict=True)]
    )
    targets = data.items[events + 1].astype(np.int64)
    behind = None
    if features:
        tables = crossfit.cross_fitted(data, 2, 50.0, True, lambda share: None)
        behind = context.Context(data, tables, 2, torch.float32).at(events, 0)
    hidden = torch.randn(len(events), 16, generator=torch.Generator().manual_seed(1))
    gates = made.gates(hidden)
    sampler = sampled.Sampler(data, np.random.default_rng(0))
    assert sampler._many == N
    sampler.log_chance[:] = 0  # each film is there for certain
    drawn = sampled.cross_entropy(made, hidden, gates, targets, behind, sampler, torch.float32, silent)
    buffers = loss.Buffers(N, torch.float32, features)
    task = loss.Task(torch.from_numpy(targets), behind, buffers, loss.Smoothing(0, torch.zeros(N)), silent)
    full = loss.cross_entropy(hidden, made.table, made.bias, gates, task)
    assert drawn.item() == pytest.approx(full.item(), rel=1e-4)
