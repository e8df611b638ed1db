"""A real Valkey and a real worker: what is killed, stopped or tampered with, and what the row says about it."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from flask import Flask
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from training_kit import HERE, WorkerProcess, alive, row_of, state_of, until

from movierec import artifacts, worker
from movierec.extensions import db, queue, redis, writing
from movierec.services import jobs, sweeping, training
from movierec.services.errors import Conflict, Refused
from movierec.tables import Run

RACES = int(os.environ.get("RACES", "6"))  # of cancel against a real worker, at random moments


def ask(app: Flask, engine: str = "quick", given: dict[str, object] | None = None) -> int:
    with app.app_context():
        return training.request(engine, given or {})


def trains(app: Flask, run_id: int) -> None:
    until(lambda: row_of(app, run_id).step > 1, 15, "the first report")


def some_run(app: Flask) -> None:
    """So that the worker orders no first run."""
    with app.app_context(), writing() as session:
        session.add(Run(engine="past", params={}, state="cancelled", code_version="0"))


@pytest.fixture
def site(trainable: Flask) -> Flask:
    some_run(trainable)
    return trainable


def test_a_worker_trains_what_is_queued_and_ends_at_a_signal(site: Flask, start_worker) -> None:
    process = start_worker()
    first, second = ask(site), ask(site, "broken")
    until(lambda: state_of(site, first) == "done", 20)
    until(lambda: state_of(site, second) == "failed")
    assert row_of(site, second).reason == "ValueError: a defect"
    third = ask(site, "broken", {"rate": 0.75})
    until(lambda: state_of(site, third) == "failed")
    with site.app_context():
        until(lambda: jobs.state().workers == 1)
    until(lambda: f"#{third} is" in process.log.read_text())
    process.process.terminate()
    assert process.process.wait(5) == 0
    lines = process.log.read_text()
    said = [line for line in lines.splitlines() if line.startswith(("INFO", "WARNING"))]
    assert said == [  # one line a job; a defect has its traceback besides
        f"INFO movierec.worker: quick #{first} is done",
        f"INFO movierec.worker: broken #{second} is failed: ValueError: a defect",
        f"INFO movierec.worker: broken #{third} is failed: The loss is no longer a number.",
    ]
    assert lines.count("Traceback") == 1


def test_a_killed_worker_takes_its_horse_along_and_the_run_is_lost_soon(site: Flask, start_worker) -> None:
    process = start_worker()
    run_id = ask(site, "slow")
    trains(site, run_id)
    horse = process.horse()
    process.process.kill()
    start = time.monotonic()
    until(lambda: not alive(horse), 1, "the horse's end")
    assert state_of(site, run_id) == "running"
    start_worker()
    until(lambda: state_of(site, run_id) == "lost", 15)
    assert time.monotonic() - start < 15  # thresholds here are 1.5 s of silence; 20 s in the house
    assert "gave no sign of life for 1.5 s" in row_of(site, run_id).reason
    again = ask(site, "slow")  # and the engine is free
    trains(site, again)


def test_a_killed_horse_is_a_failure_that_names_memory(site: Flask, start_worker) -> None:
    process = start_worker()
    run_id = ask(site, "slow")
    trains(site, run_id)
    start = time.monotonic()
    os.kill(process.horse(), signal.SIGKILL)
    until(lambda: state_of(site, run_id) == "failed", 3)
    assert time.monotonic() - start < 1
    run = row_of(site, run_id)
    assert run.reason.startswith("killed (signal 9): probably out of memory. It held ")
    assert run.peak_memory > 10_000_000
    crashed = ask(site, "broken", {"rate": 0.55})  # kills itself: the next one is told the same, by the same worker
    until(lambda: state_of(site, crashed) == "failed")
    assert process.process.poll() is None


def test_cancel_reaches_the_horse_in_each_state(site: Flask, start_worker) -> None:
    process = start_worker()
    running, waiting = ask(site, "slow"), ask(site)
    trains(site, running)
    with site.app_context():
        assert training.cancel(waiting, keep=False, who="ana") == "cancelled"
        horse, start = process.horse(), time.monotonic()
        assert training.cancel(running, keep=False, who="ana") == "cancelled"
    until(lambda: not alive(horse), 2, "the horse's end")
    assert time.monotonic() - start < 2
    kept = ask(site, "slow")
    trains(site, kept)
    with site.app_context():
        start = time.monotonic()
        training.cancel(kept, keep=True, who="ana")
    until(lambda: state_of(site, kept) == "cancelled")
    assert time.monotonic() - start < 2
    assert row_of(site, kept).artifact
    assert state_of(site, running) == state_of(site, waiting) == "cancelled"
    assert row_of(site, running).artifact is None


def test_keeping_does_not_wait_for_a_long_step_that_has_nothing_to_keep(site: Flask, start_worker) -> None:
    process = start_worker()
    run_id = ask(site, "numb")
    until(lambda: row_of(site, run_id).phase == "training", 15)
    horse, start = process.horse(), time.monotonic()
    with site.app_context():
        assert training.cancel(run_id, keep=True, who="ana") == "cancelled"
    until(lambda: not alive(horse), 2, "the horse's end")
    assert time.monotonic() - start < 2
    assert row_of(site, run_id).reason.startswith("Cancelled by ana before there was anything to keep")
    after = ask(site)
    until(lambda: state_of(site, after) == "done", 20)


def test_cancel_races_against_a_real_worker(site: Flask, start_worker) -> None:
    """At any moment from the queue to the commit: row and files agree, and the worker goes on."""
    process = start_worker()
    dice = random.Random("races")
    for number in range(RACES):
        run_id = ask(site, "quick", {"steps": 3})
        start, offset = time.monotonic(), dice.uniform(0, 1.0)
        until(lambda start=start, offset=offset: time.monotonic() - start >= offset)
        with site.app_context():
            try:
                answer = training.cancel(run_id, keep=bool(number % 2), who="ana")
            except Conflict:
                answer = "done"
        expected = {"cancelled": "cancelled", "done": "done", "running": "cancelled"}[answer]
        until(lambda run_id=run_id, expected=expected: state_of(site, run_id) == expected)
    last = ask(site)
    until(lambda: state_of(site, last) == "done", 20)
    with site.app_context():
        kept = set(db.session.execute(select(Run.artifact).where(Run.artifact.is_not(None))).scalars())
    until(
        lambda: {orphan.folder for orphan in artifacts.orphans(site.config["MODELS_DIR"], ()) if orphan.engine} == kept
    )
    assert process.process.poll() is None


def test_a_stopped_worker_ends_its_training_and_says_so(site: Flask, start_worker) -> None:
    process = start_worker()
    run_id = ask(site, "slow")
    trains(site, run_id)
    process.process.terminate()
    assert process.process.wait(5) == 0
    run = row_of(site, run_id)
    assert (run.state, run.reason) == ("lost", worker.STOPPED)


def test_redis_dies_while_nothing_trains(site: Flask, start_worker, valkey) -> None:
    process = start_worker()
    with site.app_context():
        until(lambda: jobs.state().workers == 1, 15)
    valkey.kill()
    assert process.process.wait(10) == 1


def test_redis_dies_while_something_trains(site: Flask, start_worker, valkey) -> None:
    """The training goes on, for its row needs no Redis; then the worker leaves and a new one takes over."""
    process = start_worker()
    run_id = ask(site, "slow", {"steps": 40})  # 2 s
    trains(site, run_id)
    valkey.kill()
    until(lambda: state_of(site, run_id) == "done", 15)
    assert process.process.wait(10) == 1
    valkey.start()
    start_worker()
    after = ask(site)
    until(lambda: state_of(site, after) == "done", 20)


def test_redis_forgets_everything(site: Flask, start_worker) -> None:
    """FLUSHALL: the waiting run is put back and trained; the worker that Redis does not know any more leaves."""
    lost = ask(site)
    with site.app_context():
        redis().flushall()
    start_worker()
    until(lambda: state_of(site, lost) == "done", 20)
    with site.app_context():
        redis().flushall()
    process = start_worker()
    with site.app_context():
        until(lambda: jobs.state().workers, 15)
        redis().flushall()
    assert process.process.wait(20) == 1


def test_a_plain_rq_worker_with_our_class_works_too(site: Flask, start_worker, valkey) -> None:
    rq = Path(sys.executable).parent / "rq"
    options = ["--url", valkey.url, "--worker-class", "movierec.worker.Worker", "--serializer", "json"]
    start_worker([str(rq), "worker", *options, "movierec"])
    run_id = ask(site, "quick")
    # the test engines are not registered there: the run fails by its own boundary, which is all that must work
    until(lambda: state_of(site, run_id) == "failed", 20)
    assert "There is no engine 'quick'" in row_of(site, run_id).reason


def test_the_first_run_is_ordered_and_goes_on_air_or_says_why_not(trainable: Flask, start_worker) -> None:
    start_worker()

    def first() -> Run | None:
        with trainable.app_context():
            return db.session.execute(
                select(Run).where(Run.state == "done", Run.note.contains("not put on air"))
            ).scalar()

    run = until(first, 20, "the first run's end")
    # "quick" counts views like popularity: no difference beyond doubt
    assert (run.engine, run.origin, run.created_by) == ("quick", "first", None)
    assert "no clear difference" in run.note


class Evil:
    """Makes a file where somebody unpickles it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def tamper(app: Flask, marker: Path) -> list[str]:
    """Put into the queue what somebody who can write to our Redis might; the ids as the log tells them."""
    with app.app_context():
        client, waiting = redis(), queue()
        for number, field, value in (
            (666, "data", pickle.dumps(("os.system", None, (Evil(marker),), {}))),
            (671, "created_at", b"yesterday"),
            (672, "timeout", b"soon"),
            (673, "timeout", b"1"),  # would end a training after a minute
            (674, "status", b"\xff\xfe"),
            (675, "origin", b"\xff"),
            (676, "description", b"x" * 5_000_000),
            (677, "data", zlib.compress(b" " * 50_000_000, 9)[:60_000]),
            (678, "webhooks", b'[{"url": "http://127.0.0.1/", "job_status": "finished"}]'),
            (679, "dependency_ids", b"[1"),
            (680, "success_callback_name", b"os.getcwd"),
        ):
            job = Job.create(jobs.TRAIN, args=(number,), id=str(number), connection=client, timeout=-1,
                             serializer=JSONSerializer)  # fmt: skip
            waiting.enqueue_job(job)
            client.hset(job.key, field, value)
        waiting.enqueue_call("os.system", args=(f"touch {marker}",), job_id="667", timeout=-1)
        waiting.enqueue_call("no.such.function", args=(667,), job_id="681", timeout=-1)
        waiting.enqueue_call(jobs.TRAIN, args=("1; drop",), job_id="668", timeout=-1)
        waiting.enqueue_call(jobs.TRAIN, args=(1, 2), job_id="669", timeout=-1)
        waiting.enqueue_call(jobs.TRAIN, args=(670,), kwargs={"x": 1}, job_id="670", timeout=-1)
        client.set("rq:job:682", "not even a hash")
        client.hset("rq:job:683", "created_at", "2026-01-01T00:00:00Z")  # a hash without data
        client.lpush(waiting.key, b"\xff\xfe", "a" * 100_000, "-1", "1" * 30, "682", "683")
        return [*map(str, range(666, 684)), "\\xff\\xfe", "a" * 40, "-1", "1" * 30]


