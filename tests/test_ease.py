"""EASE: the closed form against the textbook's, both sides of it, what is kept, and that a reason is the exact fall."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import Ear, chain, of_rows, shuffled

from movierec.dataset import Dataset, History
from movierec.engines.base import Cancelled
from movierec.engines.ease import Ease, EaseParams
from movierec.engines.item_to_item import ease
from movierec.engines.popularity import Popularity
from movierec.evaluation import harness, protocol


def fitted(data: Dataset, **knobs: float) -> Ease:
    engine = Ease(EaseParams(**knobs))
    engine.fit(data, Ear())
    return engine


def textbook(data: Dataset, regularisation: float) -> np.ndarray:
    """B of Steck 2019, padded, straight from the paper's Algorithm 1."""
    seen = np.zeros((data.n_viewers, data.n_items))
    seen[data.viewers, data.items - 1] = 1
    inverse = np.linalg.inv(seen.T @ seen + regularisation * np.eye(data.n_items))
    table = inverse / -np.diag(inverse)
    np.fill_diagonal(table, 0)
    return np.pad(table, ((1, 0), (1, 0)))


@pytest.mark.parametrize("viewers", [20, 200], ids=["fewer viewers than films", "more"])
@pytest.mark.parametrize("cells", [300, 10**6])
def test_the_weights_are_the_papers_from_either_side(viewers: int, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "CELLS", cells)
    data = chain(viewers=viewers, length=12)
    told: list[float] = []
    weights = ease.weights(data, 7.0, told.append)
    assert weights == pytest.approx(textbook(data, 7.0), abs=1e-5)
    assert (weights.dtype, weights.shape) == (np.float32, (61, 61))
    assert (np.diag(weights) == 0).all()
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


@pytest.mark.parametrize(("n", "panel"), [(1, 256), (5, 2), (64, 16), (70, 16), (300, 256)])
def test_a_table_is_inverted_in_place(n: int, panel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "PANEL", panel)
    monkeypatch.setattr(ease, "FLOPS", 2 * panel * n * 7)  # seven rows a step
    half = np.random.default_rng(n).normal(size=(n, n))
    table = half @ half.T + n * np.eye(n)
    expected = np.linalg.inv(table)
    ease.invert(table)
    assert table == pytest.approx(expected, abs=1e-10)
    assert (table == table.T).all()


def test_it_can_be_stopped_while_it_inverts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "PANEL", 4)
    said = Ear()
    engine = Ease()
    engine.fit(chain(viewers=80), said)
    assert len([step for step, _, _ in said.heard if 10 < step < 60]) > 10
    stopped = Ease()
    with pytest.raises(Cancelled):
        stopped.fit(chain(viewers=80), Ear(Cancelled(), 10))
    assert not stopped.fitted


def test_the_strongest_weights_are_those_of_the_whole_table() -> None:
    data = chain(viewers=80)
    whole, kept = ease.weights(data, 5), ease.strongest_weights(data, 5, 10, 1_000).dense()
    for full, row in zip(whole[1:], kept[1:], strict=True):
        assert sorted(np.abs(row[row != 0])) == pytest.approx(np.sort(np.abs(full))[-10:])
        assert (row[row != 0] == full[row != 0]).all()
    assert ease.strongest_weights(data, 5, 1_000, 1_000).dense() == pytest.approx(whole)


def test_only_the_most_watched_films_take_part_and_it_is_said() -> None:
    data = chain(viewers=80)
    engine = fitted(data, most_films=20)
    assert engine.note == "Only the 20 most watched of 60 films take part."
    famous = np.argsort(-data.popularity[1:], kind="stable")[:20] + 1
    named = np.flatnonzero(engine._table.rows.dense().any(axis=0))
    assert set(named) <= set(famous.tolist())
    few = of_rows(
        [data.index.movie_ids[row.items[np.isin(row.items, famous)] - 1].tolist() for row in data.histories()]
    )
    among = few.index.items(data.index.movie_ids[np.sort(famous) - 1])
    expected = ease.weights(few, engine.params.regularisation)[np.ix_(among, among)]
    assert engine._table.rows.dense()[np.ix_(np.sort(famous), np.sort(famous))] == pytest.approx(expected, abs=1e-5)
    assert fitted(data).note == ""


def test_a_film_outside_is_answered_with_popularity() -> None:
    data = chain(viewers=80)
    engine, popular = fitted(data, most_films=20), Popularity()
    popular.fit(data, Ear())
    outside = int(np.argmin(data.popularity[1:])) + 1
    lists = [[pick.item for pick in one.recommend([History.of([outside])], 10)[0]] for one in (engine, popular)]
    assert lists[0] == lists[1]


def test_the_score_is_the_faded_mean_of_the_rows() -> None:
    data = chain(viewers=80)
    weights = ease.weights(data, 200)
    history = History.of([9, 4, 0, 7])
    shares = np.exp(-np.arange(3) / 4)
    faded = shares @ weights[[7, 4, 9]] / shares.sum()
    assert fitted(data, memory=4).scores([history])[0, 1:] == pytest.approx(faded[1:], abs=1e-6)
    alike = weights[[7, 4, 9]].mean(axis=0)
    assert fitted(data, memory=0).scores([history])[0, 1:] == pytest.approx(alike[1:], abs=1e-6)


@pytest.mark.parametrize("history", [History.of([]), History.of([0, 0])], ids=["empty", "unknown"])
def test_without_a_known_film_popularity_speaks(history: History) -> None:
    data = chain(viewers=80)
    engine = fitted(data)
    assert engine.scores([history])[0, 1:].argmax() == data.popularity[1:].argmax()
    assert engine.why(history) == "popular with everyone"


@pytest.mark.parametrize("memory", [0, 2, 5])
@pytest.mark.parametrize("items", [[5], [5, 9], [5, 9, 2, 17, 30, 41], list(range(1, 31)), [5, 5, 9, 0, 5]])
def test_a_reason_is_the_exact_fall_without_the_film(items: list[int], memory: float) -> None:
    engine = fitted(chain(viewers=60, length=10), memory=memory, regularisation=2)
    history, asked, named = History.of(items), list(range(1, 61)), 0
    reasons = engine.explain(history, asked)
    score = engine.scores([history])[0]
    for film in set(items) - {0}:
        without = engine.scores([History.of([item for item in items if item != film])])[0]
        for item, reason in zip(asked, reasons, strict=True):
            effect = dict(reason.because).get(film)
            if effect is not None:
                named += 1
                assert effect == pytest.approx(float(score[item]) - float(without[item]), abs=1e-6)
    assert named


def test_lambda_grows_with_the_data() -> None:
    assert Ease.defaults_for(chain(viewers=10)) == {"regularisation": 200}


def test_it_finds_what_goes_together_and_nothing_where_nothing_does() -> None:
    data = chain()
    judged = {}
    for name, holdout in (("chain", protocol.split_loo(data)), ("twin", protocol.split_loo(shuffled(data)))):
        validate, popular = harness.validator(holdout), Popularity()
        popular.fit(holdout.train, Ear())
        judged[name] = (validate(fitted(holdout.train))["ndcg@10"], validate(popular)["ndcg@10"])
    assert judged["chain"][0] > 1.5 * judged["chain"][1]
    assert judged["twin"][0] < judged["twin"][1] + 0.06
