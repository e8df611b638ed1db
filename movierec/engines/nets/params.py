"""The knobs that all sequence nets share."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from movierec.dataset import Dataset
from movierec.engines.base import Params

MOST_FULL = 15_000  # films up to which the full softmax is the better bargain
PLAIN_EPOCHS = 16  # without features, which bring a net to its best in half of them


class SequenceParams(Params):
    """The defaults are those for about 100,000 views; `defaults_for` moves them with the size of the data."""

    channels: int = Field(
        64, ge=8, le=256, multiple_of=8, title="Channels", description="Numbers that describe a film."
    )
    length: int = Field(
        64, ge=4, le=512, title="Window", description="Films of a history that one training window holds."
    )
    epochs: int = Field(
        0, ge=0, le=200, title="Epochs",
        description="Passes over the data; the learning rate falls over all. 0: what suits, more without features.",
    )  # fmt: skip
    patience: int = Field(
        8, ge=0, le=200, title="Patience", description="Epochs without a better validation before it stops."
    )
    batch: int = Field(
        1600, ge=16, le=32_768, title="Targets a step", description="Smaller steps learn more an epoch, slower."
    )
    learning_rate: float = Field(
        4e-3, gt=0, le=0.1, title="Learning rate", description="The highest, reached after the warm-up."
    )
    weight_decay: float = Field(
        0.2, ge=0, le=1, title="Weight decay", description="Pulls weights to zero, against overfitting."
    )
    embedding_dropout: float = Field(
        0.3, ge=0, le=0.9, title="Dropout, films", description="Share of a film's numbers hidden in training."
    )
    block_dropout: float = Field(
        0.3, ge=0, le=0.9, title="Dropout, blocks", description="Share hidden inside each block."
    )
    head_dropout: float = Field(
        0.3, ge=0, le=0.9, title="Dropout, output", description="Share hidden before the films are scored."
    )
    smoothing: float = Field(
        0.2, ge=0, le=0.9, title="Label smoothing",
        description="Share of every target given to what is popular anyway. Only without features, which do its work.",
    )  # fmt: skip
    features: bool = Field(
        True,
        title="Features",
        description="Adds what follows each film and what goes with it, by counting, to the net.",
    )
    folds: int = Field(
        4, ge=2, le=32, title="Folds", description="Groups of viewers; each learns from the counts of the others."
    )
    ease_regularisation: float = Field(
        200, gt=0, le=100_000, title="EASE, lambda", description="Shrinks what goes with what; more for more data."
    )
    gaps: bool = Field(False, title="Time gaps", description="Tell the net how long after the one before a film came.")
    ratings: bool = Field(False, title="Ratings", description="Tell the net how each film was rated.")
    softmax: Literal["auto", "full", "sampled"] = Field(
        "auto", title="Softmax", description="Learn against all films or some drawn ones; auto draws above 15,000."
    )

    def folds_for(self, data: Dataset) -> int:
        """Folds that are used: 0 without features, or where there are not two viewers in each fold."""
        learning = int((np.diff(data.offsets) > 1).sum())
        return self.folds if self.features and learning >= 2 * self.folds else 0

    def epochs_for(self, data: Dataset) -> int:
        """Passes over the data."""
        return self.epochs or (PLAIN_EPOCHS if not self.folds_for(data) else round(6 + way(data)))

    def sampled_for(self, n_items: int) -> bool:
        """Whether the softmax is over drawn films."""
        return self.softmax == "sampled" or (self.softmax == "auto" and n_items > MOST_FULL)


def way(data: Dataset) -> float:
    """0 at 100,000 views or fewer, 1 at 1 M or more: between these measured points knobs move with log(views)."""
    return float(np.clip(np.log10(max(1, data.n_events) / 100_000), 0, 1))


def defaults_for(data: Dataset) -> dict[str, Any]:
    """The knobs whose best value depends on the size of the data."""
    size, far = max(1, data.n_events) / 100_000, way(data)
    return {
        "batch": int(np.clip(1600 * size**0.6, 128, 6_144)),
        "learning_rate": float(np.clip(round(4e-3 * size**-0.3, 5), 2e-3, 4e-3)),
        "length": 64 * round(3**far),
        "weight_decay": round(0.2 * 0.05**far, 3),
        "embedding_dropout": round(0.3 - 0.1 * far, 2),
        "block_dropout": round(0.3 - 0.2 * far, 2),
        "head_dropout": round(0.3 * (1 - far), 2),
        "smoothing": round(0.2 * (1 - far), 2),
        "folds": 4 + round(4 * far),
        "ease_regularisation": round(200 * 2.5**far),
        "gaps": far > 0.5,
        "ratings": far > 0.5,
    }
