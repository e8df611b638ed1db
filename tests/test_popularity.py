"""Popularity: what it counts, how fame fades, and what the floor does."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import DAY, Ear

from movierec.dataset import Dataset, History
from movierec.engines.base import EngineError, Reason
from movierec.engines.popularity import Popularity, PopularityParams


def fitted(viewers: list[int], movies: list[int], days: list[int], **knobs: float) -> Popularity:
    data = Dataset.from_events(np.array(viewers), np.array(movies), np.array(days) * DAY)
    engine = Popularity(PopularityParams(**{"minimum_events": 0, **knobs}))
    engine.fit(data, Ear())
    return engine


def order(engine: Popularity) -> list[int]:
    return [pick.item for pick in engine.recommend([History.of([])], 10)[0]]


def test_a_view_half_a_life_old_counts_half() -> None:
    engine = fitted([1, 2, 3], [10, 10, 20], [0, 30, 30], half_life_days=30)
    assert engine.scores([History.of([])])[0, 1:].tolist() == pytest.approx([1.5, 1.0])


def test_age_is_relative_to_the_newest_view() -> None:
    now, later = (fitted([1, 2, 3], [10, 10, 20], [day, day + 30, day + 30]) for day in (0, 9_000))
    assert (now.scores([History.of([])]) == later.scores([History.of([])])).all()


def test_lately_beats_long_ago() -> None:
    viewers, movies, days = [1, 2, 3, 4, 5], [10, 10, 10, 20, 20], [0, 0, 0, 3_000, 3_000]
    assert order(fitted(viewers, movies, days, half_life_days=300)) == [2, 1]
    assert order(fitted(viewers, movies, days, half_life_days=100_000)) == [1, 2]


def test_films_under_the_floor_come_last_in_their_own_order() -> None:
    viewers, movies, days = [1, 2, 3, 4, 5, 6], [10, 10, 10, 20, 30, 30], [0, 0, 0, 900, 900, 900]
    assert order(fitted(viewers, movies, days, half_life_days=30, minimum_events=3)) == [1, 3, 2]


def test_ties_go_to_the_lower_item() -> None:
    assert order(fitted([1, 2, 3], [30, 10, 20], [0, 0, 0])) == [1, 2, 3]


def test_it_says_why() -> None:
    for knobs, why in (({}, "popular with everyone"), ({"half_life_days": 30}, "popular lately")):
        engine = fitted([1], [10], [0], **knobs)
        assert engine.recommend([History.of([])], 1)[0][0].why == why
        assert engine.explain(History.of([1]), [1, 1]) == [Reason(why), Reason(why)]


def test_without_a_half_life_all_views_count_alike() -> None:
    engine = fitted([1, 2, 3], [10, 10, 20], [0, 30, 3_000])
    assert engine.scores([History.of([])])[0, 1:].tolist() == [2, 1]


def test_nothing_to_count_is_said() -> None:
    with pytest.raises(EngineError, match="no views"):
        fitted([], [], [])
