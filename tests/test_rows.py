"""Item-to-item rows: what they sum to, what of them is kept, and what of a state is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from tiny import of_rows

from movierec.dataset import History
from movierec.engines.base import BadState
from movierec.engines.item_to_item.rows import Rows, Table, blocks, newest_first, shares_of_views, strongest

DENSE = np.array([[0, 0, 0, 0], [0, 0, 2, 3], [0, 5, 0, 0], [0, 0, 0, 0]], dtype=np.float32)


def rows() -> Rows:
    return Rows.of(sparse.csr_array(DENSE))


def table() -> Table:
    return Table(rows(), np.array([0.5, 1, 2, 4], np.float32), np.array([0, 0.25, 0.25, 0.5], np.float32))


def test_rows_mix_and_look_up_as_the_dense_table_does() -> None:
    films, weights = np.array([2, 1, 3]), np.array([10.0, 1.0, 7.0])
    assert (rows().dense() == DENSE).all()
    assert rows().mix(films, weights).tolist() == [0, 50, 2, 3]
    stacked = Rows.stacked([sparse.csr_array(DENSE[:2]), sparse.csr_array(DENSE[2:])])
    assert all((stacked.arrays()[name] == array).all() for name, array in rows().arrays().items())
    assert rows().entries(films, np.array([3, 1, 3, 2])).tolist() == [[0, 5, 0, 0], [3, 0, 3, 2], [0, 0, 0, 0]]
    assert rows().mix(films[:0], weights[:0]).tolist() == [0, 0, 0, 0]


def test_a_table_adds_each_films_share_of_popularity() -> None:
    whole = DENSE + np.outer([0.5, 1, 2, 4], [0, 0.25, 0.25, 0.5])
    assert table().dense() == pytest.approx(whole)
    films, weights = np.array([2, 1]), np.array([10.0, 1.0])
    assert table().mix(films, weights) == pytest.approx(10 * whole[2] + whole[1])
    assert table().entries(films, np.array([3, 1])) == pytest.approx(whole[[2, 1]][:, [3, 1]])


def test_popularity_is_the_share_of_views_with_half_a_view_added() -> None:
    assert shares_of_views(of_rows([[10, 20], [10]])) == pytest.approx([0, 2.5 / 4, 1.5 / 4])


@pytest.mark.parametrize("top", [1, 2, 5, 100])
def test_the_strongest_of_a_row_are_those_farthest_from_zero_ties_to_the_lower(top: int) -> None:
    random = np.random.default_rng(top)
    dense = np.round(random.normal(0, 2, (60, 30))).astype(np.float32)  # whole numbers: many ties, many zeros
    dense[7] = dense[59] = 0
    kept = strongest(sparse.csr_array(dense), top).toarray()
    for got, row in zip(kept, dense, strict=True):
        best = [place for place in np.argsort(-np.abs(row), kind="stable") if row[place]][:top]
        assert (np.flatnonzero(got) == np.sort(best)).all()
        assert (got[best] == row[best]).all()
    assert strongest(sparse.csr_array((0, 5)), top).shape == (0, 5)


def test_blocks_cover_all_rows_and_hold_no_more_than_asked_unless_one_row_does() -> None:
    assert list(blocks(np.array([3, 3, 9, 0, 0, 2]), 6)) == [(0, 2), (2, 3), (3, 6)]
    assert list(blocks(np.array([0]), 6)) == [(0, 1)]


def test_a_history_is_read_from_its_end_each_known_film_once() -> None:
    assert newest_first(History.of([5, 0, 3, 5, 2, 0])).tolist() == [2, 5, 3]
    assert newest_first(History.of([0])).tolist() == []


def test_a_table_comes_back_from_its_arrays() -> None:
    again = Table.from_arrays(table().arrays(), 3)
    assert again.dense().tobytes() == table().dense().tobytes()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("indptr", [0, 0, 2, 3], "which does not fit"),
        ("indptr", [0, 1, 2, 3, 3], "do not start at 0"),
        ("indptr", [1, 1, 2, 3, 3], "do not start at 0"),
        ("indptr", [0, 0, 3, 2, 3], "do not start at 0"),
        ("indptr", [0, 0, 2, 3, 4], "3 films and 3 weights, not 4"),
        ("columns", [2, 3, 4], "not in 1..3"),
        ("columns", [0, 3, 1], "not in 1..3"),
        ("columns", [-1, 3, 1], "not in 1..3"),
        ("columns", [3, 2, 1], "do not ascend"),
        ("columns", [2, 2, 1], "do not ascend"),
        ("columns", [2.0, 3.0, 1.0], "which does not fit"),
        ("weights", [1.0, 2.0], "3 films and 2 weights"),
        ("weights", [1.0, 2.0, np.nan], "finite"),
        ("weights", [1, 2, 3], "which does not fit"),
        ("shares", [1.0, 1.0, 1.0, -1.0], "less than none"),
        ("popularity", [0.0, 0.5, 0.5, 0.0], "less than none"),
        ("popularity", [0.0, 0.5, 0.5], "which does not fit"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, value: list, said: str) -> None:
    with pytest.raises(BadState, match=said):
        Table.from_arrays({**table().arrays(), name: np.array(value)}, 3)
    with pytest.raises(BadState, match=f"no {name}"):
        Table.from_arrays({key: array for key, array in table().arrays().items() if key != name}, 3)
