"""One attempt under trouble: others hold the database, a person wants it to stop, its process is killed at the end."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from training_kit import row_of, state_of, until

from movierec import artifacts, extensions
from movierec.engines.base import Cancelled
from movierec.evaluation import protocol as protocols
from movierec.evaluation.statistics import Verdict
from movierec.extensions import BadDatabase, db, writing
from movierec.services import attempt, first_run, runs, serving, snapshots, training, training_job
from movierec.tables import MetricRow, Run


class Writer:
    """Somebody else who holds the write lock for as long as it likes."""

    def __init__(self, app: Flask) -> None:
        path = app.config["INSTANCE_DIR"] / "movierec.sqlite3"
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def begin(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        self.connection.execute("ROLLBACK")


@pytest.fixture
def other(trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    """Waiting for the lock takes 20 ms instead of 5 s."""
    monkeypatch.setattr(extensions, "PATIENCE", 20)
    with trainable.app_context():
        db.session.remove()
        db.engine.dispose()
    writer = Writer(trainable)
    yield writer
    writer.connection.close()


@pytest.fixture
def site(trainable: Flask) -> Iterator[Flask]:
    with trainable.app_context():
        yield trainable


def ask(app: Flask, engine: str = "quick", **more: Any) -> int:
    with app.app_context():
        return training.request(engine, {"steps": 3} if engine == "quick" else {}, **more)


def do(app: Flask, run_id: int) -> str | None:
    with app.app_context():
        return training_job.execute(run_id)


def in_a_thread(app: Flask, run_id: int) -> tuple[threading.Thread, list[str | None]]:
    ended: list[str | None] = []
    thread = threading.Thread(target=lambda: ended.append(do(app, run_id)))
    thread.start()
    return thread, ended


def losses(app: Flask, run_id: int) -> list[float | None]:
    with app.app_context():
        query = select(MetricRow.value).where(MetricRow.run_id == run_id, MetricRow.metric == "loss")
        return list(db.session.scalars(query.order_by(MetricRow.step)))


# -- others hold the database


def test_what_is_reported_while_others_write_is_kept_and_told_later(
    trainable: Flask, other: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "REPORT_EVERY", 0.0)
    run_id = ask(trainable)
    with trainable.app_context(), attempt.claim(trainable, run_id, "mine") as held:
        other.begin()
        held.note(events=7)
        held.phase("training")
        held.report(1, 3, loss=0.5)
        held.report(2, 3, loss=0.25)
        assert (row_of(trainable, run_id).phase, losses(trainable, run_id)) == ("reading", [])
        other.end()
        held.report(3, 3, loss=0.125)
        row = row_of(trainable, run_id)
        assert (row.phase, row.step, row.total, row.events) == ("training", 3, 3, 7)
        assert losses(trainable, run_id) == [0.5, 0.25, 0.125]
        other.begin()
        held.report(3, 3, loss=0.0625)
        other.end()
        assert held.end("done") == "done"
    assert losses(trainable, run_id)[-1] == 0.0625  # step 3 twice; what was never told before is told at the end


def test_a_fault_that_is_not_the_lock_is_raised(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> bool:
        raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

    run_id = ask(site)
    with attempt.claim(site, run_id, "mine") as held:
        monkeypatch.setattr(held, "_write", full)
        with pytest.raises(OperationalError, match="disk is full"):
            held.flush()


def test_the_end_waits_for_the_database_and_loses_nothing(
    trainable: Flask, other: Writer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save = artifacts.save

    def then_lock(*args: Any, **kwargs: Any) -> artifacts.Saved:
        saved = save(*args, **kwargs)
        other.begin()
        return saved

    monkeypatch.setattr(artifacts, "save", then_lock)
    run_id = ask(trainable)
    thread, ended = in_a_thread(trainable, run_id)
    until(lambda: caplog.text.count("waits for the database, which is busy") > 2, 20)
    assert state_of(trainable, run_id) == "running"
    other.end()
    thread.join(20)
    run = row_of(trainable, run_id)
    assert (ended, run.state) == (["done"], "done")
    artifacts.verify(trainable.config["MODELS_DIR"], "quick", run.artifact, sha256=run.artifact_sha256)


def test_the_end_is_not_waited_for_without_end(
    trainable: Flask, other: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "END_WITHIN", 0.0)
    run_id = ask(trainable)
    with trainable.app_context(), attempt.claim(trainable, run_id, "mine") as held:
        other.begin()
        with pytest.raises(OperationalError, match="locked"):
            held.end("done")
        other.end()


def test_a_row_that_cannot_be_written_leaves_the_files_to_be_found(
    trainable: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody knows then whose row it is; who had trained for hours may still want what came out."""

    def refuse(*_: object, **__: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("disk I/O error"))

    run_id = ask(trainable)
    monkeypatch.setattr(attempt.Attempt, "end", refuse)
    with pytest.raises(OperationalError):
        do(trainable, run_id)
    assert len(artifacts.orphans(trainable.config["MODELS_DIR"], ())) == 1
    assert f"run {run_id} could not be ended" in caplog.text
    assert state_of(trainable, run_id) == "running"  # silent from now on: the sweep finds it


