"""The gate before a run goes on air: what is known for and against it, and whether that has to be confirmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from flask import current_app
from sqlalchemy import select

from movierec.evaluation import pairs, statistics
from movierec.evaluation import protocol as protocols
from movierec.evaluation.scorecard import COST
from movierec.evaluation.segments import ALL
from movierec.evaluation.statistics import Verdict, digits
from movierec.extensions import db
from movierec.services import comparison, judging, runs, serving
from movierec.services.errors import Conflict, Refused
from movierec.tables import MetricRow, Run, Serving

FOR, UNCLEAR, AGAINST, MISSING, FIRST = "for", "unclear", "against", "missing", "first"
HEADLINE = ("ndcg", 10)
MEASURED = (("ndcg", "NDCG@10", 10), ("hr", "Hit rate@10", 10))
TOLD = (  # metric, its protocol, words, digits are points of a share or milliseconds
    ("coverage", protocols.DEFAULT, "Share of the catalogue recommended", "points"),
    ("latency_p95_ms", COST, "Latency, 95 % of the lists within", "ms"),
)
SMALLEST_SEGMENT = 20  # viewers; fewer tell nothing about a segment
OFFERED = 8  # candidates listed
NAMED = 3  # segments named on either side
SEGMENTS = ("viewers:", "films:", "genre:")


class AgainstTheEvidence(Conflict):
    """What is known speaks against it, or nothing is known: it goes on air only once that was confirmed."""


@dataclass(frozen=True)
class Figure:
    """One line of the gate: this run's figure, that of the run on air, and the difference of the two."""

    label: str
    kind: str  # "metric", "points" or "ms"
    mine: float | None
    theirs: float | None
    difference: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Evidence:
    """What is known about putting `run` in the place of `current`."""

    run: Run
    current: Run | None
    version: int  # of what is on air: whoever decides has seen this one
    stance: str
    sentence: str
    figures: list[Figure]
    verdict: Verdict | None = None
    losing: tuple[tuple[str, Verdict], ...] = ()  # segments where it does worse, no correction
    gaining: tuple[tuple[str, Verdict], ...] = ()
    segments: int = 0  # looked at

    @property
    def against(self) -> bool:
        """Whether it takes a second confirmation."""
        return self.stance in (AGAINST, MISSING)

    @property
    def name(self) -> str:
        """As people call the run."""
        return f"{self.run.engine} #{self.run.id}"


@dataclass(frozen=True)
class Candidate:
    """A run that could go on air instead: the verdict in words, or why there is none."""

    line: runs.Line
    words: str
    verdict: Verdict | None
    latency: float | None  # p95, milliseconds


def evidence(run_id: int, *, segments: bool = True) -> Evidence:
    """All that is known about putting this run on air now. Raises NotFound, or Refused where it has no artefact."""
    run, row = runs.get(run_id), serving.on_air()
    if run.artifact is None:
        raise Refused(f"{run.engine} #{run_id} has no artefact to serve: it is {run.state}. What is on air stays.")
    current = runs.get(row.run_id) if row.run_id is not None and row.run_id != run_id else None
    known = Evidence(run, current, row.version, FIRST, "", _figures(run, current, None, None))
    if current is None:
        return _first(known)
    name, other = known.name, f"{current.engine} #{current.id}"
    try:
        weighed = _weighed(run, current)
    except Refused as error:
        return replace(known, stance=MISSING, sentence=f"There is no verdict against {other}: {error.message}")
    verdict = weighed[ALL, *HEADLINE]
    stance, sentence = _stance(verdict, name, other)
    found = _by_segment(run, current) if segments else {}
    return replace(
        known,
        stance=stance,
        sentence=sentence,
        figures=_figures(run, current, verdict, weighed[ALL, "hr", 10]),
        verdict=verdict,
        losing=_worst({at: one for at, one in found.items() if _worse(one)}),
        gaining=_worst({at: one for at, one in found.items() if _better(one)}),
        segments=len(found),
    )


