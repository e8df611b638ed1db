"""Item neighbours: films watched by the same viewers, by shrunk cosine (Sarwar et al. 2001; Bell, Koren 2007)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from movierec.dataset import Dataset
from movierec.engines.base import Params
from movierec.engines.item_to_item import neighbours
from movierec.engines.item_to_item.rows import Table, Tick
from movierec.engines.item_to_item.serving import TableEngine, fading
from movierec.engines.registry import register


class ItemKnnParams(Params):
    """How many neighbours a film has, how much common viewers are doubted, and how fast a history fades."""

    neighbours: int = Field(
        20, ge=1, le=2_000, title="Neighbours", description="Films that speak for each film, the most similar ones."
    )
    shrinkage: float = Field(
        10, ge=0, le=10_000, title="Shrinkage", description="Doubts films that few viewers have in common."
    )
    memory: float = Field(
        5, ge=0, le=1_000, title="Memory", description="Films after which one weighs a third; 0: all weigh the same."
    )


@register(
    "itemknn",
    title="Similar films",
    summary="Recommends films that were watched by the same viewers as those of the history.",
    needs=("scipy",),
)
class ItemKnn(TableEngine):
    """Score = decayed mean similarity to the history, popularity breaking ties. Nothing known watched: popularity."""

    Params = ItemKnnParams
    phrase = "watched by the same people as what you watched"

    def learn(self, data: Dataset, tick: Tick) -> Table:
        """Compare every two films with a viewer in common."""
        return Table.on_popularity(neighbours.similar(data, self.params.neighbours, self.params.shrinkage, tick), data)

    def weights(self, films: int) -> npt.NDArray[np.float64]:
        """exp(-age / memory)."""
        return fading(films, self.params.memory)
