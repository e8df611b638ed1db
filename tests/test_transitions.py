"""Transitions: what is counted, how it is smoothed, how a history is scored, and that a reason is the exact fall."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import Ear, chain, of_rows, shuffled

from movierec.dataset import Dataset, History
from movierec.engines.item_to_item import transitions
from movierec.engines.popularity import Popularity
from movierec.engines.transitions import TransitionsEngine, TransitionsParams
from movierec.evaluation import harness, protocol


def fitted(data: Dataset, **knobs: float) -> TransitionsEngine:
    engine = TransitionsEngine(TransitionsParams(**knobs))
    engine.fit(data, Ear())
    return engine


def test_pairs_within_the_window_count_less_by_each_step() -> None:
    counts = transitions.counts(of_rows([[10, 20, 30, 40], [20, 30]]), window=2, decay=0.5).toarray()
    expected = np.zeros((5, 5))
    expected[1, 2] = expected[3, 4] = 1
    expected[2, 3] = 2
    expected[1, 3] = expected[2, 4] = 0.5
    assert counts.tolist() == expected.tolist()
    assert counts.dtype == np.float32
    assert transitions.counts(of_rows([])).shape == (1, 1)


def test_counting_in_blocks_is_counting_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    data, expected = chain(viewers=30, length=12), np.zeros((61, 61))
    for history in data.histories():
        row = history.items.tolist()
        for at, item in enumerate(row):
            for gap, later in enumerate(row[at + 1 : at + 11]):
                expected[item, later] += 0.8**gap
    monkeypatch.setattr(transitions, "PAIRS", 200)
    told: list[float] = []
    assert transitions.counts(data, tick=told.append).toarray() == pytest.approx(expected, abs=1e-5)
    assert len(told) > 10
    assert told == sorted(told)
    assert told[-1] == 1


def test_a_row_is_its_counts_doubted_and_a_share_of_popularity() -> None:
    data = of_rows([[10, 20], [10, 20], [10, 30]])
    table = transitions.table(data).dense()
    popularity = np.array([0, 3.5, 2.5, 1.5]) / 7.5
    assert table[1] == pytest.approx(np.array([0, 0, 2, 1]) / (3 + 1) + 3 / 4 / 9 * popularity)
    assert table[2] == pytest.approx(1e-3 * popularity), "nothing followed it"
    assert table[0] == pytest.approx(1e-6 * popularity)
    assert transitions.table(data, doubt=2, fame=0.5).dense()[1] == pytest.approx(
        np.array([0, 0, 2, 1]) / (3 + 2) + 3 / 5 * popularity
    )


def test_only_the_most_frequent_followers_are_kept_and_the_sum_stays() -> None:
    data = of_rows([[10, 20], [10, 20], [10, 30]])
    assert transitions.table(data, top=1).rows.dense()[1].tolist() == [0, 0, 0.5, 0]


def test_the_score_is_the_log_of_the_faded_mean_over_the_last_films() -> None:
    data = chain(viewers=40, length=8)
    table = transitions.table(data).dense()
    history = History.of([9, 4, 0, 7])
    expected = np.log((table[7, 1:] + 0.5 * table[4, 1:]) / 1.5)
    assert fitted(data, last=2, fading=0.5).scores([history])[0, 1:] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("history", [History.of([]), History.of([0, 0])], ids=["empty", "unknown"])
def test_without_a_known_film_popularity_speaks(history: History) -> None:
    data = chain(viewers=40, length=8)
    engine = fitted(data)
    expected = np.log((data.popularity[1:] + 0.5) / (data.popularity[1:] + 0.5).sum())
    assert engine.scores([history])[0, 1:] == pytest.approx(expected, rel=1e-5)
    assert engine.why(history) == "popular with everyone"
    assert [reason.because for reason in engine.explain(history, [1, 2])] == [(), ()]


HISTORIES = [[5], [5, 9], [5, 9, 2, 17, 30, 41], list(range(1, 31)), [5, 5, 9, 0, 5], list(range(30, 0, -1))]


@pytest.mark.parametrize("items", HISTORIES)
def test_a_reason_is_the_exact_fall_without_the_film(items: list[int]) -> None:
    engine, history, asked = fitted(chain(viewers=60, length=10)), History.of(items), list(range(1, 61))
    reasons = engine.explain(history, asked)
    score = engine.scores([history])[0]
    named = 0
    for film in set(items) - {0}:
        without = engine.scores([History.of([item for item in items if item != film])])[0]
        for item, reason in zip(asked, reasons, strict=True):
            effect = dict(reason.because).get(film)
            if effect is not None:
                named += 1
                assert effect == pytest.approx(float(score[item]) - float(without[item]), abs=1e-5)
    assert named


def test_it_learns_order_and_finds_none_where_there_is_none() -> None:
    data = chain()
    judged = {}
    for name, holdout in (("chain", protocol.split_loo(data)), ("twin", protocol.split_loo(shuffled(data)))):
        validate, popular = harness.validator(holdout), Popularity()
        popular.fit(holdout.train, Ear())
        judged[name] = (validate(fitted(holdout.train))["ndcg@10"], validate(popular)["ndcg@10"])
    assert judged["chain"][0] > 2 * judged["chain"][1]
    assert judged["twin"][0] < judged["twin"][1] + 0.06
