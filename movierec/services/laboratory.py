"""What the laboratory's pages show, gathered: what is on air, the house's machinery, runs, an engine's form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from movierec.engines import registry
from movierec.services import jobs, knobs, parts, runs, serving, snapshots
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


@dataclass(frozen=True)
class Progress:
    """Runs that train or wait, and the latest that ended."""

    active: list[Run]
    ended: list[runs.Line]


@dataclass(frozen=True)
class OnAir:
    """What viewers get now, how it came there, and what was there before."""

    serving: Serving
    line: runs.Line | None
    change: Change | None
    before: Run | None
    trouble: str | None = None  # why it can't be loaded here, and what plays instead


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


def bench(engine: str = "") -> Bench:
    """The first page with the form of that engine. Raises NotFound for an engine that is not there."""
    listings = registry.listings()
    by_slug = {listing.slug: listing for listing in listings}
    chosen = by_slug.get(engine) if engine else by_slug.get(FIRST, listings[0])
    if chosen is None:
        raise NotFound(f"There is no engine {engine!r}. There are: {', '.join(by_slug)}.")
    snapshot = snapshots.current()
    now = progress()
    return Bench(
        on_air(),
        jobs.state(),
        snapshot,
        listings,
        chosen,
        parts.offered(knobs.knobs(chosen.engine, snapshot)),
        next((run for run in now.active if run.engine == chosen.slug), None),
        now,
    )


def progress() -> Progress:
    """What is being done. Nothing is changed: runs that went silent are shown as such, and ended by the worker."""
    active = runs.active()
    return Progress(active, [line for line in runs.lines(limit=RECENT) if line.run not in active])


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
    return Sheet(found[0], snapshot, settings, measured, costs, runs.curves(run_id), on_air())
