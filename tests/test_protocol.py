"""Splits and candidates: hand-made viewers, then laws over random ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec.dataset import Dataset, Holdout, ItemIndex, Targets
from movierec.evaluation import protocol


def dataset(*histories, n_items=0):
    """Viewers 1, 2, ... with these movie ids in this order, all in the same second: order is all they have."""
    viewers = np.repeat(np.arange(1, len(histories) + 1), [len(h) for h in histories])
    movies = np.array([movie for history in histories for movie in history], dtype=np.int64)
    index = ItemIndex(np.arange(1, n_items + 1)) if n_items else None
    return Dataset.from_events(viewers, movies, np.zeros(viewers.size, dtype=np.int64), index=index)


def rows(data):
    return [history.items.tolist() for history in data.histories()]


def test_the_last_is_test_the_one_before_is_validation():
    held = protocol.split_loo(dataset([5, 1, 4, 2], [3, 1], [4], [2, 3, 5]))
    assert held.split == "loo"
    assert rows(held.train) == [[5, 1], [3], [4], [2]]
    assert rows(held.test_history) == [[5, 1, 4], [3], [4], [2, 3]]
    assert (held.validation.viewers.tolist(), held.validation.items.tolist()) == ([0, 3], [4, 3])
    assert (held.test.viewers.tolist(), held.test.items.tolist()) == ([0, 1, 3], [2, 1, 5])


def test_equal_seconds_keep_the_order_in_which_they_came():
    data = Dataset.from_events(
        np.array([7, 7, 7, 7]), np.array([30, 10, 40, 20]), np.array([9, 9, 5, 9], dtype=np.int64)
    )
    held = protocol.split_loo(data)  # by time: 40 (5), then 30, 10, 20 as they came (9)
    assert [data.index.movie_id(item) for item in rows(held.train)[0]] == [40, 30]
    assert data.index.movie_id(int(held.validation.items[0])) == 10
    assert data.index.movie_id(int(held.test.items[0])) == 20


def test_a_film_only_ever_held_out_stays_an_item():
    held = protocol.split_loo(dataset([1, 2, 9]))
    assert held.train.n_items == 3
    assert held.train.popularity.tolist() == [0, 1, 0, 0]


def test_no_viewer_at_all():
    held = protocol.split_loo(dataset(n_items=3))
    assert (len(held.test), len(held.validation), held.train.n_events) == (0, 0, 0)
    assert protocol.draw_unseen(held, 5, seed=1).shape == (0, 5)


HISTORIES = st.lists(st.lists(st.integers(1, 15), unique=True, max_size=12), min_size=1, max_size=8)


@given(HISTORIES)
@settings(max_examples=60)
def test_every_event_is_in_exactly_one_part_and_in_order(histories):
    data = dataset(*histories, n_items=15)
    held = protocol.split_loo(data)
    validation = dict(zip(held.validation.viewers.tolist(), held.validation.items.tolist(), strict=True))
    test = dict(zip(held.test.viewers.tolist(), held.test.items.tolist(), strict=True))
    for viewer, whole in enumerate(rows(data)):
        later = [part[viewer] for part in (validation, test) if viewer in part]
        assert rows(held.train)[viewer] + later == whole
        assert rows(held.test_history)[viewer] + later[-1:] == whole or len(whole) == 1
        assert len(later) == min(2, max(0, len(whole) - 1))


@given(HISTORIES, st.integers(1, 20), st.integers(0, 9))
@settings(max_examples=60)
def test_candidates_are_distinct_unseen_and_as_many_as_there_are(histories, drawn, seed):
    data = dataset(*histories, n_items=15)
    held = protocol.split_loo(data)
    table = protocol.draw_unseen(held, drawn, seed)
    for row, viewer in zip(table, held.test.viewers, strict=True):
        real = row[row > 0]
        seen = set(rows(data)[viewer])  # the whole history, the target too
        assert len(set(real.tolist())) == real.size == min(drawn, 15 - len(seen))
        assert not seen & set(real.tolist())
        assert ((real >= 1) & (real <= 15)).all()
    np.testing.assert_array_equal(table, protocol.draw_unseen(held, drawn, seed))


def test_candidates_are_uniform():
    viewers = 4000
    held = protocol.split_loo(dataset(*[[2, 5, 7]] * viewers, n_items=8))
    counts = np.bincount(protocol.draw_unseen(held, 1, seed=1)[:, 0], minlength=9)
    assert counts[[0, 2, 5, 7]].sum() == 0
    expected, sigma = viewers / 5, (viewers * 1 / 5 * 4 / 5) ** 0.5
    assert (np.abs(counts[[1, 3, 4, 6, 8]] - expected) < 4 * sigma).all()


def test_with_several_targets_none_of_them_is_a_candidate():
    data = dataset([1, 2, 3, 4], n_items=6)
    held = Holdout("ratio", data, Targets(np.array([]), np.array([])), dataset([1, 2], n_items=6), None)
    held = Holdout("ratio", held.train, held.validation, held.test_history, Targets(np.array([0, 0]), np.array([3, 4])))
    assert [sorted(row) for row in protocol.draw_unseen(held, 9, seed=1)[:, :2].tolist()] == [[5, 6], [5, 6]]


def test_the_registry():
    assert protocol.get(protocol.DEFAULT).id == "loo-full"
    assert [entry.id for entry in protocol.PROTOCOLS.values() if entry.easier] == ["loo-sampled100"]
    assert "Easier protocol" in protocol.get("loo-sampled100").sentence
    assert all(key == entry.id and entry.split in protocol.SPLITS for key, entry in protocol.PROTOCOLS.items())
    with pytest.raises(protocol.UnknownProtocol, match=r"'loo-easy'.*loo-full, loo-sampled100"):
        protocol.get("loo-easy")


def test_each_protocol_splits_and_draws_by_its_own_entry():
    data = dataset([1, 2, 3], [2, 3, 1], n_items=150)
    held = protocol.split(data)
    assert protocol.get("loo-full").candidates(held) is None
    drawn = protocol.get("loo-sampled100").candidates(protocol.split(data, "loo-sampled100"))
    assert drawn.shape == (2, 100)
    assert (drawn > 0).all()
