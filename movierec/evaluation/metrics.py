"""Accuracy metrics: each a short pure function of ranks, vectorised over viewers, for one target or several.

Letters: U viewers, T targets, sorted by viewer (`owners` is the viewer of each). A rank is 0-based: 0 is the top. NaN
means "there was nothing to rank" and gives NaN, which the caller leaves out of n; infinity means "not in the list"
and gives 0. Formulas: Jarvelin and Kekalainen 2002 (NDCG) and Voorhees 1999 (MRR).
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


def places(owners: Ints, bases: Floats) -> Values:
    """(T,) ranks in one list of a viewer's targets, where `bases` are their ranks among all that is no target.

    The j-th best target of a viewer (0-based) stands j places lower than its base: its better siblings take a place
    each, and of siblings that tie one comes first, whichever. So a list with all targets on top is worth 1 and no
    other is worth more; without ties this is the rank in the sorted list; with one target it is the base.
    """
    order = np.lexsort((bases, owners))
    before = np.arange(order.size) - np.searchsorted(owners, owners, side="left")
    ranks = np.empty(order.size)
    ranks[order] = np.asarray(bases, dtype=np.float64)[order] + before
    return ranks


def hit_rate(owners: Ints, ranks: Floats, n_viewers: int, k: int) -> Values:
    """(U,) HR@k = 1 if any target's rank < k, else 0. NaN where a rank is NaN or there is no target."""
    return _first(owners, _inside(ranks, k, np.ones_like), n_viewers)


def mrr(owners: Ints, ranks: Floats, n_viewers: int, k: int) -> Values:
    """(U,) MRR@k = 1 / (rank + 1) of the first target if that rank < k, else 0. NaN as above."""
    return _first(owners, _inside(ranks, k, lambda inside: 1 / (inside + 1)), n_viewers)


def recall(owners: Ints, ranks: Floats, n_viewers: int, k: int) -> Values:
    """(U,) recall@k = share of the viewer's targets with rank < k. NaN as above."""
    with np.errstate(invalid="ignore"):
        return _sum(owners, _inside(ranks, k, np.ones_like), n_viewers) / np.bincount(owners, minlength=n_viewers)


def ndcg(owners: Ints, ranks: Floats, n_viewers: int, k: int) -> Values:
    """(U,) NDCG@k = sum of 1 / log2(rank + 2) over targets with rank < k, by the same sum for the best list.

    The best list has min(k, number of targets) targets on top; with one target its sum is 1. NaN as above.
    """
    gains = _sum(owners, _inside(ranks, k, lambda inside: 1 / np.log2(inside + 2)), n_viewers)
    targets = np.bincount(owners, minlength=n_viewers).clip(max=k)
    ideal = np.append(0, np.cumsum(1 / np.log2(np.arange(k) + 2)))[targets]
    with np.errstate(invalid="ignore"):
        return gains / ideal


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


def _sum(owners: Ints, gains: Values, n_viewers: int) -> Values:
    return np.bincount(owners, weights=gains, minlength=n_viewers).astype(np.float64)


def _first(owners: Ints, gains: Values, n_viewers: int) -> Values:
    """The best of each viewer's gains; NaN without any."""
    values = np.full(n_viewers, np.nan)
    if owners.size:
        held, starts = np.unique(owners, return_index=True)
        values[held] = np.maximum.reduceat(gains, starts)
    return values


Metric = Callable[[Ints, Floats, int, int], Values]

# Metric name -> its function; k is always kept apart from the name.
METRICS: dict[str, Metric] = {"ndcg": ndcg, "hr": hit_rate, "mrr": mrr}
SEVERAL: dict[str, Metric] = {**METRICS, "recall": recall}  # where a viewer may have several targets
