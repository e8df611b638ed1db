"""People, their sessions and failed sign-ins, and what the site knows about itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from movierec.extensions import Base
from movierec.tables.base import Moment, now

ROLES = ("user", "admin", "scientist")


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
    renew: Mapped[bool] = mapped_column(default=False)  # the role has changed: the next page brings a new token


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
