"""One engine judged on one holdout: where every target stood, and the values and rows made of that.

Letters: U viewers asked, T targets, L timed viewers. Stability: public, with the npz it writes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Ints
from movierec.evaluation import metrics, statistics
from movierec.evaluation import protocol as protocols
from movierec.evaluation.segments import ALL

Values = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Table = dict[tuple[str, int], Values]  # (metric, k) -> (U,), NaN where there is nothing to measure

COST = "cost"  # protocol of what an engine costs rather than how right it is
CUTOFFS = (5, 10, 20)
K = 10  # of segments, of the cold-start curve, and of all that is measured beyond accuracy
KEPT = "kept"  # "kept:3": asked once more, with only the three latest events of the history


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
    """One engine judged on one holdout, target by target, so that runs can be compared in pairs later."""

    protocol: str
    holdout: str  # fingerprint of the questions asked; only equal ones can be paired
    viewer_ids: Ints  # (U,) ascending
    owners: Ints  # (T,) place in viewer_ids of each target's viewer, ascending
    bases: Values  # (T,) as `asking` defines them
    segments: Mapping[str, Bools] = field(default_factory=dict)  # name -> (T,)
    kept: Mapping[int, Values] = field(default_factory=dict)  # events kept -> (T,) bases; NaN: viewer left out
    beyond: Mapping[str, Values] = field(default_factory=dict)  # metric -> (U,), of the lists
    overall: Mapping[str, float] = field(default_factory=dict)  # metric -> of all lists together; no interval
    latency_ms: Values = field(default_factory=lambda: np.zeros(0))  # (L,) one recommendation of K for one viewer
    sample: int = 0  # viewers drawn to be asked, where not all were
    seed: int = 1
    split: str = "test"

    @property
    def whole(self) -> str:
        """The segment of everybody asked: "all", or "sample:200" where only so many were drawn."""
        return f"sample:{self.sample}" if self.sample else ALL

    @cached_property
    def values(self) -> Table:
        """Accuracy at each cut-off and what was measured beyond it, for everybody asked."""
        return self._accuracy(self.bases, CUTOFFS) | {(name, K): row for name, row in self.beyond.items()}

    def of(self, segment: str) -> Table:
        """The values of one segment; accuracy at K where it isn't everybody's. Raises ValueError for an unknown one.

        Targets outside the segment are as if they had been seen: neither wanted nor in the way.
        """
        if segment in (ALL, self.whole):
            return self.values
        if segment in self.segments:
            return self._accuracy(np.where(self.segments[segment], self.bases, np.nan), (K,))
        kept = segment.removeprefix(f"{KEPT}:")
        if kept.isdecimal() and int(kept) in self.kept:
            return self._accuracy(self.kept[int(kept)], (K,))
        raise ValueError(f"nothing was measured for {segment!r}; there are: {', '.join(self.names())}")

    def names(self) -> list[str]:
        """All segments that there are."""
        return [self.whole, *self.segments, *(f"{KEPT}:{kept}" for kept in self.kept)]

    def _accuracy(self, bases: Values, cutoffs: tuple[int, ...]) -> Table:
        """Each metric at each cut-off; a NaN base is no target."""
        real = ~np.isnan(bases)
        owners, n = self.owners[real], self.viewer_ids.size
        ranks = metrics.places(owners, bases[real])
        several = protocols.get(self.protocol).several
        wanted = metrics.SEVERAL if several else metrics.METRICS
        return {(name, k): metric(owners, ranks, n, k) for name, metric in wanted.items() for k in cutoffs}

    def measures(self) -> list[Measure]:
        """A row for each metric, cut-off and segment, with its interval; then the costs."""
        columns = {
            (metric, k, segment): values for segment in self.names() for (metric, k), values in self.of(segment).items()
        }
        table = np.column_stack(list(columns.values())) if columns else np.zeros((self.viewer_ids.size, 0))
        intervals = statistics.bootstrap_columns(table, self.seed)
        rows = [
            Measure(metric, k, self.protocol, segment, self.split, *interval)
            for (metric, k, segment), interval in zip(columns, intervals, strict=True)
        ]
        n, first = self.viewer_ids.size, len(self.values)  # everybody's rows come first
        rows[first:first] = [
            Measure(name, K, self.protocol, self.whole, self.split, value, np.nan, np.nan, n)
            for name, value in self.overall.items()
        ]
        for share in (50, 95) if self.latency_ms.size else ():
            value, timed = float(np.percentile(self.latency_ms, share)), int(self.latency_ms.size)
            rows.append(Measure(f"latency_p{share}_ms", 0, COST, ALL, self.split, value, np.nan, np.nan, timed))
        return rows

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as plain arrays, for an npz beside the artefact, small: half ranks are exact in float32 below
        four million, and eight targets share a byte of a segment's mask.
        """
        masks = np.array(list(self.segments.values()), dtype=bool).reshape(len(self.segments), self.owners.size)
        return {
            **{name: np.array(getattr(self, name)) for name in TEXTS + NUMBERS},
            **{name: getattr(self, name) for name in ROWS},
            "bases": self.bases.astype(np.float32),
            "segments": np.array(list(self.segments), dtype=np.str_),
            "segment_bits": np.packbits(masks, axis=1),
            **{f"kept.{events}": bases.astype(np.float32) for events, bases in self.kept.items()},
            **{f"beyond.{name}": values for name, values in self.beyond.items()},
            **{f"overall.{name}": np.array(value) for name, value in self.overall.items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Scorecard:
        """The scorecard that `arrays` described. Raises ValueError where it is none."""
        try:
            owners, names, bits = arrays["owners"], arrays["segments"], arrays["segment_bits"]
            masks = np.unpackbits(bits, axis=1, count=owners.size).astype(bool)
            facts: dict[str, Any] = {
                **{name: str(arrays[name]) for name in TEXTS},
                **{name: int(arrays[name]) for name in NUMBERS},
                **{name: arrays[name] for name in ROWS},
                "bases": arrays["bases"].astype(np.float64),
                "segments": dict(zip(names.tolist(), masks, strict=True)),
                "kept": {int(name): row.astype(np.float64) for name, row in _named(arrays, "kept").items()},
                "beyond": _named(arrays, "beyond"),
                "overall": {name: float(value) for name, value in _named(arrays, "overall").items()},
            }
            card = cls(**facts)
        except KeyError as missing:
            raise ValueError(f"not a scorecard: {missing} is missing") from missing
        except TypeError as fault:  # numbers of another kind, a row where one number belongs
            raise ValueError(f"not a scorecard: {fault}") from fault
        if any(row.shape != owners.shape for row in (card.bases, *card.kept.values())):
            raise ValueError("not a scorecard: there is not one place a target")
        if any(row.shape != card.viewer_ids.shape for row in card.beyond.values()):
            raise ValueError("not a scorecard: a metric has not one value a viewer")
        if owners.size and not (owners.min() >= 0 and owners.max() < card.viewer_ids.size):
            raise ValueError("not a scorecard: a target is nobody's")
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


TEXTS, NUMBERS = ("protocol", "holdout", "split"), ("sample", "seed")
ROWS = ("viewer_ids", "owners", "latency_ms")


def _named(arrays: Mapping[str, npt.NDArray[Any]], kind: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays called "<kind>.<name>", by name."""
    return {name.partition(".")[2]: row for name, row in arrays.items() if name.startswith(f"{kind}.")}
