"""BiVAE (Truong, Salah, Lauw, WSDM 2021) on Cornac's module: viewers and films as factors of one table of views.

Training imports torch and cornac through `bilateral`, inside `fit` only; serving is numpy alone, for any history.
Letters: B viewers, N items (0 = padding), k factors.
"""

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
    Cancelled,
    EngineError,
    NotFitted,
    Params,
    Reason,
    Report,
    ScoringEngine,
    Validate,
)
from movierec.engines.bilateral.folding import Folding, from_arrays, shapes
from movierec.engines.registry import register

AT_ONCE = 256  # viewers folded in together
TRIED = 50  # films of one history that are left out in turn to explain a list


class BivaeParams(Params):
    """The defaults are those for about 100,000 views; `defaults_for` moves them with the size of the data."""

    factors: int = Field(50, ge=2, le=500, title="Factors", description="Numbers that describe a viewer or a film.")
    hidden: int = Field(200, ge=4, le=1_000, title="Hidden", description="Width of each hidden layer of the encoders.")
    layers: int = Field(1, ge=1, le=3, title="Layers", description="Hidden layers of each encoder.")
    epochs: int = Field(
        250, ge=1, le=2_000, title="Epochs", description="Passes over all films and all viewers, at most."
    )
    judged_every: int = Field(
        5, ge=1, le=100, title="Judged every", description="Epochs between two looks at the validation."
    )
    patience: int = Field(
        8, ge=0, le=2_000, title="Patience", description="Looks without a better validation before it stops."
    )
    viewer_batch: int = Field(
        64, ge=8, le=4_096, title="Viewers a step", description="Smaller steps learn more an epoch, slower."
    )
    film_batch: int = Field(512, ge=8, le=8_192, title="Films a step", description="The same for the films' side.")
    learning_rate: float = Field(4e-3, gt=0, le=0.1, title="Learning rate", description="Of Adam, for both encoders.")
    beta_kl: float = Field(
        0.5, ge=0, le=10, title="Weight of the prior", description="Higher holds the factors nearer to chance."
    )
    passes: int = Field(
        40,
        ge=0,
        le=500,
        title="Short-history passes",
        description="Passes at the end that teach it to serve viewers of whom few films are known.",
    )


@register(
    "bivae",
    title="BiVAE",
    summary="Learns factors of viewers and films from who watched what; any history folds in, order says nothing.",
    needs=("torch", "scipy", "cornac"),
)
class Bivae(ScoringEngine):
    """Score = theta * beta, the log odds of a view: theta folded in from the history, beta of the film."""

    Params = BivaeParams

    def __init__(self, params: AnyParams | None = None) -> None:
        super().__init__(params)
        self._folding: Folding | None = None

    @classmethod
    def defaults_for(cls, data: Dataset) -> dict[str, Any]:
        """Batches grow with the root of their side (measured: 610 viewers, 9,724 films); more data, fewer epochs."""
        return {
            "epochs": int(np.clip(round(250 * (max(1, data.n_events) / 100_000) ** -0.3), 20, 250)),
            "viewer_batch": int(np.clip(round(64 * (data.n_viewers / 610) ** 0.5), 32, 1_024)),
            "film_batch": int(np.clip(round(512 * (data.n_items / 9_724) ** 0.5), 64, 2_048)),
        }

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        """Train, keep the best epoch, teach it short histories. Raises EngineError where nothing was watched."""
        if not data.n_events:
            raise EngineError("There is nothing to learn from: the data has no views.")
        from movierec.engines.bilateral import net, training  # torch and cornac, which serving must not pay for

        self._forget()

        def judge(folding: Folding) -> Mapping[str, float]:
            self._folding, self.index = folding, data.index
            return validate(self) if validate is not None else {}

        with net.quiet_torch(self.params.seed):
            trainer = training.Training(data, self.params)
            try:
                trainer.run(report, judge)
            except Cancelled:
                self._take(trainer.best, data.index)
                raise
            except BaseException:
                self._forget()
                raise
        self._take(trainer.best, data.index)
        self.note = trainer.note

    def _take(self, best: Folding | None, index: ItemIndex) -> None:
        self._folding, self.index = best, index if best is not None else None

    def _forget(self) -> None:
        self._folding, self.index, self.note = None, None, ""

    def scores(self, histories: Sequence[History]) -> npt.NDArray[np.float32]:
        """(B, N + 1) log odds of a view; those of an unknown viewer where the history has no film it was trained on.

        Films never seen in training come last.
        """
        folding = self._known()
        table = np.empty((len(histories), folding.prior.size), dtype=np.float32)
        for start in range(0, len(histories), AT_ONCE):
            some = histories[start : start + AT_ONCE]
            table[start : start + AT_ONCE] = folding.scores([history.items for history in some])
        return table

    def why(self, history: History) -> str:
        """What the list was made from."""
        known = self._folding is not None and self._folding.trained(history.items).size
        return "watched by people with your taste" if known else "popular with everyone"

    def explain(self, history: History, items: Sequence[int]) -> list[Reason]:
        """The films of the history without which an item would score lower, by how much.

        Exact for each film of the history; above TRIED films only those whose factors are nearest to the items'.
        """
        tried, falls = self._known().falls(history.items, np.asarray(items, dtype=np.int64), TRIED)
        why, reasons = self.why(history), []
        for fall in falls.T:
            order = np.argsort(-fall, kind="stable")
            reasons.append(Reason(why, tuple((int(tried[at]), float(fall[at])) for at in order if fall[at] > 0)))
        return reasons

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """first, films, prior, weight1.., bias0..: the arrays of a `Folding`, float32."""
        return {name: array.copy() for name, array in self._known().arrays().items()}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex) -> None:
        """Take over the arrays. Raises BadState and is unchanged then."""
        knobs = self.params
        found = {}
        for name, shape in shapes(len(index), [knobs.hidden] * knobs.layers, knobs.factors).items():
            if name not in arrays:
                raise BadState(f"The state has no array {name!r}.")
            array = np.asarray(arrays[name])
            if array.shape != shape or array.dtype.kind != "f":
                raise BadState(f"The array {name!r} is {array.dtype} of shape {array.shape}, not floats of {shape}.")
            if not np.isfinite(array).all():
                raise BadState(f"A number of the array {name!r} is not finite.")
            found[name] = np.ascontiguousarray(array, dtype=np.float32)
        self._folding, self.index = from_arrays(found, knobs.layers), index

    def _known(self) -> Folding:
        if self._folding is None:
            raise NotFitted("This engine has not been trained yet.")
        return self._folding
