"""The database file and its migrations: made, upgraded, interrupted, damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from flask import Flask
from kit import settings

from movierec import create_app
from movierec.extensions import BadDatabase, db
from movierec.services import storage

HEAD = "0001"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Flask]:
    """A site without a database."""
    app = create_app(settings(tmp_path))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="session")
def at_head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that the migrations made, whole in one file."""
    app = create_app(settings(tmp_path_factory.mktemp("head")))
    storage.prepare(app)
    with app.app_context():
        db.engine.dispose()
    return storage.path_of(app)


@pytest.fixture
def made(site: Flask, at_head: Path) -> Path:
    """The site's database, at head; its file."""
    return shutil.copyfile(at_head, storage.path_of(site))


def schema(path: Path) -> dict[str, list[str]]:
    """Each object's SQL as SQLite keeps it: its parts without spaces, in a fixed order."""
    named = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(named).fetchall()
    parts = {name: "".join(sql.replace('"', "").split()).removesuffix(")").split(",") for name, sql in rows}
    return {name: sorted(words) for name, words in parts.items() if name != "alembic_version"}


def revise(app: Flask, action: Callable[..., None], target: str) -> None:
    with app.app_context():
        action(app.extensions["migrate"].migrate.get_config(str(storage.MIGRATIONS)), target)
        db.engine.dispose()


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """A database that SQLAlchemy made from the tables, without any migration."""
    app = create_app(settings(tmp_path / "described"))
    path = storage.path_of(app)
    path.touch()
    with app.app_context():
        db.create_all()
        db.engine.dispose()
    return path


def test_an_empty_folder_gets_the_schema_that_the_tables_describe(site: Flask, described: Path) -> None:
    assert storage.prepare(site) is True
    storage.check(site, thorough=True)
    path = storage.path_of(site)
    with site.app_context(), db.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), db.metadata)
        # autogenerate sees no checks and no conditions of indexes, and takes the search index for left-overs
        named = [str(getattr(entry[1], "name", entry[1])) for entry in differences]
        assert all(
            entry[0].startswith("remove_") and "search_" in name for entry, name in zip(differences, named, strict=True)
        )
    assert {name: sql for name, sql in schema(path).items() if "search_" not in name} == schema(described)
    assert path.stat().st_mode & 0o777 == 0o600
    assert storage.prepare(site) is False, "the second time there is nothing to do"
    assert not (path.parent / "backups").exists(), "a new database needs no copy"


def test_down_to_nothing_and_up_again(site: Flask, made: Path) -> None:
    before = schema(made)
    revise(site, command.downgrade, "base")
    assert schema(made) == {}
    revise(site, command.upgrade, "head")
    assert schema(made) == before


DYING = """
import os, sys
from sqlalchemy import event
from movierec import create_app
from movierec.extensions import db
from movierec.services import storage

site = os.path.join(sys.argv[1], "site")
app = create_app({"INSTANCE_DIR": site})
storage.ScriptDirectory(str(storage.MIGRATIONS)).get_current_head()  # each child finds all modules imported

def prepare(number):  # in a process of its own, which is gone before its statement of that number
    ran = []
    with app.app_context():
        @event.listens_for(db.engine, "before_cursor_execute")
        def die(connection, cursor, statement, *more):
            ran.append(statement)
            if len(ran) == number:
                os._exit(9)
    storage.prepare(app)
    os._exit(0)

number, status = 0, 9
while status == 9:
    number += 1
    if not (child := os.fork()):
        prepare(number)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.rename(site, os.path.join(sys.argv[1], str(number)))
    os.mkdir(site)
print(number - 1 if status == 0 else -1)
"""