def put_on_air(
    run_id: int, *, user_id: int | None, who: str, why: str, expected_version: int, knowing: bool
) -> Serving:
    """Put the run on air with what was known then. `knowing`: the person has read that the evidence is against it.

    Raises what serving.put_on_air does, and AgainstTheEvidence, which asks for the second confirmation.
    """
    known = evidence(run_id, segments=False)
    # Who saw another version decides anew anyway: the swap refuses it, and says what came in between.
    if known.version == expected_version and known.against and not knowing:
        raise AgainstTheEvidence(f"{known.sentence} Nothing was changed yet: put it on air all the same, or keep it.")
    return serving.put_on_air(
        run_id, user_id=user_id, who=who, why=why, expected_version=expected_version, known=known.sentence
    )


def roll_back(*, user_id: int | None, who: str, why: str, expected_version: int) -> Serving:
    """Put back what was on air before, at once; what is known about it is kept with the change, and asks nothing."""
    previous = serving.before()
    known = ""
    if previous is not None and previous.artifact is not None:
        known = evidence(previous.id, segments=False).sentence
    return serving.roll_back(user_id=user_id, who=who, why=why, expected_version=expected_version, known=known)


def candidates() -> list[Candidate]:
    """The best run of each engine that could go on air instead of what is, the best first, with verdicts.

    "better" survives Holm over all of them; "worse" need not: a warning may be cheap, a promise may not.
    """
    row = serving.on_air()
    current = runs.get(row.run_id) if row.run_id is not None else None
    lines = best_of_each(row.run_id)[:OFFERED]
    told: list[Verdict | str] = [_against(line.run, current) for line in lines]
    verdicts = [one for one in told if isinstance(one, Verdict)]
    corrected = iter(statistics.holm([one.p for one in verdicts]))
    latencies = _latencies([line.run.id for line in lines])
    found = []
    for line, one in zip(lines, told, strict=True):
        if isinstance(one, Verdict):
            one = replace(one, corrected=next(corrected))
            words = "worse" if _worse(one) else one.words
            found.append(Candidate(line, words, one, latencies.get(line.run.id)))
        else:
            found.append(Candidate(line, one, None, latencies.get(line.run.id)))
    return found


def _against(run: Run, current: Run | None) -> Verdict | str:
    if current is None:
        return "nothing is on air"
    try:
        return _weighed(run, current)[ALL, *HEADLINE]
    except Refused as error:
        return f"no verdict: {error.message}"


def _first(known: Evidence) -> Evidence:
    if known.figures and known.figures[0].mine is not None:
        return replace(known, sentence="Nothing else is on air, so there is nothing to compare it with.")
    return replace(known, stance=MISSING, sentence=f"{known.name} was never judged: nothing is known about its lists.")


def _stance(verdict: Verdict, name: str, other: str) -> tuple[str, str]:
    if _worse(verdict):
        return AGAINST, f"{name} does worse than {other} by {_size(verdict, -1)}."
    if _better(verdict):
        return FOR, f"{name} does better than {other} by {_size(verdict, 1)}."
    return UNCLEAR, f"No clear difference between {name} and {other}: {_size(verdict, 1, signed=True)}."


def _worse(verdict: Verdict) -> bool:
    """A warning: of this pair alone, whatever else is shown."""
    return replace(verdict, corrected=None).words == "worse"


def _better(verdict: Verdict) -> bool:
    return verdict.words == "better"


def _size(verdict: Verdict, sign: int, *, signed: bool = False) -> str:
    low, high = sorted((sign * verdict.low, sign * verdict.high))
    values = (sign * verdict.difference, low, high)
    shown = [("+" if signed and value > 0 else "") + digits(value) for value in values]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _worst(found: Mapping[str, Verdict]) -> tuple[tuple[str, Verdict], ...]:
    """The largest differences first, few of them."""
    ordered = sorted(found.items(), key=lambda pair: -abs(pair[1].difference))
    return tuple((segment_words(name), verdict) for name, verdict in ordered[:NAMED])


def segment_words(name: str) -> str:
    """ "films:head" as people say it."""
    kind, _, which = name.partition(":")
    return f"{which} {kind}" if kind != "genre" else which


