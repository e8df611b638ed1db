"""Serving and explaining from a table: newer films weigh more, and leaving one out is computed, not guessed.

Letters: B viewers, N items (0 = padding), T films of a history, newest first, K films asked about.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, History, Ints, ItemIndex
from movierec.engines.base import (
    AnyParams,
    EngineError,
    NotFitted,
    Reason,
    Report,
    ScoringEngine,
    Validate,
)
from movierec.engines.item_to_item.rows import Table, Tick, newest_first, percent

NAMED = 10  # films of a history that one reason names at most
ROUNDING = 1e-7  # a fall below this is none,
FAINT = 0.01  # and one below this share of the strongest is no reason
REACH = 5  # memories after which a film counts no more: e^-5
POPULAR = "popular with everyone"


class TableEngine(ScoringEngine):
    """Score of a film = weighted mean of what the films of the history say about it, or that mean's logarithm.

    Stated rule for a history without a known film: popularity, and `why` says so.
    """

    logarithm: ClassVar[bool] = False
    phrase: ClassVar[str]  # why a film is recommended to somebody who has watched something

    def __init__(self, params: AnyParams | None = None) -> None:
        super().__init__(params)
        self._table: Table | None = None

    @abstractmethod
    def learn(self, data: Dataset, tick: Tick) -> Table:
        """The table of `data`, which has at least one event."""

    @abstractmethod
    def weights(self, films: int) -> npt.NDArray[np.float64]:
        """(T,) weight of the newest film, the one before, ...: T <= `films`, all above zero, none above the first."""

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        """Count once. Raises EngineError where there is nothing to count."""
        if not data.n_events:
            raise EngineError("There is nothing to learn from: the data has no views.")
        self.index = self._table = None
        report(0, 100)
        self._table = self.learn(data, percent(report, 1, 99))
        self.index = data.index
        report(100, 100, **(validate(self) if validate is not None else {}))

    def scores(self, histories: Sequence[History]) -> npt.NDArray[np.float32]:
        """(B, N + 1)."""
        table = self._known_table()
        out = np.empty((len(histories), table.popularity.size), dtype=np.float32)
        for row, history in enumerate(histories):
            items, weights = self._heard(history, 0)
            mean = table.mix(items, weights / weights.sum()) if items.size else table.shares[0] * table.popularity
            out[row] = self._scored(mean)
        return out

    def why(self, history: History) -> str:
        """The phrase of this engine, or that popularity fills in."""
        return self.phrase if (history.items > 0).any() else POPULAR

    def explain(self, history: History, items: Sequence[int]) -> list[Reason]:
        """For each item the films without which its score would be lower, by how much: exact, from the table."""
        found = strongest(*self.falls(history, items))
        return [Reason(self.phrase if because else POPULAR, because) for because in found]

    def falls(self, history: History, items: Sequence[int]) -> tuple[Ints, npt.NDArray[np.float64]]:
        """The films that count (T,), newest first, and by how much each item's score falls without each, (T, K).

        Leaving a film out moves the older ones up by a place, as it would if it had never been watched. Below zero
        where the score rises; 0 for what is no film. Films that are not named count nothing.
        """
        table, asked = self._known_table(), np.asarray(items, dtype=np.int64)
        heard, weights = self._heard(history, 1)
        falls = np.zeros((heard.size, asked.size))
        real = np.flatnonzero((asked > 0) & (asked < table.popularity.size))
        if not heard.size or not real.size:
            return heard, falls
        said = table.entries(heard, asked[real]).astype(np.float64)  # (T, K)
        score = self._scored(weights @ said / weights.sum())  # (K,)
        if heard.size == 1:
            without = table.shares[0] * table.popularity[asked[real]][None]  # (1, K)
        else:
            left = weights.sum() if weights[-1] == 0 else weights[:-1].sum()
            without = left_out(said, weights) / left  # (T, K)
        falls[:, real] = score - self._scored(without)
        return heard, falls

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The table: indptr (N + 2,), columns and weights (Z,), shares and popularity (N + 1,)."""
        return self._known_table().arrays()

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex) -> None:
        """Take over a table. Raises BadState and is unchanged then."""
        self._table, self.index = Table.from_arrays(arrays, len(index)), index

    def _heard(self, history: History, more: int) -> tuple[Ints, npt.NDArray[np.float64]]:
        """(T,) the films that count, newest first, and their weights; then up to `more` next ones, of weight 0."""
        items = newest_first(history)
        weights = self.weights(items.size)
        heard = items[: weights.size + more]
        return heard, np.concatenate([weights, np.zeros(heard.size - weights.size)])

    def _scored(self, mean: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if not self.logarithm:
            return mean
        return np.log(np.maximum(mean, np.finfo(np.float32).tiny))

    def _known_table(self) -> Table:
        if self._table is None:
            raise NotFitted("This engine has not been trained yet.")
        return self._table


def strongest(heard: Ints, falls: npt.NDArray[np.float64]) -> list[tuple[tuple[int, float], ...]]:
    """For each item (film, fall) of the films (T,) without which it falls (T, K), the NAMED strongest, best first."""
    if not heard.size:
        return [()] * falls.shape[1]
    order = np.argsort(-falls, axis=0, kind="stable")[:NAMED]  # (n, K)
    told = np.take_along_axis(falls, order, axis=0)
    many = (told > np.maximum(ROUNDING, FAINT * told[0])).sum(axis=0)  # (K,)
    columns = zip(many.tolist(), heard[order].T.tolist(), told.T.tolist(), strict=True)
    return [tuple(zip(films[:count], falls[:count], strict=True)) for count, films, falls in columns]


def fading(films: int, memory: float) -> npt.NDArray[np.float64]:
    """(T,) exp(-age / memory) of the newest film, the one before, ..., until it is nothing; all 1 for memory 0."""
    if not memory:
        return np.ones(films)
    return np.exp(-np.arange(min(films, int(np.ceil(REACH * memory)))) / memory)


def left_out(said: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(T, K) weighted sums of `said` (T, K) without its row t, the rows after t then taking the weight one before."""
    own = said * weights[:, None]
    before = np.cumsum(own, axis=0) - own
    moved = np.zeros_like(said)
    moved[:-1] = said[1:] * weights[:-1, None]
    return before + np.cumsum(moved[::-1], axis=0)[::-1]
