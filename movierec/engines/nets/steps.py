"""What a sequence net is told of each watched film: which one, how long after the one before, and how it was rated.

Letters: E events, B viewers, T steps (oldest first, left-padded with 0).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, History, Ints

GAPS = 24  # 0 unknown, 1 no time between, 2 + log2 of the seconds
RATINGS = 11  # 0 unknown, else twice the rating
WIDTH = 3  # item, gap, rating


def of_data(data: Dataset) -> Ints:
    """(E, 3) int64: item, gap and rating of each event."""
    first = np.zeros(data.n_events, dtype=bool)
    first[data.offsets[:-1][np.diff(data.offsets) > 0]] = True
    return encode(data.items, data.times, data.ratings, first)


def of_histories(histories: Sequence[History], most: int) -> Ints:
    """(B, T, 3) int64: the last `most` known films of each. A gap reaches back past the cut."""
    rows = []
    for history in histories:
        known = history.known()
        first = np.zeros(len(known), dtype=bool)
        first[:1] = True
        at = slice(max(0, len(known) - most - 1), None)
        rows.append(encode(known.items[at], known.times[at], known.ratings[at], first[at])[-most:])
    table = np.zeros((len(rows), max(map(len, rows), default=0), WIDTH), dtype=np.int64)
    for place, row in enumerate(rows):
        table[place, table.shape[1] - len(row) :] = row
    return table


def encode(items: Ints, times: Ints, ratings: npt.NDArray[np.floating], first: npt.NDArray[np.bool_]) -> Ints:
    """(., 3) of consecutive events; `first` are those with none of the same viewer before them."""
    table = np.zeros((items.size, WIDTH), dtype=np.int64)
    table[:, 0] = items
    passed = np.diff(times, prepend=times[:1]).astype(np.float64)
    bucket = 2 + np.floor(np.log2(np.maximum(passed, 1))).astype(np.int64)
    table[:, 1] = np.where(passed <= 0, 1, np.minimum(bucket, GAPS - 1))
    table[first, 1] = 0
    rated = np.isfinite(ratings)
    table[rated, 2] = np.clip(np.rint(2 * ratings[rated]), 1, RATINGS - 1).astype(np.int64)
    return table
