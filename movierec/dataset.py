"""Frozen, time-ordered viewing events as arrays, and the one translator between movie ids and dense items.

Letters: E events, U viewers, N items. Item 0 is padding and never a movie.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]

BLOCK = 1_000_000  # values
CLOSE = 2**25  # widest range of numbers that is looked up in a table


@dataclass(frozen=True)
class ItemIndex:
    """The only translator between `movie_id` (database key) and `item` (dense 1..N; 0 is padding)."""

    movie_ids: Ints  # (N,) int64, strictly ascending; item i is movie_ids[i - 1]

    def __post_init__(self) -> None:
        ids = np.asarray(self.movie_ids, dtype=np.int64)
        if ids.ndim != 1 or (ids.size > 1 and not (np.diff(ids) > 0).all()):
            raise ValueError("movie ids must be one strictly ascending row")
        object.__setattr__(self, "movie_ids", ids)

    def __len__(self) -> int:
        return int(self.movie_ids.size)

    def items(self, movie_ids: Sequence[int] | Ints) -> Ints:
        """Dense items of these movie ids, (len,) int32; 0 where a movie is unknown."""
        wanted = np.asarray(movie_ids, dtype=np.int64)
        if not len(self):
            return np.zeros(wanted.shape, dtype=np.int32)
        at = np.searchsorted(self.movie_ids, wanted).clip(max=len(self) - 1)
        return np.where(self.movie_ids[at] == wanted, at + 1, 0).astype(np.int32)

    def movie_id(self, item: int) -> int:
        """The movie id of one item. Raises IndexError for padding or an item past N."""
        if not 1 <= item <= len(self):
            raise IndexError(f"item {item} is not in 1..{len(self)}")
        return int(self.movie_ids[item - 1])

    @cached_property
    def sha256(self) -> str:
        """The vocabulary's hash: equal if and only if every item means the same movie."""
        return hashlib.sha256(self.movie_ids.astype("<i8").tobytes()).hexdigest()


@dataclass(frozen=True)
class History:
    """What one viewer watched, oldest first."""

    items: Ints  # (T,) int32
    times: Ints  # (T,) int64, seconds since 1970 UTC
    ratings: Floats  # (T,) float32, 0.5-5, NaN unknown

    @classmethod
    def of(cls, items: Sequence[int] | Ints, times: Ints | None = None, ratings: Floats | None = None) -> History:
        """A history from items alone; times default to 0, ratings to unknown."""
        row = np.asarray(items, dtype=np.int32)
        return cls(
            row,
            np.zeros(row.size, dtype=np.int64) if times is None else np.asarray(times, dtype=np.int64),
            np.full(row.size, np.nan, dtype=np.float32) if ratings is None else np.asarray(ratings, dtype=np.float32),
        )

    def __len__(self) -> int:
        return int(self.items.size)

    def known(self) -> History:
        """Without the movies an engine does not know (item 0)."""
        keep = self.items > 0
        return self if keep.all() else History(self.items[keep], self.times[keep], self.ratings[keep])


@dataclass(frozen=True)
class Dataset:
    """Events grouped by viewer, oldest first within each; equal seconds keep the order in which they came.

    Viewer v's events lie at offsets[v]:offsets[v + 1].
    """

    index: ItemIndex
    viewer_ids: Ints  # (U,) int64, the source's own numbers; a site's viewers are negative
    offsets: Ints  # (U + 1,) int64
    items: Ints  # (E,) int32
    times: Ints  # (E,) int64
    ratings: Floats  # (E,) float32, NaN unknown

    @classmethod
    def from_events(
        cls,
        viewers: Ints,
        movie_ids: Ints,
        times: Ints,
        ratings: Floats | None = None,
        index: ItemIndex | None = None,
    ) -> Dataset:
        """Group and order raw events. Of several views of a movie by one viewer the first is kept.

        Items are all movies with an event, unless `index` is given; then events of movies outside it are dropped.
        """
        viewers, movie_ids, times = np.asarray(viewers), np.asarray(movie_ids), np.asarray(times, dtype=np.int64)
        ratings = np.full(viewers.size, np.nan, np.float32) if ratings is None else np.asarray(ratings, np.float32)
        index = ItemIndex(_distinct(movie_ids)) if index is None else index
        items = _places(index.movie_ids, movie_ids)
        known = items > 0
        if not known.all():
            viewers, items, times, ratings = viewers[known], items[known], times[known], ratings[known]
        viewer_ids = _distinct(viewers)
        rows = _places(viewer_ids, viewers) - np.int32(1)
        order = _order(times, None)
        order = _order(rows, order)
        rows, items = rows[order], items[order]
        first = _first_views(rows, items)
        if not first.all():
            rows, items, order = rows[first], items[first], order[first]
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=viewer_ids.size))]).astype(np.int64)
        return cls(index, viewer_ids, offsets, items, times[order], ratings[order])

    @property
    def n_viewers(self) -> int:
        return int(self.viewer_ids.size)

    @property
    def n_items(self) -> int:
        return len(self.index)

    @property
    def n_events(self) -> int:
        return int(self.items.size)

    def history(self, viewer: int) -> History:
        """Row `viewer` (0..U-1) as a History."""
        at = slice(int(self.offsets[viewer]), int(self.offsets[viewer + 1]))
        return History(self.items[at], self.times[at], self.ratings[at])

    def histories(self) -> Iterator[History]:
        """Each viewer's history, in row order."""
        return (self.history(viewer) for viewer in range(self.n_viewers))

    @cached_property
    def viewers(self) -> Ints:
        """(E,) int32: the viewer row of each event."""
        return np.repeat(np.arange(self.n_viewers, dtype=np.int32), np.diff(self.offsets))

    @cached_property
    def popularity(self) -> Ints:
        """(N + 1,) int64: events per item; padding has 0."""
        return np.bincount(self.items, minlength=self.n_items + 1)

    @cached_property
    def sha256(self) -> str:
        """Hash of vocabulary, viewers, order and times: two equal hashes are the same training data."""
        digest = hashlib.sha256(self.index.sha256.encode())
        for row in (self.viewer_ids, self.offsets, self.items, self.times):
            digest.update(np.ascontiguousarray(row).tobytes())
        return digest.hexdigest()

    def select(self, keep: npt.NDArray[np.bool_]) -> Dataset:
        """The events where `keep` (E,) is true; viewers, items and their numbering stay as they are."""
        counts = np.bincount(self.viewers[keep], minlength=self.n_viewers)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Dataset(self.index, self.viewer_ids, offsets, self.items[keep], self.times[keep], self.ratings[keep])


