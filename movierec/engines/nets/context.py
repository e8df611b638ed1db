"""What lies behind each training position: the two features over all films, and the films already seen.

Positions go in blocks, whose films' rows are gathered once and summed by one product: no recurrence, no loop over
films. Letters: P positions of a batch, n of a block, r films behind a block, N items, W columns (all items, or drawn).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from movierec.dataset import Dataset, Ints
from movierec.engines.item_to_item.rows import Rows
from movierec.engines.nets.features import DEPTH, FADING, LEAST, RECENT, Features, scale

BLOCK = 64  # positions
ROWS = 32  # films behind a block are filled up to a multiple of this
DENSE_BYTES = 512 << 20  # of all folds' tables together; above it rows are filled in from the sparse tables
HIDDEN = -1e4  # logit of a film already seen


class Columns:
    """Which items the columns of a block stand for, where they are not all items in order."""

    def __init__(self, n_items: int, drawn: Ints) -> None:
        self.width = drawn.size
        self.place = np.full(n_items + 1, -1, dtype=np.int64)  # column of an item; -1: none
        self.place[drawn] = np.arange(drawn.size)
        self.items = drawn


class _Table:
    """Rows of one table by film, as a tensor; W columns without padding."""

    def __init__(self, rows: Rows, dtype: torch.dtype, dense: bool) -> None:
        self._indptr, self._columns = rows.indptr, rows.columns
        self._weights = torch.from_numpy(rows.weights).to(dtype)
        self._dense: Tensor | None = None  # (N + 1, N)
        if dense:
            self._dense = torch.from_numpy(rows.dense()[:, 1:]).to(dtype)
            self._columns, self._weights = rows.columns[:0], self._weights[:0]

    def take(self, items: Ints, columns: Columns | None, out: Tensor) -> None:
        """Fill out (r, W) with the rows of `items` (r,)."""
        if self._dense is None:
            self._scatter(items, columns, out)
        elif columns is None:
            torch.index_select(self._dense, 0, torch.from_numpy(items), out=out)
        else:
            whole = self._dense[torch.from_numpy(items)]
            torch.index_select(whole, 1, torch.from_numpy(columns.items - 1), out=out)

    def _scatter(self, items: Ints, columns: Columns | None, out: Tensor) -> None:
        out.zero_()
        start = self._indptr[items]
        many = self._indptr[items + 1] - start
        ends = np.cumsum(many)
        at = np.arange(ends[-1]) + np.repeat(start - (ends - many), many)
        row = np.repeat(np.arange(items.size) * out.shape[1], many)
        if columns is None:
            place = row + self._columns[at] - 1
        else:
            place = columns.place[self._columns[at]]
            found = np.flatnonzero(place >= 0)
            at, place = at[found], row[found] + place[found]
        out.view(-1).index_put_((torch.from_numpy(place),), self._weights[torch.from_numpy(at)])


class _Fold:
    """The tables of one fold, as training needs them."""

    def __init__(self, made: Features, dtype: torch.dtype, dense: bool) -> None:
        self.shares, self.popularity, self.norms = made.shares, made.popularity, made.norms
        self.transitions = _Table(made.transitions, dtype, dense)
        self.ease = _Table(made.ease, dtype, dense)


class Context:
    """Of all events of `data`; `at` gives that of a batch. `tables`: those of each fold, taken one by one."""

    def __init__(self, data: Dataset, tables: Iterable[Features], folds: int, dtype: torch.dtype) -> None:
        self.items = data.items.astype(np.int64)  # (E,)
        self.first = data.offsets[:-1][data.viewers]  # (E,) where the viewer of an event begins
        self.n_items = data.n_items
        self.dtype = dtype
        size = torch.empty(0, dtype=dtype).element_size()
        dense = 2 * folds * data.n_items**2 * size <= DENSE_BYTES
        self.folds = [_Fold(made, dtype, dense) for made in tables]
        self.rows = torch.empty(0, dtype=dtype)  # (r, W) of a block, reused

    def at(self, events: Ints, fold: int) -> BatchContext:
        """Of the positions that stand at these events (P,), all of viewers of one fold."""
        return BatchContext(self, events, self.folds[fold])


class BatchContext:
    """What lies behind each position of one batch."""

    def __init__(self, whole: Context, events: Ints, fold: _Fold) -> None:
        self._whole, self._events, self._fold = whole, events, fold
        self.n_items = whole.n_items

    def fill(self, start: int, mk: Tensor, ez: Tensor, columns: Columns | None = None) -> None:
        """Fill mk and ez (n, W) with the features of the positions from `start` on; past them with anything finite."""
        for low in range(0, len(mk), BLOCK):
            events = self._events[start + low : start + min(low + BLOCK, len(mk))]
            self._fill_block(events, mk[low : low + BLOCK], ez[low : low + BLOCK], columns)
        if columns is None:
            ez.div_(torch.linalg.vector_norm(ez, dim=1, keepdim=True).mul_(self.n_items**-0.5).clamp_min_(LEAST))
        mk.log_()  # above zero: popularity is, and each row mixes some of it in

    def _fill_block(self, events: Ints, mk: Tensor, ez: Tensor, columns: Columns | None) -> None:
        fold, dtype = self._fold, self._whole.dtype
        behind, ages = self._behind(events)
        items = self._whole.items[behind]
        fading = FADING[ages]  # (n, r)
        if columns is not None:
            fading *= scale(fading**2 @ fold.norms[items], self.n_items)[:, None]
        rows = self._take(fold.ease, items, columns)
        torch.mm(_padded(fading, len(ez), len(rows), dtype), rows, out=ez)
        recent = RECENT[ages]
        near = recent.any(axis=0)
        recent, items = recent[:, near], items[near]
        rows = self._take(fold.transitions, items, columns)
        weights = _padded(recent, len(mk), len(rows), dtype)
        known = fold.popularity[1:] if columns is None else fold.popularity[columns.items]
        rows[-1] = torch.from_numpy(known)
        weights[:, -1] = 1  # past the last position
        weights[: len(events), -1] = torch.from_numpy(recent @ fold.shares[items])
        torch.mm(weights, rows, out=mk)

    def _take(self, table: _Table, items: Ints, columns: Columns | None) -> Tensor:
        """(r', W) rows of these films, then at least one of padding: products of few shapes, as each keeps memory."""
        width = self.n_items if columns is None else columns.width
        items = np.append(items, np.zeros(ROWS - items.size % ROWS, dtype=items.dtype))
        if self._whole.rows.numel() < items.size * width:
            self._whole.rows = torch.empty(items.size * width, dtype=self._whole.dtype)
        rows = self._whole.rows[: items.size * width].view(-1, width)
        table.take(items, columns, rows)
        return rows

    def _behind(self, events: Ints) -> tuple[Ints, Ints]:
        """The events (r,) behind a block, and their ages (n, r) at each position, DEPTH where one doesn't count."""
        first = self._whole.first[events]
        new = np.ones(events.size, dtype=bool)
        new[1:] = (np.diff(events) != 1) | (np.diff(first) != 0)
        begin = np.flatnonzero(new)
        low = np.maximum(first[begin], events[begin] - DEPTH + 1)
        many = events[np.append(begin[1:], events.size) - 1] + 1 - low
        behind = np.arange(many.sum()) + np.repeat(low - (np.cumsum(many) - many), many)
        owner = np.repeat(np.arange(begin.size), many)
        ages = events[:, None] - behind
        ages[((np.cumsum(new) - 1)[:, None] != owner) | (ages < 0) | (ages > DEPTH)] = DEPTH
        return behind, ages

    def hide(self, start: int, logits: Tensor, columns: Columns | None = None) -> None:
        """Set the logits (n, W) of films seen up to each position from `start` on to HIDDEN."""
        for low in range(0, len(logits), BLOCK):
            seen = self._seen(self._events[start + low : start + min(low + BLOCK, len(logits))])
            block = logits[low : low + len(seen)]
            if columns is None:
                block.scatter_(1, torch.from_numpy(seen - 1), HIDDEN)
            else:
                place = columns.place[seen]
                row, at = np.nonzero(place >= 0)
                block[torch.from_numpy(row), torch.from_numpy(place[row, at])] = HIDDEN

    def _seen(self, events: Ints) -> Ints:
        """(n, S) films seen up to each position; shorter rows repeat their newest film."""
        first = self._whole.first[events]
        many = events - first
        return self._whole.items[first[:, None] + np.minimum(np.arange(many.max() + 1), many[:, None])]


def _padded(weights: npt.NDArray[np.float32], rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """(rows, columns) these weights, and zeros."""
    made = np.zeros((rows, columns), dtype=np.float32)
    made[: weights.shape[0], : weights.shape[1]] = weights
    return torch.from_numpy(made).to(dtype)
