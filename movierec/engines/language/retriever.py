"""Finds what a model may choose from: transitions and EASE together, with fixed knobs, trained in seconds.

Score = log(transitions) + EASE_SHARE * z(EASE), the best mixture of counting measured on small data.
Letters: B viewers, N items (0 = padding), T films of a history, K items asked about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, History, ItemIndex
from movierec.engines.base import Reason, Report
from movierec.engines.item_to_item import ease, transitions
from movierec.engines.item_to_item.rows import Table, Tick, percent
from movierec.engines.item_to_item.serving import POPULAR, ROUNDING, TableEngine, fading, strongest

EASE_SHARE = 0.15
WINDOW, DECAY, LAST = 10, 0.8, 10  # of transitions
MEMORY, REGULARISATION, MOST_FILMS = 10.0, 200.0, 10_000  # of EASE
KEPT = 300  # weights kept for each film, of either table
HALF = 50  # percent of the training


class _Following(TableEngine):
    """What is watched soon after what was seen last."""

    logarithm = True
    phrase = "often watched soon after what you saw last"

    def learn(self, data: Dataset, tick: Tick) -> Table:
        """Counted pairs."""
        table = transitions.table(data, WINDOW, DECAY, top=KEPT, tick=tick)
        table.shares[0] = 1  # of no history: all that is said is popularity
        return table

    def weights(self, films: int) -> npt.NDArray[np.float64]:
        """DECAY ** age, for the last films."""
        return DECAY ** np.arange(min(films, LAST), dtype=np.float64)


class _Together(TableEngine):
    """What goes with all that was seen."""

    phrase = "goes with what you watched"

    def learn(self, data: Dataset, tick: Tick) -> Table:
        """EASE's strongest weights; lambda grows with the data."""
        strength = REGULARISATION * max(1.0, data.n_events / 100_000) ** 0.4
        return Table.on_popularity(ease.strongest_weights(data, strength, KEPT, MOST_FILMS, tick), data)

    def weights(self, films: int) -> npt.NDArray[np.float64]:
        """exp(-age / MEMORY)."""
        return fading(films, MEMORY)


class Retriever:
    """Both tables, scored as one."""

    def __init__(self) -> None:
        self.following, self.together = _Following(), _Together()

    def fit(self, data: Dataset, report: Report) -> None:
        """Count and solve. Raises EngineError where there is nothing to learn from."""

        def part(low: int) -> Report:
            return lambda step, total, **_: percent(report, low, low + HALF)(step / max(1, total))

        self.following.fit(data, part(0))
        self.together.fit(data, part(HALF))

    def scores(self, histories: Sequence[History]) -> npt.NDArray[np.float32]:
        """(B, N + 1), finite."""
        table = self.following.scores(histories)
        more = self.together.scores(histories)
        for row, history in enumerate(histories):
            if (history.items > 0).any():
                table[row] += EASE_SHARE * (more[row] - more[row, 1:].mean()) / _spread(more[row])
        return table

    def explain(self, history: History, items: Sequence[int]) -> list[Reason]:
        """The films of the history that speak for each item: what both tables lose without them."""
        share = EASE_SHARE / _spread(self.together.scores([history])[0])
        soon, near = self.following.falls(history, items)
        heard, falls = self.together.falls(history, items)  # of the same films, newest first, and of older ones
        falls *= share
        falls[: soon.size] += near
        follows = near.max(axis=0, initial=0) > ROUNDING  # (K,)
        reasons = []
        for because, soon_after in zip(strongest(heard, falls), follows, strict=True):
            phrase = self.following.phrase if soon_after else self.together.phrase
            reasons.append(Reason(phrase if because else POPULAR, because))
        return reasons

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Both tables, each under its own prefix."""
        parts = {"following": self.following.state(), "together": self.together.state()}
        return {f"{part}_{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex) -> None:
        """Take over both tables. Raises BadState."""
        for part, engine in (("following", self.following), ("together", self.together)):
            names = {name: array for name, array in arrays.items() if name.startswith(f"{part}_")}
            engine.restore({name.removeprefix(f"{part}_"): array for name, array in names.items()}, index)


def _spread(row: npt.NDArray[np.float32]) -> float:
    """The standard deviation of a row of scores without padding; 1 where all are the same."""
    apart = row[1:] - row[1:].mean()
    return float(np.sqrt(apart @ apart / apart.size)) or 1.0
