"""The rows of the house: columns, constraints and relations; verbs live in services/."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, DateTime, Dialect, ForeignKey, Index, String, TypeDecorator, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from movierec.extensions import Base

ROLES = ("user", "admin", "scientist")
RUN_STATES = ("queued", "running", "done", "failed", "cancelled", "lost")
ACTIVE_STATES = ("queued", "running")


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime; a naive one is refused, so that no time zone is ever guessed."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To naive UTC, as stored."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Back to aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


class User(Base):
    """A person of the site. `name_key` is the name trimmed, NFKC and casefolded: look-alikes can't coexist."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(128), unique=True)
    password_hash: Mapped[str] = mapped_column(String(256))
    role: Mapped[str] = mapped_column(String(16), default="user")
    active: Mapped[bool] = mapped_column(default=True)
    demo: Mapped[bool] = mapped_column(default=False)
    history_version: Mapped[int] = mapped_column(default=0)  # grows with each change of the history: the cache key
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    __table_args__ = (CheckConstraint(f"role IN {ROLES}", name="role"), {"sqlite_autoincrement": True})


class Session(Base):
    """One signed-in browser. The cookie holds the token, the row only its SHA-256."""

    __tablename__ = "sessions"
    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    remember: Mapped[bool] = mapped_column(default=False)
    agent: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    last_seen_at: Mapped[datetime] = mapped_column(Moment, default=now)
    expires_at: Mapped[datetime] = mapped_column(Moment)  # absolute: nothing moves it
    proven_at: Mapped[datetime] = mapped_column(Moment, default=now)  # when the password was last given


class LoginAttempt(Base):
    """A failed sign-in, or a place that a name signed in from, for the throttle. `name_key` may be nobody's."""

    __tablename__ = "login_attempts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name_key: Mapped[str] = mapped_column(String(128))
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(Moment, default=now)
    __table_args__ = (Index("ix_login_attempts_name_key_at", "name_key", "at"), Index("ix_login_attempts_at", "at"))


class Setting(Base):
    """One fact that the site keeps about itself (registration on or off, hash of the setup token, ...)."""

    __tablename__ = "settings"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)


class Movie(Base):
    """A film of the catalogue. `rank` 1 is the most watched in the source; `genres` and people are lists."""

    __tablename__ = "movies"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(400))  # natural order: "The Third Man"
    sort_title: Mapped[str] = mapped_column(String(400), index=True)  # folded, without article
    other_titles: Mapped[list[str]] = mapped_column(JSON, default=list)
    year: Mapped[int | None] = mapped_column(index=True)
    genres: Mapped[list[str]] = mapped_column(JSON, default=list)
    directors: Mapped[list[str]] = mapped_column(JSON, default=list)
    actors: Mapped[list[str]] = mapped_column(JSON, default=list)
    countries: Mapped[list[str]] = mapped_column(JSON, default=list)
    runtime: Mapped[int | None]  # minutes
    language: Mapped[str | None] = mapped_column(String(16))
    released: Mapped[str | None] = mapped_column(String(10))  # ISO date
    overview: Mapped[str | None]
    poster_path: Mapped[str | None] = mapped_column(String(200))
    imdb_id: Mapped[str | None] = mapped_column(String(16))  # "tt0041959"
    tmdb_id: Mapped[int | None]
    events: Mapped[int] = mapped_column(default=0)  # views in the source's snapshot
    rank: Mapped[int] = mapped_column(index=True)


class MovieGenre(Base):
    """A film in a genre, with the film's rank, so that "best known Westerns" is one index walk."""

    __tablename__ = "movie_genres"
    genre: Mapped[str] = mapped_column(String(32), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    movie_id: Mapped[int] = mapped_column(ForeignKey("movies.id", ondelete="CASCADE"), index=True)


class View(Base):
    """This viewer watched this movie at this time. Removing keeps the row for undo; a film is in a history once."""

    __tablename__ = "views"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    movie_id: Mapped[int] = mapped_column(ForeignKey("movies.id", ondelete="RESTRICT"), index=True)
    watched_at: Mapped[datetime] = mapped_column(Moment)
    rating: Mapped[float | None]  # half stars, 0.5-5
    found_by: Mapped[str | None] = mapped_column(String(32))  # engine of the slate it was marked on
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    removed_at: Mapped[datetime | None] = mapped_column(Moment)
    movie: Mapped[Movie] = relationship(lazy="raise")
    __table_args__ = (
        Index("uq_views_live", "user_id", "movie_id", unique=True, sqlite_where=text("removed_at IS NULL")),
        Index("ix_views_history", "user_id", "watched_at", "id"),
        CheckConstraint(
            "rating IS NULL OR (rating BETWEEN 0.5 AND 5 AND rating * 2 = CAST(rating * 2 AS INTEGER))", name="rating"
        ),
        {"sqlite_autoincrement": True},
    )


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


class Run(Base):
    """One training of one engine with one set of params on one snapshot. This row is the truth about it."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    engine: Mapped[str] = mapped_column(String(32))
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
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
    note: Mapped[str] = mapped_column(default="")
    origin: Mapped[str] = mapped_column(String(16), default="person")  # or "first" of a fresh site
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    started_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    __table_args__ = (
        CheckConstraint(f"state IN {RUN_STATES}", name="state"),
        Index("uq_runs_active", "engine", unique=True, sqlite_where=text("state IN ('queued', 'running')")),
        Index("ix_runs_state", "state"),
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


class Serving(Base):
    """What is on air: one row. `version` grows with each change and is what processes compare."""

    __tablename__ = "serving"
    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="RESTRICT"))
    version: Mapped[int] = mapped_column(default=0)
    __table_args__ = (CheckConstraint("id = 1", name="single"),)


class ServingChange(Base):
    """Who put which run on air, when and why."""

    __tablename__ = "serving_changes"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    previous_run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    who: Mapped[str] = mapped_column(String(64))  # the name as it was then; "the house" for the first run
    why: Mapped[str] = mapped_column(default="")
    at: Mapped[datetime] = mapped_column(Moment, default=now)


class SlateRow(Base):
    """A list that a viewer was given: who made it, which films it put there itself, how long it took."""

    __tablename__ = "slates"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    engine: Mapped[str] = mapped_column(String(32))
    fallback: Mapped[str | None]  # why something else filled in, in a phrase
    movie_ids: Mapped[list[int]] = mapped_column(JSON)
    milliseconds: Mapped[float]
    at: Mapped[datetime] = mapped_column(Moment, default=now, index=True)