def _distinct(values: Ints) -> Ints:
    """The values that occur, ascending, int64. Numbers close together are ticked off in a table: no sort."""
    if not values.size or not _close(values):
        return np.unique(values).astype(np.int64)
    low = int(values.min())
    occurs = np.zeros(int(values.max()) - low + 1, dtype=bool)
    for start in range(0, values.size, BLOCK):
        occurs[values[start : start + BLOCK].astype(np.int64) - low] = True
    return np.flatnonzero(occurs) + low


def _places(known: Ints, values: Ints) -> Ints:
    """1 + the place of each value in `known` (ascending), int32; 0 where it isn't there. By table or by search."""
    out = np.zeros(values.size, dtype=np.int32)
    if not known.size:
        return out
    low, table = int(known[0]), None
    if _close(known):
        table = np.zeros(int(known[-1]) - low + 2, dtype=np.int32)  # the last place is for what is out of range
        table[known - low] = np.arange(1, known.size + 1, dtype=np.int32)
    for start in range(0, values.size, BLOCK):
        part = values[start : start + BLOCK].astype(np.int64)
        if table is None:
            at = np.searchsorted(known, part).clip(max=known.size - 1)
            out[start : start + BLOCK] = np.where(known[at] == part, at + 1, 0)
        else:
            part -= low
            part[(part < 0) | (part >= table.size)] = table.size - 1
            out[start : start + BLOCK] = table[part]
    return out


def _close(values: Ints) -> bool:
    """Whether a table over the values' whole range is small."""
    return int(values.max()) - int(values.min()) < CLOSE


def _order(values: Ints, before: Ints | None) -> Ints:
    """A stable argsort of `values` taken in the order `before` (None: as they lie), as places in `values`.

    Value and place share one 64-bit key sorted in place: a third of argsort's time and memory.
    """
    taken = values if before is None else values[before]
    if not taken.size or (taken[1:] >= taken[:-1]).all():
        return np.arange(taken.size, dtype=np.int32) if before is None else before
    low, bits = int(taken.min()), taken.size.bit_length()
    if (int(taken.max()) - low).bit_length() + bits > 63:
        order = np.argsort(taken, kind="stable")
        return order if before is None else before[order]
    keys = taken.astype(np.int64) - low
    keys <<= bits
    for start in range(0, keys.size, BLOCK):
        keys[start : start + BLOCK] |= np.arange(start, min(start + BLOCK, keys.size))
    keys.sort()
    keys &= (1 << bits) - 1
    order = keys.astype(np.int32)
    return order if before is None else before[order]


def _first_views(rows: Ints, items: Ints) -> npt.NDArray[np.bool_]:
    """Which events are the viewer's first of that item; `rows` ascend. Looked at some whole viewers at a time."""
    first = np.ones(rows.size, dtype=bool)
    start = 0
    while start < rows.size:
        stop = int(np.searchsorted(rows, rows[min(start + BLOCK, rows.size) - 1], side="right"))
        keys = (rows[start:stop].astype(np.int64) << 32) | items[start:stop]
        _, places = np.unique(keys, return_index=True)
        if places.size < keys.size:
            first[start:stop] = False
            first[start + places] = True
        start = stop
    return first


@dataclass(frozen=True)
class Targets:
    """What is held back: (viewer row, item) pairs, sorted by viewer. A viewer may have several."""

    viewers: Ints  # (P,) int32 rows of the data set
    items: Ints  # (P,) int32

    def __len__(self) -> int:
        return int(self.items.size)


@dataclass(frozen=True)
class Holdout:
    """One split of a data set: what engines may learn from and what they are asked for.

    `train` keeps the full data set's viewers and items, so a target unseen in training is a miss, not dropped.
    `test_history` is what a viewer had seen when the test targets came (train + validation).
    """

    split: str  # "loo", "time" or "ratio"; protocols of one split share it
    train: Dataset
    validation: Targets
    test_history: Dataset
    test: Targets