def test_killed_before_any_statement_it_is_as_before_or_done_and_a_second_run_ends_it(
    tmp_path: Path, empty_database: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path)], cwd=storage.ROOT, check=True, capture_output=True, text=True
    )
    statements = int(ended.stdout)
    assert statements > 40
    whole = schema(empty_database)
    for number in range(1, statements + 1):
        assert schema(tmp_path / str(number) / "movierec.sqlite3") == {}
    for number in range(1, statements + 1, 7):
        app = create_app(settings(tmp_path, INSTANCE_DIR=tmp_path / str(number)))
        assert storage.prepare(app) is True
        assert schema(storage.path_of(app)) == whole
        with app.app_context():
            db.engine.dispose()


def test_of_two_starters_one_migrates_and_the_other_waits(tmp_path: Path) -> None:
    apps = [create_app(settings(tmp_path)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(storage.prepare, apps)) == [False, False, False, True]
    for app in apps:
        storage.check(app)


def test_an_upgrade_makes_a_copy_first_and_a_failed_one_changes_nothing(
    site: Flask, made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("INSERT INTO settings VALUES ('marker', '7')")
        connection.commit()
    scripts = shutil.copytree(storage.MIGRATIONS, tmp_path / "migrations")
    head = "import sqlalchemy as sa\nfrom alembic import op\nrevision='0002'\ndown_revision='0001'\n"
    body = "def upgrade():\n    op.execute('DELETE FROM settings')\n    op.execute('{}')\n"
    (scripts / "versions" / "0002_next.py").write_text(head + body.format("SELECT no_such_column FROM users"))
    monkeypatch.setattr(storage, "MIGRATIONS", scripts)
    with pytest.raises(BadDatabase, match=r"schema 0002 .*no such column.*as it was before"):
        storage.prepare(site)
    copies = list((made.parent / "backups").iterdir())
    assert [copy.stat().st_mode & 0o777 for copy in copies] == [0o600]
    for file in (made, *copies):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT value FROM settings").fetchall() == [(7,)]
            assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    (scripts / "versions" / "0002_next.py").write_text(head + body.format("CREATE TABLE more (id INTEGER)"))
    assert storage.prepare(site) is True
    assert "more" in schema(made)


def test_a_migration_that_leaves_rows_pointing_nowhere_is_undone(
    site: Flask, made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scripts = shutil.copytree(storage.MIGRATIONS, tmp_path / "migrations")
    (scripts / "versions" / "0002_next.py").write_text(
        "from alembic import op\nrevision='0002'\ndown_revision='0001'\n"
        "def upgrade():\n    op.execute(\"INSERT INTO movie_genres VALUES ('Drama', 1, 99)\")\n"
    )
    monkeypatch.setattr(storage, "MIGRATIONS", scripts)
    with pytest.raises(RuntimeError, match="point nowhere"):
        storage.prepare(site)
    with closing(sqlite3.connect(made)) as connection:
        assert connection.execute("SELECT count(*) FROM movie_genres").fetchone() == (0,)


def zero(path: Path) -> None:
    path.write_bytes(b"")


def flip_page_one(path: Path) -> None:
    """Every byte of the schema's page after the header, which is what a lost sector looks like."""
    content = bytearray(path.read_bytes())
    content[100:4096] = bytes(byte ^ 0xFF for byte in content[100:4096])
    path.write_bytes(content)


def flip_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def foreign(path: Path) -> None:
    path.write_text("userId,movieId,rating,timestamp\n" * 1000)


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (zero, "is empty, so something cut it off"),
        (flip_page_one, "is damaged"),
        (flip_header, "is damaged .*not a database"),
        (truncate, "is damaged"),
        (foreign, "is damaged .*not a database"),
        (newer, r"made by a newer version \(schema 9999, this one knows up to"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_and_left_alone(
    site: Flask, made: Path, harm: Callable[[Path], None], sentence: str
) -> None:
    harm(made)
    before = made.read_bytes()
    for act in (storage.check, storage.prepare):
        with pytest.raises(BadDatabase, match=sentence) as refused:
            act(site)
        assert str(made) in str(refused.value)
        assert made.read_bytes() == before


def test_a_missing_database_is_never_made_by_looking(site: Flask) -> None:
    path = storage.path_of(site)
    with pytest.raises(BadDatabase, match=r"no database at .* yet: run `flask seed`"):
        storage.check(site)
    with site.app_context(), pytest.raises(BadDatabase, match="run `flask seed`"):
        db.session.connection()
    assert not path.exists()


def test_a_journal_without_its_database_is_not_built_upon(site: Flask) -> None:
    journal = storage.path_of(site).with_name("movierec.sqlite3-wal")
    journal.write_bytes(b"x" * 100)
    with pytest.raises(BadDatabase, match="its database is not"):
        storage.prepare(site)
    assert not storage.path_of(site).exists()


def test_left_overs_of_a_first_start_that_was_cut_off_do_no_harm(site: Flask) -> None:
    path = storage.path_of(site)
    path.with_name(path.name + ".new").write_bytes(b"half")
    path.with_name(path.name + ".new-journal").write_bytes(b"half")
    assert storage.prepare(site) is True
    assert sorted(entry.name for entry in path.parent.iterdir() if ".new" in entry.name) == []


def test_an_unknown_table_in_the_place_of_ours_is_said(site: Flask) -> None:
    with closing(sqlite3.connect(storage.path_of(site))) as connection:
        connection.execute("CREATE TABLE users (id INTEGER)")
    with pytest.raises(BadDatabase, match="none, this version needs 0001"):
        storage.check(site)
    with pytest.raises(BadDatabase, match=r"already exists.*as it was before"):
        storage.prepare(site)


def test_a_locked_database_is_said(site: Flask, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(made, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        plain = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: plain(*a, **k | {"timeout": 0}))
        with pytest.raises(BadDatabase, match=r"can't be opened .*locked"):
            storage.check(site)


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of its own, and no right to write where others own; as root, by becoming nobody for a while."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def unprivileged() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_cannot_be_written_is_said(as_nobody: Path) -> None:
    app = create_app(settings(as_nobody))
    (as_nobody / "instance").chmod(0o555)
    with unprivileged(), pytest.raises(BadDatabase, match=r"migrate\.lock can't be written \(Permission denied\)"):
        storage.prepare(app)
    (as_nobody / "instance" / "migrate.lock").touch(mode=0o666)
    (as_nobody / "instance" / "migrate.lock").chmod(0o666)
    with unprivileged(), pytest.raises(BadDatabase, match="can't be made"):
        storage.prepare(app)
    assert not storage.path_of(app).exists()


def test_an_upgrade_without_room_for_its_copy_is_not_begun(
    site: Flask, made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scripts = shutil.copytree(storage.MIGRATIONS, tmp_path / "migrations")
    (scripts / "versions" / "0002_next.py").write_text("revision='0002'\ndown_revision='0001'\ndef upgrade(): pass\n")
    monkeypatch.setattr(storage, "MIGRATIONS", scripts)
    (made.parent / "backups").write_text("a file where the folder should be")
    with pytest.raises(BadDatabase, match="can't take a copy"):
        storage.prepare(site)
    monkeypatch.undo()
    storage.check(site)


def test_the_size_counts_the_journal(site: Flask, made: Path) -> None:
    made.with_name(made.name + "-wal").write_bytes(b"x" * 7)
    assert storage.size(made) == made.stat().st_size + 7


def test_a_link_to_nowhere_is_not_built_upon(site: Flask) -> None:
    path = storage.path_of(site)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.parent / "not-mounted" / "movierec.sqlite3")
    with pytest.raises(BadDatabase, match="is its disk mounted"):
        storage.prepare(site)
    assert path.is_symlink()


def test_a_table_that_somebody_removed_is_missed_at_the_start(site: Flask, made: Path) -> None:
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("DROP TABLE login_attempts")
    with pytest.raises(BadDatabase, match="lacks login_attempts"):
        storage.check(site)
