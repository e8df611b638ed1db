"""`make run` for real: processes on free ports in folders of their own, killed in every way."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from running_kit import ROOT, House, give_data, wait_for
from traffic_kit import app_of

from movierec.extensions import db, writing
from movierec.supervisor import machine, parts, valkey
from movierec.supervisor.machine import CannotStart
from movierec.supervisor.parts import Part
from movierec.tables import Run


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with its data, whose first training is behind it."""
    house = House(tmp_path_factory.mktemp("seeded"))
    give_data(house.folder)
    subprocess.run([sys.executable, "-m", "flask", "seed"], cwd=ROOT, env=house.env, check=True, capture_output=True)
    app = app_of(house)
    with app.app_context():
        with writing() as session:
            session.add(Run(engine="nextitnet", params={}, state="cancelled", code_version="0", origin="first"))
        db.session.remove()
        db.engine.dispose()
    return house.folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: a socket's may be 107 bytes long."""
    made = Path(tempfile.mkdtemp(prefix="mr-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def house(folder: Path, seeded: Path) -> Iterator[House]:
    """A seeded site that does not run yet; nothing of it outlives the test."""
    shutil.copytree(seeded, folder, dirs_exist_ok=True)
    made = House(folder)
    yield made
    for pid in made.pids():
        os.kill(pid, signal.SIGKILL)
    if made.process is not None:
        made.process.wait()


def test_a_fresh_folder_becomes_a_site_and_ctrl_c_ends_it(folder: Path) -> None:
    house = House(folder)
    give_data(folder)
    house.start()
    assert f"movierec is running at http://localhost:{house.port}  (Ctrl-C stops it)" in house.said()
    link = re.search(rf"http://localhost:{house.port}(/setup\?token=\S+)", house.said())
    assert link
    assert house.get(link[1]) == 200
    assert house.get("/health/live") == 200
    open_ones = [str(path) for path in (folder / "instance").rglob("*") if path.stat().st_mode & 0o077]
    assert not open_ones, "the database, the locks and the queue's files are this account's alone"
    assert house.end(signal.SIGINT) < 10
    assert house.process.returncode == 0
    assert "Traceback" not in house.said()
    assert house.said().rstrip().endswith("movierec is stopping.")

    house.execute(
        "INSERT INTO users (name, name_key, password_hash, role, active, demo, history_version, created_at)"
        " VALUES ('ada', 'ada', '', 'admin', 1, 0, 0, '2026-01-01 00:00:00')"
    )
    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert house.start() < 5 * crowd, "a second start"
    assert "/setup" not in house.said()
    assert house.end(signal.SIGHUP) < 10


def test_whatever_is_killed_comes_back(house: House) -> None:
    house.start()
    for words, choose in (("gunicorn", min), ("gunicorn", max), ("movierec.worker", min), ("valkey-server", min)):
        count = 3 if words == "gunicorn" else 1  # a master and two workers
        wait_for(lambda words=words, count=count: len(house.pids(words)) == count, words)
        before = house.pids(words)
        os.kill(choose(before), signal.SIGKILL)
        wait_for(lambda words=words, before=before: set(house.pids(words)) - set(before), f"a new {words}")
        wait_for(house.serves, f"an answer after {words} was killed")
    wait_for(lambda: (house.folder / "instance" / "valkey.sock").is_socket(), "the queue's socket")
    assert "movierec: the web ended (-9); it is started again now." in house.said()

    os.kill(house.process.pid, signal.SIGKILL)
    house.process.wait()
    assert wait_for(lambda: not house.pids(), "the end of all parts") < 10
    house.start()
    assert house.get("/login") == 200
    assert "already running" in House(house.folder).refuses()
    assert house.end() < 10


def test_the_health_of_a_site_that_answers_only_to_its_public_name(house: House) -> None:
    house.env |= {"HOST": "127.0.0.2", "PUBLIC_URL": "https://films.example.org"}
    house.start()
    assert "movierec is running at https://films.example.org  (Ctrl-C stops it)" in house.said()
    assert house.end() < 10


def test_without_redis_the_site_serves_and_the_worker_is_tried_again(house: House) -> None:
    house.env["REDIS_URL"] = "redis://127.0.0.1:1"
    house.start()
    assert house.serves()
    wait_for(lambda: house.said().count("the worker ended (1)") >= 2, "the worker's second try")
    assert not house.pids("valkey-server")
    assert "Traceback" not in house.said()
    assert house.end() < 10


def test_stopped_while_the_data_is_made_ready(folder: Path) -> None:
    house = House(folder)
    give_data(folder)
    house.launch()
    wait_for(lambda: house.pids("flask seed"), "the seeding")
    assert house.end() < 10
    assert house.process.returncode == 0
    assert "is running" not in house.said()
    subprocess.run([sys.executable, "-m", "flask", "seed"], cwd=ROOT, env=house.env, check=True, capture_output=True)


def test_make_ends_without_a_word_of_its_own(house: House) -> None:
    house.start(
        command=["make", "--no-print-directory", "-o", ".venv/installed", f"BIN={Path(sys.executable).parent}", "run"]
    )
    os.killpg(house.process.pid, signal.SIGINT)
    assert wait_for(lambda: not house.pids(), "the end") < 10
    house.process.wait()
    assert "make" not in house.said(), house.said()


def test_a_taken_port_is_said(house: House) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", house.port))
        other.listen()
        said = house.refuses()
    assert said == (
        f"movierec can't start. Port {house.port} on 127.0.0.1 can't be used (Address already in use): "
        "stop what uses it, or choose another with PORT=5001 make run.\n"
    )


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("PORT", "many", "PORT is 'many': set it to a whole number from 1 to 65535."),
        ("PUBLIC_URL", "films.example.org", "PUBLIC_URL is 'films.example.org'"),
        ("SECRET_KEY", "changeme", "SECRET_KEY is a placeholder"),
        ("HOST", "no.such.host.invalid", "no address of this machine"),
        ("MODELS_DIR", __file__, "can't be written (File exists): free it or set MODELS_DIR."),
        ("INSTANCE_DIR", __file__, "can't be made (File exists)"),
    ],
)
def test_a_bad_setting_is_one_sentence(house: House, key: str, value: str, sentence: str) -> None:
    house.env[key] = value
    said = house.refuses()
    assert said.startswith("movierec can't start. ")
    assert sentence in said
    assert said.count("\n") == 1


