"""Judging a finished run under one more protocol: asked for as a row, done by the worker, shown with the run.

Doing it twice does no harm, since the numbers replace older ones; so a job that got lost is simply put back.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from redis.exceptions import RedisError
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from movierec.evaluation import protocol as protocols
from movierec.extensions import db, writing
from movierec.services import jobs, runs
from movierec.services.errors import Conflict, Refused, ServiceError, Unavailable
from movierec.tables import Measurement, now

log = logging.getLogger(__name__)

KIND = "m"  # of the jobs
DIED = "The process that measured it ended unexpectedly. Ask for it again."
UNSEEN = timedelta(seconds=5)  # from the row to its job in the queue
NO_QUEUE = "The queue could not be reached."


def ask(run_id: int, protocol: str, *, by: int | None) -> int:
    """Order it; the measurement's number. Nothing is measured yet.

    Raises NotFound, Refused (unknown protocol, another split, nothing to measure), Conflict where it waits already, or
    Unavailable where the queue can't be reached.
    """
    run = runs.get(run_id)
    if protocol not in protocols.PROTOCOLS:
        raise Refused(f"There is no protocol {protocol[:40]!r}.", field="protocol")
    how = protocols.get(protocol)
    if how.split != run.split:
        raise Refused(
            f"{how.id} parts the data by {how.split}, {run.engine} #{run_id} learnt from the split {run.split}. "
            "Under the other it would have learnt other films: that is a new training.",
            field="protocol",
        )
    if run.artifact is None:
        raise Refused(f"{run.engine} #{run_id} has nothing to measure: it is {run.state}.")
    try:
        with writing() as session:
            row = Measurement(run_id=run_id, protocol=how.id, asked_by=by)
            session.add(row)
    except IntegrityError as error:
        raise Conflict(f"{run.engine} #{run_id} waits already to be measured under {how.id}.") from error
    try:
        jobs.put(row.id, KIND)
    except Unavailable as error:
        _end(row.id, NO_QUEUE)
        raise Unavailable(f"{error.message} Nothing was measured.") from error
    return row.id


def execute(measurement_id: int) -> None:
    """Measure, in the worker. A reason why it can't be done is kept on the row."""
    row = db.session.get(Measurement, measurement_id, populate_existing=True)
    if row is None or row.ended_at is not None:
        return
    run_id, protocol = row.run_id, row.protocol
    db.session.remove()
    try:
        runs.evaluate(run_id, protocol)
    except ServiceError as error:
        _end(measurement_id, error.message)
    else:
        _end(measurement_id, None)


def of_run(run_id: int) -> list[Measurement]:
    """What was asked for and is not done, and the last that failed; the newest first."""
    query = select(Measurement).where(Measurement.run_id == run_id).order_by(Measurement.id.desc())
    latest: dict[str, Measurement] = {}
    for row in db.session.execute(query.execution_options(populate_existing=True)).scalars():
        latest.setdefault(row.protocol, row)
    return [row for row in latest.values() if row.ended_at is None or row.reason]


def sweep() -> None:
    """Put back what fell out of the queue; end what died with its worker."""
    open_ones = select(Measurement.id).where(Measurement.ended_at.is_(None), Measurement.asked_at < now() - UNSEEN)
    for number in db.session.execute(open_ones).scalars().all():
        try:
            fate = jobs.missing(number, KIND)
            if fate == "gone":
                jobs.put(number, KIND)
            elif fate == "died":
                _end(number, DIED)
        except (RedisError, Unavailable) as error:  # without Redis nothing can be known about the queue
            log.warning("the queue can't be looked through: %s", error)
            return


def _end(number: int, reason: str | None) -> None:
    with writing() as session:
        session.execute(
            update(Measurement)
            .where(Measurement.id == number, Measurement.ended_at.is_(None))
            .values(ended_at=now(), reason=reason)
        )
