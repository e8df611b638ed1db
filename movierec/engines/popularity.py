"""What everybody watches, of late if wished: the floor every engine must beat and the cold viewer's fallback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from movierec.dataset import Dataset, History, ItemIndex
from movierec.engines.base import (
    AnyParams,
    BadState,
    EngineError,
    NotFitted,
    Params,
    Reason,
    Report,
    ScoringEngine,
    Validate,
)
from movierec.engines.registry import register

DAY = 86_400


class PopularityParams(Params):
    """How fast fame fades, and how much of it counts at all."""

    half_life_days: float = Field(
        0,
        ge=0,
        le=100_000,
        title="Half-life in days",
        description="A view this much older than the newest one counts half; 0: all views count alike.",
    )
    minimum_events: int = Field(
        5,
        ge=0,
        le=1_000_000,
        title="Vote floor",
        description="Films with fewer views come after all others: two views in one week are no fame.",
    )


@register(
    "popularity",
    title="Popular",
    summary="Counts views, recent ones more if you like. Needs no history, so it also serves viewers nobody knows yet.",
)
class Popularity(ScoringEngine):
    """Score = sum over views of 0.5 ** (age / half-life), age relative to the newest event; plain counts without one.

    Plain by default: on validation no half-life was clearly better on either data set it was tried on.
    """

    Params = PopularityParams

    def __init__(self, params: AnyParams | None = None) -> None:
        super().__init__(params)
        self._row: npt.NDArray[np.float32] | None = None  # (N + 1,)

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        """Count once. Raises EngineError where there is nothing to count."""
        if not data.n_events:
            raise EngineError("There is nothing to learn from: the data has no views.")
        report(0, 1)
        weight = None
        if self.params.half_life_days:
            age = (data.times.max() - data.times) / DAY  # (E,)
            weight = np.exp2(-age / self.params.half_life_days)
        row = np.bincount(data.items, weight, data.n_items + 1).astype(np.float64)  # (N + 1,)
        rare = data.popularity < self.params.minimum_events
        row[rare] -= row.max() + 1
        self._row, self.index = row.astype(np.float32), data.index
        report(1, 1, **(validate(self) if validate is not None else {}))

    def scores(self, histories: Sequence[History]) -> npt.NDArray[np.float32]:
        """The same row for everyone: (B, N + 1)."""
        return np.tile(self._known_row(), (len(histories), 1))

    def why(self, history: History) -> str:
        """The same reason for everyone."""
        return "popular lately" if self.params.half_life_days else "popular with everyone"

    def explain(self, history: History, items: Sequence[int]) -> list[Reason]:
        """Nothing of a history speaks for these films."""
        self._known_row()
        return [Reason(self.why(history)) for _ in items]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """scores: (N + 1,) float32."""
        return {"scores": self._known_row().copy()}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex) -> None:
        """Take over one row of scores. Raises BadState and is unchanged then."""
        if "scores" not in arrays:
            raise BadState("The state has no row of scores.")
        row = np.asarray(arrays["scores"])
        if row.shape != (len(index) + 1,) or row.dtype.kind != "f":
            raise BadState(f"The scores are {row.dtype} of shape {row.shape}, not floats for {len(index)} films.")
        if not np.isfinite(row).all():
            raise BadState("A score is not a finite number.")
        self._row, self.index = row.astype(np.float32), index

    def _known_row(self) -> npt.NDArray[np.float32]:
        if self._row is None:
            raise NotFitted("This engine has not been trained yet.")
        return self._row
