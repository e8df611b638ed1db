"""Data with a known truth: a Markov chain of 60 movies that an order-reading engine must learn, and its shuffled twin.

On the chain popularity knows next to nothing; on the twin there is nothing to know beyond popularity, so an
engine that beats it there has seen the answers.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from movierec.dataset import Dataset, ItemIndex

MOVIES = 60
DAY = 86_400


def chain(viewers: int = 250, length: int = 14, seed: int = 0) -> Dataset:
    """Each movie is followed by one of three of its own, 6:3:1, and one time in ten by any (never by one seen).

    Movie ids are 10, 20, ... 600, so that an id taken for an item shows. A day between two views.
    """
    random = np.random.default_rng(seed)
    successors = np.array([random.permutation(np.delete(np.arange(MOVIES), m))[:3] for m in range(MOVIES)])
    fame = 1 / np.arange(1, MOVIES + 1)
    rows = []
    for _ in range(viewers):
        row = [int(random.choice(MOVIES, p=fame / fame.sum()))]
        while len(row) < length:
            following = random.choice(successors[row[-1]], p=[0.6, 0.3, 0.1])
            if random.random() < 0.1 or following in row:
                following = random.choice(np.setdiff1d(np.arange(MOVIES), row))
            row.append(int(following))
        rows.append(row)
    return of_rows([[10 * (movie + 1) for movie in row] for row in rows], ItemIndex(10 * np.arange(1, MOVIES + 1)))


def shuffled(data: Dataset, seed: int = 0) -> Dataset:
    """The same views dealt out anew over viewers and days: popularity is the same, order and taste say nothing."""
    items = np.random.default_rng(seed).permutation(data.items)
    return Dataset.from_events(
        data.viewer_ids[data.viewers], data.index.movie_ids[items - 1], data.times, index=data.index
    )


def of_rows(rows: list[list[int]], index: ItemIndex | None = None) -> Dataset:
    """A data set of movie ids, one row a viewer, a day between two views."""
    viewers = np.repeat(np.arange(1, len(rows) + 1), [len(row) for row in rows])
    days = np.concatenate([np.arange(len(row)) for row in rows]) if rows else np.zeros(0)
    movies = np.array([movie for row in rows for movie in row], dtype=np.int64)
    return Dataset.from_events(viewers, movies, days.astype(np.int64) * DAY, index=index)


class Ear:
    """A Report that keeps what it hears and raises `fault` at its n-th call."""

    def __init__(self, fault: Exception | None = None, at: int = 0) -> None:
        self.heard: list[tuple[int, int, dict[str, float]]] = []
        self._fault, self._at = fault, at

    def __call__(self, step: int, total: int, **metrics: float) -> None:
        self.heard.append((step, total, metrics))
        if self._fault is not None and len(self.heard) >= self._at:
            raise self._fault

    def curve(self, name: str) -> list[float]:
        """The points of one metric."""
        return [metrics[name] for _, _, metrics in self.heard if name in metrics]

    def check(self) -> None:
        """Progress never runs backwards or past its end."""
        assert self.heard
        assert all(0 <= step <= total for step, total, _ in self.heard)
        assert all(a[0] <= b[0] for a, b in pairwise(self.heard))
