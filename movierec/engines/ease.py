"""EASE (Steck 2019, arXiv 1905.03375): each film regressed on all others in closed form; newer films weigh more."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from movierec.dataset import Dataset
from movierec.engines.base import Params
from movierec.engines.item_to_item import ease
from movierec.engines.item_to_item.rows import Table, Tick
from movierec.engines.item_to_item.serving import TableEngine, fading
from movierec.engines.registry import register


class EaseParams(Params):
    """How much the weights are held back, how fast a history fades, and how much of the table is kept."""

    regularisation: float = Field(
        200, ge=1, le=100_000, title="Regularisation", description="Lambda: higher holds the weights nearer to zero."
    )
    memory: float = Field(
        5, ge=0, le=1_000, title="Memory", description="Films after which one weighs a third; 0: all weigh the same."
    )
    kept: int = Field(
        500, ge=10, le=10_000, title="Kept", description="Weights kept for each film, the strongest ones."
    )
    most_films: int = Field(
        10_000,
        ge=10,
        le=20_000,
        title="Most films",
        description="Only so many films, the most watched, take part: memory grows with the square.",
    )


@register(
    "ease",
    title="EASE",
    summary="Learns in closed form which films go with which; knows nothing of order, but newer films weigh more.",
    needs=("scipy",),
)
class Ease(TableEngine):
    """Score = decayed mean of the rows of B, popularity breaking ties. Nothing known watched: popularity."""

    Params = EaseParams
    phrase = "goes with what you watched"

    @classmethod
    def defaults_for(cls, data: Dataset) -> dict[str, Any]:
        """Lambda grows with the data: 200 up to 100 k views, 500 at 1 M."""
        size = max(1, data.n_events) / 100_000
        return {"regularisation": float(np.clip(round(200 * size**0.4), 200, 5_000))}

    def learn(self, data: Dataset, tick: Tick) -> Table:
        """Solve, keep the strongest weights."""
        knobs = self.params
        self.note = ""
        if data.n_items > knobs.most_films:
            self.note = f"Only the {knobs.most_films:,} most watched of {data.n_items:,} films take part."
        rows = ease.strongest_weights(data, knobs.regularisation, knobs.kept, knobs.most_films, tick)
        return Table.on_popularity(rows, data)

    def weights(self, films: int) -> npt.NDArray[np.float64]:
        """exp(-age / memory)."""
        return fading(films, self.params.memory)
