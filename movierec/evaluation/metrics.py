"""Accuracy metrics for one held-out target: each a short pure function of its rank, vectorised over viewers.

Letters: P viewers (one target each). A rank is 0-based: 0 is the top. NaN means "there was nothing to rank"
and gives NaN, which the caller leaves out of n; infinity means "not in the list" and gives 0.
Formulas: Jarvelin and Kekalainen 2002 (NDCG) and Voorhees 1999 (MRR), with one relevant item: the ideal DCG is 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Values = npt.NDArray[np.float64]


def rank(higher: Ints, tied: Ints) -> Values:
    """Rank of a target: number scored strictly higher + half of the ties (the target itself is no tie).

    Half of the ties is the mean over all orders in which ties could fall, so a constant scorer gains nothing
    (Krichene and Rendle 2020 show what other tie rules do).
    """
    return np.asarray(higher, dtype=np.float64) + np.asarray(tied, dtype=np.float64) / 2


def hit_rate(ranks: Floats, k: int) -> Values:
    """HR@k = 1 if rank < k, else 0. NaN where the rank is NaN."""
    return _inside(ranks, k, np.ones_like)


def ndcg(ranks: Floats, k: int) -> Values:
    """NDCG@k = 1 / log2(rank + 2) if rank < k, else 0 (one target: the ideal DCG is 1). NaN where the rank is NaN."""
    return _inside(ranks, k, lambda inside: 1 / np.log2(inside + 2))


def mrr(ranks: Floats, k: int) -> Values:
    """MRR@k = 1 / (rank + 1) if rank < k, else 0. NaN where the rank is NaN."""
    return _inside(ranks, k, lambda inside: 1 / (inside + 1))


def _inside(ranks: Floats, k: int, gain: Callable[[Values], Values]) -> Values:
    """`gain` of the ranks above the cut-off, 0 below it, NaN where there is no rank."""
    if k < 1:
        raise ValueError(f"a cut-off must be at least 1, not {k}")
    places: Values = np.asarray(ranks, dtype=np.float64)
    if (places < 0).any():
        raise ValueError("a rank is never negative")
    values = np.where(np.isnan(places), np.nan, 0.0)
    inside = places < k
    values[inside] = gain(places[inside])
    return values


# Metric name -> its function; k is always kept apart from the name.
METRICS: dict[str, Callable[[Floats, int], Values]] = {"ndcg": ndcg, "hr": hit_rate, "mrr": mrr}
