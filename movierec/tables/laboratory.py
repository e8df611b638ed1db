"""Snapshots of events, runs, and the numbers that runs got."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from movierec.extensions import Base
from movierec.tables.base import Moment, now

RUN_STATES = ("queued", "running", "done", "failed", "cancelled", "lost")
ACTIVE_STATES = ("queued", "running")


class Snapshot(Base):
    """One immutable set of historic events under data/snapshots/<folder>; the newest active one feeds trainings."""

    __tablename__ = "snapshots"
    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(64))  # "ml-latest-small", "starter", ...
    simulated: Mapped[bool] = mapped_column(default=False)
    folder: Mapped[str] = mapped_column(String(64), unique=True)
    sha256: Mapped[str] = mapped_column(String(64))
    events: Mapped[int]
    viewers: Mapped[int]
    movies: Mapped[int]
    rejected: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    __table_args__ = (Index("uq_snapshots_active", "active", unique=True, sqlite_where=text("active")),)


class Series(Base):
    """Trainings of one engine ordered together, one for each combination of values; all learn from the same data."""

    __tablename__ = "series"
    id: Mapped[int] = mapped_column(primary_key=True)
    engine: Mapped[str] = mapped_column(String(32))
    split: Mapped[str] = mapped_column(String(16))
    orders: Mapped[list[dict[str, Any]]] = mapped_column(JSON)  # the params of each, in the order of training
    varied: Mapped[list[str]] = mapped_column(JSON)  # the knobs that differ
    snapshot_id: Mapped[int | None] = mapped_column(ForeignKey("snapshots.id"))
    views_until: Mapped[int]
    note: Mapped[str] = mapped_column(default="")
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    stopped_at: Mapped[datetime | None] = mapped_column(Moment)  # nothing more of it is begun
    reason: Mapped[str | None]  # why it was stopped, in a sentence


class Run(Base):
    """One training of one engine with one set of params on one snapshot. This row is the truth about it."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    engine: Mapped[str] = mapped_column(String(32))
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    split: Mapped[str] = mapped_column(String(16), default="loo")  # how its data was parted: which protocols judge it
    state: Mapped[str] = mapped_column(String(16), default="queued")
    reason: Mapped[str | None]  # why it failed, was lost or cancelled, in a sentence
    attempt_id: Mapped[str | None] = mapped_column(String(36))  # fencing token: final writes name it
    heartbeat_at: Mapped[datetime | None] = mapped_column(Moment)
    cancel: Mapped[str | None] = mapped_column(String(8))  # asked to stop: "keep" or "discard"
    step: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    phase: Mapped[str] = mapped_column(String(32), default="")  # "training", "evaluating", "saving"
    snapshot_id: Mapped[int | None] = mapped_column(ForeignKey("snapshots.id"))
    views_until: Mapped[int] = mapped_column(default=0)  # highest view id that took part: the number can be made again
    dataset_sha256: Mapped[str | None] = mapped_column(String(64))
    events: Mapped[int | None]
    artifact: Mapped[str | None] = mapped_column(String(36))  # folder in models/<engine>/
    artifact_sha256: Mapped[str | None] = mapped_column(String(64))  # of its manifest: pins every byte of the folder
    artifact_bytes: Mapped[int | None]
    code_version: Mapped[str] = mapped_column(String(32))
    fit_seconds: Mapped[float | None]  # of CPU time, all threads together
    peak_memory: Mapped[int | None]  # bytes
    cpu_share: Mapped[float | None]  # cores kept busy between its last two signs of life
    memory: Mapped[int | None]  # bytes held at its last sign of life
    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id", ondelete="SET NULL"))
    series_place: Mapped[int | None]  # which of the series' orders it is: each is trained once
    note: Mapped[str] = mapped_column(default="")
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    archived_at: Mapped[datetime | None] = mapped_column(Moment)  # left out of the list unless asked for
    removed_at: Mapped[datetime | None] = mapped_column(Moment)  # deleted; kept a day for undo
    origin: Mapped[str] = mapped_column(String(16), default="person")  # or "first" of a fresh site
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    __table_args__ = (
        CheckConstraint(f"state IN {RUN_STATES}", name="state"),
        Index("uq_runs_active", "engine", unique=True, sqlite_where=text("state IN ('queued', 'running')")),
        Index("ix_runs_state", "state"),
        Index("uq_runs_series", "series_id", "series_place", unique=True),
        {"sqlite_autoincrement": True},
    )


class MetricRow(Base):
    """One number: how it was made stands beside it. Rows of unlike protocols are never charted together."""

    __tablename__ = "metric_rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    metric: Mapped[str] = mapped_column(String(32))
    k: Mapped[int | None]
    protocol: Mapped[str] = mapped_column(String(32))  # "training" for the live curves
    segment: Mapped[str] = mapped_column(String(64), default="all")
    split: Mapped[str] = mapped_column(String(16))  # "train", "validation", "test"
    step: Mapped[int | None]
    value: Mapped[float | None]  # NULL is "not measured"
    low: Mapped[float | None]
    high: Mapped[float | None]
    n: Mapped[int | None]
    __table_args__ = (Index("ix_metric_rows_run", "run_id", "protocol", "split", "metric"),)


class Measurement(Base):
    """A finished run that is to be judged under one more protocol of its split: asked for, then done or failed."""

    __tablename__ = "measurements"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    protocol: Mapped[str] = mapped_column(String(32))
    asked_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    asked_at: Mapped[datetime] = mapped_column(Moment, default=now)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    reason: Mapped[str | None]  # why it failed, in a sentence
    __table_args__ = (
        Index("uq_measurements_open", "run_id", "protocol", unique=True, sqlite_where=text("ended_at IS NULL")),
        {"sqlite_autoincrement": True},
    )


class LogLine(Base):
    """What a training said of itself: the phases it went through and the points of its curves."""

    __tablename__ = "log_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(Moment)
    text: Mapped[str] = mapped_column(String(200))
