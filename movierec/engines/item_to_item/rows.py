"""A table of item-to-item weights as three plain arrays: all that serving needs, in numpy alone.

Letters: N items (0 = padding), T films of a history, newest first, K films asked about, Z weights kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, History, Ints
from movierec.engines.base import BadState, Report

if TYPE_CHECKING:
    from scipy import sparse

Array = npt.NDArray[np.float32]
Tick = Callable[[float], None]  # hears the share that is done, 0 to 1; may raise to stop the work

TIES = 1e-6  # popularity's weight where it only breaks ties


def silent(share: float) -> None:
    """A Tick for whom progress does not matter."""


def percent(report: Report, low: int = 0, high: int = 100) -> Tick:
    """A Tick that moves `report` from `low` to `high` of 100."""
    return lambda share: report(low + int((high - low) * min(share, 1.0)), 100)


@dataclass(frozen=True)
class Rows:
    """Row i holds what film i says about each other film; weights that are not kept are 0."""

    indptr: npt.NDArray[np.int64]  # (N + 2,) row i lies at indptr[i]:indptr[i + 1]; row 0 is empty
    columns: npt.NDArray[np.int32]  # (Z,) items, ascending within a row, never 0
    weights: Array  # (Z,)

    @classmethod
    def of(cls, table: sparse.csr_array) -> Rows:
        """The same table, (N + 1, N + 1), without scipy."""
        table.sort_indices()
        return cls(table.indptr.astype(np.int64), table.indices.astype(np.int32), table.data.astype(np.float32))

    @classmethod
    def stacked(cls, blocks: Sequence[sparse.csr_array]) -> Rows:
        """The blocks of rows, one below the other, without a second copy of the whole as scipy would make."""
        many = np.concatenate([np.diff(block.indptr) for block in blocks])
        for block in blocks:
            block.sort_indices()
        columns = np.concatenate([block.indices for block in blocks], dtype=np.int32, casting="same_kind")
        weights = np.concatenate([block.data for block in blocks], dtype=np.float32)
        return cls(np.concatenate([[0], np.cumsum(many, dtype=np.int64)]), columns, weights)

    @property
    def n_items(self) -> int:
        return self.indptr.size - 2

    def mix(self, items: Ints, shares: npt.NDArray[np.floating]) -> Array:
        """(N + 1,) sum of the rows of `items` (T,), each times its share (T,)."""
        at, many = self._places(items)
        found = np.bincount(self.columns[at], np.repeat(shares, many) * self.weights[at], self.n_items + 1)
        return found.astype(np.float32)

    def entries(self, items: Ints, wanted: Ints) -> Array:
        """(T, K) what each of `items` says about each of `wanted`, which are of 0..N."""
        at, many = self._places(items)
        starts = np.arange(len(items)) * (self.n_items + 1)  # (T,) so that the cells of all rows ascend in one line
        cells, asked = np.repeat(starts, many) + self.columns[at], starts[:, None] + wanted
        if not cells.size:
            return np.zeros(asked.shape, dtype=np.float32)
        place = np.searchsorted(cells, asked).clip(max=cells.size - 1)
        return np.where(cells[place] == asked, self.weights[at[place]], np.float32(0))

    def dense(self) -> Array:
        """(N + 1, N + 1) with zeros where nothing is kept."""
        table = np.zeros((self.n_items + 1, self.n_items + 1), dtype=np.float32)
        table[np.repeat(np.arange(self.n_items + 1), np.diff(self.indptr)), self.columns] = self.weights
        return table

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `from_arrays` reads."""
        return {"indptr": self.indptr.copy(), "columns": self.columns.copy(), "weights": self.weights.copy()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], n_items: int) -> Rows:
        """The rows that `arrays` gave for so many items. Raises BadState where an array does not fit."""
        indptr = checked(arrays, "indptr", "i", (n_items + 2,)).astype(np.int64)
        columns, weights = checked(arrays, "columns", "i", None), checked(arrays, "weights", "f", None)
        if indptr[0] != 0 or indptr[1] != 0 or (np.diff(indptr) < 0).any():
            raise BadState("The table's rows do not start at 0 and ascend from there.")
        if not columns.size == weights.size == indptr[-1]:
            raise BadState(f"The table holds {columns.size} films and {weights.size} weights, not {indptr[-1]} each.")
        if columns.size and not 1 <= columns.min() <= columns.max() <= n_items:
            raise BadState(f"The table names a film that is not in 1..{n_items}.")
        starts = np.zeros(columns.size + 1, dtype=bool)
        starts[indptr] = True
        if not (starts[1:-1] | (np.diff(columns.astype(np.int64)) > 0)).all():
            raise BadState("The films of a row do not ascend.")
        return cls(indptr, columns.astype(np.int32), weights.astype(np.float32))

    def _places(self, items: Ints) -> tuple[Ints, Ints]:
        """Where the weights of these rows lie, one row after the other, and how many each has."""
        start, many = self.indptr[items], self.indptr[np.asarray(items) + 1] - self.indptr[items]
        ends = np.cumsum(many)
        return np.arange(ends[-1] if ends.size else 0) + np.repeat(start - (ends - many), many), many


