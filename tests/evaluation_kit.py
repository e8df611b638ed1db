"""Engines and viewers small enough to judge by hand."""

import numpy as np

from movierec.dataset import Dataset, Holdout, ItemIndex, Targets
from movierec.engines.base import Engine, ScoringEngine
from movierec.evaluation import protocol


class Scorer(ScoringEngine):
    """Scores are a function of the history; remembers how much it was asked at once."""

    title = "Scorer"

    def __init__(self, score, index=None):
        super().__init__()
        self.score, self.index, self.asked = score, index, []

    def fit(self, data, report, validate=None):
        raise NotImplementedError

    def state(self):
        return {}

    def restore(self, arrays, index):
        self.index = index

    def scores(self, histories):
        self.asked.append(len(histories))
        return np.array([self.score(history) for history in histories], dtype=np.float32)


class Listed(Engine):
    """Only recommends: what `answer(history, k, exclude)` says."""

    title = "Listed"

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    fit, state, restore = Scorer.fit, Scorer.state, Scorer.restore

    def recommend(self, histories, k, exclude=None):
        gone = [None] * len(histories) if exclude is None else exclude
        return [self.answer(history, k, out) for history, out in zip(histories, gone, strict=True)]


def by_number(n_items):
    """Item 1 is best, 2 second, ...; padding would win if it were let in."""
    return lambda history: -np.arange(n_items + 1)


def mixed(n_items, levels=4):
    """Few levels, so many ties; another order for each history."""
    return lambda history: (np.arange(n_items + 1) * (7 + 2 * len(history)) + history.items.sum()) % levels


def dataset(*histories, n_items):
    viewers = np.repeat(np.arange(len(histories)) * 10 + 5, [len(h) for h in histories])
    movies = np.array([movie for history in histories for movie in history], dtype=np.int64)
    return Dataset.from_events(viewers, movies, np.zeros(viewers.size, np.int64), index=ItemIndex(range_ids(n_items)))


def range_ids(n_items):
    return np.arange(1, n_items + 1)


def holdout(*histories, n_items):
    return protocol.split_loo(dataset(*histories, n_items=n_items))


def parted(known, wanted, n_items, split="ratio", validation=()):
    """A holdout with these histories and, for each viewer, these test targets; train is all that is known."""
    data = dataset(*known, n_items=n_items)
    targets = Targets(
        np.repeat(np.arange(len(wanted), dtype=np.int32), [len(items) for items in wanted]),
        np.array([item for items in wanted for item in items], dtype=np.int32),
    )
    held = Targets(
        *(np.array(column, dtype=np.int32) for column in (zip(*validation, strict=True) if validation else ((), ())))
    )
    return Holdout(split, data, held, data, targets)


SMALL = holdout([4, 1, 9, 3], [2, 1], [8, 7, 6], [5], n_items=12)
