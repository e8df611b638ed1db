"""Feature tables for training: for each fold of viewers from the other folds only. The table of all serves.

A viewer's own events must never be in a feature that is to predict them. Leaving out only the event to be predicted
would not do: a count that is one lower wherever the answer lies tells the answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from movierec.dataset import Dataset, Ints
from movierec.engines.item_to_item import ease, transitions
from movierec.engines.item_to_item.rows import Tick
from movierec.engines.nets.features import DECAY, WINDOW, Features

ALL_FILMS, MOST_FILMS = 10_000, 6_000  # EASE is solved for all films up to ALL_FILMS, else for the most watched ones:
# its time grows with the cube
CELLS, LEAST_TOP, MOST_TOP = 3_000_000, 200, 1_000  # weights kept: about CELLS in all, within bounds for each film


def fold_of(data: Dataset, folds: int) -> Ints:
    """(U,) the fold of each viewer."""
    return np.arange(data.n_viewers) % folds


def cross_fitted(data: Dataset, folds: int, regularisation: float, exact: bool, tick: Tick) -> Iterator[Features]:
    """The tables of each fold, counted when they are asked for: the k-th without the viewers of fold k."""
    fold = fold_of(data, folds)[data.viewers]  # (E,)
    for k in range(folds):
        yield table(data.select(fold != k), regularisation, exact, tick)


def table(data: Dataset, regularisation: float, exact: bool, tick: Tick) -> Features:
    """The features counted from all events of `data`."""
    top = int(np.clip(CELLS // max(1, data.n_items), LEAST_TOP, MOST_TOP))
    solved = data.n_items if data.n_items <= ALL_FILMS else MOST_FILMS
    follow = transitions.table(data, WINDOW, DECAY, top=top, tick=lambda share: tick(share / 4))
    beside = ease.strongest_weights(data, regularisation, top, solved, lambda share: tick((1 + 3 * share) / 4))
    return Features.of(follow.rows, follow.shares, follow.popularity, beside, exact)
