"""EASE, the shallow autoencoder in closed form (Steck 2019, arXiv 1905.03375).

B = I - P / diag P with P = (X'X + lambda)^-1: each film from all others by ridge regression.
With fewer viewers than films the same B comes from the viewers' side (dual form, Woodbury):
P = (I - X'K^-1 X) / lambda with K = XX' + lambda, so B_ij = (X'K^-1 X)_ij / (1 - (X'K^-1 X)_jj) off the diagonal.
Letters: U viewers, N items (0 = padding), n = U or N, the side that is solved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset
from movierec.engines.item_to_item.rows import Array, Rows, Tick, seen, silent

if TYPE_CHECKING:
    from scipy import sparse

PANEL = 256  # rows swept at once
FLOPS = 5e9  # between two ticks: about 0.1 s
CELLS = 2_000_000  # of B made at once
EXACT = 4_000  # up to this n in float64: twice the time, and time is short there

Blocks = Iterator[tuple[int, Array]]


def weights(data: Dataset, regularisation: float, tick: Tick = silent) -> Array:
    """B, (N + 1, N + 1) float32: what each film says (row) about each other (column). Diagonal and padding are 0.

    4 (N + 1)^2 bytes: for more than about 15,000 films use `strongest_weights`.
    """
    table = np.zeros((data.n_items + 1, data.n_items + 1), dtype=np.float32)
    for low, block in _rows_of_b(seen(data)[:, 1:], regularisation, tick):
        table[low + 1 : low + 1 + len(block), 1:] = block
    return table


def strongest_weights(data: Dataset, regularisation: float, top: int, most_films: int, tick: Tick = silent) -> Rows:
    """The `top` weights of each row of B that are farthest from 0, over the `most_films` most watched films.

    The other films get empty rows. Memory is bounded by most_films^2, whatever the data.
    """
    size = data.n_items + 1
    taken = np.sort(np.argsort(-data.popularity[1:], kind="stable")[:most_films]) + 1  # (n,) items, ascending
    many, columns, kept = np.zeros(size, dtype=np.int64), [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
    for low, block in _rows_of_b(seen(data)[:, taken], regularisation, tick):
        places = np.sort(np.argpartition(-np.abs(block), min(top, taken.size) - 1, axis=1)[:, :top], axis=1)
        found = np.take_along_axis(block, places, axis=1)
        many[taken[low : low + len(block)]] = np.count_nonzero(found, axis=1)
        columns.append(taken[places[found != 0]].astype(np.int32))
        kept.append(found[found != 0])
    return Rows(np.concatenate([[0], np.cumsum(many)]), np.concatenate(columns), np.concatenate(kept))


def _rows_of_b(x: sparse.csr_array, regularisation: float, tick: Tick) -> Blocks:
    """Consecutive blocks of rows of B without padding, (b, N), each with its first row."""
    by_viewers = x.shape[0] < x.shape[1]
    side = x if by_viewers else x.T.tocsr()  # (n, .)
    inverse = _gram(side, lambda share: tick(0.1 * share))
    inverse[np.diag_indices_from(inverse)] += regularisation
    invert(inverse, lambda share: tick(0.1 + 0.5 * share))
    made = _from_viewers(x, inverse) if by_viewers else _from_films(inverse)
    for low, block in made:
        at = np.arange(len(block))
        block[at, low + at] = 0
        yield low, block
        tick(0.6 + 0.4 * (low + len(block)) / max(1, x.shape[1]))


def _gram(side: sparse.csr_array, tick: Tick) -> npt.NDArray[Any]:
    """side @ side.T as a dense (n, n) table, filled some rows at a time."""
    n, other = side.shape[0], side.T.tocsr()
    table = np.zeros((n, n), dtype=np.float64 if n <= EXACT else np.float32)
    for low, high in _steps(n, side.nnz // max(1, n) * side.nnz // max(1, side.shape[1]) + n):
        table[low:high] = (side[low:high] @ other).toarray()
        tick(high / n)
    return table


def _steps(n: int, work: int) -> Iterator[tuple[int, int]]:
    """0..n cut where each row costs so much `work`, to about CELLS a step."""
    size = max(1, CELLS // max(1, work))
    return ((low, min(low + size, n)) for low in range(0, n, size))


def _from_films(inverse: npt.NDArray[Any]) -> Blocks:
    """B from P = (X'X + lambda)^-1, (N, N)."""
    scale = -1 / np.diag(inverse)
    for low, high in _steps(len(inverse), len(inverse)):
        yield low, (inverse[low:high] * scale).astype(np.float32)


def _from_viewers(x: sparse.csr_array, inverse: npt.NDArray[Any]) -> Blocks:
    """B from K^-1 = (XX' + lambda)^-1, (U, U). The diagonal of X'K^-1 X is had on the way, so it is made first."""
    by_film = x.T.tocsr()  # (N, U)
    inverse = inverse.astype(np.float32)
    left = np.zeros(x.shape[1], dtype=np.float32)  # 1 - (X'K^-1 X)_jj
    cuts = list(_steps(x.shape[1], x.shape[0] + x.shape[1]))
    for low, high in cuts:
        mine = by_film[low:high]
        left[low:high] = 1 - np.asarray(mine.multiply(mine @ inverse).sum(axis=1)).ravel()
    for low, high in cuts:
        yield low, (by_film @ (by_film[low:high] @ inverse).T).T / left


def invert(table: npt.NDArray[Any], tick: Tick = silent) -> None:
    """Invert a symmetric positive definite table in place, by the sweep operator in panels (Goodnight 1979).

    n^3 operations, no second table, and a word every 0.1 s, so that it can be stopped: LAPACK's one call can't.
    """
    n = len(table)
    for low in range(0, n, PANEL):
        high = min(low + PANEL, n)
        panel = np.concatenate([table[low:high, :low].T, table[low:, low:high]])  # (n, b), from the lower half
        pivot = np.linalg.inv(_mirrored(panel[low:high]))
        panel[low:high] = 0
        swept = panel @ pivot
        rows = max(1, int(FLOPS / (2 * PANEL * n)))
        for top in range(0, n, rows):
            end = min(top + rows, n)
            table[top:end, :end] -= swept[top:end] @ panel[:end].T
            tick((low + (high - low) * end / n) / n)
        table[low:, low:high] = swept[low:]
        table[low:high, :low] = swept[:low].T
        table[low:high, low:high] = -pivot
    for low in range(0, n, PANEL):
        high = min(low + PANEL, n)
        table[low:high, :low] *= -1
        table[:low, low:high] = table[low:high, :low].T
        table[low:high, low:high] = -_mirrored(table[low:high, low:high])


def _mirrored(square: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The symmetric table whose lower half this is."""
    return np.tril(square) + np.tril(square, -1).T
