"""Data sets: order, grouping, repeats, the translator; each expectation is worked out by hand or by a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec import dataset
from movierec.dataset import Dataset, History, ItemIndex

rows = st.lists(st.tuples(st.integers(-3, 4), st.integers(1, 6), st.integers(0, 5)), max_size=40)


def plain(events: list[tuple[int, int, int]]) -> dict[int, list[int]]:
    """Viewer -> movie ids in the order of first views, by the obvious loop."""
    told: dict[int, list[int]] = {}
    for viewer, movie, _ in sorted(events, key=lambda event: event[2]):  # sorted() is stable
        films = told.setdefault(viewer, [])
        if movie not in films:
            films.append(movie)
    return told


def made(events: list[tuple[int, int, int]]) -> Dataset:
    viewers, movies, times = (np.array(column, dtype=np.int64) for column in zip(*events, strict=True))
    return Dataset.from_events(viewers, movies, times)


@settings(deadline=None)
@given(rows.filter(bool))
def test_it_says_what_the_obvious_loop_says(events: list[tuple[int, int, int]]) -> None:
    data = made(events)
    found = {
        int(viewer): [data.index.movie_id(int(item)) for item in data.history(row).items]
        for row, viewer in enumerate(data.viewer_ids)
    }
    assert found == plain(events)


def test_equal_seconds_keep_the_order_in_which_they_came() -> None:
    data = made([(7, 30, 5), (7, 10, 5), (7, 20, 5)])
    assert [data.index.movie_id(int(item)) for item in data.history(0).items] == [30, 10, 20]


def test_the_first_of_several_views_counts_with_its_rating() -> None:
    data = Dataset.from_events(
        np.array([1, 1, 1]), np.array([5, 5, 6]), np.array([20, 10, 15]), np.array([1.0, 4.5, 3.0])
    )
    assert data.times.tolist() == [10, 15]
    assert data.ratings.tolist() == [4.5, 3.0]


def test_events_outside_a_given_vocabulary_are_dropped_with_viewers_that_have_no_other() -> None:
    index = ItemIndex(np.array([5, 6]))
    data = Dataset.from_events(np.array([1, 2, 2]), np.array([9, 5, 9]), np.array([1, 2, 3]), index=index)
    assert (data.n_viewers, data.n_events, data.n_items) == (1, 1, 2)
    assert data.viewer_ids.tolist() == [2]


def test_nothing_at_all_is_a_data_set_too() -> None:
    none = np.array([], dtype=np.int64)
    data = Dataset.from_events(none, none, none)
    assert (data.n_viewers, data.n_items, data.n_events) == (0, 0, 0)
    assert data.offsets.tolist() == [0]


def test_times_too_far_apart_for_a_shared_key_are_ordered_all_the_same() -> None:
    data = made([(1, 1, 2**62), (1, 2, -(2**62)), (1, 3, 0)])
    assert [data.index.movie_id(int(item)) for item in data.history(0).items] == [2, 3, 1]


def test_films_of_ranges_far_apart_are_found_by_search(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(1, 5, 1), (1, 900_000_001, 2), (-7, 5, 3), (1, 6, 4)]
    wide = made(events)
    assert [wide.index.movie_id(int(item)) for item in wide.history(1).items] == [5, 900_000_001, 6]
    monkeypatch.setattr(dataset, "CLOSE", 0)
    assert made(events).sha256 == wide.sha256


def test_blocks_end_with_whole_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(viewer, movie, movie) for viewer in range(5) for movie in (1, 2, 3, 1)]
    whole = made(events)
    monkeypatch.setattr(dataset, "BLOCK", 2)
    assert made(events).sha256 == whole.sha256
    assert whole.n_events == 15


def test_ratings_are_unknown_unless_given() -> None:
    assert np.isnan(made([(1, 1, 1)]).ratings).all()


def test_popularity_and_viewers_count_events() -> None:
    data = made([(1, 5, 1), (2, 5, 1), (2, 6, 2)])
    assert data.popularity.tolist() == [0, 2, 1]
    assert data.viewers.tolist() == [0, 1, 1]
    assert [len(history) for history in data.histories()] == [1, 2]


def test_selecting_events_keeps_viewers_and_numbering() -> None:
    data = made([(1, 5, 1), (2, 5, 1), (2, 6, 2)])
    part = data.select(np.array([False, True, True]))
    assert part.offsets.tolist() == [0, 0, 2]
    assert part.n_items == 2


def test_equal_hashes_mean_equal_training_data() -> None:
    assert made([(1, 5, 1), (1, 6, 2)]).sha256 == made([(1, 6, 2), (1, 5, 1)]).sha256
    assert made([(1, 5, 1), (1, 6, 2)]).sha256 != made([(1, 5, 2), (1, 6, 1)]).sha256


def test_the_translator_goes_both_ways_and_knows_what_it_does_not_know() -> None:
    index = ItemIndex(np.array([10, 20, 900_000_001]))
    assert index.items([20, 10, 15, 900_000_001, 2**40]).tolist() == [2, 1, 0, 3, 0]
    assert index.movie_id(3) == 900_000_001
    for item in (0, 4):
        with pytest.raises(IndexError):
            index.movie_id(item)
    assert ItemIndex(np.array([], dtype=np.int64)).items([1]).tolist() == [0]


@pytest.mark.parametrize("ids", [[2, 1], [1, 1], [[1, 2]]])
def test_a_vocabulary_must_ascend(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        ItemIndex(np.array(ids))


def test_a_history_leaves_out_what_an_engine_does_not_know() -> None:
    history = History.of([3, 0, 2], times=np.array([1, 2, 3]))
    assert history.known().items.tolist() == [3, 2]
    assert history.known().times.tolist() == [1, 3]
    whole = History.of([1])
    assert whole.known() is whole
