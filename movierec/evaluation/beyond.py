"""What the judge is told about films beside who watched them, and how recommended lists look beyond being right.

Letters: U viewers, K length of a list, N items (0 = padding), G genres. A list holds items, best first, 0 where there
are fewer. Empty case of each measure: NaN, never 0. All are measured at K = 10, under full ranking only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from movierec.dataset import Ints

Values = npt.NDArray[np.float64]
CHUNK = 4096  # lists at once


@dataclass(frozen=True)
class Films:
    """Genres and years by item, handed in by the caller; an item that isn't there is unknown, not without genre."""

    genres: Mapping[int, Collection[str]] = field(default_factory=dict)
    years: Mapping[int, int] = field(default_factory=dict)

    def genre_table(self, n_items: int) -> tuple[list[str], npt.NDArray[np.bool_]]:
        """The genres' names, and (N + 1, G) which film is of which genre."""
        names = sorted({genre for genres in self.genres.values() for genre in genres})
        column = {genre: place for place, genre in enumerate(names)}
        table = np.zeros((n_items + 1, len(names)), dtype=bool)
        for item, genres in self.genres.items():
            table[item, [column[genre] for genre in genres]] = True
        return names, table


def coverage(lists: Ints, n_items: int) -> float:
    """Share of all films that are recommended to anyone."""
    return np.unique(lists[lists > 0]).size / n_items if lists.any() else float("nan")


def gini(lists: Ints, n_items: int) -> float:
    """How unevenly recommendations fall on films, those never recommended included: 0 evenly, near 1 on few.

    Gini = sum over films, ascending by count, of (2 i - N - 1) x_i / (N sum x), with i from 1.
    """
    if not lists.any():
        return float("nan")
    counts = np.sort(np.bincount(lists.ravel(), minlength=n_items + 1)[1:])
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float(weights @ counts / (n_items * counts.sum()))


def novelty(lists: Ints, popularity: Ints) -> Values:
    """(U,) mean of -log2(share of all views) over a list, in bits (Vargas and Castells 2011).

    A film nobody has watched counts as watched once: its surprise would be infinite.
    """
    seen = np.maximum(popularity, 1)  # (N + 1,)
    return _mean(lists, -np.log2(seen / max(1, int(popularity[1:].sum()))))


def percentile(lists: Ints, popularity: Ints) -> Values:
    """(U,) mean popularity percentile over a list: share of films watched less + half of those watched as much."""
    counts = np.sort(popularity[1:])
    below, up_to = (np.searchsorted(counts, popularity, side) for side in ("left", "right"))
    return _mean(lists, (below + up_to) / 2 / max(1, counts.size))


def diversity(lists: Ints, genres: npt.NDArray[np.bool_]) -> Values:
    """(U,) 1 - mean Jaccard similarity of genres over all pairs of a list. Pairs with a film of unknown genre are out.

    `genres` is (N + 1, G).
    """
    values = np.full(len(lists), np.nan)
    first, second = np.triu_indices(lists.shape[1], 1)
    for start in range(0, len(lists) if genres.any() else 0, CHUNK):
        rows = lists[start : start + CHUNK]
        of = genres[rows].astype(np.float32)  # (rows, K, G)
        common = (of @ of.transpose(0, 2, 1))[:, first, second]  # (rows, pairs)
        size = of.sum(axis=2)  # (rows, K)
        known = (size[:, first] > 0) & (size[:, second] > 0)
        either = np.where(known, size[:, first] + size[:, second] - common, 1)
        pairs = known.sum(axis=1)
        with np.errstate(invalid="ignore"):
            values[start : start + CHUNK] = 1 - np.where(known, common / either, 0).sum(axis=1) / pairs
    return values


def _mean(lists: Ints, of_item: Values) -> Values:
    """(U,) mean of an item's value over each list; NaN for an empty one."""
    real = lists > 0
    with np.errstate(invalid="ignore"):
        return np.where(real, of_item[lists], 0).sum(axis=1) / real.sum(axis=1)
