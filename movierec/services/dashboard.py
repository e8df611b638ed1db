"""The laboratory's first page at a glance: how the lists do, the best runs, what is stale, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from movierec.evaluation import protocol as protocols
from movierec.extensions import db
from movierec.services import gate, jobs, judging, runs, serving, snapshots
from movierec.services.production import Production, production
from movierec.tables import MetricRow, Run, ServingChange, Snapshot, View

DATA, REDIS, WORKER, TRAIN, PUT, QUIET = "data", "redis", "worker", "train", "put", "quiet"


@dataclass(frozen=True)
class Champion:
    """The run with the highest figure under one protocol."""

    protocol: protocols.Protocol
    run: Run
    metric: str
    row: MetricRow


@dataclass(frozen=True)
class Board:
    """All of it, from rows."""

    lists: Production
    best: list[runs.Line]  # of each engine, under the default protocol
    others: list[Champion]  # under the other protocols
    stale: int  # finished runs that learnt from another snapshot than today's
    finished: int
    own_views: int  # marked on this site
    newest_view: datetime | None
    changes: list[tuple[str, int, str]]  # ISO day, run, engine: put on air in the days shown
    next_step: str | None


def board(queue: jobs.QueueState) -> Board:
    """Gathered by a fixed number of queries, however many runs there are."""
    snapshot, lists = snapshots.current(), production()
    finished = (Run.state == "done", Run.removed_at.is_(None))
    own, newest = db.session.execute(
        select(func.count(), func.max(View.created_at)).where(View.removed_at.is_(None))
    ).one()
    count, stale = db.session.execute(
        select(func.count(), func.count().filter(Run.snapshot_id != (snapshot.id if snapshot else 0))).where(*finished)
    ).one()
    return Board(
        lists,
        gate.best_of_each(None),
        _champions(),
        stale,
        count,
        own,
        newest,
        _changes(lists),
        _next(queue, snapshot, count, lists),
    )


def _champions() -> list[Champion]:
    found = []
    for protocol in protocols.PROTOCOLS.values():
        if protocol.id == protocols.DEFAULT:
            continue
        query = (
            select(Run, MetricRow)
            .join(MetricRow, MetricRow.run_id == Run.id)
            .where(Run.state == "done", Run.removed_at.is_(None), MetricRow.protocol == protocol.id)
            .where(MetricRow.metric == "ndcg", MetricRow.k == 10, MetricRow.split == "test", judging.of_everybody())
            .where(MetricRow.value.is_not(None))
            .order_by(MetricRow.value.desc(), Run.id)
            .limit(1)
        )
        best = db.session.execute(query).first()
        if best is not None:
            found.append(Champion(protocol, best[0], "NDCG@10", best[1]))
    return found


def _changes(lists: Production) -> list[tuple[str, int, str]]:
    query = (
        select(ServingChange.at, Run.id, Run.engine)
        .join(Run, Run.id == ServingChange.run_id)
        .where(func.date(ServingChange.at) >= lists.days[0].isoformat())
        .order_by(ServingChange.id)
    )
    return [(at.date().isoformat(), run, engine) for at, run, engine in db.session.execute(query)]


def _next(queue: jobs.QueueState, snapshot: Snapshot | None, finished: int, lists: Production) -> str | None:
    """The one thing to do next; None where all is well."""
    if snapshot is None:
        return DATA
    if queue.error:
        return REDIS
    if not queue.workers:
        return WORKER
    if not finished:
        return TRAIN if not runs.active() else None
    if serving.on_air().run_id is None:
        return PUT
    return None if lists.slates else QUIET
