"""The features inside a net: what they are by hand, that blocks and serving agree, and that nothing leaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import chain, of_rows, shuffled

from movierec.dataset import Dataset, History
from movierec.engines.item_to_item import transitions
from movierec.engines.item_to_item.rows import Rows
from movierec.engines.nets import context, crossfit, steps
from movierec.engines.nets.features import Features

FOLDS = 4


def silent(share: float) -> None:
    """Nobody listens."""


def some_positions(data: Dataset, fold: int, folds: int) -> np.ndarray:
    """Events of viewers of one fold that have a next one, windows in no order."""
    random = np.random.default_rng(0)
    viewers = random.permutation(np.arange(fold, data.n_viewers, folds))
    runs = []
    for viewer in viewers:
        start, end = data.offsets[viewer], data.offsets[viewer + 1] - 1
        middle = random.integers(start, end)
        runs += [np.arange(middle, end), np.arange(start, middle)]
    return np.concatenate(runs)


def test_both_features_by_hand() -> None:
    dense = np.zeros((4, 4), np.float32)
    dense[1, 2], dense[2, 3], dense[1, 3] = 0.5, 0.25, 0.125
    from scipy import sparse

    rows = Rows.of(sparse.csr_array(dense))
    shares, popularity = np.float32([0, 0.1, 0.2, 0.4]), np.float32([0, 0.5, 0.25, 0.25])
    mk, ez = Features.of(rows, shares, popularity, rows, True).rows(np.array([1, 2]))
    wanted = 1.0 * (dense[2] + 0.2 * popularity) + 0.8 * (dense[1] + 0.1 * popularity)
    assert mk[1:] == pytest.approx(np.log(wanted[1:]), rel=1e-5)
    fade = np.exp(-0.1)
    wanted = (dense[2] + fade * dense[1])[1:]
    assert ez[1:] == pytest.approx(wanted / np.sqrt((wanted**2).mean()), rel=1e-5)
    (_, estimated) = Features.of(rows, shares, popularity, rows, False).rows(np.array([1, 2]))
    rms = np.sqrt((0.25**2 + fade**2 * (0.5**2 + 0.125**2)) / 3)
    assert estimated[1:] == pytest.approx(wanted / rms, rel=1e-5)


@pytest.mark.parametrize("dense", [True, False])
def test_what_training_sees_is_what_serving_sees(dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "DENSE_BYTES", 1 << 30 if dense else 0)
    data = chain(viewers=30, length=59)
    tables = list(crossfit.cross_fitted(data, 3, 50.0, True, silent))
    events = some_positions(data, 1, 3)
    behind = context.Context(data, tables, 3, torch.float32).at(events, 1)
    mk, ez = torch.empty(2, len(events), data.n_items)
    behind.fill(0, mk[:100], ez[:100])
    behind.fill(100, mk[100:], ez[100:])
    logits = torch.zeros(len(events), data.n_items)
    behind.hide(0, logits)
    drawn = np.array([3, 9, 27, 54])
    columns = context.Columns(data.n_items, drawn)
    few = torch.empty(2, 64, 4)
    behind.fill(0, few[0], few[1], columns)
    masked = torch.zeros(64, 4)
    behind.hide(0, masked, columns)
    for row, event in enumerate(events):
        before = data.items[data.offsets[data.viewers[event]] : event + 1]
        wanted = tables[1].rows(before)
        assert mk[row].numpy() == pytest.approx(wanted[0][1:], abs=1e-4)
        assert ez[row].numpy() == pytest.approx(wanted[1][1:], abs=1e-4)
        assert set(np.flatnonzero(logits[row] < 0) + 1) == set(before)
        if row < 64:
            estimated = replace(tables[1], exact=False).rows(before)
            assert few[:, row].numpy() == pytest.approx(np.stack(estimated)[:, drawn], abs=1e-4)
            assert set(drawn[masked[row].numpy() < 0]) == set(before) & set(drawn)


def test_no_fold_knows_its_own_viewers() -> None:
    """Change everything that one viewer watched: the tables of their fold stay the same to the last bit."""
    data = chain(viewers=40)
    items = data.items.copy()
    mine = slice(data.offsets[6], data.offsets[7])
    items[mine] = (items[mine] + 30) % data.n_items + 1
    other = Dataset(data.index, data.viewer_ids, data.offsets, items, data.times, data.ratings)
    one, two = (list(crossfit.cross_fitted(made, FOLDS, 50.0, True, silent)) for made in (data, other))
    fold = crossfit.fold_of(data, FOLDS)[6]
    same = [
        all((a == b).all() for a, b in zip(x.arrays().values(), y.arrays().values(), strict=True))
        if all(a.shape == b.shape for a, b in zip(x.arrays().values(), y.arrays().values(), strict=True))
        else False
        for x, y in zip(one, two, strict=True)
    ]
    assert same == [k == fold for k in range(FOLDS)]


def guessed(data: Dataset, shown: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    """How often the answer is the film whose count, in the rows (P, N + 1) shown behind films `left`, lies farthest
    below what is shown behind the same film on average: what a net that remembers counts would look for."""
    sums = np.zeros((data.n_items + 1, data.n_items + 1))
    np.add.at(sums, left, shown)
    average = sums[left] / np.bincount(left, minlength=data.n_items + 1)[left, None]
    missing = (average - shown) / np.sqrt(average + 0.1)
    return float((missing[:, 1:].argmax(1) + 1 == right).mean())


def test_leaving_out_only_the_own_count_would_tell_the_answer() -> None:
    """Views dealt out by chance: nothing honest can know what comes next. A count that is one lower wherever the
    answer lies names it. Counts of the other folds are the same whatever the answer is: what they miss is what all
    120 viewers of the fold watched."""
    data = shuffled(chain(viewers=480, length=20), seed=3)
    fold, whole = crossfit.fold_of(data, FOLDS), transitions.counts(data, 1, 1.0).toarray()
    others = np.stack(
        [transitions.counts(data.select(fold[data.viewers] != k), 1, 1.0).toarray() for k in range(FOLDS)]
    )
    at = np.flatnonzero(data.viewers[:-1] == data.viewers[1:])
    left, right = data.items[at], data.items[at + 1]
    off = whole[left].copy()
    off[np.arange(at.size), right] -= 1
    assert guessed(data, off, left, right) == 1
    assert guessed(data, others[fold[data.viewers[at]], left], left, right) < 0.1


def test_the_state_of_features_comes_back() -> None:
    made = crossfit.table(chain(), 50.0, True, silent)
    again = Features.from_arrays(made.arrays(), made.n_items, True)
    for a, b in zip(made.rows(np.array([3, 9])), again.rows(np.array([3, 9])), strict=True):
        assert (a == b).all()


def test_gaps_and_ratings_as_the_net_hears_them() -> None:
    times = np.array([100, 100, 101, 104, 104 + 2**22, 105 + 2**22])
    ratings = np.float32([0.5, np.nan, 5, 3.5, 9, -1])
    (row,) = steps.of_histories([History.of([4, 5, 6, 0, 7, 8], times, ratings)], 10)
    assert row[:, 0].tolist() == [4, 5, 6, 7, 8]
    assert row[:, 1].tolist() == [0, 1, 2, 23, 2]
    assert row[:, 2].tolist() == [1, 0, 10, 10, 1]
    (cut,) = steps.of_histories([History.of([4, 5, 6, 0, 7, 8], times, ratings)], 3)
    assert (cut == row[-3:]).all(), "a gap reaches back past the cut"


def test_the_data_is_heard_as_its_histories_are() -> None:
    data = of_rows([[10, 20, 30], [], [20], [30, 10]])
    wanted = [steps.of_histories([history], 9)[0] for history in data.histories() if len(history)]
    assert (steps.of_data(data) == np.concatenate(wanted)).all()
