"""`flask seed`, `wsgi.py` and `/health/live`: a folder becomes a site, and says so when it can't."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from kit import settings
from running_kit import give_data

from movierec import cli, create_app, extensions
from movierec.config import ROOT
from movierec.extensions import db
from movierec.services import accounts, snapshots, storage


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Flask]:
    """A folder with a small data set beside it, and nothing made ready."""
    give_data(tmp_path)
    app = create_app(settings(tmp_path, MOVIEREC_DATASETS=str(tmp_path / "given")))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_seed_makes_a_site_says_what_it_did_and_is_safe_to_repeat(empty: Flask) -> None:
    runner = empty.test_cli_runner()
    first = runner.invoke(args=["seed"])
    assert first.exit_code == 0, first.output
    assert first.stdout == ""
    assert "movierec.sqlite3 was created." in first.stderr
    assert "20 viewers, 120 events" in first.stderr
    assert "`flask setup-link` prints the way" in first.stderr
    with empty.app_context():
        before = snapshots.current().folder
    again = runner.invoke(args=["seed"])
    assert again.exit_code == 0
    assert "The database" not in again.stderr
    with empty.app_context():
        assert snapshots.current().folder == before


def test_seed_tells_the_supervisor_the_setup_link_until_somebody_administers(empty: Flask) -> None:
    runner = empty.test_cli_runner()
    told = json.loads(runner.invoke(args=["seed", "--json"]).stdout)
    token = told["setup_path"].removeprefix("/setup?token=")
    with empty.app_context():
        assert accounts.setup_token_valid(token)
        accounts.set_up(token, "Ada", "correct horse battery")
    told = json.loads(runner.invoke(args=["seed", "--json"]).stdout)
    assert told == {"administrator": True, "source": told["source"], "accounts": [], "setup_path": None}


def test_seed_opens_a_demo_and_closes_it_again(empty: Flask) -> None:
    runner = empty.test_cli_runner()
    opened = runner.invoke(args=["seed", "--demo"])
    assert [line.split()[0] for line in opened.stdout.splitlines()] == ["demo-viewer", "demo-admin", "demo-scientist"]
    assert "3 demo accounts were closed" in runner.invoke(args=["seed"]).stderr


def test_a_demo_for_strangers_is_refused_before_anything_is_made(empty: Flask) -> None:
    empty.config["HOST"] = "0.0.0.0"
    refused = empty.test_cli_runner().invoke(args=["seed", "--demo"])
    assert refused.exit_code == 1
    assert "set MOVIEREC_PUBLIC_DEMO=1" in refused.stderr
    assert not storage.path_of(empty).exists()


def test_a_database_that_somebody_else_writes_to_is_one_sentence(empty: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "PATIENCE", 0)
    runner = empty.test_cli_runner()
    assert runner.invoke(args=["seed"]).exit_code == 0
    with closing(sqlite3.connect(storage.path_of(empty))) as other:
        other.execute("BEGIN IMMEDIATE")
        busy = runner.invoke(args=["seed", "--demo"])
    assert (busy.exit_code, busy.stderr.splitlines()[-1]) == (1, f"Error: {cli.BUSY}")


@pytest.mark.parametrize("command", [["users", "list"], ["runs"], ["setup-link"]])
def test_commands_before_the_first_seed_say_so_and_make_nothing(empty: Flask, command: list[str]) -> None:
    refused = empty.test_cli_runner().invoke(args=command)
    assert refused.exit_code == 1
    assert "yet: run `flask seed`." in refused.stderr
    assert not storage.path_of(empty).exists()


@pytest.mark.parametrize(
    ("start", "extra", "sentence"),
    [
        (["-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"], {}, "yet: run `flask seed`."),
        (["-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"], {"PORT": "many"}, "PORT is 'many'"),
        (["-m", "flask", "seed"], {"LOG_LEVEL": "loud"}, "LOG_LEVEL is 'loud'"),
    ],
)
def test_a_server_that_cannot_serve_ends_with_one_sentence(
    tmp_path: Path, start: list[str], extra: dict[str, str], sentence: str
) -> None:
    env = os.environ | {"INSTANCE_DIR": str(tmp_path)} | extra
    ended = subprocess.run(
        [sys.executable, *start], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("movierec can't start. "), ended.stderr
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_alive_without_a_database(empty: Flask) -> None:
    client: FlaskClient = empty.test_client()
    answer = client.get("/health/live")
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "ok\n", "text/plain")
    assert "Set-Cookie" not in answer.headers
    assert client.post("/health/live").status_code == 405
