"""Asking for a training, doing it in this process, stopping it: what the row says is the truth."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from flask import Flask
from redis.exceptions import ConnectionError as RedisConnectionError
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import select, update
from training_kit import LENGTH, VIEWERS, row_of, state_of, until

from movierec import artifacts
from movierec.evaluation.scorecard import Scorecard
from movierec.extensions import db, queue, redis, writing
from movierec.services import attempt, jobs, knobs, snapshots, training, training_job
from movierec.services.errors import Conflict, NotFound, Refused, Unavailable
from movierec.tables import MetricRow, Run, now

RACES = int(os.environ.get("RACES", "12"))  # of cancel against the training's own end, at random moments


def ask(app: Flask, engine: str = "quick", given: dict[str, object] | None = None, **more: object) -> int:
    with app.app_context():
        return training.request(engine, given or {}, **more)


def do(app: Flask, run_id: int) -> str | None:
    with app.app_context():
        return training_job.execute(run_id)


def rows(app: Flask, run_id: int, protocol: str) -> list[MetricRow]:
    with app.app_context():
        query = select(MetricRow).where(MetricRow.run_id == run_id, MetricRow.protocol == protocol)
        return list(db.session.execute(query.order_by(MetricRow.id)).scalars())


def folders(app: Flask) -> list[artifacts.Orphan]:
    return artifacts.orphans(app.config["MODELS_DIR"], ())


# -- asking


def test_a_request_is_a_row_and_then_a_job_that_carries_nothing_but_its_number(trainable: Flask) -> None:
    run_id = ask(trainable, given={"rate": "0.25", "bold": "on", "steps": ""}, seed=7, note=" why not ")
    run = row_of(trainable, run_id)
    assert run.state == "queued"
    # 320 events are more than 100, so the engine's own default for the size is 4 steps
    assert run.params == {"seed": 7, "steps": 4, "rate": 0.25, "bold": True, "taste": "plain"}
    assert run.note == "why not"
    with trainable.app_context():
        job = Job.fetch(str(run_id), connection=redis(), serializer=JSONSerializer)
        assert json.loads(job.data) == [jobs.TRAIN, None, [run_id], {}]
        assert job.timeout == -1
        assert not job.retries_left


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"steps": "0"}, "steps", "Must be a whole number, 1 or more. The default for this data is 4."),
        ({"steps": "many"}, "steps", "Must be a whole number, 1 or more. The default for this data is 4."),
        ({"rate": "0"}, "rate", "Must be a number, above 0, up to 0.9. The default for this data is 0.1."),
        ({"rate": "nan"}, "rate", "Must be a number, above 0, up to 0.9. The default for this data is 0.1."),
        ({"bold": "perhaps"}, "bold", "Must be on or off. The default for this data is False."),
        ({"taste": "sweet"}, "taste", "Must be one of plain, odd."),
        ({"role": "admin"}, "role", "There is no such setting. There are: steps, rate, bold, taste, seed."),
    ],
)
def test_each_knob_that_cannot_be_used_is_told_what_would_be_right(
    trainable: Flask, given: dict[str, object], field: str, said: str
) -> None:
    with pytest.raises(knobs.BadParams) as refused:
        ask(trainable, given=given)
    assert refused.value.fields == {field: said}
    assert refused.value.status == 422
    with trainable.app_context():
        assert db.session.execute(select(Run)).first() is None


def test_what_cannot_be_trained_is_refused_with_the_reason(trainable: Flask, make_app) -> None:
    with pytest.raises(Refused, match="There is no engine 'nothing'"):
        ask(trainable, "nothing")
    with pytest.raises(Refused, match="no_such_library not installed"):
        ask(trainable, "absent")
    with pytest.raises(Refused, match="at most 300 characters"):
        ask(trainable, note="x" * 301)
    with pytest.raises(Refused, match="no data to learn from"):
        ask(make_app())


def test_of_fifty_requests_at_once_exactly_one_is_accepted(trainable: Flask) -> None:
    together = threading.Barrier(50)

    def one(_: int) -> int | training.AlreadyTraining:
        together.wait()
        try:
            return ask(trainable)
        except training.AlreadyTraining as error:
            return error

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(50)))
    accepted = [answer for answer in answers if isinstance(answer, int)]
    assert len(accepted) == 1
    assert {answer.run_id for answer in answers if not isinstance(answer, int)} == set(accepted)
    with trainable.app_context():
        assert queue().job_ids == [str(accepted[0])]


def test_another_engine_may_train_at_the_same_time(trainable: Flask) -> None:
    assert ask(trainable) != ask(trainable, "slow")


def test_a_snapshot_replaced_at_the_same_moment_is_said(trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with trainable.app_context():
        gone = snapshots.current()
        gone.id = 4711
        db.session.expunge(gone)
    monkeypatch.setattr(snapshots, "current", lambda: gone)
    with pytest.raises(Conflict, match="Something changed at the same moment"):
        ask(trainable)


def test_without_redis_nothing_waits_for_ever(trainable: Flask, valkey) -> None:
    valkey.kill()
    with pytest.raises(Unavailable, match="Nothing was started") as unavailable:
        ask(trainable)
    assert unavailable.value.status == 503
    with trainable.app_context():
        run = db.session.execute(select(Run)).scalar_one()
    assert (run.state, run.reason) == ("failed", "The queue could not be reached.")


# -- doing


def test_a_training_leaves_numbers_curves_and_an_artefact(trainable: Flask) -> None:
    run_id = ask(trainable, given={"steps": 5})
    assert do(trainable, run_id) == "done"
    run = row_of(trainable, run_id)
    assert (run.state, run.reason, run.phase, run.events) == ("done", None, "", VIEWERS * LENGTH)
    assert run.started_at <= run.heartbeat_at <= run.ended_at
    assert run.peak_memory > 10_000_000
    assert run.fit_seconds is not None
    losses = [row.value for row in rows(trainable, run_id, "training") if row.metric == "loss"]
    assert losses == [0.5, 0.25, 0.125, 0.0625, 0.03125]  # no point is left out, however quickly they come
    checks = [(row.metric, row.k) for row in rows(trainable, run_id, "training") if row.split == "validation"]
    assert checks == [("ndcg", 10), ("hr", 10), ("hr", 20)]
    for protocol in ("loo-full", "loo-sampled100"):
        measured = rows(trainable, run_id, protocol)
        right = [row for row in measured if row.segment == "all" and row.metric in ("ndcg", "hr", "mrr")]
        assert {(row.metric, row.k) for row in right} == {(m, k) for m in ("ndcg", "hr", "mrr") for k in (5, 10, 20)}
        assert all(row.n == VIEWERS and row.low <= row.value <= row.high for row in right)
    costs = {row.metric for row in rows(trainable, run_id, "cost")}
    assert costs == {"fit_cpu_s", "peak_memory_mb", "artifact_mb", "latency_p50_ms", "latency_p95_ms"}
    kept = (trainable.config["MODELS_DIR"] / "quick" / run.artifact / "loo-full.npz").read_bytes()
    card = Scorecard.from_npz(kept)
    ndcg = next(row.value for row in rows(trainable, run_id, "loo-full") if (row.metric, row.k) == ("ndcg", 10))
    assert np.isclose(np.nanmean(card.values["ndcg", 10]), ndcg)
    manifest = artifacts.verify(trainable.config["MODELS_DIR"], "quick", run.artifact, sha256=run.artifact_sha256)
    assert manifest.dataset == run.dataset_sha256


def test_a_run_is_done_once(trainable: Flask) -> None:
    run_id = ask(trainable)
    assert do(trainable, run_id) == "done"
    assert do(trainable, run_id) is None
    assert len(folders(trainable)) == 1


@pytest.mark.parametrize(
    ("rate", "error", "state", "said"),
    [
        (0.05, ValueError, "failed", "ValueError: a defect"),
        (0.75, Exception, "failed", "The loss is no longer a number."),
        (0.85, MemoryError, "failed", "Out of memory at"),
        (0.65, KeyboardInterrupt, "cancelled", "Stopped with Ctrl-C; nothing was kept."),
    ],
)
def test_what_goes_wrong_is_on_the_row_and_raised_again(
    trainable: Flask, rate: float, error: type[BaseException], state: str, said: str
) -> None:
    run_id = ask(trainable, "broken", {"rate": rate})
    with pytest.raises(error):
        do(trainable, run_id)
    run = row_of(trainable, run_id)
    assert run.state == state
    assert run.reason.startswith(said)
    assert folders(trainable) == []
    if rate < 0.1:
        assert ask(trainable, "broken")  # the engine is free again


def test_a_run_whose_snapshot_lost_its_files_fails_with_what_to_do(trainable: Flask) -> None:
    run_id = ask(trainable)
    for column in (trainable.config["DATA_DIR"] / "snapshots").glob("*/time.npy"):
        column.unlink()
    with pytest.raises(Unavailable):
        do(trainable, run_id)
    assert "Import the data set again" in row_of(trainable, run_id).reason


def test_a_run_without_a_snapshot_fails(trainable: Flask) -> None:
    run_id = ask(trainable)
    with trainable.app_context(), writing() as session:
        session.execute(update(Run).values(snapshot_id=None))
    with pytest.raises(Refused):
        do(trainable, run_id)
    assert row_of(trainable, run_id).reason == "The data that this run was to learn from is gone."


def test_a_full_disk_is_said_and_leaves_nothing(trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "SPARE", 1 << 60)
    run_id = ask(trainable)
    with pytest.raises(artifacts.DiskFull):
        do(trainable, run_id)
    assert row_of(trainable, run_id).reason.startswith("disk full: needs")
    assert folders(trainable) == []


def test_who_finishes_late_leaves_no_files_and_changes_no_row(trainable: Flask) -> None:
    """The fencing: while the attempt was away its row was ended by a sweep, or even taken by another attempt."""
    for change in ({"state": "lost"}, {"attempt_id": "another"}):
        run_id = ask(trainable)

        def end_it(phase: str, *_: object, change: dict[str, str] = change) -> None:
            with trainable.app_context(), writing() as session:
                session.execute(update(Run).values(**change))

        with trainable.app_context():
            assert training_job.execute(run_id, listen=end_it) is None
        assert row_of(trainable, run_id).artifact is None
        assert folders(trainable) == []
        with trainable.app_context(), writing() as session:
            session.execute(update(Run).where(Run.state == "running").values(state="lost"))


# -- stopping


def training_in_a_thread(app: Flask, engine: str) -> tuple[int, threading.Thread, list[str | None]]:
    run_id, ended = ask(app, engine), []
    thread = threading.Thread(target=lambda: ended.append(do(app, run_id)))
    thread.start()
    until(lambda: row_of(app, run_id).step > 1 or (engine == "deaf" and state_of(app, run_id) == "running"))
    return run_id, thread, ended


def cancel(app: Flask, run_id: int, keep: bool) -> str:
    with app.app_context():
        return training.cancel(run_id, keep=keep, who="ana")


def test_cancelling_a_waiting_run_takes_its_job_away(trainable: Flask) -> None:
    run_id = ask(trainable)
    assert cancel(trainable, run_id, keep=True) == "cancelled"
    assert row_of(trainable, run_id).reason == "Cancelled by ana before it began; nothing was kept."
    with trainable.app_context():
        assert queue().job_ids == []
    assert do(trainable, run_id) is None


def test_discarding_ends_the_row_at_once_and_the_training_soon(trainable: Flask) -> None:
    run_id, thread, ended = training_in_a_thread(trainable, "slow")
    start = time.monotonic()
    assert cancel(trainable, run_id, keep=False) == "cancelled"
    assert state_of(trainable, run_id) == "cancelled"
    thread.join(5)
    assert time.monotonic() - start < 2
    assert ended == [None]
    assert folders(trainable) == []


def test_keeping_saves_the_best_state_as_an_artefact(trainable: Flask) -> None:
    run_id, thread, ended = training_in_a_thread(trainable, "slow")
    start = time.monotonic()
    assert cancel(trainable, run_id, keep=True) == "running"
    thread.join(5)
    assert time.monotonic() - start < 2
    run = row_of(trainable, run_id)
    assert (ended, run.state, run.reason) == (["cancelled"], "cancelled", attempt.KEPT)
    artifacts.verify(trainable.config["MODELS_DIR"], "slow", run.artifact)
    assert rows(trainable, run_id, "loo-full") == []  # not evaluated: the person wanted it to stop


def test_keeping_where_there_is_nothing_yet(trainable: Flask) -> None:
    run_id, thread, ended = training_in_a_thread(trainable, "deaf")
    assert cancel(trainable, run_id, keep=True) == "cancelled"
    thread.join(5)
    run = row_of(trainable, run_id)
    assert (ended, run.state, run.artifact) == ([None], "cancelled", None)
    assert run.reason == "Cancelled by ana before there was anything to keep; nothing was kept."


@pytest.mark.parametrize(
    ("phase", "points", "answer"),
    [
        ("reading", 0, "cancelled"),
        ("training", 0, "cancelled"),
        ("training", 1, "running"),
        ("evaluating", 0, "running"),
    ],
)
def test_what_counts_as_something_to_keep(trainable: Flask, phase: str, points: int, answer: str) -> None:
    run_id = ask(trainable)
    with trainable.app_context(), writing() as session:
        session.execute(update(Run).values(state="running", phase=phase, attempt_id="mine", step=9))
        point = {"run_id": run_id, "metric": "loss", "protocol": attempt.CURVES, "split": "train", "value": 1.0}
        session.add_all(MetricRow(**point) for _ in range(points))
    assert cancel(trainable, run_id, keep=True) == answer


def test_the_first_point_of_a_curve_is_written_at_once(trainable: Flask) -> None:
    """It tells that there is something to keep; the others may wait half a second."""
    run_id, seen = ask(trainable, given={"steps": 5}), []

    def look(phase: str, step: int, total: int, metrics: dict[str, float]) -> None:
        if phase == "training" and step:
            seen.append(len(rows(trainable, run_id, attempt.CURVES)))

    with trainable.app_context():
        training_job.execute(run_id, listen=look)
    assert seen[:2] == [0, 1]


def test_stopping_during_the_evaluation_keeps_without_numbers(trainable: Flask) -> None:
    run_id = ask(trainable)

    def stop(phase: str, *_: object) -> None:
        if phase == "evaluating" and state_of(trainable, run_id) == "running":
            cancel(trainable, run_id, keep=True)
            until(lambda: threading.active_count() and held[0].wanted == "keep")

    held: list[attempt.Attempt] = []
    with trainable.app_context():
        claim = training_job.claim
        training_job.claim = lambda *args: held.append(claim(*args)) or held[0]
        try:
            assert training_job.execute(run_id, listen=stop) == "cancelled"
        finally:
            training_job.claim = claim
    assert row_of(trainable, run_id).artifact
    assert rows(trainable, run_id, "loo-full") == []


def test_what_has_ended_cannot_be_cancelled(trainable: Flask) -> None:
    run_id = ask(trainable)
    do(trainable, run_id)
    with pytest.raises(Conflict, match="has ended already: it is done"):
        cancel(trainable, run_id, keep=False)
    with pytest.raises(NotFound):
        cancel(trainable, 4711, keep=False)


def test_cancelling_works_without_redis(trainable: Flask, valkey) -> None:
    run_id = ask(trainable)
    valkey.kill()
    assert cancel(trainable, run_id, keep=False) == "cancelled"


def test_a_stop_for_a_job_that_nobody_works_on(trainable: Flask) -> None:
    run_id = ask(trainable)
    with trainable.app_context():
        job = Job.fetch(str(run_id), connection=redis(), serializer=JSONSerializer)
        job.set_status("started")
        jobs.stop(run_id)
        jobs.stop(4711)


@pytest.mark.parametrize("keep", [True, False])
def test_cancel_races_end_in_exactly_one_state(trainable: Flask, keep: bool) -> None:
    """Cancel at random moments from before the claim to after the commit: row, answer and files agree."""
    dice = random.Random(f"cancel {keep}")
    for _ in range(RACES // 2):
        run_id = ask(trainable, given={"steps": 3})
        thread = threading.Thread(target=do, args=(trainable, run_id))
        start = time.monotonic()
        offset = dice.uniform(0, 0.8)
        thread.start()
        until(lambda start=start, offset=offset: time.monotonic() - start >= offset)
        try:
            answer = cancel(trainable, run_id, keep)
        except Conflict:
            answer = "done"
        thread.join(10)
        run = row_of(trainable, run_id)
        assert run.state == {"cancelled": "cancelled", "done": "done", "running": "cancelled"}[answer]
        assert (run.artifact is not None) == (run.state == "done" or run.reason == attempt.KEPT)
        known = [folder.folder for folder in folders(trainable)]
        assert (run.artifact in known) == (run.artifact is not None)
    with trainable.app_context():
        kept = set(db.session.execute(select(Run.artifact).where(Run.artifact.is_not(None))).scalars())
    assert {folder.folder for folder in folders(trainable)} == kept


# -- the queue's own words


class Gone:
    def get_state(self) -> str:
        raise RedisConnectionError("went away")


def test_the_state_of_the_queue(trainable: Flask, valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(trainable)
    with trainable.app_context():
        state = jobs.state()
        assert (state.error, state.waiting, state.workers, state.busy) == ("", 1, 0, 0)
        assert state.milliseconds > 0
        with monkeypatch.context() as patch:  # Redis goes away in the middle of the answer
            patch.setattr(jobs, "_beats", lambda client: [(Gone(), now())])
            assert jobs.state().error == "went away"
        valkey.kill()
        assert jobs.state().error
        with pytest.raises(RedisConnectionError):
            jobs.missing(1)


def test_times_are_aware(trainable: Flask) -> None:
    assert row_of(trainable, ask(trainable)).created_at <= now()
