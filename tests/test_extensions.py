"""The database as it is opened: D1 (many writers), D2 (a held lock), D8 (foreign keys), and writing() itself."""

import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from kit import together
from sqlalchemy import event, func, select
from sqlalchemy.exc import IntegrityError, OperationalError

from movierec import extensions
from movierec.extensions import BadDatabase, busy, db, unwritable, writing
from movierec.tables import Session, Setting, User, View, now


@contextmanager
def held_lock(app):
    """Another process in the middle of a write."""
    path = Path(app.config["INSTANCE_DIR"]) / "movierec.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def impatient(monkeypatch):
    """Writers give up after 50 ms, so that a held lock need not be waited for."""
    monkeypatch.setattr(extensions, "PATIENCE", 50)


def test_every_pooled_connection_has_the_pragmas(app_context):
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    with db.engine.connect() as first, db.engine.connect() as second:
        for connection in (first, second):
            assert {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted} == wanted


def test_a_row_for_nobody_is_refused(app_context):
    with pytest.raises(IntegrityError), writing() as session:
        session.add(Session(token_sha256="0" * 64, user_id=4711, expires_at=now()))
    assert db.session.execute(select(func.count()).select_from(Session)).scalar() == 0


def test_a_write_outside_writing_is_refused(app_context):
    db.session.add(Setting(key="stray", value=1))
    with pytest.raises(RuntimeError, match="outside writing"):
        db.session.commit()


def test_writing_keeps_all_or_nothing(app_context):
    def break_off():
        with writing() as session:
            session.add(Setting(key="half", value=1))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert db.session.get(Setting, "half") is None
    with writing() as session:
        session.add(Setting(key="whole", value=1))
    assert db.session.get(Setting, "whole").value == 1


def test_writing_does_not_nest(app_context):
    with pytest.raises(RuntimeError, match="does not nest"), writing(), writing():
        pass
    with writing() as session:  # and the session is usable afterwards
        session.add(Setting(key="after", value=1))


def test_writing_sees_what_others_wrote_since_the_session_began_to_read(app):
    with app.app_context():
        assert db.session.get(Setting, "count") is None  # a snapshot is open from here on

        def other(_):
            with app.app_context(), writing() as session:
                session.add(Setting(key="count", value=41))

        together(1, other)
        with writing() as session:
            session.get(Setting, "count").value += 1
        assert db.session.get(Setting, "count", populate_existing=True).value == 42


def test_32_threads_of_read_then_write_lose_nothing(app):
    threads, each = 32, 10
    with app.app_context(), writing() as session:
        session.add(Setting(key="count", value=0))

    def add(_):
        for _ in range(each):
            with app.app_context(), writing() as session:
                row = session.get(Setting, "count")
                row.value = row.value + 1

    assert together(threads, add) == [None] * threads
    with app.app_context():
        assert db.session.get(Setting, "count").value == threads * each


def test_under_a_held_lock_pages_are_read_and_changes_answer_503(impatient, as_viewer, catalogue, app):
    with held_lock(app):
        assert as_viewer.get("/account").status_code == 200
        answer = as_viewer.submit("/movies/1214/watched")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "Nothing was changed" in answer.text
        fragment = as_viewer.submit("/movies/1214/watched", htmx=True)
        assert fragment.status_code == 503
        assert "<html" not in fragment.text
    with app.app_context():
        mine = select(func.count()).select_from(View).where(View.user_id == as_viewer.user_id)
        assert db.session.execute(mine).scalar() == 0
    assert as_viewer.submit("/movies/1214/watched").status_code == 303


def test_writing_without_waiting_gives_up_at_once_and_waits_again_later(app):
    with app.app_context(), held_lock(app):
        with pytest.raises(OperationalError) as caught, writing(wait=False):
            pass
        assert busy(caught.value)
        assert not unwritable(caught.value)
        db.session.rollback()
        assert db.session.connection().exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000


def test_writers_of_a_process_stand_in_line_and_the_line_moves_on(app, impatient):
    inside, go_on, order = threading.Event(), threading.Event(), []

    def first():
        with app.app_context(), suppress(ZeroDivisionError), writing():
            inside.set()
            assert go_on.wait(20)
            order.append("first")
            raise ZeroDivisionError

    holder = threading.Thread(target=first)
    holder.start()
    assert inside.wait(20)
    with app.app_context():
        with pytest.raises(OperationalError) as error, writing():  # waited in line, then at the lock itself
            order.append("never")
        assert busy(error.value)
        go_on.set()
        with writing() as session:  # the one before failed, and still left the line
            order.append("second")
            session.add(Setting(key="k", value=1))
    holder.join()
    assert order == ["first", "second"]
    assert not extensions._turn.locked()


def test_a_read_only_database_still_shows_pages_and_says_507_to_changes(as_viewer, catalogue, app):
    with app.app_context():
        db.engine.dispose()
        event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
    assert as_viewer.get("/account").status_code == 200
    answer = as_viewer.submit("/movies/1214/watched")
    assert answer.status_code == 507
    assert "full or read-only" in answer.text


def test_a_full_disk_is_known_as_such(app_context):
    def fill():
        with writing() as session:
            pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar()
            session.connection().exec_driver_sql(f"PRAGMA max_page_count={pages}")
            session.add(Setting(key="big", value="x" * 1_000_000))

    with pytest.raises(OperationalError) as caught:
        fill()
    assert unwritable(caught.value)
    assert not busy(caught.value)


def test_other_database_errors_are_neither(app_context):
    with pytest.raises(OperationalError) as caught:
        db.session.connection().exec_driver_sql("SELECT nothing FROM nowhere")
    assert not busy(caught.value)
    assert not unwritable(caught.value)


def test_a_missing_database_is_never_made_empty(make_app):
    app = make_app()
    path = Path(app.config["INSTANCE_DIR"]) / "movierec.sqlite3"
    path.unlink()
    with app.app_context(), pytest.raises(BadDatabase, match="flask seed"):
        db.session.execute(select(User))
    assert not path.exists()
    answer = app.test_client().get("/login")
    assert answer.status_code == 503
    assert "flask seed" in answer.text