@dataclass(frozen=True)
class Table:
    """Row i is what film i says of the next one: its weights, and `shares[i]` of what everybody watches."""

    rows: Rows
    shares: Array  # (N + 1,) how much popularity weighs in each row
    popularity: Array  # (N + 1,) sums to 1; padding has 0

    @classmethod
    def on_popularity(cls, rows: Rows, data: Dataset) -> Table:
        """The rows as they are, popularity only breaking ties and speaking where they say nothing."""
        return cls(rows, np.full(data.n_items + 1, TIES, dtype=np.float32), shares_of_views(data))

    def dense(self) -> Array:
        """(N + 1, N + 1) float32, for nets that take it as a feature. Column 0 is 0."""
        table = self.rows.dense()
        table += self.shares[:, None] * self.popularity
        return table

    def mix(self, items: Ints, weights: npt.NDArray[np.floating]) -> Array:
        """(N + 1,) sum of the rows of `items` (T,), each times its weight (T,)."""
        return self.rows.mix(items, weights) + np.float32(weights @ self.shares[items]) * self.popularity

    def entries(self, items: Ints, wanted: Ints) -> Array:
        """(T, K) what each of `items` says about each of `wanted`."""
        return self.rows.entries(items, wanted) + self.shares[items][:, None] * self.popularity[wanted]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `from_arrays` reads."""
        return {**self.rows.arrays(), "shares": self.shares.copy(), "popularity": self.popularity.copy()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], n_items: int) -> Table:
        """The table that `arrays` gave for so many items. Raises BadState where an array does not fit."""
        rows = Rows.from_arrays(arrays, n_items)
        shares, popularity = (checked(arrays, name, "f", (n_items + 1,)) for name in ("shares", "popularity"))
        if (shares < 0).any() or (popularity[1:] <= 0).any():
            raise BadState("The table gives a film no share of popularity, or less than none.")
        return cls(rows, shares.astype(np.float32), popularity.astype(np.float32))


def shares_of_views(data: Dataset) -> Array:
    """(N + 1,) each item's share of events, half an event added; padding has 0."""
    views = data.popularity + 0.5
    views[0] = 0
    return (views / max(views.sum(), 1.0)).astype(np.float32)


def seen(data: Dataset) -> sparse.csr_array:
    """(U, N + 1) float32: 1 where the viewer watched the film."""
    from scipy import sparse

    ones = np.ones(data.n_events, dtype=np.float32)
    return sparse.csr_array((ones, data.items, data.offsets), shape=(data.n_viewers, data.n_items + 1))


def checked(
    arrays: Mapping[str, npt.NDArray[Any]], name: str, kinds: str, shape: tuple[int, ...] | None
) -> npt.NDArray[Any]:
    """One array of a state: there, of this kind of number and shape (None: any one row), finite. Raises BadState."""
    if name not in arrays:
        raise BadState(f"The state has no {name}.")
    array = np.asarray(arrays[name])
    if array.dtype.kind not in kinds or (array.ndim != 1 if shape is None else array.shape != shape):
        raise BadState(f"The {name} are {array.dtype} of shape {array.shape}, which does not fit.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise BadState(f"One of the {name} is not a finite number.")
    return array


def newest_first(history: History) -> Ints:
    """(T,) the known films of a history, newest first, each once where it was watched last."""
    items = history.items[history.items > 0][::-1]
    _, first = np.unique(items, return_index=True)
    return items[np.sort(first)]


def blocks(work: npt.NDArray[np.integer], most: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of rows, each with at most `most` of the rows' `work`, or of one row where that is more."""
    done, start = np.concatenate([[0], np.cumsum(work)]), 0
    while start < work.size:
        stop = int(np.searchsorted(done, done[start] + most, side="right")) - 1
        stop = min(max(stop, start + 1), work.size)
        yield start, stop
        start = stop


def strongest(block: sparse.csr_array, top: int) -> sparse.csr_array:
    """The block with only the `top` weights of each row that are farthest from 0; ties go to the lower item."""
    from scipy import sparse

    many = np.diff(block.indptr)
    if not many.size or many.max() <= top:
        return block
    block.sort_indices()
    row = np.repeat(np.arange(many.size), many)
    # One sorted row of numbers instead of a sort by two keys: the bits of a positive float are in the floats' order.
    near = (~np.abs(block.data.astype(np.float32)).view(np.uint32)).astype(np.uint64)
    keys = row.astype(np.uint64) << np.uint64(32) | near
    last = np.sort(keys)[np.minimum(block.indptr[:-1] + top, block.indptr[1:]).clip(min=1) - 1]  # of each row's best
    inside, tied = keys < last[row], keys == last[row]
    before = np.cumsum(tied) - tied  # ties so far, all rows'
    left = top - np.bincount(row[inside], minlength=many.size)
    first = np.concatenate([[0], np.cumsum(tied)])[block.indptr[:-1]]
    kept = np.flatnonzero(inside | (tied & (before - first[row] < left[row])))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row[kept], minlength=many.size))])
    return sparse.csr_array((block.data[kept], block.indices[kept], indptr), shape=block.shape)
