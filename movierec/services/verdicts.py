"""The verdict of a comparison's page: in words, as differences to one run, pair by pair; or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isnan

from movierec.services import comparison, sentences
from movierec.services.comparison import Comparison, Verdict
from movierec.services.errors import ServiceError
from movierec.services.side_by_side import Shown
from movierec.tables import Run


@dataclass(frozen=True)
class Difference:
    """One run against the run that all are held against; NaN where there is nothing to compare."""

    run: Run
    difference: float
    low: float
    high: float
    word: str  # "better", "worse" or "no clear difference"


@dataclass(frozen=True)
class Told:
    """What can be said. `waiting`: it takes a moment, ask again for it; `problem`: why nothing can be said."""

    found: Comparison | None = None
    argument: sentences.Argument | None = None
    differences: list[Difference] = field(default_factory=list)
    problem: str = ""
    waiting: bool = False

    @property
    def pairs(self) -> list[Verdict]:
        """The pairs, each with the larger mean first; those with a clear verdict before the others, then by size."""
        known = [_larger_first(verdict) for verdict in self.found.verdicts] if self.found is not None else []
        return sorted(
            known, key=lambda verdict: (not verdict.clear, isnan(verdict.difference), -abs(verdict.difference))
        )


def _larger_first(told: Verdict) -> Verdict:
    if not told.difference < 0:
        return told
    difference, low, high = sentences.toward(told, told.second.run)
    return replace(told, first=told.second, second=told.first, difference=difference, low=low, high=high)


def of(shown: Shown, *, at_once: bool) -> Told:
    """The verdict on the runs shown. Where it isn't known yet it is only worked out `at_once` if that is wanted."""
    asked, found = shown.asked, shown.found
    if len(found) < 2:
        one = f"{found[0].engine} #{found[0].id} alone" if found else "Nothing"
        return Told(problem=f"{one} can’t be compared. Add a run.")
    if shown.problem:
        return Told(problem=shown.problem)
    what = {"metric": asked.metric, "k": asked.k, "protocol": asked.protocol, "segment": asked.segment}
    if not at_once and not comparison.remembered(found, **what):  # type: ignore[arg-type]
        return Told(waiting=True)
    try:
        made = comparison.compare([run.id for run in found], **what)  # type: ignore[arg-type]
    except ServiceError as error:
        return Told(problem=error.message)
    return Told(made, sentences.argument(made), _differences(shown, made))


def _differences(shown: Shown, made: Comparison) -> list[Difference]:
    reference = shown.reference
    assert reference is not None
    told = []
    for run in shown.found:
        verdict = made.between(reference.id, run.id) if run.id != reference.id else None
        if verdict is not None:
            difference, low, high = sentences.toward(verdict, run.id)
            word = "no clear difference" if not verdict.clear else "better" if difference > 0 else "worse"
            told.append(Difference(run, difference, low, high, word))
    return told
