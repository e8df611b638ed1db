"""Asking for a training and stopping one. What is asked is a row first, committed, and only then a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError

from movierec.config import VERSION
from movierec.engines import registry
from movierec.engines.base import Engine
from movierec.evaluation import protocol as protocols
from movierec.extensions import db, writing
from movierec.services import jobs, knobs, parts, snapshots
from movierec.services.attempt import CURVES, end_from_outside
from movierec.services.errors import Conflict, NotFound, Refused, Unavailable
from movierec.tables import ACTIVE_STATES, MetricRow, Run, Series, now

LONGEST_NOTE = 300
NO_DATA = "There is no data to learn from yet. Import some first: flask data import."
NO_QUEUE = "The queue could not be reached."


class AlreadyTraining(Conflict):
    """One training of an engine at a time; `run_id` is the one that runs or waits."""

    def __init__(self, engine: str, run_id: int) -> None:
        super().__init__(f"{engine} is being trained already, as #{run_id}. Wait for it or cancel it.")
        self.run_id = run_id


def request(
    engine: str,
    given: Mapping[str, Any],
    *,
    split: str = "loo",
    seed: int | None = None,
    by: int | None = None,
    origin: str = "person",
    note: str = "",
    enqueue: bool = True,
    place: tuple[Series, int] | None = None,
) -> int:
    """Order a training; its run. `given` are knobs as texts or values, `split` parts the data, `by` is a user id.

    `place` is a series and which of its orders this is: it learns from the series' data.
    Raises Refused (unknown or absent engine, unknown split, no data; BadParams with a sentence a knob), AlreadyTraining
    with the run in the way, or Unavailable where the queue can't be reached (the run is then marked failed).
    """
    cls = trainable(engine)
    if split not in protocols.SPLITS:
        raise Refused(f"There is no split {split!r}. There are: {', '.join(protocols.SPLITS)}.", field="split")
    snapshot = snapshots.current()
    if snapshot is None:
        raise Refused(NO_DATA)
    wanted = dict(given) if seed is None else {**given, "seed": seed}
    params = knobs.validated(cls, wanted, snapshot)
    basis = parts.basis(cls(params), split)
    if len(note) > LONGEST_NOTE:
        raise Refused(f"Use at most {LONGEST_NOTE} characters.", field="note")
    run = Run(
        engine=engine,
        params=params.model_dump(mode="json"),
        split=split,
        snapshot_id=basis.snapshot_id if basis else snapshot.id,
        views_until=basis.views_until if basis else None,
        code_version=VERSION,
        created_by=by,
        origin=origin,
        note=note.strip(),
    )
    if place is not None:
        _put_in_series(run, *place, own_data=basis is not None)
    run_id = _insert(run)
    if enqueue:
        _enqueue(run_id)
    return run_id


def _put_in_series(run: Run, series: Series, place: int, *, own_data: bool) -> None:
    """A run of a series learns from the series' data, unless it is made of runs that have their own."""
    run.series_id, run.series_place = series.id, place
    if not own_data:
        run.snapshot_id, run.views_until = series.snapshot_id, series.views_until


def _enqueue(run_id: int) -> None:
    try:
        jobs.put(run_id)
    except Unavailable as error:
        end_from_outside(run_id, "failed", NO_QUEUE)
        raise Unavailable(f"{error.message} Nothing was started.") from error


def cancel(run_id: int, *, keep: bool, who: str) -> str:
    """Stop a waiting or running training; the state it is in now. `keep` wants the best state so far as an artefact.

    A run that waits, that has nothing yet or that need not keep anything is cancelled at once, with its process;
    else it leaves its training within moments and saves. Raises NotFound, or Conflict where it has ended already.
    """
    with writing() as session:
        run = session.get(Run, run_id, populate_existing=True)
        if run is None:
            raise NotFound("There is no such run.")
        if run.state not in ACTIVE_STATES:
            raise Conflict(f"{run.engine} #{run_id} has ended already: it is {run.state}.")
        if keep and _has_something(session, run):
            run.cancel = "keep"
        else:
            before = "it began" if run.state == "queued" else "there was anything to keep" if keep else "it was done"
            run.cancel, run.phase, run.ended_at = "discard", "", now()
            run.state, run.reason = "cancelled", f"Cancelled by {who} before {before}; nothing was kept."
        state = run.state
    if state == "cancelled":
        jobs.stop(run_id)
    return state


def _has_something(session: Any, run: Run) -> bool:
    """Whether there may be a state worth keeping: the first point of a curve tells, or that the fit is over.

    Before that an engine may be deep in one long step (reading, a decomposition) that hears of no wish.
    """
    if run.state != "running" or run.phase in ("", "reading"):
        return False
    points = exists().where(MetricRow.run_id == run.id, MetricRow.protocol == CURVES)
    return run.phase != "training" or bool(session.execute(select(points)).scalar_one())


def trainable(slug: str) -> type[Engine]:
    """The engine of that name. Raises Refused where it is unknown or can't be trained here, with the reason."""
    try:
        cls = registry.get(slug)
    except registry.UnknownEngine as error:
        raise Refused(str(error), field="engine") from error
    absent = next(listing.absent for listing in registry.listings() if listing.slug == slug)
    if absent:
        raise Refused(f"{slug} can't be trained here: {absent}.", field="engine")
    return cls


def _insert(run: Run) -> int:
    """The new row's id; it takes in all views there are now, unless it says how many.

    The partial unique index decides who was first. Raises AlreadyTraining.
    """
    try:
        with writing() as session:
            if run.views_until is None:
                run.views_until = snapshots.last_view()
            session.add(run)
    except IntegrityError as error:
        active = select(Run.id).where(Run.engine == run.engine, Run.state.in_(ACTIVE_STATES))
        other = db.session.execute(active).scalar_one_or_none()
        if other is None:  # it ended in between, or the snapshot or person is gone: asking again tells
            raise Conflict("Something changed at the same moment. Try again.") from error
        raise AlreadyTraining(run.engine, other) from error
    return run.id