def test_only_our_job_is_run_and_none_ends_the_worker(site: Flask, start_worker, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    names = tamper(site, marker)
    process = start_worker()
    honest = ask(site)
    until(lambda: state_of(site, honest) == "done", 20)
    assert not marker.exists()
    log = process.log.read_text()
    for name in names:
        assert f"job {name} was not put there by movierec" in log, name
    with site.app_context():
        assert redis().exists(*(f"rq:job:{number}" for number in range(666, 684))) == 0
        assert redis().llen(f"{queue().key}:intermediate") == 0
    assert process.process.poll() is None


def test_garbage_in_the_books_of_rq_does_not_end_the_worker(site: Flask, start_worker) -> None:
    with site.app_context():
        redis().rpush(f"{queue().key}:intermediate", b"\xff\xfe")
        redis().zadd(queue().started_job_registry.key, {b"\xff:\xff": 1})
        redis().set("rq:job:9", "no job")
        redis().zadd(queue().failed_job_registry.key, {"9": 1})
    process = start_worker()
    honest = ask(site)
    until(lambda: state_of(site, honest) == "done", 20)
    until(lambda: "Redis holds what RQ can't read" in process.log.read_text())
    assert process.process.poll() is None


def test_a_job_that_somebody_wrote_over_is_put_back(site: Flask) -> None:
    run_id = ask(site)
    with site.app_context():
        jobs.stop(run_id)
        redis().hset(f"rq:job:{run_id}", mapping={"data": "x", "created_at": "never"})
        jobs.stop(run_id)  # can't be read: says so and goes on
        assert jobs.missing(run_id) == "gone"
        jobs.put(run_id)
        assert jobs.missing(run_id) == ""


def test_the_worker_never_imports_torch() -> None:
    """A thread pool of torch's does not survive a fork."""
    code = "import sys, movierec.worker; sys.exit('torch' in sys.modules or 'onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=HERE.parent, check=False).returncode == 0


def test_without_a_database_or_redis_the_worker_says_so(trainable: Flask, valkey) -> None:
    valkey.kill()
    process = WorkerProcess(trainable)
    assert process.process.wait(15) == 1
    assert "Redis does not answer" in process.log.read_text()
    (trainable.config["INSTANCE_DIR"] / "movierec.sqlite3").unlink()
    process = WorkerProcess(trainable)
    assert process.process.wait(15) == 1
    assert "run `flask seed`" in process.log.read_text()


# -- parts that a process of its own can't show


@pytest.fixture
def idle(site: Flask):
    with site.app_context():
        yield worker.Worker([queue(redis(patient=True))])


def test_tending_survives_a_busy_database_and_a_refusal_and_says_each_once(
    idle: worker.Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults = [OperationalError("SELECT", {}, Exception("database is locked"))] * 2 + [Refused("torch not installed")]

    def fail() -> None:
        raise faults.pop(0)

    monkeypatch.setattr(sweeping, "sweep", fail)
    for _ in range(3):
        idle.tend()
    said = [record.getMessage() for record in caplog.records]
    assert sum("database is locked" in line for line in said) == 1
    assert sum("torch not installed" in line for line in said) == 1


def test_the_end_of_a_horse_is_told_once_the_database_is_free(
    idle: worker.Worker, site: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = ask(site)
    with writing() as session:
        session.execute(update(Run).where(Run.id == run_id).values(state="running", attempt_id="mine"))
    end, faults = worker.end_from_outside, [OperationalError("BEGIN", {}, Exception("database is locked"))] * 2

    def busy_at_first(**told: object) -> bool:
        if faults:
            raise faults.pop()
        return end(**told)

    monkeypatch.setattr(worker, "end_from_outside", busy_at_first)
    job = Job.fetch(str(run_id), connection=redis(), serializer=JSONSerializer)
    idle.attempt_id = "mine"
    idle.handle_work_horse_killed(job, 1, 9, type("Usage", (), {"ru_maxrss": 1000}))
    idle.tend()
    assert state_of(site, run_id) == "running"
    idle.tend()
    assert row_of(site, run_id).reason.startswith("killed (signal 9)")
    assert idle.deaths == []


def test_how_a_horse_died() -> None:
    assert worker._how_it_died(9, 412_000_000) == (
        "killed (signal 9): probably out of memory. It held 412 MB at its fullest."
    )
    assert worker._how_it_died(11, 1_000_000) == "killed (signal 11). It held 1 MB at its fullest."
    assert worker._how_it_died(256, 0) == "The training process ended unexpectedly (status 1)."


def test_a_late_word_about_a_dead_horse_changes_no_other_attempt(idle: worker.Worker, site: Flask) -> None:
    run_id = ask(site)
    with writing() as session:
        session.execute(update(Run).where(Run.id == run_id).values(state="running", attempt_id="theirs"))
    job = Job.fetch(str(run_id), connection=redis(), serializer=JSONSerializer)
    idle.attempt_id = "mine"
    usage = type("Usage", (), {"ru_maxrss": 1000})
    idle.handle_work_horse_killed(job, 1, 9, usage)
    assert state_of(site, run_id) == "running"
    assert json.loads(job.data)[2] == [run_id]
