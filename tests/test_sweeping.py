"""What something left behind: silent attempts, waiting runs without a job, folders of no run."""

from __future__ import annotations

import os
import sqlite3
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from flask import Flask
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from training_kit import row_of, state_of

from movierec import artifacts
from movierec.extensions import queue, redis, writing
from movierec.services import attempt, runs, settings, sweeping, training, training_job
from movierec.tables import Run, now
from movierec.worker import TEND_EVERY


def ask(app: Flask, **columns: object) -> int:
    """A waiting run, with these columns set afterwards."""
    with app.app_context():
        run_id = training.request("quick", {})
        change(run_id, **columns)
    return run_id


def change(run_id: int, **columns: object) -> None:
    if columns:
        with writing() as session:
            session.execute(update(Run).where(Run.id == run_id).values(**columns))


def ago(seconds: float) -> object:
    return now() - timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The sweeping process's own clock, in seconds."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(sweeping, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_silent_attempt_is_lost_and_a_breathing_one_is_not(trainable: Flask, clock: SimpleNamespace) -> None:
    run_id = ask(trainable, state="running", attempt_id="a", heartbeat_at=ago(0))
    with trainable.app_context():
        for _ in range(4):  # it breathes
            change(run_id, heartbeat_at=ago(0))
            assert sweeping.sweep() == []
            clock.now += 15
        assert sweeping.sweep() == []  # the first look at a silence that began up to 15 s ago
        clock.now += 4.9
        assert sweeping.sweep() == []
        clock.now += 0.1
        assert sweeping.sweep() == [run_id]
        assert sweeping.sweep() == []
    run = row_of(trainable, run_id)
    assert (run.state, run.phase) == ("lost", "")
    assert "no sign of life for 20 s" in run.reason
    assert run.ended_at is not None


@pytest.mark.parametrize("wall", [-3600, 3600])
def test_the_clock_on_the_wall_proves_nothing(trainable: Flask, clock: SimpleNamespace, wall: float) -> None:
    """After a suspend or a new time a sign of life seems old, or to come: what counts is whether it changes."""
    run_id = ask(trainable, state="running", attempt_id="a", heartbeat_at=ago(wall))
    with trainable.app_context():
        assert sweeping.sweep() == []
        clock.now += 19
        assert sweeping.sweep() == []
        change(run_id, heartbeat_at=ago(wall - 19))
        clock.now += 19
        assert sweeping.sweep() == []
        clock.now += 20
        assert sweeping.sweep() == [run_id]


