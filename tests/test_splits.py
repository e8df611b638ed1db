"""Parting by date and by chance: hand-made viewers, then laws over random ones. Leave-one-out: test_protocol.py."""

import numpy as np
import pytest
from evaluation_kit import dataset, range_ids
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec.dataset import Dataset, ItemIndex
from movierec.evaluation import protocol, splits


def timed(*events, n_items=9):
    """(viewer, movie, second) events, in that order."""
    viewers, movies, times = (np.array(column, dtype=np.int64) for column in zip(*events, strict=True))
    return Dataset.from_events(viewers, movies, times, index=ItemIndex(range_ids(n_items)))


def rows(data):
    return [history.items.tolist() for history in data.histories()]


def pairs(targets):
    return list(zip(targets.viewers.tolist(), targets.items.tolist(), strict=True))


def test_one_cut_in_time_for_everybody():
    # Ten events, seconds 1..10: the ninth and what is before it is history, the tenth is test; the ninth validation.
    events = [(1, 1, 1), (1, 2, 2), (2, 3, 3), (1, 4, 4), (2, 5, 5), (3, 6, 6), (3, 7, 7), (2, 8, 8), (1, 9, 9)]
    held = splits.split_time(timed(*events, (2, 9, 10)))
    assert held.split == "time"
    assert rows(held.train) == [[1, 2, 4], [3, 5, 8], [6, 7]]
    assert rows(held.test_history) == [[1, 2, 4, 9], [3, 5, 8], [6, 7]]
    assert pairs(held.validation) == [(0, 9)]
    assert pairs(held.test) == [(1, 9)]


def test_who_has_nothing_before_the_cut_is_not_asked():
    # Twenty events: 16 train, 2 validation, 2 test. Viewer 2 comes with the validation, viewer 3 with the test.
    old = [(1, movie, movie) for movie in range(1, 17)]
    held = splits.split_time(timed(*old, (1, 17, 17), (2, 18, 18), (2, 17, 19), (3, 18, 20), n_items=18))
    assert pairs(held.validation) == [(0, 17)]
    assert pairs(held.test) == [(1, 17)]
    assert rows(held.test_history) == [list(range(1, 18)), [18], []]  # viewer 2's first film is known by then


def test_events_of_one_second_stay_together():
    # Ten events: the cut would fall after nine, among seconds 5; ten are nearer to that than one.
    held = splits.split_time(timed(*[(1, movie, 5) for movie in range(1, 10)], (2, 9, 1)))
    assert (len(held.test), len(held.validation), held.train.n_events) == (0, 0, 10)
    held = splits.split_time(timed(*[(1, movie, min(movie, 8)) for movie in range(1, 10)], (2, 9, 9)))
    assert held.train.n_events == 9  # seconds 1..8, twice 8; of two tenths only second 9 is after the cut
    assert pairs(held.test) == []  # viewer 2 had nothing before
    # Twenty events in seconds 0..6, the last three in second 6: 17 before the cut are nearer to 18 than all 20.
    events = [(1, movie, movie // 3) for movie in range(1, 17)]
    events += [(2, movie, movie // 9 * 6) for movie in (1, 10, 11, 12)]
    held = splits.split_time(timed(*events, n_items=17))
    assert pairs(held.test) == [(1, 10), (1, 11), (1, 12)]
    assert len(held.test) + held.test_history.n_events == 20


@pytest.mark.parametrize("name", protocol.SPLITS)
def test_no_event_at_all(name):
    held = protocol.split_as(dataset(n_items=3), name)
    assert (held.split, len(held.test), len(held.validation), held.train.n_events) == (name, 0, 0, 0)


def test_an_unknown_split_is_refused():
    with pytest.raises(protocol.UnknownSplit, match=r"'thirds'.*loo, time, ratio"):
        protocol.split_as(dataset(n_items=3), "thirds")


@pytest.mark.parametrize(("events", "held"), [(1, 0), (4, 0), (5, 1), (14, 1), (15, 2), (24, 2), (100, 10)])
def test_a_tenth_each_is_held_out_by_chance(events, held):
    parts = splits.split_ratio(dataset(range(1, events + 1), n_items=100))
    assert (len(parts.test), len(parts.validation), parts.train.n_events) == (held, held, events - 2 * held)


def test_a_part_by_chance_is_not_the_end_of_the_history_and_fair():
    histories = [range(1, 11)] * 3000
    parts = splits.split_ratio(dataset(*histories, n_items=10))
    for targets in (parts.test, parts.validation):
        counts = np.bincount(targets.items, minlength=11)[1:]
        expected, sigma = 3000 / 10, (3000 * 1 / 10 * 9 / 10) ** 0.5
        assert (np.abs(counts - expected) < 4 * sigma).all()


def test_who_joins_changes_nobody_elses_part_and_the_seed_changes_all():
    histories = [list(range(1, 30)), list(range(5, 40)), list(range(9, 90))]
    few, more = (splits.split_ratio(dataset(*histories[:n], n_items=100)) for n in (2, 3))
    assert pairs(few.test) == [pair for pair in pairs(more.test) if pair[0] < 2]
    other = splits.split_ratio(dataset(*histories, n_items=100), seed=2)
    assert pairs(other.test) != pairs(more.test)


HISTORIES = st.lists(st.lists(st.integers(1, 40), unique=True, max_size=30), min_size=1, max_size=8)


@given(HISTORIES, st.sampled_from(["time", "ratio"]), st.integers(0, 3))
@settings(max_examples=60)
def test_every_event_is_in_exactly_one_part_and_in_order(histories, name, step):
    viewers = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
    movies = np.array([movie for history in histories for movie in history], dtype=np.int64)
    times = np.concatenate([np.arange(len(h)) * step for h in histories]).astype(np.int64)
    data = Dataset.from_events(viewers, movies, times, index=ItemIndex(range_ids(40)))
    held = protocol.split_as(data, name)
    asked = {"validation": pairs(held.validation), "test": pairs(held.test)}
    for viewer, whole in enumerate(rows(data)):
        validation, test = ([item for owner, item in asked[part] if owner == viewer] for part in asked)
        train, before = rows(held.train)[viewer], rows(held.test_history)[viewer]
        for part in (train, before, validation, test):
            assert part == [item for item in whole if item in part]  # in the data's own order
        assert set(train) <= set(before)
        assert not set(test) & set(before)
        assert not set(validation) & set(train)
        assert set(validation) <= set(before)
        if test:
            assert before
            assert set(before) | set(test) == set(whole)  # nothing of a viewer who is asked gets lost
        if validation:
            assert train
    again = protocol.split_as(data, name)
    assert pairs(again.test) == asked["test"]
