"""Which film follows which: windowed, decayed counts and the smoothed probabilities made of them.

Row i of the table is a film's answer to "what next?": M_i = C_i / (c_i + 1) + s_i pop, where c_i is the row's sum,
s_i = c_i / (c_i + 1) / 9 (at least .001), so a tenth of the answer is what everybody watches.
Letters: E events, N items (0 = padding).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from movierec.dataset import Dataset
from movierec.engines.item_to_item.rows import Rows, Table, Tick, blocks, shares_of_views, silent, strongest

if TYPE_CHECKING:
    from scipy import sparse

PAIRS = 1_000_000  # counted at once: about 0.1 s and 30 MB
LEAST_SHARE = 1e-3  # of popularity in a row that says nothing itself
PADDING_SHARE = 1e-6


def counts(data: Dataset, window: int = 10, decay: float = 0.8, tick: Tick = silent) -> sparse.csr_array:
    """(N + 1, N + 1) float32: C[i, j] = sum over pairs j watched k <= `window` events after i, of decay ** (k - 1)."""
    from scipy import sparse

    parts = [part for _, part in _counted(data, window, decay, tick)]
    return sparse.csr_array(sparse.vstack(parts, format="csr", dtype=np.float32))


def table(
    data: Dataset,
    window: int = 10,
    decay: float = 0.8,
    doubt: float = 1.0,
    fame: float = 0.1,
    top: int | None = None,
    tick: Tick = silent,
) -> Table:
    """The smoothed table. `doubt` is added to each row's sum, `fame` is popularity's share of a full row.

    With `top` only that many weights a row are kept (the row's sum stays that of all).
    """
    sums = np.zeros(data.n_items + 1, dtype=np.float64)
    parts = []
    for low, part in _counted(data, window, decay, tick):
        total = np.asarray(part.sum(axis=1), dtype=np.float64).ravel()
        sums[low : low + total.size] = total
        part.data /= np.repeat(total + doubt, np.diff(part.indptr)).astype(np.float32)
        parts.append(part if top is None else strongest(part, top))
    rows = Rows.stacked(parts)
    shares = np.maximum(sums / (sums + doubt) * (fame / (1 - fame)), LEAST_SHARE)
    shares[0] = PADDING_SHARE
    return Table(rows, shares.astype(np.float32), shares_of_views(data))


def _counted(data: Dataset, window: int, decay: float, tick: Tick) -> Iterator[tuple[int, sparse.csr_array]]:
    """Blocks of rows of C, each with its first row: memory is that of one block, however many events there are."""
    from scipy import sparse

    size = data.n_items + 1
    order = np.argsort(data.items, kind="stable")  # (E,) places of item 1's events, item 2's, ...
    starts = np.concatenate([[0], np.cumsum(data.popularity)])  # (N + 2,)
    for low, high in blocks(data.popularity, PAIRS // window):
        at = order[starts[low] : starts[high]]
        ends = data.offsets[data.viewers[at] + 1]
        found = []
        for gap in range(1, window + 1):
            near = at + gap < ends
            left, right = data.items[at[near]] - low, data.items[at[near] + gap]
            found.append((left, right, np.full(left.size, decay ** (gap - 1), dtype=np.float32)))
        left, right, weight = (np.concatenate(column) for column in zip(*found, strict=True))
        yield low, sparse.coo_array((weight, (left, right)), shape=(high - low, size)).tocsr()
        tick(high / size)
