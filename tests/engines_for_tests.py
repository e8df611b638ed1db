"""Engines that are quick, slow or broken on purpose; registered by a fixture or by a test's worker, never by import."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from movierec.dataset import Dataset, History, ItemIndex
from movierec.engines import registry
from movierec.engines.base import BadState, Cancelled, Diverged, NotFitted, Params, Report, ScoringEngine, Validate


class Taste(StrEnum):
    """For the form: a knob with choices."""

    PLAIN = "plain"
    ODD = "odd"


class QuickParams(Params):
    """One knob of each kind."""

    steps: int = Field(3, ge=1, le=1_000_000, title="Steps", description="How often it reports.")
    rate: float = Field(0.1, gt=0, le=0.9, title="Rate", description="Means nothing.")
    bold: bool = Field(False, title="Bold", description="Means nothing either.")
    taste: Taste = Field(Taste.PLAIN, title="Taste", description="One of two.")


class Quick(ScoringEngine):
    """Counts views; reports `steps` times a loss that halves."""

    Params = QuickParams
    pause = 0.0

    def __init__(self, params: Params | None = None) -> None:
        super().__init__(params)
        self._row: npt.NDArray[np.float32] | None = None

    @classmethod
    def defaults_for(cls, data: Dataset) -> dict[str, Any]:
        return {"steps": 4 if data.n_events > 100 else 3}

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        steps = self.params.steps
        for step in range(1, steps + 1):
            until = time.monotonic() + self.pause
            report(step, steps, loss=0.5 ** min(step, 30))
            while time.monotonic() < until:
                report(step, steps)
                time.sleep(min(self.pause, 0.02))
            self._row, self.index = data.popularity.astype(np.float32), data.index
        if validate is not None:
            report(steps, steps, **validate(self))

    def scores(self, histories: Sequence[History]) -> npt.NDArray[np.float32]:
        if self._row is None:
            raise NotFitted("not trained")
        return np.tile(self._row, (len(histories), 1))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        if self._row is None:
            raise NotFitted("not trained")
        return {"row": self._row}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex) -> None:
        if "row" not in arrays or arrays["row"].shape != (len(index) + 1,):
            raise BadState("the row does not fit")
        self._row, self.index = arrays["row"], index


class Slow(Quick):
    """Trains until it is stopped; has a state from its second step on."""

    pause = 0.05

    @classmethod
    def defaults_for(cls, data: Dataset) -> dict[str, Any]:
        return {"steps": 100_000}


class Deaf(Slow):
    """Never has a state and only leaves by Cancelled."""

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        while True:
            report(0, 1)
            time.sleep(0.01)


class Numb(Slow):
    """Says once that it trains, then hears nothing for a minute: one long step, as a decomposition is."""

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        report(1, 2)
        time.sleep(60)


class Broken(Quick):
    """Fails in the way that `rate` asks for."""

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        report(1, 2, loss=float("nan"))
        if self.params.rate > 0.8:
            raise MemoryError
        if self.params.rate > 0.7:
            raise Diverged("The loss is no longer a number.")
        if self.params.rate > 0.6:
            raise KeyboardInterrupt
        if self.params.rate > 0.5:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.params.rate > 0.4:
            raise Cancelled
        raise ValueError("a defect")


class Absent(Quick):
    """Needs what nobody has."""


ALL = {"quick": Quick, "slow": Slow, "deaf": Deaf, "numb": Numb, "broken": Broken}


def register_all() -> None:
    """Put them into the registry, beside the house's own."""
    registry.listings()  # the house's own first: they register only once a process
    for slug, engine in ALL.items():
        registry.register(slug, title=slug.title(), summary="Only for tests.")(engine)
    registry.register("absent", title="Absent", summary="Only for tests.", needs=("no_such_library",))(Absent)
