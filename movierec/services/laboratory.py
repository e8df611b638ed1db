"""What the laboratory's pages show, gathered: what is on air, the house's machinery, runs, an engine's form."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from movierec.engines import registry
from movierec.evaluation import protocol as protocols
from movierec.extensions import db
from movierec.services import durations, jobs, knobs, parts, runs, series, serving, snapshots, vitals
from movierec.services.errors import NotFound
from movierec.services.serving import Change
from movierec.services.station import station
from movierec.tables import MetricRow, Run, Serving, Snapshot

FIRST = "nextitnet"  # the engine whose form is open at first, where there is one of that name
RECENT = 8


@dataclass(frozen=True)
class Bench:
    """The laboratory's first page."""

    on_air: OnAir
    queue: jobs.QueueState
    snapshot: Snapshot | None
    listings: list[registry.Listing]
    chosen: registry.Listing
    knobs: list[knobs.Knob]
    in_the_way: Run | None  # the chosen engine's own training
    now: Progress
    expects: durations.Expected | None  # how long the chosen engine takes on this data
    presets: list[Preset]
    like: Run | None = None  # the run whose settings fill the form
    most: int = series.MOST  # trainings in one series

    @property
    def given(self) -> dict[str, Any]:
        """What the form begins with where it is not the defaults; None is an empty field."""
        if self.like is None:
            return {}
        told = {name: "" if value is None else value for name, value in self.like.params.items()}
        return told | {"split": self.like.split}


@dataclass(frozen=True)
class Preset:
    """Settings to begin from: those of a run."""

    word: str
    run: Run


@dataclass(frozen=True)
class Progress:
    """Runs that train or wait, and the latest that ended."""

    active: list[Live]
    ended: list[runs.Line]
    series: list[series.Sheet] = field(default_factory=list)  # trainings that were ordered together


@dataclass(frozen=True)
class OnAir:
    """What viewers get now, how it came there, and what was there before."""

    serving: Serving
    line: runs.Line | None
    change: Change | None
    before: Run | None
    trouble: str | None = None  # why it can't be loaded here, and what plays instead


@dataclass(frozen=True)
class Live:
    """How far a run is: what is left, who is before it, what its process needs, what it said last."""

    run: Run
    ahead: list[Run]  # that are trained before it, where it waits
    starts: float | None  # seconds until it begins, where it waits; None where that can't be said
    left: float | None  # seconds until it ends, where it trains
    expects: durations.Expected | None
    log: list[tuple[datetime, str]]
    best: tuple[int, float] | None  # step and value of the highest point of the validation curve


@dataclass(frozen=True)
class Sheet:
    """All about one run."""

    line: runs.Line
    snapshot: Snapshot | None
    settings: list[tuple[str, Any]]  # title of the knob, value
    measured: list[runs.Measured]
    costs: list[MetricRow]
    curves: list[runs.Curve]
    on_air: OnAir
    live: Live

    @property
    def run(self) -> Run:
        return self.line.run

    @property
    def active(self) -> bool:
        """Whether it still waits or trains."""
        return self.run.state in ("queued", "running")

    @property
    def is_on_air(self) -> bool:
        return self.on_air.serving.run_id == self.run.id

    @property
    def servable(self) -> bool:
        """Whether it may be put on air."""
        return self.run.artifact is not None and not self.is_on_air


def knows(engine: str) -> bool:
    """Whether there is an engine of that name, absent ones counted."""
    return any(listing.slug == engine for listing in registry.listings())


def bench(engine: str = "", like: int | None = None) -> Bench:
    """The first page with the form of that engine, filled in as run `like` of it was ordered.

    Raises NotFound for an engine or a run that is not there.
    """
    listings = registry.listings()
    by_slug = {listing.slug: listing for listing in listings}
    chosen = by_slug.get(engine) if engine else by_slug.get(FIRST, listings[0])
    if chosen is None:
        raise NotFound(f"There is no engine {engine!r}. There are: {', '.join(by_slug)}.")
    model = runs.get(like) if like is not None else None
    if model is not None and model.engine != chosen.slug:
        raise NotFound(f"#{model.id} is a run of {model.engine}, not of {chosen.slug}.")
    snapshot = snapshots.current()
    now = progress()
    return Bench(
        on_air(),
        jobs.state(),
        snapshot,
        listings,
        chosen,
        parts.offered(knobs.knobs(chosen.engine, snapshot)),
        next((each.run for each in now.active if each.run.engine == chosen.slug), None),
        now,
        durations.expected(chosen.slug, snapshot.events if snapshot else None),
        presets(chosen.slug, snapshot),
        model,
    )


