"""The database file: made once, checked before use, migrated under a lock after a copy; never silently replaced."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError

from movierec.config import ROOT
from movierec.extensions import BadDatabase, db

MIGRATIONS = ROOT / "migrations"
RESTORE = "Put a copy back in its place (backups/ beside it holds one from before each upgrade)."
SMALL = 64 * 1024 * 1024  # bytes that are read whole at each start; it takes a few hundredths of a second


def path_of(app: Flask) -> Path:
    """The SQLite file."""
    return Path(make_url(app.config["SQLALCHEMY_DATABASE_URI"]).database or "")


def check(app: Flask, *, thorough: bool = False) -> None:
    """Raises BadDatabase unless the database is there, whole and of this version.

    A large one is read whole only if `thorough`. Leaves no connection open: the caller may fork.
    """
    path = path_of(app)
    if not path.exists():
        raise BadDatabase(f"There is no database at {path} yet: run `flask seed`.")
    check_file(path, thorough=thorough or size(path) < SMALL)
    with app.app_context():
        have, newest = versions(path)
        missing = sorted(set(db.metadata.tables) - set(inspect(db.engine).get_table_names()))
        db.engine.dispose()
    if have != newest:
        raise BadDatabase(f"{path} has schema {have or 'none'}, this version needs {newest}: run `flask seed`.")
    if missing:
        raise BadDatabase(f"{path} lacks {', '.join(missing)}: something removed it from the database. {RESTORE}")


def prepare(app: Flask) -> bool:
    """Make the database if there is none and bring it to this version; says whether anything was done.

    Of several starters one works and the others wait. Raises BadDatabase.
    """
    path = path_of(app)
    with one_at_a_time(app.config["INSTANCE_DIR"] / "migrate.lock"), app.app_context():
        if path.exists():
            check_file(path, thorough=True)
        else:
            _create(path)
        have, newest = versions(path)
        if have == newest:
            return False
        if have is not None:
            _copy(path, have)
        try:
            command.upgrade(app.extensions["migrate"].migrate.get_config(str(MIGRATIONS)), "head")
        except DatabaseError as error:
            raise BadDatabase(
                f"{path} could not be brought to schema {newest} ({error.orig}): it is as it was before."
            ) from error
        return True


def versions(path: Path) -> tuple[str | None, str]:
    """The database's revision and this code's. Raises BadDatabase for a revision that this code doesn't know."""
    scripts = ScriptDirectory(str(MIGRATIONS))
    newest = scripts.get_current_head() or ""
    try:
        with db.engine.connect() as connection:
            have = MigrationContext.configure(connection).get_current_revision()
    except DatabaseError as error:
        raise BadDatabase(f"{path} can't be read ({error.orig}): check its owner and the disk. {RESTORE}") from None
    if have is not None and have not in {script.revision for script in scripts.walk_revisions()}:
        raise BadDatabase(
            f"{path} was made by a newer version (schema {have}, this one knows up to {newest}): "
            "use that version, or put back a copy from before the upgrade (backups/ beside it)."
        )
    return have, newest


def check_file(path: Path, *, thorough: bool) -> None:
    """Raises BadDatabase unless the file is a whole database; every page is read if `thorough`."""
    if path.stat().st_size == 0:
        raise BadDatabase(f"{path} is empty, so something cut it off. {RESTORE}")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=5)) as connection:
            found = connection.execute("PRAGMA quick_check(1)" if thorough else "PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as error:
        raise BadDatabase(f"{path} can't be opened ({error}): check its owner and the disk.") from None
    except sqlite3.DatabaseError as error:
        raise BadDatabase(f"{path} is damaged ({error}). {RESTORE}") from None
    if thorough and found[0] != "ok":
        raise BadDatabase(f"{path} is damaged ({found[0]}). {RESTORE}")


def _create(path: Path) -> None:
    """An empty but valid database, made aside and renamed: a file of zero bytes can then only mean damage."""
    if path.is_symlink():
        raise BadDatabase(f"{path} is a link to {path.readlink()}, which is not there: is its disk mounted?")
    journal = path.with_name(path.name + "-wal")
    if journal.exists():
        raise BadDatabase(f"{journal} is there, but its database is not: put {path} back, or move the -wal file away.")
    aside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(aside.name + "*"):
            leftover.unlink()
        with closing(sqlite3.connect(aside)) as connection:
            connection.execute("VACUUM")  # writes the first page
        aside.chmod(0o600)
        aside.rename(path)
    except (OSError, sqlite3.OperationalError) as error:
        raise BadDatabase(f"{path} can't be made ({error}): is the folder writable, is the disk full?") from None


def _copy(path: Path, revision: str) -> None:
    """A copy from before an upgrade. Under another name until it is whole."""
    folder = path.parent / "backups"
    copy = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-schema-{revision}.sqlite3"
    aside = copy.with_suffix(".part")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(aside)) as target:
            source.backup(target)
        aside.chmod(0o600)
        aside.rename(copy)
    except (OSError, sqlite3.OperationalError) as error:
        raise BadDatabase(
            f"{folder} can't take a copy of the database ({error}), so it was not upgraded: free some disk there."
        ) from None


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Hold this file's lock; wait where another process holds it. Raises BadDatabase where it can't be written."""
    try:
        file = os.open(lock, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadDatabase(f"{lock} can't be written ({error.strerror}): make the folder writable.") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def size(path: Path) -> int:
    """Bytes of the database with its write-ahead log."""
    total = 0
    for suffix in ("", "-wal"):
        with suppress(FileNotFoundError):
            total += path.with_name(path.name + suffix).stat().st_size
    return total
