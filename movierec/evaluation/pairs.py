"""One engine against another over the viewers that both were asked about; Holm over all pairs shown is the caller's."""

from __future__ import annotations

import numpy as np

from movierec.evaluation import statistics
from movierec.evaluation.scorecard import Scorecard
from movierec.evaluation.segments import ALL


def compare(a: Scorecard, b: Scorecard, metric: str, k: int, segment: str = ALL) -> statistics.Verdict:
    """a against b, viewer by viewer; where one was asked about a sample only, over that sample.

    Raises ValueError unless both were asked the same questions in the same way, with the reason.
    """
    if (a.protocol, a.split) != (b.protocol, b.split):
        raise ValueError(f"{a.protocol} ({a.split}) and {b.protocol} ({b.split}) can't be compared")
    if a.holdout != b.holdout:
        raise ValueError("the two were judged on different data and can't be compared in pairs")
    _, left, right = np.intersect1d(a.viewer_ids, b.viewer_ids, assume_unique=True, return_indices=True)
    return statistics.paired(values(a, metric, k, segment)[left], values(b, metric, k, segment)[right], a.seed)


def values(card: Scorecard, metric: str, k: int, segment: str) -> statistics.Values:
    """One value a viewer asked. Raises ValueError for what was not measured, naming what was."""
    table = card.of(segment)
    if (metric, k) not in table:
        there = ", ".join(f"{name}@{cut}" for name, cut in table)
        raise ValueError(f"{metric}@{k} was not measured for {segment!r}; there are: {there}")
    return table[metric, k]
