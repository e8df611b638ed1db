"""One engine judged on one holdout: a value for each viewer and metric, and the rows and comparisons made of them.

Letters: P targets (one a viewer), L timed viewers. Stability: public, with the npz it writes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Ints
from movierec.evaluation import statistics

Values = npt.NDArray[np.float64]

COST = "cost"  # protocol of what an engine costs rather than how right it is


@dataclass(frozen=True)
class Measure:
    """One number as the charts and the database know it. low and high are NaN where there is no interval."""

    metric: str
    k: int  # 0 where a cut-off means nothing
    protocol: str
    segment: str
    split: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, eq=False)
class Scorecard:
    """One engine judged on one holdout: one value per viewer and metric, so runs can be compared in pairs later."""

    protocol: str
    holdout: str  # fingerprint of the questions asked; only equal ones can be paired
    viewer_ids: Ints  # (P,)
    values: Mapping[tuple[str, int], Values]  # (metric, k) -> (P,)
    latency_ms: Values  # (L,) one recommendation of LATENCY_K for one viewer
    seed: int = 1
    split: str = "test"

    def measures(self, segments: Mapping[str, npt.NDArray[np.bool_]] | None = None) -> list[Measure]:
        """A row for each metric and segment (name -> mask over viewers; "all" by default), then the costs."""
        masks = {"all": np.ones(self.viewer_ids.size, dtype=bool)} if segments is None else segments
        rows = []
        for (metric, k), values in self.values.items():
            for segment, mask in masks.items():
                mean, low, high, n = statistics.bootstrap_mean(values[mask], self.seed)
                rows.append(Measure(metric, k, self.protocol, segment, self.split, mean, low, high, n))
        for share in (50, 95) if self.latency_ms.size else ():
            value = float(np.percentile(self.latency_ms, share))
            name, n = f"latency_p{share}_ms", int(self.latency_ms.size)
            rows.append(Measure(name, 0, COST, "all", self.split, value, np.nan, np.nan, n))
        return rows

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as plain arrays, for an npz beside the artefact."""
        texts = {"protocol": self.protocol, "holdout": self.holdout, "split": self.split}
        return {
            **{name: np.array(text) for name, text in texts.items()},
            "seed": np.array(self.seed),
            "viewer_ids": self.viewer_ids,
            "latency_ms": self.latency_ms,
            **{f"value.{metric}.{k}": values for (metric, k), values in self.values.items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Scorecard:
        """The scorecard that `arrays` described. Raises ValueError where it is none."""
        try:
            names = [name.split(".") for name in arrays if name.startswith("value.")]
            values = {(metric, int(k)): arrays[f"value.{metric}.{k}"] for _, metric, k in names}
            card = cls(
                str(arrays["protocol"]),
                str(arrays["holdout"]),
                arrays["viewer_ids"],
                values,
                arrays["latency_ms"],
                int(arrays["seed"]),
                str(arrays["split"]),
            )
        except KeyError as missing:
            raise ValueError(f"not a scorecard: {missing} is missing") from missing
        if any(row.shape != card.viewer_ids.shape for row in values.values()):
            raise ValueError("not a scorecard: a metric has not one value a viewer")
        return card

    def to_npz(self) -> bytes:
        """The bytes of an npz without pickles."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = self.arrays()
        np.savez(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, content: bytes) -> Scorecard:
        """The scorecard in these bytes; no pickle is ever read. Raises ValueError where it is none."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (zipfile.BadZipFile, EOFError, TypeError) as fault:  # TypeError: one array alone
            raise ValueError(f"not a scorecard: {fault}") from fault
        return cls.from_arrays(arrays)


def compare(a: Scorecard, b: Scorecard, metric: str, k: int) -> statistics.Verdict:
    """a against b, viewer by viewer. Raises ValueError unless both were asked the same questions in the same way."""
    if (a.protocol, a.split) != (b.protocol, b.split):
        raise ValueError(f"{a.protocol} ({a.split}) and {b.protocol} ({b.split}) can't be compared")
    if a.holdout != b.holdout:
        raise ValueError("the two were judged on different data and can't be compared in pairs")
    return statistics.paired(a.values[metric, k], b.values[metric, k], a.seed)
