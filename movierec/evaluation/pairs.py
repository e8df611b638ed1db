"""Engines against each other: in pairs over the viewers that both were asked about, corrected for all pairs shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from movierec.evaluation import statistics
from movierec.evaluation.scorecard import Scorecard
from movierec.evaluation.segments import ALL


@dataclass(frozen=True)
class Pair:
    """What can be said about card `a` against card `b`: places in the row of cards compared, a before b."""

    a: int
    b: int
    verdict: statistics.Verdict


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


def compare_all(cards: Sequence[Scorecard], metric: str, k: int, segment: str = ALL) -> list[Pair]:
    """A verdict for every pair, its p corrected by Holm over all of them. Raises ValueError as `compare` does."""
    pairs = [Pair(a, b, compare(cards[a], cards[b], metric, k, segment)) for a, b in combinations(range(len(cards)), 2)]
    corrected = statistics.holm([pair.verdict.p for pair in pairs])
    return [replace(pair, verdict=replace(pair.verdict, corrected=p)) for pair, p in zip(pairs, corrected, strict=True)]


def values(card: Scorecard, metric: str, k: int, segment: str) -> statistics.Values:
    """One value a viewer asked. Raises ValueError for what was not measured, naming what was."""
    table = card.of(segment)
    if (metric, k) not in table:
        there = ", ".join(f"{name}@{cut}" for name, cut in table)
        raise ValueError(f"{metric}@{k} was not measured for {segment!r}; there are: {there}")
    return table[metric, k]
