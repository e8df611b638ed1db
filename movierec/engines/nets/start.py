"""Where training starts: item vectors from a truncated SVD of a windowed PPMI matrix, and log popularity.

It is worth a third of the final quality on small data (evaluation.md, "What made the difference").
Letters: E events, N items (0 = padding), C channels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from movierec.dataset import Dataset

WINDOW, DECAY = 10, 0.85
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


def item_vectors(data: Dataset, channels: int, random: np.random.Generator, scale: float = 0.1) -> Array:
    """(N + 1, C) vectors of standard deviation `scale`; items without company get small random ones."""
    size = data.n_items + 1
    vectors = random.normal(0.0, 0.1 * scale, (size, channels))
    matrix = _ppmi(_company(data))
    rank = min(channels, size - 1)
    if matrix.nnz and rank:
        found = _left_vectors(matrix, rank, random)
        vectors[:, :rank] += found * (scale / max(float(found[1:].std()), 1e-12))
    vectors[0] = 0
    return vectors.astype(np.float32)


def _company(data: Dataset) -> sparse.csr_array:
    """(N + 1, N + 1) symmetric: how often two items were watched within WINDOW events, nearer counting more."""
    size = data.n_items + 1
    total = sparse.csr_array((size, size), dtype=np.float32)
    for gap in range(1, WINDOW + 1):
        same = data.viewers[:-gap] == data.viewers[gap:]
        left, right = data.items[:-gap][same], data.items[gap:][same]
        weight = np.full(left.size, DECAY ** (gap - 1), dtype=np.float32)
        total = total + sparse.coo_array((weight, (left, right)), shape=(size, size)).tocsr()
    return sparse.csr_array(total + total.T)


def _ppmi(company: sparse.csr_array) -> sparse.csr_array:
    """max(0, log(C_ij * total / (row_i * row_j))) at the non-zeros."""
    rows = np.asarray(company.sum(axis=1), dtype=np.float64).ravel()
    found = company.tocoo()
    i, j = found.coords
    value = np.log(np.maximum(found.data * rows.sum() / np.maximum(rows[i] * rows[j], 1e-12), 1e-12))
    keep = value > 0
    return sparse.csr_array(sparse.coo_array((value[keep].astype(np.float32), (i[keep], j[keep])), shape=company.shape))


def _left_vectors(matrix: sparse.csr_array, rank: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """U sqrt(S) of the `rank` largest singular values, by randomised subspace iteration."""
    width = min(matrix.shape[0], rank + 16)
    basis = np.linalg.qr(matrix @ random.normal(size=(matrix.shape[0], width)))[0]
    for _ in range(4):
        basis = np.linalg.qr(matrix @ basis)[0]
    left, values, _ = np.linalg.svd((matrix @ basis).T @ basis)  # matrix is symmetric
    return (basis @ left)[:, :rank] * np.sqrt(values[:rank])
