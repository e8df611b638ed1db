"""Where nets start and what they are fed: batches, dropout, item vectors, popularity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nets_kit import followers, pairs
from tiny import chain, of_rows

from movierec.engines.nets import drop, start, windows


@pytest.mark.parametrize(("length", "positions", "folds"), [(4, 16, 1), (50, 16, 3), (7, 100_000, 4), (7, 40, 2)])
def test_each_target_comes_once_an_epoch_after_what_preceded_it(length: int, positions: int, folds: int) -> None:
    data = chain(viewers=30, length=13)
    made = windows.Windows(data, length, positions, folds)
    wanted = followers(data)
    random, cuts = np.random.default_rng(0), []
    for _ in range(3):
        batches = list(made.epoch(random))
        assert len(batches) == made.batches
        assert sorted(pairs(batches)) == wanted
        rows = [row[:, 0] for batch in batches for part in batch.inputs for row in part]
        assert max(len(row) for row in rows) <= length
        cuts.append(sorted(len(row[row > 0]) for row in rows))
        for batch in batches:
            assert (data.items[batch.events + 1] == batch.targets).all()
            assert (data.viewers[batch.events] % folds == batch.fold).all(), "viewers of one fold only"
    assert made.targets == len(wanted)
    assert cuts[0] != cuts[1], "windows are cut anew each epoch"


def test_a_window_is_one_viewers_consecutive_views() -> None:
    data = chain(viewers=10, length=13)
    texts = {" ".join(map(str, history.items)) for history in data.histories()}
    for batch in windows.Windows(data, 5, 40).epoch(np.random.default_rng(0)):
        for row in (row[:, 0] for part in batch.inputs for row in part):
            assert (row[: np.argmax(row > 0)] == 0).all()
            assert any(f" {' '.join(map(str, row[row > 0]))} " in f" {text} " for text in texts)


def test_folds_take_turns() -> None:
    made = windows.Windows(chain(viewers=60), 10, 32, 3)
    folds = [batch.fold for batch in made.epoch(np.random.default_rng(0))]
    assert set(folds) == {0, 1, 2}
    assert folds != sorted(folds)


def test_a_fold_without_anything_to_predict_has_no_batch() -> None:
    data = of_rows([[10, 20], [30], [20, 30], [10]])
    batches = list(windows.Windows(data, 10, 32, 2).epoch(np.random.default_rng(0)))
    assert [batch.fold for batch in batches] == [0]


def test_one_long_history_among_short_ones_costs_no_padding() -> None:
    data = of_rows([[10, 20]] * 500 + [list(range(10, 5_010, 10))])
    made = windows.Windows(data, 512, 1_000)
    batches = list(made.epoch(np.random.default_rng(0)))
    assert sum(part[:, :, 0].size for batch in batches for part in batch.inputs) <= 2 * made.targets
    assert sorted(pairs(batches)) == followers(data)


def test_dropout_scales_what_it_keeps() -> None:
    made = drop.DropPool(torch.Generator().manual_seed(1), np.random.default_rng(1))
    dropped = made(torch.ones(100, 100), 0.3)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    assert (made(torch.ones(3), 0) == 1).all()
    assert made(torch.ones(600_000), 0.3).mean().item() == pytest.approx(1, abs=0.01), "the pool grows with need"


def test_films_watched_together_start_together() -> None:
    rows = [[10, 20, 30], [20, 10, 30], [30, 20, 10], [40, 50, 60], [60, 50, 40], [50, 40, 60]] * 3
    vectors = start.item_vectors(of_rows(rows), 2, np.random.default_rng(0))
    unit = vectors[1:] / np.linalg.norm(vectors[1:], axis=1, keepdims=True)
    likeness = unit @ unit.T
    assert likeness[:3, :3].min() > likeness[:3, 3:].max() + 0.5
    assert not vectors[0].any()
    assert vectors[1:].std() == pytest.approx(0.1, rel=0.3)


def test_films_without_company_start_small() -> None:
    data = of_rows([[10, 20], [30]])
    vectors = start.item_vectors(data, 8, np.random.default_rng(0))
    assert np.isfinite(vectors).all()
    assert np.abs(vectors[3]).max() < 0.1


def test_the_start_gives_word_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "PANEL", 100)
    told: list[float] = []
    start.item_vectors(chain(), 8, np.random.default_rng(0), tick=told.append)
    assert len(told) > 50
    assert told == sorted(told)


def test_a_tall_table_is_made_orthonormal_in_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "ROWS", 7)
    table = np.random.default_rng(0).normal(size=(40, 3))
    made = start._orthonormal(table, lambda share: None)
    assert made.T @ made == pytest.approx(np.eye(3), abs=1e-12)
    assert made @ (made.T @ table) == pytest.approx(table), "it spans the same"


def test_the_prior_is_log_popularity() -> None:
    prior = start.log_popularity(of_rows([[10, 20], [10], [10, 30]]))
    assert np.exp(prior[1:]).sum() == pytest.approx(1)
    assert prior[1] > prior[2] == prior[3]
    assert prior[0] <= prior[1:].min()
