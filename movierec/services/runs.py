"""Reading what was trained: runs with their numbers, curves and words; and measuring a finished run once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import current_app
from sqlalchemy import delete, select

from movierec import artifacts
from movierec.evaluation import harness
from movierec.evaluation import protocol as protocols
from movierec.evaluation.scorecard import COST
from movierec.extensions import db, writing
from movierec.services import judging, outside, snapshots
from movierec.services.attempt import CURVES, rows_of
from movierec.services.errors import NotFound, Refused
from movierec.tables import ACTIVE_STATES, MetricRow, Run, Snapshot, User, now

SILENT_AFTER = timedelta(seconds=20)  # ten beats of an attempt's heart

NAMES = {
    "ndcg": "NDCG", "hr": "Hit rate", "mrr": "MRR", "recall": "Recall", "loss": "Loss",
    "coverage": "Share of the catalogue recommended", "gini": "Gini over films", "novelty": "Novelty in bits",
    "percentile": "Popularity percentile", "diversity": "Variety of genres",
    "latency_p50_ms": "Latency, half of the lists within", "latency_p95_ms": "Latency, 95 % of the lists within",
    "fit_cpu_s": "CPU time of the training", "peak_memory_mb": "Memory at its fullest",
    "artifact_mb": "Size of its files",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A run as a list shows it: the row, its two headline numbers under loo-full, and whose it is."""

    run: Run
    ndcg: MetricRow | None
    hit_rate: MetricRow | None
    by: str

    @property
    def silent(self) -> bool:
        """Whether it is said to train, but gives no sign of life."""
        return silent(self.run)


@dataclass(frozen=True)
class Measured:
    """A run's numbers under one protocol."""

    protocol: protocols.Protocol
    rows: list[MetricRow]
    n: int | None


@dataclass(frozen=True)
class Curve:
    """One live curve: points in the order of the training."""

    name: str
    points: list[tuple[int, float | None]]


def get(run_id: int) -> Run:
    """The run, read afresh. Raises NotFound."""
    run = db.session.get(Run, run_id, populate_existing=True)
    if run is None:
        raise NotFound("There is no such run.")
    if run.removed_at is not None:
        raise NotFound(f"{run.engine} #{run_id} was deleted.")
    return run


def silent(run: Run) -> bool:
    """Whether a run that is said to train gives no sign of life, by the clock on the wall: only to be shown.

    The worker makes sure and ends it; where no worker is alive either, this is what tells.
    """
    return run.state == "running" and run.heartbeat_at is not None and run.heartbeat_at < now() - SILENT_AFTER


def lines(*, limit: int = 200, run_id: int | None = None) -> list[Line]:
    """Runs, the newest first, with their headline numbers; only `run_id` where it is given."""
    query = select(Run, User.name).outerjoin(User, User.id == Run.created_by).order_by(Run.id.desc()).limit(limit)
    query = query.where(Run.removed_at.is_(None))
    if run_id is not None:
        query = query.where(Run.id == run_id)
    found = db.session.execute(query.execution_options(populate_existing=True)).all()
    wanted = select(MetricRow).where(
        MetricRow.run_id.in_([run.id for run, _ in found]),
        MetricRow.protocol == protocols.DEFAULT,
        judging.of_everybody(),
        MetricRow.split == "test",
        MetricRow.k == 10,
    )
    headline = {(row.run_id, row.metric): row for row in db.session.execute(wanted).scalars()}
    return [
        Line(run, headline.get((run.id, "ndcg")), headline.get((run.id, "hr")), name or _by(run)) for run, name in found
    ]


def active() -> list[Run]:
    """Runs that train or wait, the oldest first."""
    query = select(Run).where(Run.state.in_(ACTIVE_STATES)).order_by(Run.id)
    return list(db.session.execute(query.execution_options(populate_existing=True)).scalars())


def snapshot_of(run: Run) -> Snapshot | None:
    """What it learnt from."""
    return db.session.get(Snapshot, run.snapshot_id) if run.snapshot_id is not None else None


def metric_rows(run_id: int) -> list[MetricRow]:
    """All measured numbers of a run, the live curves left out."""
    query = select(MetricRow).where(MetricRow.run_id == run_id, MetricRow.protocol != CURVES).order_by(MetricRow.id)
    return list(db.session.execute(query).scalars())


