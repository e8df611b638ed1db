"""Signed-in browsers as rows: begin, read in one query, end."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_login import UserMixin
from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.exc import OperationalError

from movierec.extensions import busy, db, unwritable, writing
from movierec.services.errors import NotFound, Refused
from movierec.tables import Serving, Session, User, now

IDLE = {True: timedelta(days=30), False: timedelta(hours=12)}  # by "keep me signed in"
ABSOLUTE = timedelta(days=90)
FRESH = timedelta(minutes=15)  # how long a given password counts for changes of the account
TOUCH_EVERY = timedelta(minutes=5)  # last_seen_at need not be written at each request

# What user agents say, the more special first: Edge and Opera also say Chrome, and Chrome says Safari.
PROGRAMS = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chrome"), ("CriOS", "Chrome"),
    ("Safari/", "Safari"), ("curl/", "curl"), ("python", "A Python program"),
)  # fmt: skip
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


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
    begun_at: datetime
    remember: bool = False
    renew: bool = False  # the role has changed since this token was given

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


@dataclass(frozen=True)
class Browser:
    """A signed-in browser as its owner sees it. `id` names it in addresses and tells nothing about the token."""

    id: str
    agent: str
    remember: bool
    created_at: datetime
    last_seen_at: datetime
    current: bool

    @property
    def where(self) -> str:
        """ "Firefox on Linux", as far as the browser says so."""
        program = next((word for sign, word in PROGRAMS if sign in self.agent), "A browser")
        system = next((word for sign, word in SYSTEMS if sign in self.agent), "")
        return f"{program} on {system}" if system else program


def begin(user_id: int, *, remember: bool, agent: str = "", matched: str | None = None) -> str:
    """A new session's token, to be put into the cookie; only its hash is kept.

    `matched` is the stored hash that the given password was found to match: where the password was changed or the
    person disabled meanwhile, Refused is raised, so that no session outlives "every other browser is signed out".
    """
    token = secrets.token_urlsafe(32)
    with writing() as session:
        session.execute(delete(Session).where(Session.expires_at < now()))
        stored = session.execute(select(User.password_hash).where(User.id == user_id, User.active)).scalar()
        if stored is None or matched not in (None, stored):
            raise Refused("The account has just changed. Sign in again.")
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
            Session.created_at,
            Session.renew,
            select(Serving.version).where(Serving.id == 1).scalar_subquery().label("serving_version"),
        )
        .join(Session, Session.user_id == User.id)
        .where(Session.token_sha256 == hashed, User.active)
    ).one_or_none()
    moment = now()
    if row is None or moment >= row.expires_at or moment - row.last_seen_at >= IDLE[row.remember]:
        return None
    if moment - row.last_seen_at > TOUCH_EVERY:
        _touch(hashed, moment)
    return Viewer(
        row.id, row.name, row.role, row.demo, row.history_version, row.serving_version or 0, hashed, row.proven_at,
        row.created_at, row.remember, row.renew,
    )  # fmt: skip


def renew(viewer: Viewer) -> str | None:
    """A new token for this session, after a change of role; None where another request was faster or none can be made.

    The session stays the same one, with its end and its form tokens.
    """
    token = secrets.token_urlsafe(32)
    mine = (Session.token_sha256 == viewer.token_sha256, Session.renew)
    try:
        with writing(wait=False) as session:
            changed = session.execute(update(Session).where(*mine).values(token_sha256=_sha256(token), renew=False))
    except OperationalError as error:  # the next page is soon enough
        if not busy(error) and not unwritable(error):
            raise
        return None
    return token if changed.rowcount else None


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


def end_one(viewer: Viewer, browser_id: str) -> Browser:
    """End one of one's own sessions; says which. Raises NotFound, also for somebody else's."""
    for token_sha256, browser in _of(viewer):
        if browser.id == browser_id:
            end(token_sha256)
            return browser
    raise NotFound("There is no such session of yours; it may have ended by itself.")


def prove(token_sha256: str) -> None:
    """Note that the password was given just now."""
    with writing() as session:
        session.execute(update(Session).where(Session.token_sha256 == token_sha256).values(proven_at=now()))


def browsers(viewer: Viewer) -> list[Browser]:
    """Where the person is signed in, the most recently seen first; what has idled too long is left out."""
    return [browser for _, browser in _of(viewer)]


def counts() -> dict[int, tuple[int, datetime]]:
    """user_id -> how many living sessions the person has, and when one was last seen."""
    moment = now()
    idle = [and_(Session.remember == remember, Session.last_seen_at > moment - most) for remember, most in IDLE.items()]
    query = select(Session.user_id, func.count(), func.max(Session.last_seen_at, type_=Session.last_seen_at.type))
    rows = db.session.execute(query.where(Session.expires_at > moment, or_(*idle)).group_by(Session.user_id))
    return {user_id: (number, seen) for user_id, number, seen in rows}


def _of(viewer: Viewer) -> list[tuple[str, Browser]]:
    moment = now()
    rows = select(Session).where(Session.user_id == viewer.id).order_by(Session.last_seen_at.desc())
    return [
        (
            row.token_sha256,
            Browser(
                _sha256(row.token_sha256)[:16],
                row.agent,
                row.remember,
                row.created_at,
                row.last_seen_at,
                row.token_sha256 == viewer.token_sha256,
            ),
        )
        for row in db.session.execute(rows).scalars()
        if moment < row.expires_at and moment - row.last_seen_at < IDLE[row.remember]
    ]


def _touch(token_sha256: str, moment: datetime) -> None:
    """Note the visit, unless the database can't be written just now: a page must be readable then, and at once."""
    try:
        with writing(wait=False) as session:
            session.execute(update(Session).where(Session.token_sha256 == token_sha256).values(last_seen_at=moment))
    except OperationalError as error:
        if not busy(error) and not unwritable(error):
            raise
        db.session.rollback()


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