def test_a_damaged_database_stops_the_start_and_says_which_file(house: House) -> None:
    database = house.folder / "instance" / "movierec.sqlite3"
    database.write_bytes(b"")
    said = house.refuses()
    assert f"Error: {database} is empty, so something cut it off." in said
    assert database.read_bytes() == b""


def test_no_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.check_folder("DATA_DIR", tmp_path)
    monkeypatch.setattr(machine, "LEAST_DISK", 2**62)
    with pytest.raises(CannotStart, match=rf"Only \d+ MB are free at {tmp_path}"):
        machine.check_folder("DATA_DIR", tmp_path)


def test_a_too_old_python_is_said(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit\nexit 1\n')
    old.chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    made = subprocess.run(
        ["make", "run", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert made.returncode != 0
    assert f"movierec needs Python 3.11 or newer; {old} is Python 3.9.2." in made.stderr
    assert not (tmp_path / ".venv").exists()


def test_what_dies_again_and_again_is_started_after_growing_pauses() -> None:
    part, pauses = Part("unlucky", ["false"], {}), []
    part.start()
    for _ in range(8):
        wait_for(lambda: not part.alive(), "its death")
        assert part.died() == 1
        assert part.died() is None, "a death is told once"
        pauses.append(part.pause())
        part.start_if_due()
        assert part.process is None, "not before its pause is over"
        part.start_at = 0.0
        part.start_if_due()
    wait_for(lambda: not part.alive(), "its death")
    assert pauses == [0.2, 0.2, 1, 2, 4, 8, 15, 15]
    part.deaths = [moment - parts.SETTLED for moment in part.deaths]
    part.died()
    assert part.pause() == 0.2, "what happened more than a minute ago is forgotten"


def test_what_does_not_end_is_killed_with_its_children() -> None:
    stubborn = ["sh", "-c", "trap '' TERM; sleep 60 & echo; while :; do wait; done"]
    part = Part("stubborn", stubborn, dict(os.environ), stdout=subprocess.PIPE)
    part.start()
    part.process.stdout.readline()
    assert len(parts.session_members(part.process.pid)) == 2
    parts.end_all([part], 0.2)
    assert wait_for(lambda: not parts.session_members(part.process.pid), "the end of its children") < 5
    assert part.process.returncode == -signal.SIGKILL


def test_a_queue_that_was_left_behind_is_ended_first(folder: Path) -> None:
    left = subprocess.Popen(valkey.valkey_command(folder))
    wait_for(lambda: (folder / "valkey.sock").is_socket(), "its socket")
    valkey.ask_to_end(folder)
    assert left.wait(5) == 0
    (folder / "valkey.sock").touch()
    valkey.ask_to_end(folder)  # nobody listens on what is left: nothing to do


def test_a_queue_whose_folder_is_gone_still_ends_when_asked(folder: Path) -> None:
    (folder / "i").mkdir()
    queue = subprocess.Popen(valkey.valkey_command(folder / "i"))
    wait_for(lambda: (folder / "i" / "valkey.sock").is_socket(), "its socket")
    shutil.rmtree(folder / "i")
    queue.terminate()
    assert queue.wait(5) in (0, 1)  # a refusal would keep it alive


def test_a_path_too_long_for_a_socket_is_said(tmp_path: Path) -> None:
    with pytest.raises(valkey.BadConfig, match="too long for a socket"):
        valkey.valkey_command(tmp_path / ("x" * 100))


def test_a_place_too_long_for_the_queue_is_refused_before_the_data_is_made(tmp_path: Path) -> None:
    house = House(tmp_path / ("deep" * 25))
    house.folder.mkdir()
    give_data(house.folder)
    assert "too long for a socket: set INSTANCE_DIR to a shorter one." in house.refuses()
    assert not (house.folder / "instance" / "movierec.sqlite3").exists()
