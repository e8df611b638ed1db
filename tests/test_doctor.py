"""`flask doctor`: each illness is made for real and found."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from flask import Flask
from kit import Browser
from redis import Redis
from running_kit import give_data, wait_for
from sqlalchemy import delete, update

from movierec.extensions import writing
from movierec.services import demo, doctor, importing, jobs, settings, snapshots, storage
from movierec.supervisor.valkey import valkey_command
from movierec.tables import Run, Serving, Snapshot, now

Make = Callable[..., Flask]


def found(app: Flask) -> dict[str, tuple[str, str]]:
    with app.app_context():
        return {check.name: (check.state, check.message) for check in doctor.examine(app)}


def state(app: Flask, name: str) -> str:
    return found(app)[name][0]


@pytest.fixture
def ready(app: Flask, tmp_path: Path) -> Flask:
    """A site with data."""
    give_data(tmp_path)
    with app.app_context():
        importing.import_source(tmp_path / "given" / "tiny")
    app.config["INSTANCE_DIR"].chmod(0o700)
    for path in app.config["INSTANCE_DIR"].rglob("*"):
        path.chmod(0o600)
    return app


@pytest.fixture
def redis_server() -> Iterator[str]:
    """A Valkey of our own, in a folder whose path is short enough for a socket; its URL."""
    with TemporaryDirectory(prefix="mr-") as name:
        process = subprocess.Popen(valkey_command(Path(name)))
        wait_for(lambda: (Path(name) / "valkey.sock").is_socket(), "its socket")
        yield f"unix://{name}/valkey.sock"
        process.terminate()
        process.wait()


def test_every_check_of_a_sound_site_says_ok_or_what_is_missing(ready: Flask, as_admin: Browser) -> None:
    checks = found(ready)
    assert {name for name, (state, _) in checks.items() if state == "ok"} >= {
        "permissions", "secret key", "cookies", "database", "migrations", "data", "on air", "left-overs",
        "administrators", "demo accounts", "registration", "instance/",
    }  # fmt: skip
    assert checks["redis"][0] == "fail", "REDIS_URL is set and nobody answers"
    assert "viewers, whole." in checks["data"][1]


def test_the_command_exits_with_1_only_if_something_fails(ready: Flask) -> None:
    runner = ready.test_cli_runner()
    failing = runner.invoke(args=["doctor", "--json"])
    assert failing.exit_code == 1
    assert {"name", "state", "message"} == set(json.loads(failing.stdout)[0])
    assert "fail  redis" in runner.invoke(args=["doctor"]).stdout


def test_queue_and_worker(ready: Flask, redis_server: str) -> None:
    ready.config["REDIS_URL"] = redis_server
    checks = found(ready)
    assert checks["redis"] == ("ok", "Answers; forgets nothing by itself.")
    assert checks["worker"][0] == "warn"
    client = Redis.from_url(redis_server)
    client.config_set("maxmemory-policy", "allkeys-lru")
    assert "change its maxmemory-policy (allkeys-lru) to noeviction" in found(ready)["redis"][1]
    client.execute_command("ACL", "SETUSER", "default", "-config")
    assert "does not tell its maxmemory-policy" in found(ready)["redis"][1]
    client.close()
    ready.config |= {"REDIS_URL": "unix:///nowhere", "EMBEDDED_REDIS": True}
    assert found(ready)["redis"][0] == "warn"


def test_redis_that_ends_during_the_examination(ready: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "state", lambda: jobs.QueueState("", workers=1))  # it still answered to this
    state, message = found(ready)["redis"]
    assert state == "fail"
    assert message.startswith("Redis stopped answering (")


def test_folders_and_permissions(ready: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = ready.config["INSTANCE_DIR"]
    storage.path_of(ready).chmod(0o644)
    assert found(ready)["permissions"][1].endswith(f"movierec.sqlite3: `chmod -R go= {instance}`.")
    (instance / "valkey" / "appendonlydir").mkdir(parents=True)
    for name in ("a", "b", "c"):
        (instance / "valkey" / "appendonlydir" / name).touch(0o640)
    assert "and 3 more" in found(ready)["permissions"][1]  # two folders, four files; three are named
    ready.config["MODELS_DIR"] = tmp_path / "not-there"
    assert state(ready, "not-there/") == "warn"
    monkeypatch.setattr(doctor, "SOME_DISK", 2**62)
    assert state(ready, "instance/") == "warn"
    monkeypatch.setattr(doctor, "LEAST_DISK", 2**62)
    assert state(ready, "instance/") == "fail"
    ready.config["MODELS_DIR"] = Path("/proc")
    monkeypatch.setattr(doctor.os, "access", lambda path, _mode: str(path) != "/proc")
    assert state(ready, "proc/") == "fail"


def test_silent_trainings_are_said(ready: Flask) -> None:
    assert found(ready)["trainings"] == ("ok", "None is running or waiting.")
    with ready.app_context(), writing() as session:
        session.add(Run(engine="slow", params={}, state="running", code_version="0", heartbeat_at=now()))
    assert found(ready)["trainings"] == ("ok", "1 running or waiting.")
    with ready.app_context(), writing() as session:
        session.execute(update(Run).values(heartbeat_at=now() - timedelta(minutes=2)))
    state, message = found(ready)["trainings"]
    assert state == "warn"
    assert message.startswith("Nothing was heard of slow #1 for 120 s")


def test_plain_http_beyond_this_machine(make_app: Make) -> None:
    assert state(make_app(HOST="0.0.0.0"), "cookies") == "warn"
    assert found(make_app(PUBLIC_URL="https://films.example.org"))["cookies"][1].startswith("Bound to https")


def test_the_kept_key_is_told_from_a_given_one(make_app: Make) -> None:
    assert found(make_app(SECRET_KEY=""))["secret key"][1].startswith("Kept in")
    assert found(make_app())["secret key"][1] == "Set by SECRET_KEY."


def test_a_database_that_cannot_be_used_ends_the_examination(ready: Flask) -> None:
    path = storage.path_of(ready)
    whole = path.read_bytes()
    for harm in (lambda: path.write_bytes(b""), path.unlink):
        harm()
        checks = found(ready)
        assert checks["database"][0] == "fail"
        assert "data" not in checks
    path.write_bytes(whole)


def test_an_older_schema(app: Flask) -> None:
    with closing(sqlite3.connect(storage.path_of(app))) as connection:
        connection.execute("DELETE FROM alembic_version")  # as before the first migration
        connection.commit()
    assert found(app)["migrations"] == ("fail", "Schema none, but this version needs 0001: run `flask seed`.")


def test_data_that_was_damaged(ready: Flask) -> None:
    with ready.app_context():
        times = next((snapshots.root() / snapshots.current().folder).glob("time*.npy"))
    content = bytearray(times.read_bytes())
    content[-1] ^= 1
    times.chmod(0o600)
    times.write_bytes(content)
    assert state(ready, "data") == "fail"


def test_no_data(ready: Flask) -> None:
    with ready.app_context(), writing() as session:
        session.execute(delete(Snapshot))
    assert state(ready, "data") == "warn"


def test_a_run_on_air_whose_artefact_is_gone(ready: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with ready.app_context(), writing() as session:
        run = Run(engine="popularity", params={}, state="done", code_version="0", artifact="0" * 36)
        session.add(run)
        session.flush()
        session.merge(Serving(id=1, run_id=run.id, version=1))
    assert "put another on air" in found(ready)["on air"][1]
    left = ready.config["MODELS_DIR"] / "popularity" / "12345678-1234-1234-1234-123456789abc"
    left.mkdir(parents=True)
    monkeypatch.setattr(doctor, "DAY", 0.0)
    assert found(ready)["left-overs"][1].startswith("1 folders")


def test_people(ready: Flask) -> None:
    assert state(ready, "administrators") == "warn"
    with ready.app_context():
        demo.open_accounts()
        settings.put("registration", True)
    checks = found(ready)
    assert (checks["demo accounts"][0], checks["registration"][0], checks["administrators"][0]) == (
        "warn",
        "warn",
        "ok",
    )
    with ready.app_context():
        demo.close_accounts()
    assert found(ready)["demo accounts"] == ("ok", "3 closed.")
