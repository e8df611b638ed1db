"""`flask data`: what it prints, as text and as JSON, and one sentence when it can't."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from layouts import CSV, DAT, RATINGS, metadata, written, zipped
from sqlalchemy.exc import OperationalError
from test_metadata import TOY

from movierec.services import importing
from movierec.sources import fetch


def test_importing_a_path(runner: FlaskCliRunner, tmp_path: Path) -> None:
    path = zipped(tmp_path / "tiny.zip", CSV | {"ratings.csv": RATINGS + "1,99,4.0,5\r\n"})
    result = runner.invoke(args=["data", "import", str(path)])
    assert result.exit_code == 0, result.output
    assert "tiny: 5 films (4 with events), 2 viewers, 5 events in" in result.stdout
    assert "1 rows not used" in result.stdout
    assert "ratings.csv:7 film 99 is not in the catalogue" in result.stdout
    assert "Reading ratings" in result.stderr  # progress never mixes with what is printed
    assert "Reading ratings" not in result.stdout
    again = runner.invoke(args=["data", "import", str(path)])
    assert "the snapshot stays" in again.stdout
    other = runner.invoke(args=["data", "import", str(written(tmp_path / "dat", DAT))])
    assert "Of the films before: 4 removed, 0 kept" in other.stdout


def test_importing_as_json(runner: FlaskCliRunner, tmp_path: Path) -> None:
    result = runner.invoke(args=["data", "import", "--json", str(written(tmp_path / "tiny", CSV))])
    told = json.loads(result.stdout)
    assert (told["source"], told["events"], told["viewers"], told["rated"]) == ("tiny", 5, 2, 4)


def test_importing_by_name(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    zipped(tmp_path / "ml-1m.zip", DAT)
    runner = make_app(MOVIEREC_DATASETS=str(tmp_path)).test_cli_runner()
    assert "ml-1m: 2 films" in runner.invoke(args=["data", "import", "ml-1m"]).stdout
    starter = runner.invoke(args=["data", "import", "starter"])
    assert "800 simulated viewers" in starter.stdout
    assert "simulated" in runner.invoke(args=["data", "info"]).stdout


@pytest.mark.parametrize("arguments", [["import", "nothing"], ["enrich", "nothing"], ["fetch", "nothing"]])
def test_what_cannot_be_done_is_one_sentence(runner: FlaskCliRunner, arguments: list[str]) -> None:
    result = runner.invoke(args=["data", *arguments])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.output


def test_a_refusal_in_the_middle_ends_the_bar(runner: FlaskCliRunner, tmp_path: Path) -> None:
    result = runner.invoke(args=["data", "import", str(written(tmp_path / "x", CSV | {"ratings.csv": "x\n"}))])
    assert result.exit_code == 1
    assert "Error: ratings.csv doesn't begin with" in result.stderr


def test_a_locked_database_is_one_sentence(runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    monkeypatch.setattr(importing, "import_starter", locked)
    result = runner.invoke(args=["data", "import", "starter"])
    assert result.exit_code == 1
    assert "The database can't be used (database is locked)" in result.stderr


def test_enriching(runner: FlaskCliRunner, tmp_path: Path) -> None:
    runner.invoke(args=["data", "import", str(written(tmp_path / "tiny", CSV))])
    toy = TOY | {"id": "9087", "imdb_id": "tt0112346"}
    path = written(tmp_path / "meta", {"movies_metadata.csv": metadata(toy, toy)}) / "movies_metadata.csv"
    result = runner.invoke(args=["data", "enrich", str(path)])
    assert "1 films have facts of 1 rows, 1 an overview." in result.stdout
    assert "film 9087 comes twice" in result.stdout
    assert json.loads(runner.invoke(args=["data", "enrich", "--json", str(path)]).stdout)["matched"] == 1


def test_fetching_says_where_it_lies(runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def arrives(name: str, folder: Path, progress: Callable[[float], None]) -> Path:
        progress(0.5)
        return tmp_path / f"{name}.zip"

    monkeypatch.setattr(fetch, "fetch", arrives)
    assert runner.invoke(args=["data", "fetch", "ml-1m"]).stdout == f"{tmp_path / 'ml-1m.zip'}\n"
    told = json.loads(runner.invoke(args=["data", "fetch", "ml-1m", "--json"]).stdout)
    assert told == {"name": "ml-1m", "path": str(tmp_path / "ml-1m.zip")}


def test_info(runner: FlaskCliRunner, tmp_path: Path) -> None:
    assert "There is no data yet" in runner.invoke(args=["data", "info"]).stdout
    assert json.loads(runner.invoke(args=["data", "info", "--json"]).stdout) is None
    runner.invoke(args=["data", "import", str(written(tmp_path / "tiny", CSV))])
    assert "tiny: 4 films with events, 2 viewers, 5 events, imported" in runner.invoke(args=["data", "info"]).stdout
    facts = json.loads(runner.invoke(args=["data", "info", "--json"]).stdout)
    assert (facts["source"], facts["simulated"], facts["events"]) == ("tiny", False, 5)


@pytest.mark.parametrize("what", ["x" * 300, "no-such-data-set"])
def test_what_is_no_path_and_no_name_is_said(runner: FlaskCliRunner, what: str) -> None:
    done = runner.invoke(args=["data", "import", what])
    assert done.exit_code == 1
    assert "There is nothing at" in done.stderr
