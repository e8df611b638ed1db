"""Signed-in browsers as rows: begin, read in one query, end."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_login import UserMixin
from sqlalchemy import delete, select, update

from movierec.extensions import db, writing
from movierec.tables import Serving, Session, User, now

IDLE = {True: timedelta(days=30), False: timedelta(hours=12)}  # by "keep me signed in"
ABSOLUTE = timedelta(days=90)
FRESH = timedelta(minutes=15)  # how long a given password counts for changes of the account
TOUCH_EVERY = timedelta(minutes=5)  # last_seen_at need not be written at each request


@dataclass(frozen=True)
class Viewer(UserMixin):
    """Who asks, as one row read tells it; role and active flag are never older than the request."""

    id: int
    name: str
    role: str
    demo: bool
    history_version: int
    serving_version: int
    token_sha256: str
    proven_at: datetime

    def may(self, role: str) -> bool:
        """Whether this viewer may do what `role` may. Everyone may what a user may; no role includes another else."""
        return role in ("user", self.role)

    @property
    def fresh(self) -> bool:
        """Whether the password was given a short while ago."""
        return now() - self.proven_at < FRESH

    def get_id(self) -> str:
        """Flask-Login's name for the person."""
        return str(self.id)


def begin(user_id: int, *, remember: bool, agent: str = "") -> str:
    """A new session's token, to be put into the cookie; only its hash is kept."""
    token = secrets.token_urlsafe(32)
    with writing() as session:
        session.execute(delete(Session).where(Session.expires_at < now()))
        session.add(
            Session(
                token_sha256=_sha256(token),
                user_id=user_id,
                remember=remember,
                agent=agent[:200],
                expires_at=now() + ABSOLUTE,
            )
        )
    return token


def viewer(token: str) -> Viewer | None:
    """Who holds this token, read afresh; None when unknown, idle too long, past its end, or the person not active."""
    hashed = _sha256(token)
    row = db.session.execute(
        select(
            User.id,
            User.name,
            User.role,
            User.demo,
            User.history_version,
            Session.remember,
            Session.last_seen_at,
            Session.expires_at,
            Session.proven_at,
            select(Serving.version).where(Serving.id == 1).scalar_subquery().label("serving_version"),
        )
        .join(Session, Session.user_id == User.id)
        .where(Session.token_sha256 == hashed, User.active)
    ).one_or_none()
    moment = now()
    if row is None or moment >= row.expires_at or moment - row.last_seen_at >= IDLE[row.remember]:
        return None
    if moment - row.last_seen_at > TOUCH_EVERY:
        with writing() as session:
            session.execute(update(Session).where(Session.token_sha256 == hashed).values(last_seen_at=moment))
    return Viewer(
        row.id, row.name, row.role, row.demo, row.history_version, row.serving_version or 0, hashed, row.proven_at
    )


def end(token_sha256: str) -> None:
    """End this session; the cookie is worth nothing from now on."""
    with writing() as session:
        session.execute(delete(Session).where(Session.token_sha256 == token_sha256))


def end_all(user_id: int, *, but: str | None = None) -> int:
    """End the person's sessions, all or all `but` one; says how many."""
    with writing() as session:
        return session.execute(
            delete(Session).where(Session.user_id == user_id, Session.token_sha256 != (but or ""))
        ).rowcount


def prove(token_sha256: str) -> None:
    """Note that the password was given just now."""
    with writing() as session:
        session.execute(update(Session).where(Session.token_sha256 == token_sha256).values(proven_at=now()))


def of(user_id: int) -> list[Session]:
    """The person's sessions, the most recently seen first."""
    rows = select(Session).where(Session.user_id == user_id).order_by(Session.last_seen_at.desc())
    return list(db.session.execute(rows).scalars())


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
