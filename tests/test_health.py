"""Readiness part by part: each part is broken for real, and what is said tells strangers nothing."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from flask import Flask
from kit import Browser
from sqlalchemy import update
from training_kit import WorkerProcess, until

from movierec.config import VERSION
from movierec.extensions import db, writing
from movierec.services import doctor, health, jobs, serving, training, training_job
from movierec.tables import Run, User

TOKEN = "for-programs-that-watch-" + "0" * 16
HOLDING = {"Authorization": f"Bearer {TOKEN}"}


def ready(app: Flask) -> tuple[int, dict[str, str]]:
    answer = app.test_client().get("/health/ready", headers=HOLDING)
    told = answer.get_json()
    assert set(told["checks"]) == {"database", "redis", "worker", "disk", "serving"}
    return answer.status_code, {"status": told["status"]} | {
        name: part["state"] for name, part in told["checks"].items()
    }


@pytest.fixture
def site(trainable: Flask) -> Flask:
    trainable.config["HEALTH_TOKEN"] = TOKEN
    return trainable


def on_air(app: Flask) -> int:
    with app.app_context():
        run_id = training.request("quick", {}, enqueue=False)
        training_job.execute(run_id)
        version = serving.on_air().version
        serving.put_on_air(run_id, user_id=None, who="ana", why="test", expected_version=version)
    return run_id


def test_all_is_well(site: Flask, start_worker) -> None:
    run_id = on_air(site)
    start_worker()
    with site.app_context():
        until(lambda: jobs.state().workers == 1, 15)
    assert ready(site) == (200, dict.fromkeys(("status", "database", "redis", "worker", "disk", "serving"), "ok"))
    told = site.test_client().get("/health/ready", headers=HOLDING).get_json()["checks"]
    assert told["serving"]["message"] == f"run {run_id} plays"
    assert 0 <= told["worker"]["seconds"] < jobs.SILENT_AFTER.total_seconds()


def test_without_redis_and_worker_every_page_works_so_it_is_ready(site: Flask, valkey) -> None:
    status, told = ready(site)
    assert (status, told["status"], told["redis"], told["worker"]) == (200, "degraded", "ok", "degraded")
    valkey.kill()
    status, told = ready(site)
    assert (status, told["status"], told["redis"], told["worker"]) == (200, "degraded", "degraded", "degraded")


def test_a_worker_that_fell_silent_is_said_with_its_age(
    site: Flask, start_worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    process: WorkerProcess = start_worker()
    with site.app_context():
        until(lambda: jobs.state().workers == 1, 15)
        process.end()
        monkeypatch.setattr(jobs, "SILENT_AFTER", jobs.SILENT_AFTER / 12)  # one second
        state = until(lambda: None if jobs.state().workers else jobs.state(), 5)
    assert 1 <= state.last_beat < 6
    assert ready(site)[1]["worker"] == "degraded"


def test_no_database_is_failing(site: Flask) -> None:
    with site.app_context():
        db.engine.dispose()
    shutil.rmtree(site.config["INSTANCE_DIR"])
    site.config["INSTANCE_DIR"].mkdir()
    status, told = ready(site)
    assert (status, told["status"], told["database"], told["serving"]) == (503, "failing", "failing", "failing")


def test_a_run_that_cannot_be_loaded(site: Flask) -> None:
    first = on_air(site)
    assert ready(site)[1]["serving"] == "ok"
    with site.app_context(), writing() as session:
        session.execute(update(Run).where(Run.id == first).values(engine="past"))
    second = on_air(site)
    with site.app_context():
        run = db.session.get(Run, second)
        shutil.rmtree(site.config["MODELS_DIR"] / "quick" / run.artifact)
        message = health.look().parts["serving"].message
    assert ready(site)[1]["serving"] == "degraded"
    assert message == f"run {second} is not loaded: run {first} fills in"


def test_a_run_where_nothing_can_fill_in(site: Flask) -> None:
    only = on_air(site)
    shutil.rmtree(site.config["MODELS_DIR"])
    site.config["MODELS_DIR"].mkdir()
    assert ready(site) == (200, {**ready(site)[1], "serving": "degraded"})
    with site.app_context():
        assert health.look().parts["serving"].message == f"run {only} is not loaded: viewers get the popular films"


def test_a_full_or_unreadable_disk_is_failing(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_DISK", 1 << 60)
    assert ready(site)[0] == 503
    assert ready(site)[1]["disk"] == "failing"

    def fail(_path: object) -> None:
        raise OSError("stale")

    monkeypatch.setattr(os, "statvfs", fail)
    with site.app_context():
        assert health.look().parts["disk"] == health.Part("failing", "can't be looked at")


def test_garbage_among_the_workers_facts_is_no_error_page(site: Flask, valkey) -> None:
    with site.app_context():
        client = jobs.redis()
        client.sadd("rq:workers", "rq:worker:x")
        client.hset("rq:worker:x", mapping={"queues": "movierec", "last_heartbeat": "yesterday", "birth": "never"})
        assert jobs.state().error
    assert ready(site)[0] == 200


def test_it_is_closed_to_the_public(app: Flask, client: Browser, as_viewer: Browser, as_admin: Browser) -> None:
    for url in ("/health/ready", "/version"):
        assert client.get(url).status_code == 302  # to the door
        assert as_viewer.get(url).status_code == 403
        assert as_admin.get(url).status_code == 200
        for wrong in ("Bearer ", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}", "Bearer \u00e9"):
            assert client.get(url, headers={"Authorization": wrong}).status_code == 302, "none is set"
    app.config["HEALTH_TOKEN"] = TOKEN
    for url in ("/health/ready", "/version"):
        assert client.get(url, headers=HOLDING).status_code == 200
        assert client.get(url, headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 302
        assert client.get(url, headers={"Authorization": f"Basic {TOKEN}"}).status_code == 302
    assert client.get("/account", headers=HOLDING).status_code == 302
    assert client.get("/version", headers=HOLDING).get_json() == {"version": VERSION}


def test_it_tells_nothing_secret(app: Flask, as_admin: Browser) -> None:
    text = json.dumps(as_admin.get("/health/ready").get_json())
    with app.app_context():
        name = db.session.query(User).first().name
    for secret in (str(app.config["INSTANCE_DIR"]), app.config["REDIS_URL"], app.config["SECRET_KEY"], f'"{name}"'):
        assert secret not in text
    assert "/" not in text
    assert doctor.LEAST_DISK == health.LEAST_DISK
