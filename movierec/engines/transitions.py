"""Which film follows which: counts of what was watched within a few steps, smoothed by popularity, no net at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from movierec.dataset import Dataset
from movierec.engines.base import Params
from movierec.engines.item_to_item import transitions
from movierec.engines.item_to_item.rows import Table, Tick
from movierec.engines.item_to_item.serving import TableEngine
from movierec.engines.registry import register


class TransitionsParams(Params):
    """How far apart two films may lie to be counted, and how much of the history is asked."""

    window: int = Field(
        10, ge=1, le=100, title="Window", description="Films that count as following one, in the order watched."
    )
    decay: float = Field(
        0.8, gt=0, le=1, title="Decay", description="What each further step between two films leaves of their count."
    )
    last: int = Field(
        10, ge=1, le=100, title="Last films", description="How many of the newest films of a history are asked."
    )
    fading: float = Field(
        0.8, gt=0, le=1, title="Fading", description="Weight of a film of the history against the one after it."
    )
    doubt: float = Field(
        1.0, ge=0.001, le=1_000, title="Doubt", description="Counts added to a film's own: films seldom seen say less."
    )
    fame: float = Field(
        0.1, ge=0.001, le=0.9, title="Fame", description="Share of popularity in what a film says about the next."
    )
    kept: int = Field(
        2_000, ge=10, le=100_000, title="Kept", description="Followers kept for each film, the most frequent ones."
    )


@register(
    "transitions",
    title="What comes next",
    summary="Counts which films are watched soon after which, and asks the last films of a history.",
    needs=("scipy",),
)
class TransitionsEngine(TableEngine):
    """Score = log of the decayed mean over the last films of each one's smoothed probabilities of the next.

    Nothing known watched: popularity.
    """

    Params = TransitionsParams
    logarithm = True
    phrase = "often watched soon after what you saw last"

    def learn(self, data: Dataset, tick: Tick) -> Table:
        """Count pairs within the window."""
        knobs = self.params
        table = transitions.table(data, knobs.window, knobs.decay, knobs.doubt, knobs.fame, knobs.kept, tick)
        table.shares[0] = 1  # of no history: all that is said is popularity
        return table

    def weights(self, films: int) -> npt.NDArray[np.float64]:
        """fading ** age, for the last films."""
        return self.params.fading ** np.arange(min(films, self.params.last), dtype=np.float64)
