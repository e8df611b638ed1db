"""The shared instances (database, migrations, login, form tokens, queue) and how SQLite is opened."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask, current_app
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import MetaData, event
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Base of all rows; the naming convention lets migrations name every constraint."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate(render_as_batch=True)
login = LoginManager()
csrf = CSRFProtect()

QUEUE = "movierec"
PATIENCE = 5000  # milliseconds that a writer waits for the one before it
_turn = threading.Lock()  # the line in which writers of this process stand


class BadDatabase(Exception):
    """The database can't be used as it is; the sentence names the file and says what to do."""


def init_app(app: Flask) -> None:
    """Bind every extension to the app. Nothing connects anywhere yet."""
    db.init_app(app)
    migrate.init_app(app, db)
    csrf.init_app(app)
    event.listen(db.session, "before_flush", _refuse_stray_writes)
    with app.app_context():
        event.listen(db.engine, "do_connect", _refuse_to_create)
        event.listen(db.engine, "connect", _open_sqlite)
        event.listen(db.engine, "begin", _begin)


def _refuse_to_create(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
    """SQLite makes an empty file where there is none, which would look like data cut off; only `flask seed` may."""
    if not Path(arguments[0]).exists():
        raise BadDatabase(f"There is no database at {arguments[0]} yet: run `flask seed`.")


def _open_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    """WAL so that readers never wait, FULL so that an acknowledged write survives (reliability: F9, F10)."""
    connection.isolation_level = None  # the driver must not begin transactions behind our back
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={PATIENCE}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Any) -> None:
    """Take the write lock at once where the transaction will write (`writing` says so).

    A plain BEGIN that reads and then writes fails at once under other writers, whatever the busy timeout.
    """
    options = connection.get_execution_options()
    if not options.get("wait", True):
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("immediate") else "BEGIN")
    finally:
        if not options.get("wait", True):
            connection.exec_driver_sql(f"PRAGMA busy_timeout={PATIENCE}")


@contextmanager
def writing(*, wait: bool = True) -> Iterator[Any]:
    """One writing transaction: the lock is taken first, the end commits, an exception rolls all of it back.

    Every write of the house goes through here. Read what the decision rests on inside. Does not nest.
    Writers of one process stand in line; SQLite's own waiters ask again and again, and some are never lucky.
    Raises OperationalError where others keep the lock for PATIENCE, in line and then at the lock, or at once without
    `wait`: see `busy`.
    """
    if db.session.info.get("writing"):
        raise RuntimeError("writing() does not nest: call the inner one after the outer has ended")
    db.session.rollback()  # ends a reading transaction that may be open; its snapshot may be old
    mine = wait and _turn.acquire(timeout=PATIENCE / 1000)
    try:
        db.session.connection(execution_options={"immediate": True, "wait": wait})
        db.session.info["writing"] = True
        yield db.session
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    finally:
        db.session.info.pop("writing", None)
        if mine:
            _turn.release()


def busy(error: Exception) -> bool:
    """Whether the database said that another writer holds the lock."""
    return _sqlite_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def unwritable(error: Exception) -> bool:
    """Whether the database said that the disk is full, failing or read-only."""
    return _sqlite_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR)


def _sqlite_code(error: Exception) -> int:
    return int(getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)) & 0xFF


def _refuse_stray_writes(session: Any, _flush: Any, _instances: Any) -> None:
    if not session.info.get("writing"):
        raise RuntimeError("a write outside writing(): it would begin without the lock and may fail under load")


def redis(config: Any = None, *, patient: bool = False) -> Redis:
    """A client of the configured Redis; nothing connects until it is used.

    Gives up after 2 s, unless `patient`: a worker waits on the server for as long as it takes.
    """
    url = (config or current_app.config)["REDIS_URL"]
    return Redis.from_url(url, socket_connect_timeout=2, socket_timeout=None if patient else 2)


def queue(connection: Redis | None = None) -> Queue:
    """The training queue. It carries run ids only, as JSON."""
    return Queue(QUEUE, connection=connection or redis(), serializer=JSONSerializer)
