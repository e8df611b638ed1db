"""How long a training is likely to take: what earlier ones of the same engine took on data of about the same size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from sqlalchemy import select

from movierec.extensions import db
from movierec.tables import Run, now

ALIKE = 1.5  # data sets differ by at most this factor
LATEST = 10  # trainings looked at


@dataclass(frozen=True)
class Expected:
    """Seconds on the clock, from `n` earlier trainings."""

    seconds: float
    low: float
    high: float
    n: int


def expected(engine: str, events: int | None, split: str | None = None) -> Expected | None:
    """The median of the latest finished trainings; None where there is none on data like this."""
    if not events:
        return None
    query = (
        select(Run.started_at, Run.ended_at)
        .where(
            Run.engine == engine,
            Run.state == "done",
            Run.started_at.is_not(None),
            Run.ended_at.is_not(None),
            Run.events.between(events / ALIKE, events * ALIKE),
        )
        .order_by(Run.id.desc())
    )
    if split is not None:
        query = query.where(Run.split == split)
    moments = db.session.execute(query.limit(LATEST)).all()
    took = [(ended - started).total_seconds() for started, ended in moments if started and ended]
    return Expected(median(took), min(took), max(took), len(took)) if took else None


def left(run: Run, expects: Expected | None) -> float | None:
    """Seconds until a running training ends, by earlier ones; None where nothing can be said."""
    if run.state != "running" or run.started_at is None:
        return None
    gone = (now() - run.started_at) / timedelta(seconds=1)
    return max(0.0, expects.seconds - gone) if expects is not None else None


def until_start(ahead: Sequence[Run], events: int | None) -> float | None:
    """Seconds until a run begins that waits behind these; None where one of their engines was never trained here."""
    total = 0.0
    for other in ahead:
        expects = expected(other.engine, other.events or events)
        if expects is None:
            return None
        total += left(other, expects) or 0.0 if other.state == "running" else expects.seconds
    return total
