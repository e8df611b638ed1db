"""The engine on air in a process: followed while nobody asks, and filled in for where it can't be loaded."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from training_kit import HERE, until

from movierec import artifacts
from movierec.extensions import db
from movierec.services import runs, serving, station, training, training_job


@pytest.fixture
def site(trainable: Flask) -> Iterator[Flask]:
    with trainable.app_context():
        yield trainable
        station.station().stop()


def on_air(site: Flask) -> int:
    """A new run, put on air; its number."""
    run_id = training.request("quick", {"steps": 2}, enqueue=False)
    assert training_job.execute(run_id) == "done"
    serving.put_on_air(run_id, user_id=None, who="ana", why="new", expected_version=serving.on_air().version)
    return run_id


def folder(site: Flask, run_id: int) -> Path:
    return site.config["MODELS_DIR"] / "quick" / runs.get(run_id).artifact


def played(held: station.Station) -> int | None:
    return held.current.facts.run if held.current is not None else None


# -- following


class Process:
    """A web process that nobody asks for anything."""

    def __init__(self, app: Flask) -> None:
        names = ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR", "REDIS_URL", "SECRET_KEY")
        env = os.environ | {name: str(app.config[name]) for name in names}
        env |= {"PYTHONPATH": f"{HERE.parent}:{HERE}", "OMP_NUM_THREADS": "1", "DATABASE_URL": ""}
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "station_for_tests.py")],
            env=env, cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.ears = threading.Thread(target=self._listen, daemon=True)
        self.ears.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.ears.join(10)
        self.process.stdout.close()


def test_all_processes_follow_what_is_on_air_though_nobody_asks_them(site: Flask) -> None:
    first = on_air(site)
    processes = [Process(site), Process(site)]
    try:
        until(lambda: all(each.said == [str(first)] for each in processes), 30, "the first engine")
        second = on_air(site)
        until(lambda: all(each.said[-1] == "loading" for each in processes), what="the look at the second")
        assert [each.said[0] for each in processes] == [str(first)] * 2  # which plays on while the second loads
        (site.config["INSTANCE_DIR"] / "go").touch()
        until(lambda: all(each.said[-1] == str(second) for each in processes), what="the second engine")
        third = on_air(site)
        until(lambda: all(each.said[-1] == str(third) for each in processes), what="the third engine")
    finally:
        for each in processes:
            each.end()


def test_a_change_is_looked_for_often_enough() -> None:
    """2 s are promised: a look, and time to load."""
    assert station.LOOK_EVERY <= 1.0


def test_a_test_is_not_followed_behind_its_back_and_a_site_is_by_its_first_question(site: Flask) -> None:
    run_id, held = on_air(site), station.station()
    held.tune(1)
    assert held._follower is None
    site.testing = False
    try:
        held.tune(1)
        follower = held._follower
        held.tune(1)
        assert held._follower is follower
        assert follower.is_alive()
        assert follower.daemon
    finally:
        site.testing = True
    assert played(held) == run_id
    held.stop()
    assert not follower.is_alive()


def test_gunicorn_follows_after_the_fork(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id, held = on_air(site), station.station()
    monkeypatch.setenv("INSTANCE_DIR", str(site.config["INSTANCE_DIR"]))
    monkeypatch.setenv("SECRET_KEY", site.config["SECRET_KEY"])
    hooks = runpy.run_path(str(HERE.parent / "gunicorn.conf.py"))
    assert held._follower is None
    hooks["post_worker_init"](SimpleNamespace(wsgi=site))
    until(lambda: played(held) == run_id)


def test_a_look_that_fails_is_said_once_and_the_next_one_comes(
    site: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_id, held, look = on_air(site), station.station(), station._on_air
    faults = [OperationalError("SELECT", {}, Exception("disk I/O error"))] * 2

    def ill_at_first() -> Any:
        if faults:
            raise faults.pop()
        return look()

    monkeypatch.setattr(station, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(station, "_on_air", ill_at_first)
    held.follow(site)
    until(lambda: played(held) == run_id)
    assert caplog.text.count("what is on air can't be looked up") == 1


def test_no_transaction_is_open_while_files_are_read(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    load = artifacts.load
    on_air(site)

    def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append(db.session().in_transaction())
        return load(*args, **kwargs)

    monkeypatch.setattr(artifacts, "load", watched)
    station.station().tune(1)
    assert seen == [False]


# -- filling in


def test_a_process_that_begins_with_a_broken_artefact_plays_the_latest_that_loads(
    site: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, damaged, latest = on_air(site), on_air(site), on_air(site)
    shutil.rmtree(folder(site, damaged))
    aside = folder(site, latest).rename(site.config["MODELS_DIR"] / "aside")
    held = station.station()
    playing = held.tune(3)
    assert (playing.version, playing.facts.run) == (1, good)
    assert playing.facts.trouble == f"quick #{latest} is on air but can't be loaded, so quick #{good} fills in."
    assert "the folder is missing" in held.trouble(3)
    assert held.tune(3) is playing  # it is not tried again at once
    aside.rename(folder(site, latest))  # somebody brings it back
    monkeypatch.setattr(station, "RETRY_AFTER", 0.0)
    held.tune(3)
    until(lambda: played(held) == latest)
    assert held.current.facts.trouble is None
    assert held.trouble(3) is None


def test_the_engine_that_is_held_plays_on_and_says_so(site: Flask) -> None:
    good, held = on_air(site), station.station()
    held.tune(1)
    shutil.rmtree(folder(site, on_air(site)))
    held.tune(2)
    until(lambda: held.trouble(2))
    assert played(held) == good
    assert "so quick #1 fills in" in held.current.facts.trouble


def test_where_nothing_can_be_loaded_there_is_no_engine(site: Flask) -> None:
    shutil.rmtree(folder(site, on_air(site)))
    held = station.station()
    assert held.tune(1) is None
    assert held.trouble(1)
