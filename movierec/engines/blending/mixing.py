"""Adding up what several engines say: a part, its scale and weight, and the form in which parts are kept.

A blend's score is sum over parts of weight / scale * score: a logarithmic opinion pool (Genest & Zidek 1986) where the
parts' scores are logits or log-shares. The scale is one number a part, so effects of single films add up exactly.
Letters: B viewers, N items (0 = padding), P parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, History, ItemIndex
from movierec.engines import registry
from movierec.engines.base import BadState, EngineError, Report, ScoringEngine

Scores = npt.NDArray[np.float32]

SAMPLE = 64  # histories that a scale is measured on
STAGE = 1_000  # steps of the progress that one stage of a training counts
MOST = 12  # parts that a kept blend may name


@dataclass(frozen=True)
class Part:
    """One engine of a blend. `weight` is its share of the sum of all weights."""

    name: str  # for people: its title, and the number of its run
    engine: ScoringEngine
    scale: float  # how far its scores spread over unseen films: makes weights of unlike engines comparable
    weight: float

    @property
    def factor(self) -> np.float32:
        """What its scores are multiplied with."""
        return np.float32(self.weight / self.scale)


def mixed(parts: Sequence[Part], histories: Sequence[History], n_items: int) -> Scores:
    """(B, N + 1) the weighted sum of all parts' scores."""
    table = np.zeros((len(histories), n_items + 1), dtype=np.float32)
    for part in parts:
        table += part.factor * part.engine.scores(histories)
    return table


def spread(engine: ScoringEngine, data: Dataset) -> float:
    """How far the engine's scores of unseen films lie apart: standard deviation, over a sample of viewers; never 0."""
    rows = np.flatnonzero(np.diff(data.offsets))
    sample = rows[np.linspace(0, rows.size - 1, min(SAMPLE, rows.size)).astype(int)]
    variances = []
    for row in np.unique(sample):
        history = data.history(int(row))
        unseen = np.ones(data.n_items + 1, dtype=bool)
        unseen[0] = unseen[history.items] = False
        if unseen.any():
            variances.append(float(np.var(engine.scores([history])[0, unseen], dtype=np.float64)))
    found = float(np.sqrt(np.mean(variances))) if variances else 0.0
    return found if found > 0 else 1.0


def siblings(parts: Sequence[Part]) -> npt.NDArray[np.float64]:
    """(G, P) how a weight is dealt out among parts that differ only in their seed: alike, for nothing else is known."""
    kinds = [(type(part.engine).slug, part.engine.params.model_dump(exclude={"seed"})) for part in parts]
    groups = [kind for place, kind in enumerate(kinds) if kind not in kinds[:place]]
    shares = np.array([[kind == group for kind in kinds] for group in groups], dtype=np.float64)
    return shares / shares.sum(axis=1, keepdims=True)


def in_words(parts: Sequence[Part]) -> str:
    """ "NextItNet 62 %, Transitions 31 %": the shares, the largest first."""
    told = sorted(parts, key=lambda part: -part.weight)
    return ", ".join(f"{part.name} {100 * part.weight:.0f} %" for part in told)


def kept(parts: Sequence[Part]) -> dict[str, npt.NDArray[Any]]:
    """The parts as plain arrays, whole: recipe (JSON as uint8), weights and scales (P,), and each part's own state."""
    told = [
        {"name": part.name, "engine": type(part.engine).slug, "params": part.engine.params.model_dump(mode="json")}
        for part in parts
    ]
    arrays: dict[str, npt.NDArray[Any]] = {
        "recipe": np.frombuffer(json.dumps(told).encode(), dtype=np.uint8),
        "weights": np.array([part.weight for part in parts], dtype=np.float64),
        "scales": np.array([part.scale for part in parts], dtype=np.float64),
    }
    for number, part in enumerate(parts):
        arrays |= {f"part{number}.{name}": array for name, array in part.engine.state().items()}
    return arrays


def rebuilt(arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex, *, but: str) -> list[Part]:
    """The parts that `kept` described, each restored; never an engine of the slug `but`. Raises BadState."""
    missing = {"recipe", "weights", "scales"} - set(arrays)
    if missing:
        raise BadState(f"The state lacks {' and '.join(sorted(missing))}.")
    told = _recipe(np.asarray(arrays["recipe"]))
    weights, scales = (_positive(np.asarray(arrays[name]), len(told)) for name in ("weights", "scales"))
    parts = []
    for number, entry in enumerate(told):
        try:
            if entry["engine"] == but:
                raise BadState("A blend can't hold a blend.")
            kind = registry.get(entry["engine"])
            engine = kind(kind.Params.model_validate(entry["params"]))
            mine = f"part{number}."
            engine.restore({name[len(mine) :]: arrays[name] for name in arrays if name.startswith(mine)}, index)
        except (EngineError, ValueError) as fault:
            raise BadState(f"Part {number + 1} can't be restored: {fault}") from fault
        if not isinstance(engine, ScoringEngine):
            raise BadState(f"Part {number + 1} gives no scores.")
        parts.append(Part(entry["name"], engine, float(scales[number]), float(weights[number])))
    return parts


def _recipe(content: npt.NDArray[Any]) -> list[dict[str, Any]]:
    if content.ndim != 1 or content.dtype != np.uint8:
        raise BadState(f"The recipe is {content.dtype} of shape {content.shape}, not a row of bytes.")
    try:
        told = json.loads(content.tobytes())
    except (ValueError, RecursionError) as fault:
        raise BadState(f"The recipe can't be read: {fault}") from fault
    wanted = {"name": str, "engine": str, "params": dict}
    if not isinstance(told, list) or not 1 <= len(told) <= MOST:
        raise BadState("The recipe is not a list of parts.")
    for entry in told:
        if not isinstance(entry, dict) or {name: type(value) for name, value in entry.items()} != wanted:
            raise BadState("The recipe does not say name, engine and params of each part.")
    return told


def _positive(row: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    if row.shape != (length,) or row.dtype.kind != "f":
        raise BadState(f"The weights or scales are {row.dtype} of shape {row.shape}, not {length} floats.")
    if not (np.isfinite(row).all() and (row > 0).all()):
        raise BadState("A weight or scale is not a number above 0.")
    return row


class Stages:
    """One progress over several stages of work, each of which counts up to a total of its own."""

    def __init__(self, report: Report, stages: int) -> None:
        self._report, self._total, self._begun = report, stages * STAGE, -STAGE

    def next(self) -> Report:
        """The Report of the stage that begins now. Of its metrics only those of validation pass ("ndcg@10")."""
        self._begun += STAGE
        begun = self._begun

        def report(step: int, total: int, **metrics: float) -> None:
            done = begun + int(STAGE * min(1.0, step / max(1, total)))
            judged = {name: value for name, value in metrics.items() if "@" in name}
            self._report(done, self._total, **judged)

        return report

    def end(self, metrics: Mapping[str, float]) -> None:
        """All is done."""
        self._report(self._total, self._total, **metrics)