Keys = tuple[int, str | None, int, str | None]
Weighed = dict[tuple[str, str, int], Verdict]


def _weighed(run: Run, current: Run) -> Weighed:
    """The verdicts for everybody. Raises Refused where the two can't be compared."""
    comparison.refuse_unlike([run, current], protocols.get(protocols.DEFAULT))
    return _remembered(str(current_app.config["MODELS_DIR"]), _keys(run, current), False)


def _by_segment(run: Run, current: Run) -> dict[str, Verdict]:
    found = _remembered(str(current_app.config["MODELS_DIR"]), _keys(run, current), True)
    return {segment: verdict for (segment, _, _), verdict in found.items()}


def _keys(run: Run, current: Run) -> Keys:
    return run.id, run.artifact_sha256, current.id, current.artifact_sha256


@lru_cache(maxsize=128)  # two artefacts never change, so neither does what is said about them; refusals aren't kept
def _remembered(_models: str, keys: Keys, by_segment: bool) -> Weighed:
    how = protocols.get(protocols.DEFAULT)
    both = [runs.get(keys[0]), runs.get(keys[2])]
    db.session.remove()  # no transaction stays open while files are read
    a, b = (comparison.card(run, how) for run in both)
    try:
        if not by_segment:
            return {(ALL, metric, k): pairs.compare(a, b, metric, k) for metric, _, k in MEASURED}
        names = [name for name in a.names() if name.startswith(SEGMENTS) and name in b.names()]
        found = {(name, *HEADLINE): pairs.compare(a, b, *HEADLINE, name) for name in names}
    except ValueError as error:
        raise Refused(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    return {at: verdict for at, verdict in found.items() if verdict.n >= SMALLEST_SEGMENT}


def _figures(run: Run, current: Run | None, ndcg: Verdict | None, hit_rate: Verdict | None) -> list[Figure]:
    """The lines of the gate's table, from metric rows; only what both have gets a difference."""
    mine, theirs = _numbers(run), _numbers(current) if current is not None else {}
    lines = []
    for (metric, label, _), verdict in zip(MEASURED, (ndcg, hit_rate), strict=True):
        paired = (verdict.difference, verdict.low, verdict.high) if verdict is not None else (None, None, None)
        lines.append(Figure(label, "metric", mine.get(metric), theirs.get(metric), *paired))
    for metric, _, label, kind in TOLD:
        a, b = mine.get(metric), theirs.get(metric)
        lines.append(Figure(label, kind, a, b, a - b if a is not None and b is not None else None))
    return [line for line in lines if line.mine is not None or line.theirs is not None]


def _numbers(run: Run) -> dict[str, float | None]:
    """The run's own figures that the gate shows."""
    query = select(MetricRow.metric, MetricRow.value).where(
        MetricRow.run_id == run.id,
        judging.of_everybody(),
        MetricRow.protocol.in_((protocols.DEFAULT, COST)),
        MetricRow.split == "test",
        (MetricRow.k == 10) | (MetricRow.k.is_(None)),
    )
    return {row.metric: row.value for row in db.session.execute(query)}


def best_of_each(but: int | None) -> list[runs.Line]:
    """The finished run of each engine with the highest NDCG@10, the best first; `but` is left out."""
    best: dict[str, runs.Line] = {}
    for line in runs.lines():
        run = line.run
        if run.state != "done" or run.artifact is None or run.id == but or line.ndcg is None:
            continue
        if run.engine not in best or (line.ndcg.value or 0.0) > (_value(best[run.engine])):
            best[run.engine] = line
    return sorted(best.values(), key=_value, reverse=True)


def _value(line: runs.Line) -> float:
    return line.ndcg.value or 0.0 if line.ndcg is not None else 0.0


def _latencies(run_ids: Sequence[int]) -> dict[int, float | None]:
    query = select(MetricRow.run_id, MetricRow.value).where(
        MetricRow.run_id.in_(run_ids), MetricRow.metric == "latency_p95_ms"
    )
    return {row.run_id: row.value for row in db.session.execute(query)}