@pytest.mark.parametrize(
    "fault", [OperationalError("SELECT", {}, Exception("database is locked")), BadDatabase("There is no database.")]
)
def test_the_pulse_goes_on_whatever_the_database_says(
    trainable: Flask, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    beats: list[int] = []
    look = attempt.Attempt._look

    def ill_at_first(self: attempt.Attempt) -> None:
        beats.append(1)
        if len(beats) == 1:
            raise fault
        look(self)

    monkeypatch.setattr(attempt, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(attempt, "BEAT_EVERY", 0.0)
    monkeypatch.setattr(attempt.Attempt, "_look", ill_at_first)
    run_id = ask(trainable)
    with trainable.app_context(), attempt.claim(trainable, run_id, "mine"):
        before = row_of(trainable, run_id).heartbeat_at
        until(lambda: row_of(trainable, run_id).heartbeat_at > before, what="a beat")
    assert len(beats) > 1


# -- a person wants it to stop


def stop(app: Flask, run_id: int) -> None:
    with app.app_context():
        training.cancel(run_id, keep=True, who="ana")


def test_a_stop_is_heard_while_the_data_is_read(trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        reading.set()
        go_on.wait(30)

    monkeypatch.setattr(snapshots, "dataset", slow)
    run_id = ask(trainable)
    thread, ended = in_a_thread(trainable, run_id)
    try:
        assert reading.wait(20)
        stop(trainable, run_id)
        thread.join(5)  # the reading itself never ends
        assert ended == [None]  # the row was ended by the one who stopped it: nothing was there to keep
        assert row_of(trainable, run_id).state == "cancelled"
    finally:
        go_on.set()


def test_each_validation_looks_for_a_stop_first(site: Flask) -> None:
    holdout = protocols.split(snapshots.dataset(snapshots.current(), 0))
    with attempt.claim(site, ask(site), "mine") as held:
        held.wanted = "keep"
        with pytest.raises(Cancelled):
            training_job._validator(held, holdout)(SimpleNamespace())


def test_a_stop_is_heard_while_the_first_run_is_compared(trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = first_run.judge

    def stopped(holdout: Any, cards: Any, check: Any) -> Verdict:
        stop(trainable, run_id)

        def wait_for_it() -> bool:
            try:
                check()
            except Cancelled:
                return True
            return False

        until(wait_for_it)
        return judge(holdout, cards, check)

    monkeypatch.setattr(first_run, "judge", stopped)
    run_id = ask(trainable, origin="first")
    assert do(trainable, run_id) == "cancelled"
    assert row_of(trainable, run_id).artifact is not None


def test_the_comparison_of_the_first_run_looks_for_a_stop_in_both_its_parts(site: Flask) -> None:
    holdout = protocols.split(snapshots.dataset(snapshots.current(), 0))
    card = SimpleNamespace(protocol=first_run.PROTOCOL)
    for harmless in (0, 1):  # popularity's training, then its batches
        looks: list[int] = []

        def check(looks: list[int] = looks, harmless: int = harmless) -> None:
            looks.append(1)
            if len(looks) > harmless:
                raise Cancelled

        with pytest.raises(Cancelled):
            first_run.judge(holdout, [card], check)
        assert len(looks) == harmless + 1


# -- no transaction stays open across long work


def test_nothing_is_open_while_data_and_artefacts_are_read(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def watched(name: str, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            seen.append(f"{name} {db.session().in_transaction()}")
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(snapshots, "dataset", watched("read", snapshots.dataset))
    monkeypatch.setattr(artifacts, "load", watched("load", artifacts.load))
    run_id = ask(site)
    do(site, run_id)
    serving.put_on_air(run_id, user_id=None, who="ana", why="good", expected_version=0)
    runs.evaluate(run_id, "loo-full")
    assert seen == ["read False", "load False", "load False", "read False"]


# -- its process is killed


def test_a_first_run_is_done_and_decided_about_at_one_moment(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed right after the row has ended: nothing is left to be done then."""

    class Killed(BaseException):
        pass

    end = attempt.Attempt.end

    def killed(self: attempt.Attempt, *args: Any, **kwargs: Any) -> None:
        end(self, *args, **kwargs)
        raise Killed

    monkeypatch.setattr(attempt.Attempt, "end", killed)
    monkeypatch.setattr(first_run, "judge", lambda *_: Verdict(0.05, 0.0312, 0.07, 0.001, 40))
    run_id = ask(site, origin="first")
    with pytest.raises(Killed):
        do(site, run_id)
    assert (runs.get(run_id).state, serving.on_air().run_id) == ("done", run_id)
    assert "put on air because it beats popularity" in runs.get(run_id).note


def test_a_first_run_that_was_stopped_is_not_decided_about(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> Verdict:
        with writing() as session:
            session.execute(update(Run).values(cancel="keep"))
        return Verdict(0.05, 0.0312, 0.07, 0.001, 40)

    monkeypatch.setattr(attempt, "LOOK_EVERY", 60.0)  # only the end notices
    monkeypatch.setattr(first_run, "judge", stopped)
    run_id = ask(site, origin="first")
    assert do(site, run_id) == "cancelled"
    assert serving.on_air().run_id is None
