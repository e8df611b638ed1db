"""Finished runs against each other: a table of means and a verdict for every pair, or the reason why there is none."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from flask import current_app

from movierec import artifacts
from movierec.evaluation import pairs, statistics
from movierec.evaluation import protocol as protocols
from movierec.evaluation.scorecard import Scorecard
from movierec.evaluation.segments import ALL
from movierec.extensions import db
from movierec.services import runs
from movierec.services.errors import Refused
from movierec.tables import Run

MOST = 12  # runs in one comparison: 66 pairs


@dataclass(frozen=True)
class Side:
    """One run of the table: its mean over the viewers it was asked about, with its interval. NaN: not measured."""

    run: int
    engine: str
    mean: float
    low: float
    high: float
    n: int

    @property
    def name(self) -> str:
        """As people call it."""
        return f"{self.engine} #{self.run}"


@dataclass(frozen=True)
class Verdict:
    """One pair: the difference first - second over the viewers that both were asked about, and what it means."""

    first: Side
    second: Side
    difference: float
    low: float
    high: float
    p: float  # of this pair alone
    corrected: float  # by Holm over all pairs shown
    n: int
    smallest: float  # difference that n viewers show four times in five
    needed: int | None  # viewers who would settle it, four times in five; None where there is no difference at all
    clear: bool
    words: str  # "ease #3 better by .021 [.004, .038]" or "no clear difference"

    @property
    def advice(self) -> str:
        """What else one should know, in a sentence; empty where the verdict is clear."""
        if self.clear or not self.n:
            return ""
        if self.needed is None:
            return f"On average over {self.n:,} viewers the two are equal."
        shown = statistics.digits(self.smallest)
        if self.needed <= self.n:
            return "By its size it would show, but not enough viewers agree, or not surely enough among so many pairs."
        return f"{self.n:,} viewers show differences from {shown} on; about {self.needed:,} would settle this one."


@dataclass(frozen=True)
class Comparison:
    """All that is shown together: one metric under one protocol for one segment."""

    metric: str
    k: int
    protocol: protocols.Protocol
    segment: str
    sides: list[Side]
    verdicts: list[Verdict]

    def between(self, first: int, second: int) -> Verdict | None:
        """The verdict on these two runs, in whichever order they were named."""
        wanted = {first, second}
        return next((verdict for verdict in self.verdicts if {verdict.first.run, verdict.second.run} == wanted), None)


def compare(
    run_ids: Sequence[int],
    *,
    metric: str = "ndcg",
    k: int = 10,
    protocol: str = protocols.DEFAULT,
    segment: str = ALL,
) -> Comparison:
    """These runs, in the order given, each once. Raises NotFound, or Refused where they can't be put side by side."""
    wanted = list(dict.fromkeys(run_ids))
    if not 2 <= len(wanted) <= MOST:
        raise Refused(f"Name two runs or more, at most {MOST}.", field="runs")
    try:
        how = protocols.get(protocol)
    except protocols.UnknownProtocol as error:
        raise Refused(str(error), field="protocol") from error
    found = [runs.get(run_id) for run_id in wanted]
    refuse_unlike(found, how)
    db.session.remove()  # no transaction stays open while files are read
    keys = [_key(run) for run in found]
    cards = [_cards.of((key, how.id), partial(card, run, how)) for run, key in zip(found, keys, strict=True)]
    about = (protocol, metric, k, segment)
    try:
        sides = [
            _kept.of((key, about), partial(_side, run, card, metric, k, segment))
            for run, card, key in zip(found, cards, keys, strict=True)
        ]
        told = [
            _kept.of((keys[a], keys[b], about), partial(pairs.compare, cards[a], cards[b], metric, k, segment))
            for a, b in combinations(range(len(cards)), 2)
        ]
    except ValueError as error:
        raise Refused(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    corrected = statistics.holm([verdict.p for verdict in told])
    verdicts = [
        _verdict(sides[a], sides[b], replace(verdict, corrected=p))
        for (a, b), verdict, p in zip(combinations(range(len(cards)), 2), told, corrected, strict=True)
    ]
    return Comparison(metric, k, how, segment, sides, verdicts)


def remembered(
    found: Sequence[Run], *, metric: str = "ndcg", k: int = 10, protocol: str = protocols.DEFAULT, segment: str = ALL
) -> bool:
    """Whether `compare` would answer at once, because all pairs of these runs were compared before."""
    about, keys = (protocol, metric, k, segment), [_key(run) for run in found]
    return all((a, b, about) in _kept for a, b in combinations(keys, 2))


def refuse_unlike(found: Sequence[Run], how: protocols.Protocol) -> None:
    """Raises Refused with the reason unless the runs can be compared at all."""
    for run in found:
        if run.split != how.split:
            raise Refused(
                f"{run.engine} #{run.id} was trained under the split {run.split!r} and has no numbers under {how.id}. "
                f"To get them train it again: flask train {run.engine} --split {how.split}"
            )
        if run.artifact is None:
            raise Refused(f"{run.engine} #{run.id} has nothing to compare: it is {run.state}.")
        if run.dataset_sha256 != found[0].dataset_sha256:
            raise Refused(
                f"{found[0].engine} #{found[0].id} and {run.engine} #{run.id} learnt from different data, so they were "
                "asked different questions. Train the older one again on today's data."
            )


def card(run: Run, how: protocols.Protocol) -> Scorecard:
    """What the run's artefact keeps of its evaluation. Raises Refused."""
    root, name = Path(current_app.config["MODELS_DIR"]), f"{how.id}.npz"
    called = f"{run.engine} #{run.id}"
    try:
        manifest = artifacts.manifest(root, run.engine, str(run.artifact), sha256=run.artifact_sha256)
        if name not in manifest.files:
            raise Refused(
                f"{called} keeps no values viewer by viewer under {how.id}: it was stopped before it was judged. "
                f"Train it to its end: flask train {run.engine} --split {run.split}"
            )
        return Scorecard.from_arrays(
            artifacts.read(root, run.engine, str(run.artifact), name, sha256=run.artifact_sha256)
        )
    except artifacts.BadArtifact as error:
        raise Refused(f"The files of {called} can't be used: {error}") from error
    except ValueError as error:
        raise Refused(f"{called} was judged by another version of movierec ({error}): train it again.") from error


def _side(run: Run, card: Scorecard, metric: str, k: int, segment: str) -> Side:
    column = pairs.values(card, metric, k, segment)[:, None]  # drawn as for the run's own row: the very same interval
    return Side(run.id, run.engine, *statistics.bootstrap_columns(column, card.seed)[0])


def _key(run: Run) -> tuple[int, str]:
    """The run as it is now: an artefact never changes, so neither does what is said about it."""
    return run.id, str(run.artifact_sha256)


class _Kept:
    """What was worked out lately, by what it is about; refusals aren't kept."""

    def __init__(self, most: int) -> None:
        self._most, self._lock, self._found = most, threading.Lock(), OrderedDict[Hashable, Any]()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._found

    def of(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What is kept under the key, else what `make` says."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        made = make()
        with self._lock:
            self._found[key] = made
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return made


_kept = _Kept(2000)  # sides and verdicts, a few hundred bytes each
_cards = _Kept(2 * MOST)  # scorecards, about 100 kB for each thousand viewers


def _verdict(first: Side, second: Side, told: statistics.Verdict) -> Verdict:
    return Verdict(
        first,
        second,
        told.difference,
        told.low,
        told.high,
        told.p,
        float("nan") if told.corrected is None else told.corrected,
        told.n,
        told.smallest,
        told.needed,
        told.words != statistics.UNCLEAR,
        told.sentence(first.name, second.name),
    )