def test_a_sign_of_life_in_the_last_moment_counts(
    trainable: Flask, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ask(trainable, state="running", attempt_id="a", heartbeat_at=ago(0))
    end = sweeping.end_from_outside

    def after_a_beat(*args: object, **kwargs: object) -> bool:
        change(run_id, heartbeat_at=ago(-1))
        return end(*args, **kwargs)

    monkeypatch.setattr(sweeping, "end_from_outside", after_a_beat)
    with trainable.app_context():
        assert sweeping.sweep() == []
        clock.now += 20
        assert sweeping.sweep() == []
    assert state_of(trainable, run_id) == "running"


def test_while_others_hold_the_database_silence_does_not_count(trainable: Flask, clock: SimpleNamespace) -> None:
    """A long import holds up the signs of life too."""
    run_id = ask(trainable, state="running", attempt_id="a", heartbeat_at=ago(0))
    other = sqlite3.connect(trainable.config["INSTANCE_DIR"] / "movierec.sqlite3", isolation_level=None)
    with trainable.app_context():
        assert sweeping.sweep_silent() == []
        other.execute("BEGIN IMMEDIATE")
        clock.now += 30
        assert sweeping.sweep_silent() == []
        other.execute("ROLLBACK")
        clock.now += 19
        assert sweeping.sweep_silent() == []
        assert sweeping.sweep_silent() == []
        clock.now += 20
        assert sweeping.sweep_silent() == [run_id]
    other.close()


def test_another_fault_of_the_database_is_raised(
    trainable: Flask, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> bool:
        raise OperationalError("UPDATE", {}, Exception("disk I/O error"))

    ask(trainable, state="running", attempt_id="a", heartbeat_at=ago(0))
    monkeypatch.setattr(sweeping, "end_from_outside", broken)
    with trainable.app_context():
        sweeping.sweep()
        clock.now += 20
        with pytest.raises(OperationalError):
            sweeping.sweep()


def test_who_looks_only_once_stays_for_the_second_look(trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "SILENT_AFTER", timedelta(seconds=0.05))
    run_id = ask(trainable, state="running", attempt_id="a", heartbeat_at=ago(60))
    with trainable.app_context():
        assert sweeping.sweep() == []
        assert sweeping.sweep(patient=True) == [run_id]


def test_a_silent_run_is_found_within_thirty_seconds() -> None:
    """A beat that was missed, the first look after it, silence until it counts, the next look."""
    assert attempt.BEAT_EVERY + 2 * TEND_EVERY + runs.SILENT_AFTER.total_seconds() < 30


def test_what_is_being_written_is_no_orphan(trainable: Flask, caplog: pytest.LogCaptureFixture) -> None:
    unfinished = trainable.config["MODELS_DIR"] / artifacts.TEMPORARY / "00000000-0000-4000-8000-000000000000"
    unfinished.mkdir(parents=True)
    with trainable.app_context():
        assert sweeping.sweep_artifacts() == []
    assert "belongs to no run" not in caplog.text
    assert unfinished.is_dir()


def test_a_waiting_run_that_fell_out_of_the_queue_is_put_back(trainable: Flask) -> None:
    run_id = ask(trainable, created_at=ago(6))
    with trainable.app_context():
        redis().flushall()
        assert sweeping.sweep() == []
        assert queue().job_ids == [str(run_id)]
        assert sweeping.sweep() == []
        assert queue().job_ids == [str(run_id)]  # once, not once a sweep
        assert state_of(trainable, run_id) == "queued"


def test_a_fresh_run_is_given_the_time_to_reach_the_queue(trainable: Flask) -> None:
    ask(trainable)
    with trainable.app_context():
        redis().flushall()
        sweeping.sweep()
        assert queue().job_ids == []


@pytest.mark.parametrize(
    ("status", "silent", "state"),
    [
        ("failed", 0, "lost"),
        ("stopped", 0, "lost"),
        ("started", 1, "queued"),
        ("started", 25, "lost"),
        ("queued", 0, "queued"),
    ],
)
def test_a_waiting_run_whose_worker_died_before_it_began(
    trainable: Flask, status: str, silent: float, state: str
) -> None:
    run_id = ask(trainable, created_at=ago(60))
    with trainable.app_context():
        job = Job.fetch(str(run_id), connection=redis(), serializer=JSONSerializer)
        queue().remove(job)
        job.set_status(status)
        job.heartbeat(now() - timedelta(seconds=silent), 60)
        sweeping.sweep()
    run = row_of(trainable, run_id)
    assert run.state == state
    assert state == "queued" or run.reason == sweeping.DIED


def test_without_redis_a_waiting_run_waits(trainable: Flask, valkey, caplog: pytest.LogCaptureFixture) -> None:
    run_id = ask(trainable, created_at=ago(60))
    valkey.kill()
    with trainable.app_context():
        assert sweeping.sweep() == []
    assert state_of(trainable, run_id) == "queued"
    assert "the queue can't be looked through" in caplog.text


def test_folders_of_no_run_are_told_at_once_and_removed_after_a_day(
    trainable: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash between the rename and the row leaves such a folder; it is never put on air by itself."""
    run_id = ask(trainable)
    root = trainable.config["MODELS_DIR"]
    with trainable.app_context():
        training_job.execute(run_id)
        kept = row_of(trainable, run_id).artifact
        engine = artifacts.load(root, "quick", kept)
        orphan = artifacts.save(root, engine, facts={"site": settings.site_id()}).folder
        theirs = artifacts.save(root, engine, facts={"site": "another that shares models/ by mistake"}).folder
        unreadable = artifacts.save(root, engine, facts={"site": settings.site_id()}).folder
        (root / "quick" / unreadable / "state.npz").unlink()
        assert sweeping.sweep_artifacts() == []
        assert orphan in caplog.text
        yesterday = time.time() - 25 * 3600
        for folder in (root / "quick").iterdir():
            for path in (*folder.iterdir(), folder):
                os.utime(path, (yesterday, yesterday))
        assert sweeping.sweep_artifacts() == [orphan]
    assert {folder.name for folder in (root / "quick").iterdir()} == {kept, theirs, unreadable}
