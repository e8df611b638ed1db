"""Who watched what as a sparse table, cut into batches of rows: what an encoder is given and what it has to explain.

Letters: U viewers, M films with a view, R rows of a batch, C columns, Z views in a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from movierec.dataset import Dataset, Ints


def table(data: Dataset) -> tuple[sp.csr_array, Ints]:
    """Views as (U, M) ones, and the item of each column: viewers and films without any view are left out.

    The order of the columns is that of the items: ids are mapped here, never by first appearance.
    """
    items = np.flatnonzero(data.popularity)
    viewers = np.flatnonzero(np.diff(data.offsets))
    columns = np.searchsorted(items, data.items)
    rows = np.searchsorted(viewers, data.viewers)
    ones = np.ones(data.n_events, dtype=np.float32)
    return sp.csr_array((ones, (rows, columns)), shape=(viewers.size, items.size)), items


@dataclass(frozen=True)
class Given:
    """Rows as an encoder's first layer reads them."""

    rows: sp.csr_array  # (R, C) float32 ones
    used: Tensor  # columns with a view
    back: sp.csr_array  # (used, R) the same transposed without its empty rows, for the gradient

    @classmethod
    def of(cls, rows: sp.csr_array) -> Given:
        """From (R, C) ones."""
        turned = rows.T.tocsr()  # (C, R)
        used = np.flatnonzero(np.diff(turned.indptr))
        return cls(rows, torch.from_numpy(used), turned[used])


@dataclass(frozen=True)
class Batch:
    """Some rows of one side: what its encoder is given, and the views that the factors must explain."""

    ids: Tensor  # (R,) rows of the side
    given: Given
    rows: Tensor  # (Z,) of each view to explain, its row in the batch, ascending
    columns: Tensor  # (Z,) and its column


def batches(views: sp.csr_array, size: int, order: Ints) -> list[Batch]:
    """The rows of `views` in this order, `size` at a time; each is to explain what it is given."""
    made = []
    for start in range(0, order.size, size):
        ids = order[start : start + size].astype(np.int64)
        rows = views[ids]
        cells = (torch.from_numpy(part.astype(np.int64)) for part in rows.tocoo().coords)
        made.append(Batch(torch.from_numpy(ids), Given.of(rows), *cells))
    return made


def shortened(rows: sp.csr_array, whole: float, random: np.random.Generator) -> sp.csr_array:
    """The rows with films left out by chance: a share `whole` stays whole, of the rest a log-uniform number is kept."""
    lengths = np.diff(rows.indptr)  # (R,)
    drawn = np.exp(random.random(lengths.size) * np.log(lengths + 1)).astype(np.int64).clip(1, lengths)
    kept = np.where(random.random(lengths.size) < whole, lengths, drawn)
    owner = np.repeat(np.arange(lengths.size), lengths)  # (Z,)
    order = np.lexsort((random.random(owner.size), owner))  # within each row by chance
    place = np.arange(owner.size) - np.repeat(rows.indptr[:-1], lengths)
    chosen = np.sort(order[place < kept[owner]])
    ends = np.concatenate([[0], np.cumsum(kept)])
    return sp.csr_array((rows.data[chosen], rows.indices[chosen], ends), shape=rows.shape)
