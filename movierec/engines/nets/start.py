"""Where training starts: item vectors from a truncated SVD of a windowed PPMI matrix, and log popularity.

The SVD is worth a third of the final quality on small data.
Letters: E events, N items (0 = padding), C channels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from movierec.dataset import Dataset
from movierec.engines.item_to_item import transitions
from movierec.engines.item_to_item.rows import Tick, blocks, silent

WINDOW, DECAY = 10, 0.85
PANEL = 4_000_000  # products of numbers between two ticks: some tens of milliseconds
ROWS = 8_192  # of a panel: some tens of milliseconds
ROUNDS = 4  # of subspace iteration
Array = npt.NDArray[np.float32]


def log_popularity(data: Dataset) -> Array:
    """(N + 1,) log of each item's share of events, half an event added; padding gets the least."""
    counts = data.popularity + 0.5
    counts[0] = 0.5
    return np.log(counts / counts[1:].sum()).astype(np.float32) if data.n_items else np.zeros(1, np.float32)


def usual(data: Dataset) -> Array:
    """(N,) what anybody may watch next: the root of popularity, half an event added, summing to 1."""
    weight = np.sqrt(data.popularity[1:] + 0.5)
    return (weight / weight.sum()).astype(np.float32)


def item_vectors(
    data: Dataset, channels: int, random: np.random.Generator, scale: float = 0.1, tick: Tick = silent
) -> Array:
    """(N + 1, C) vectors of standard deviation `scale`; items without company get small random ones."""
    size = data.n_items + 1
    vectors = random.normal(0.0, 0.1 * scale, (size, channels))
    matrix = _ppmi(transitions.counts(data, WINDOW, DECAY, lambda share: tick(share / 2)), tick)
    rank = min(channels, size - 1)
    if matrix.nnz and rank:
        found = _left_vectors(matrix, rank, random, tick)
        vectors[:, :rank] += found * (scale / max(float(found[1:].std()), 1e-12))
    vectors[0] = 0
    return vectors.astype(np.float32)


def _ppmi(follows: sparse.csr_array, tick: Tick) -> sparse.csr_array:
    """max(0, log(C_ij * total / (row_i * row_j))) at the non-zeros of C, the counts in both directions."""
    back = sparse.csr_array(follows.T)
    tick(0.5)
    company = sparse.csr_array(follows + back)
    tick(0.5)
    rows = np.asarray(company.sum(axis=1), dtype=np.float64).ravel()
    total = rows.sum()
    for low, high in blocks(np.diff(company.indptr), PANEL):
        at = slice(company.indptr[low], company.indptr[high])
        i = np.repeat(np.arange(low, high), np.diff(company.indptr[low : high + 1]))
        value = company.data[at] * total / np.maximum(rows[i] * rows[company.indices[at]], 1e-12)
        company.data[at] = np.log(np.maximum(value, 1))
        tick(0.5)
    company.eliminate_zeros()
    return company


def _left_vectors(
    matrix: sparse.csr_array, rank: int, random: np.random.Generator, tick: Tick
) -> npt.NDArray[np.float64]:
    """U sqrt(S) of the `rank` largest singular values of a symmetric matrix, by randomised subspace iteration."""
    width = min(matrix.shape[0], rank + 16)
    basis = random.normal(size=(matrix.shape[0], width))
    for _ in range(ROUNDS + 1):
        basis = _orthonormal(_product(matrix, basis, tick), tick)
    left, values, _ = np.linalg.svd(_product(matrix, basis, tick).T @ basis)
    return (basis @ left)[:, :rank] * np.sqrt(values[:rank])


def _orthonormal(table: npt.NDArray[np.float64], tick: Tick) -> npt.NDArray[np.float64]:
    """Q of a tall table, by QR of its panels and of their R on top of each other."""
    parts = []
    for rows in np.array_split(table, -(-len(table) // ROWS)):
        parts.append(np.linalg.qr(rows))
        tick(0.8)
    corners = np.linalg.qr(np.concatenate([r for _, r in parts]))[0]
    turns = np.split(corners, np.cumsum([len(r) for _, r in parts])[:-1])
    return np.concatenate([q @ turn for (q, _), turn in zip(parts, turns, strict=True)])


def _product(matrix: sparse.csr_array, basis: npt.NDArray[np.float64], tick: Tick) -> npt.NDArray[np.float64]:
    """matrix @ basis, some rows at a time."""
    made = np.empty((matrix.shape[0], basis.shape[1]))
    for low, high in blocks(np.diff(matrix.indptr), 8 * PANEL // basis.shape[1]):
        made[low:high] = matrix[low:high] @ basis
        tick(0.8)
    return made