def presets(engine: str, snapshot: Snapshot | None) -> list[Preset]:
    """The run that validated best on this data, and the latest, where they are: never one chosen on test."""
    if snapshot is None:
        return []
    finished = (Run.engine == engine, Run.state == "done", Run.snapshot_id == snapshot.id, Run.removed_at.is_(None))
    best = (
        select(Run)
        .join(MetricRow, MetricRow.run_id == Run.id)
        .where(*finished, MetricRow.metric == "ndcg", MetricRow.k == 10, MetricRow.split == "validation")
        .where(Run.split == protocols.get(protocols.DEFAULT).split, MetricRow.value.is_not(None))
        .order_by(MetricRow.value.desc(), Run.id)
    )
    latest = select(Run).where(*finished).order_by(Run.id.desc())
    found = {}
    for word, query in (("Best on validation", best), ("Latest", latest)):
        run = db.session.scalars(query.limit(1)).first()
        if run is not None and run.id not in found:
            found[run.id] = Preset(word, run)
    return list(found.values())


def progress() -> Progress:
    """What is being done. Nothing is changed: runs that went silent are shown as such, and ended by the worker."""
    active = runs.active()
    ended = [line for line in runs.lines(limit=RECENT) if line.run not in active]
    return Progress([live(run) for run in active], ended, series.active())


def on_air() -> OnAir:
    """What viewers get now."""
    row = serving.on_air()
    if row.run_id is None:
        return OnAir(row, None, None, None)
    changes = serving.changes()
    line, before = runs.lines(run_id=row.run_id)[0], serving.before()
    return OnAir(row, line, changes[0] if changes else None, before, _trouble(row.version))


def _trouble(version: int) -> str | None:
    """What viewers get in place of an engine that can't be loaded, and why."""
    held = station()
    playing, why = held.tune(version), held.trouble(version)
    if why is None:
        return None
    instead = "the popular films"
    if playing is not None and playing.engine is not None:
        instead = f"{playing.facts.engine} #{playing.facts.run}"
    return f"Its files can't be loaded, so viewers get {instead} instead. {why}"


def sheet(run_id: int) -> Sheet:
    """All about one run. Raises NotFound."""
    found = runs.lines(run_id=run_id)
    if not found:
        raise NotFound("There is no such run.")
    run = found[0].run
    snapshot = runs.snapshot_of(run)
    try:
        titles = {knob.name: knob.title for knob in knobs.knobs(registry.get(run.engine), snapshot)}
    except registry.UnknownEngine:  # its file was taken away; the run's own params still tell all
        titles = {}
    params = sorted(run.params.items(), key=lambda pair: list(titles).index(pair[0]) if pair[0] in titles else -1)
    settings = [(titles.get(name, name), value) for name, value in params]
    measured, costs = runs.measured(run_id)
    curves = runs.curves(run_id)
    return Sheet(found[0], snapshot, settings, measured, costs, curves, on_air(), live(run, curves))


def live(run: Run, curves: list[runs.Curve] | None = None) -> Live:
    """How far a run is, by rows alone: any process can tell it, and it survives the end of any."""
    snapshot = runs.snapshot_of(run)
    events = run.events or (snapshot.events if snapshot else None)
    expects = durations.expected(run.engine, events, run.split)
    ahead = [other for other in runs.active() if other.id < run.id or other.state == "running"]
    ahead = [other for other in ahead if other.id != run.id] if run.state == "queued" else []
    points = [curve.points for curve in curves or runs.curves(run.id) if curve.name.startswith("Validation")]
    known = [(step, value) for step, value in (points[0] if points else []) if value is not None]
    return Live(
        run,
        ahead,
        durations.until_start(ahead, events) if run.state == "queued" else None,
        durations.left(run, expects),
        expects,
        vitals.tail(run.id),
        max(known, key=lambda point: point[1]) if known else None,
    )
