"""What something left behind: silent attempts, waiting runs without a job, folders of no run."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
from flask import Flask
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import update
from training_kit import row_of, state_of

from movierec import artifacts
from movierec.extensions import queue, redis, writing
from movierec.services import sweeping, training, training_job
from movierec.tables import Run, now


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


def test_a_silent_attempt_is_lost_and_a_breathing_one_is_not(trainable: Flask) -> None:
    run_id = ask(trainable, state="running", attempt_id="a", heartbeat_at=ago(15))
    with trainable.app_context():
        assert sweeping.sweep() == []
        change(run_id, heartbeat_at=ago(21))
        assert sweeping.sweep() == [run_id]
        assert sweeping.sweep() == []
    run = row_of(trainable, run_id)
    assert (run.state, run.phase) == ("lost", "")
    assert "no sign of life for 20 s" in run.reason
    assert run.ended_at is not None


def test_a_silent_run_is_found_within_thirty_seconds() -> None:
    """Silence until it counts, and the worker's or a page's next look."""
    from movierec.worker import TEND_EVERY

    assert sweeping.SILENT_AFTER.total_seconds() + TEND_EVERY < 30


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
        orphan = artifacts.save(root, engine, facts={}).folder
        assert sweeping.sweep_artifacts() == []
        assert orphan in caplog.text
        yesterday = time.time() - 25 * 3600
        for folder in (root / "quick").iterdir():
            for path in (*folder.iterdir(), folder):
                os.utime(path, (yesterday, yesterday))
        assert sweeping.sweep_artifacts() == [orphan]
    assert [folder.name for folder in (root / "quick").iterdir()] == [kept]