def measured(run_id: int) -> tuple[list[Measured], list[MetricRow]]:
    """The numbers by protocol, the default protocol first; then the costs."""
    rows = metric_rows(run_id)
    by_protocol = []
    for protocol in protocols.PROTOCOLS.values():
        mine = [row for row in rows if row.protocol == protocol.id and judging.is_of_everybody(row.segment)]
        if mine:
            by_protocol.append(Measured(protocol, mine, mine[0].n))
    return by_protocol, [row for row in rows if row.protocol == COST]


def curves(run_id: int) -> list[Curve]:
    """Loss and validation NDCG@10 as they came in, where the engine reports them."""
    query = (
        select(MetricRow)
        .where(MetricRow.run_id == run_id, MetricRow.protocol == CURVES)
        .order_by(MetricRow.step, MetricRow.id)
    )
    found: dict[str, list[tuple[int, float | None]]] = {}
    for row in db.session.execute(query).scalars():
        name = row.metric if row.k is None else f"{row.metric}@{row.k}"
        found.setdefault(name, []).append((row.step or 0, row.value))
    wanted = {"loss": "Loss", "ndcg@10": "Validation NDCG@10"}
    return [Curve(title, found[name]) for name, title in wanted.items() if name in found]


def label(row: MetricRow) -> str:
    """ "NDCG@10"; a metric without a name of its own keeps its key."""
    name = NAMES.get(row.metric, row.metric)
    return name if row.k is None else f"{name}@{row.k}"


def as_dicts(run: Run, rows: Sequence[MetricRow]) -> list[dict[str, Any]]:
    """Metric rows as every interface of the house hands them out."""
    return [
        {
            "run": run.id,
            "engine": run.engine,
            **{name: getattr(row, name) for name in ("protocol", "segment", "split", "metric", "k")},
            **{name: getattr(row, name) for name in ("value", "low", "high", "n")},
        }
        for row in rows
    ]


def evaluate(
    run_id: int, protocol: str, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[MetricRow]:
    """Measure a run's artefact under a protocol, on the very data it was trained on; the rows replace older ones.

    Raises NotFound, or Refused (unknown protocol or one of another split, no artefact, a damaged one, data that has
    changed).
    """
    run = get(run_id)
    try:
        how = protocols.get(protocol)
    except protocols.UnknownProtocol as error:
        raise Refused(str(error), field="protocol") from error
    if run.artifact is None:
        raise Refused(f"{run.engine} #{run_id} has no artefact to measure: it is {run.state}.")
    if how.split != run.split:
        raise Refused(
            f"{run.engine} #{run_id} was trained under the split {run.split!r}; {how.id} needs {how.split!r}, under "
            "which it would have learnt other films. That is another training: "
            f"flask train {run.engine} --split {how.split}",
            field="protocol",
        )
    snapshot = snapshot_of(run)
    db.session.remove()  # no transaction stays open across what follows
    try:
        root = Path(current_app.config["MODELS_DIR"])
        engine = artifacts.load(root, run.engine, run.artifact, sha256=run.artifact_sha256)
    except artifacts.BadArtifact as error:
        raise Refused(f"{run.engine} #{run_id} can't be measured: {error}") from error
    outside.connected(engine, current_app._get_current_object())  # type: ignore[attr-defined]
    data = snapshots.dataset(snapshot, run.views_until) if snapshot is not None else None
    db.session.remove()
    if data is None or data.sha256 != run.dataset_sha256:
        raise Refused(
            f"The data that {run.engine} #{run_id} learnt from has changed since (a viewer edited or left): "
            "some of the films now asked for may be films it learnt from. For numbers on today's data train it again: "
            f"flask train {run.engine} --split {run.split}"
        )
    card = harness.evaluate(
        engine,
        protocols.split(data, how.id),
        how.id,
        films=judging.films(data.index),
        progress=progress,
    )
    rows = rows_of(run_id, [measure for measure in card.measures() if measure.protocol == how.id])
    with writing() as session:
        session.execute(delete(MetricRow).where(MetricRow.run_id == run_id, MetricRow.protocol == how.id))
        session.add_all(rows)
    return rows


def _by(run: Run) -> str:
    return "movierec" if run.origin == "first" else "nobody who is still here"
