"""Numbers under one more protocol: asked for once, done by the worker, put back when lost, with a reason when not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from training_kit import Valkey, until

from movierec.extensions import db, queue, redis, writing
from movierec.services import jobs, measuring, training, training_job
from movierec.services.errors import Conflict, NotFound, Refused, Unavailable
from movierec.tables import Measurement, MetricRow, Run, now

EASY = "loo-sampled100"


@pytest.fixture
def run_id(trainable: Flask) -> int:
    """A finished run whose numbers under the easier protocol are gone."""
    with trainable.app_context():
        number = training.request("quick", {"steps": 2}, enqueue=False)
        training_job.execute(number)
        with writing() as session:
            session.execute(delete(MetricRow).where(MetricRow.protocol == EASY))
    return number


def rows(app: Flask) -> int:
    with app.app_context():
        return len(db.session.execute(select(MetricRow.id).where(MetricRow.protocol == EASY)).all())


def told(app: Flask, number: int) -> Measurement:
    with app.app_context():
        row = db.session.get_one(Measurement, number, populate_existing=True)
        db.session.expunge(row)
        return row


def test_it_waits_in_the_queue_and_is_done_once(trainable: Flask, run_id: int) -> None:
    with trainable.app_context():
        number = measuring.ask(run_id, EASY, by=None)
        assert queue().job_ids == [f"m{number}"]
        with pytest.raises(Conflict, match="waits already"):
            measuring.ask(run_id, EASY, by=None)
        assert [row.protocol for row in measuring.of_run(run_id)] == [EASY]
        measuring.execute(number)
        measuring.execute(number)  # what is done stays done
        assert measuring.of_run(run_id) == []
        measuring.execute(4711)
    assert rows(trainable) > 0
    assert told(trainable, number).ended_at is not None


def test_a_worker_does_it(trainable: Flask, run_id: int, start_worker) -> None:
    with trainable.app_context():
        number = measuring.ask(run_id, EASY, by=None)
    start_worker()
    until(lambda: told(trainable, number).ended_at, 60, "the measurement")
    assert told(trainable, number).reason is None
    assert rows(trainable) > 0


def test_what_cannot_be_measured_says_why(trainable: Flask, run_id: int, valkey: Valkey) -> None:
    with trainable.app_context():
        with pytest.raises(NotFound):
            measuring.ask(4711, EASY, by=None)
        with pytest.raises(Refused, match="no protocol"):
            measuring.ask(run_id, "mine", by=None)
        with pytest.raises(Refused, match="that is a new training"):
            measuring.ask(run_id, "time-full", by=None)
        valkey.kill()
        with pytest.raises(Unavailable, match="Nothing was measured"):
            measuring.ask(run_id, EASY, by=None)
        assert [row.reason for row in measuring.of_run(run_id)] == [measuring.NO_QUEUE]
        with writing() as session:
            session.execute(update(Run).values(artifact=None))
        with pytest.raises(Refused, match="has nothing to measure"):
            measuring.ask(run_id, EASY, by=None)


def test_a_failure_is_kept_with_its_reason(trainable: Flask, run_id: int) -> None:
    with trainable.app_context():
        number = measuring.ask(run_id, EASY, by=None)
        with writing() as session:
            session.execute(update(Run).values(dataset_sha256="0" * 64))
        measuring.execute(number)
        assert "has changed since" in (measuring.of_run(run_id)[0].reason or "")


def test_what_fell_out_of_the_queue_is_put_back_and_what_died_ends(
    trainable: Flask, run_id: int, valkey: Valkey
) -> None:
    with trainable.app_context():
        number = measuring.ask(run_id, EASY, by=None)
        redis().flushall()
        measuring.sweep()
        assert queue().job_ids == []  # it may be on its way
        with writing() as session:
            session.execute(update(Measurement).values(asked_at=now() - timedelta(minutes=1)))
        measuring.sweep()
        assert queue().job_ids == [f"m{number}"]
        job = queue().fetch_job(f"m{number}")
        assert job is not None
        assert jobs.ours(job)
        queue().remove(job)
        job.set_status("failed")
        measuring.sweep()
        assert told(trainable, number).reason == measuring.DIED
        with writing() as session:
            session.execute(update(Measurement).values(ended_at=None))
        valkey.kill()
        measuring.sweep()  # nothing can be known
        assert told(trainable, number).ended_at is None
