"""The commands of training: what they print, what they answer to machines, how they fail."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskCliRunner
from training_kit import HERE, VIEWERS, row_of, state_of

from movierec.extensions import queue, writing
from movierec.services import runs, serving
from movierec.tables import Run, View, now

KEYS = {"run", "engine", "protocol", "segment", "split", "metric", "k", "value", "low", "high", "n"}


@pytest.fixture
def flask(trainable: Flask):
    def call(*words: str) -> Result:
        return trainable.test_cli_runner().invoke(args=list(words))

    return call


def test_engines_are_listed_with_their_settings_and_why_one_is_absent(flask) -> None:
    listed = {entry["engine"]: entry for entry in json.loads(flask("engines", "--json").stdout)}
    assert {"popularity", "quick", "absent"} <= set(listed)
    assert "no_such_library" in listed["absent"]["absent"]
    # 320 views: the engine's own default for that size
    assert {"name": "steps", "kind": "int", "default": 4, "bounds": "1 or more"} in listed["quick"]["params"]
    words = flask("engines").stdout
    assert "quick" in words
    assert "above 0, up to 0.9" in words


def test_training_here_prints_progress_apart_from_numbers(flask, trainable: Flask) -> None:
    done = flask("train", "quick", "--set", "steps=2", "--seed", "3", "--note", "why", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert all(set(row) == KEYS for row in rows)
    assert {row["protocol"] for row in rows} == {"loo-full", "loo-sampled100", "cost"}
    whole = [row for row in rows if row["protocol"] == "loo-full" and row["segment"] == "all"]
    assert {row["n"] for row in whole if row["metric"] in ("ndcg", "hr", "mrr")} == {VIEWERS}
    assert {row["value"] for row in whole if row["metric"] == "diversity"} == {None}  # this site knows no genres
    kinds = {row["segment"].partition(":")[0] for row in rows if row["protocol"] == "loo-full"}
    assert kinds == {"all", "viewers", "films"}
    assert "loss 0.2500" in done.stderr
    run = row_of(trainable, rows[0]["run"])
    assert (run.state, run.params["seed"], run.params["steps"], run.note) == ("done", 3, 2, "why")


def test_machines_are_told_what_was_done(flask) -> None:
    def told(*words: str):
        return json.loads(flask(*words, "--json").stdout)

    queued = told("train", "slow", "--queue")
    assert (queued["run"], queued["state"], queued["metrics"]) == (1, "queued", [])
    assert queued == told("runs")[0]
    for _ in range(2):
        flask("train", "quick")
    assert told("put-on-air", "2", "--why", "first") == {"run": 2, "version": 1}
    assert told("put-on-air", "3", "--why", "second") == {"run": 3, "version": 2}
    assert told("roll-back") == {"run": 2, "version": 3}
    assert told("first-run") == {"run": None}
    assert told("sweep") == {"lost": [], "removed": []}


def test_training_can_be_left_to_the_worker(flask, trainable: Flask) -> None:
    assert flask("train", "quick", "--queue").exit_code == 0
    with trainable.app_context():
        assert len(queue().job_ids) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "There is no engine 'nothing'"),
        (("quick", "--set", "steps=0"), "steps: Must be a whole number, 1 or more"),
        (("quick", "--set", "steps"), "not of the form knob=value"),
        (("quick", "--split", "thirds"), "There is no split 'thirds'. There are: loo, time, ratio."),
        (("broken",), "failed: ValueError: a defect"),
        (("broken", "--set", "rate=0.65"), "Aborted!"),
        (("broken", "--set", "rate=0.45"), "nothing was kept"),
    ],
)
def test_what_cannot_be_trained_ends_with_a_sentence_and_a_status(flask, words: tuple[str, ...], said: str) -> None:
    failed = flask("train", *words)
    assert failed.exit_code != 0
    assert said in failed.output
    assert "Traceback" not in failed.output


def test_evaluating_again_gives_the_same_numbers_once(flask, trainable: Flask) -> None:
    trained = json.loads(flask("train", "quick", "--json").stdout)
    run_id = str(trained[0]["run"])
    for protocol in ("loo-full", "loo-sampled100"):
        again = json.loads(flask("evaluate", run_id, "--protocol", protocol, "--json").stdout)
        assert again == [row for row in trained if row["protocol"] == protocol]
    told = json.loads(flask("runs", "--json").stdout)
    assert [entry["run"] for entry in told] == [int(run_id)]
    assert len(told[0]["metrics"]) == len(trained)
    assert f"run {run_id}: quick, done" in flask("runs").stdout
    assert "NDCG@10" in flask("evaluate", run_id).stdout


@pytest.mark.parametrize(("split", "protocol"), [("time", "time-full"), ("ratio", "ratio-full")])
def test_a_run_is_judged_by_the_protocols_of_its_split(flask, split: str, protocol: str) -> None:
    trained = json.loads(flask("train", "quick", "--split", split, "--json").stdout)
    assert {row["protocol"] for row in trained} == {protocol, "cost"}
    recall = [row for row in trained if (row["metric"], row["segment"]) == ("recall", "all")]
    assert [(row["k"], row["n"]) for row in recall] == [(5, VIEWERS), (10, VIEWERS), (20, VIEWERS)]
    assert json.loads(flask("runs", "--json").stdout)[0]["split"] == split
    again = json.loads(flask("evaluate", "1", "--json").stdout)  # the full ranking of its own split
    assert again == [row for row in trained if row["protocol"] == protocol]
    refused = flask("evaluate", "1", "--protocol", "loo-full")
    assert refused.exit_code == 1
    assert f"was trained under the split '{split}'; loo-full needs 'loo'" in refused.output
    assert "flask train quick --split loo" in refused.output


def test_segments_are_shown_where_they_are_wanted(flask) -> None:
    flask("train", "quick")
    assert "films:tail" not in flask("evaluate", "1").output
    assert "films:tail" in flask("evaluate", "1", "--segments").output


def test_what_cannot_be_measured_is_refused(flask, trainable: Flask, people) -> None:
    assert "There is no such run" in flask("evaluate", "4711").output
    run_id = str(json.loads(flask("train", "quick", "--json").stdout)[0]["run"])
    assert "There is no protocol 'guess'" in flask("evaluate", run_id, "--protocol", "guess").output
    flask("train", "slow", "--queue")
    assert "has no artefact to measure: it is queued" in flask("evaluate", "2").output
    state = next((trainable.config["MODELS_DIR"] / "quick").glob("*/state.npz"))
    content = state.read_bytes()
    state.write_bytes(content[:-1])
    assert "can't be measured: state.npz" in flask("evaluate", run_id).output
    state.write_bytes(content)
    assert flask("evaluate", run_id).exit_code == 0


def test_data_that_changed_since_is_not_measured_against(flask, trainable: Flask, catalogue_of) -> None:
    run_id = str(json.loads(flask("train", "quick", "--json").stdout)[0]["run"])
    catalogue_of(trainable)
    flask_says = flask("evaluate", run_id).output
    assert "has changed since" in flask_says
    assert "flask train quick --split loo" in flask_says


@pytest.fixture
def catalogue_of():
    """Something that changes what the run's cut-off covers: a view with an id below it."""

    def change(app: Flask) -> None:
        from movierec.tables import Movie, User

        with app.app_context(), writing() as session:
            session.add(User(id=1, name="mina", name_key="mina", password_hash="x"))
            session.add(Movie(id=10, title="Ten", sort_title="ten", rank=1))
            session.flush()
            session.add(View(id=1, user_id=1, movie_id=10, watched_at=now()))
            session.get(Run, 1).views_until = 1

    return change


def test_going_on_air_and_back(flask, trainable: Flask) -> None:
    for _ in range(2):
        flask("train", "quick")
    assert "run 1 is on air" in flask("put-on-air", "1", "--why", "first").output
    assert "run 2 is on air" in flask("put-on-air", "2", "--why", "second").output
    assert "run 1 is on air again" in flask("roll-back").output
    assert "There is no such run" in flask("put-on-air", "9", "--why", "?").output
    with trainable.app_context():
        assert [change.who for change in serving.changes()] == ["the console"] * 3
    assert [run["on_air"] for run in json.loads(flask("runs", "--json").stdout)] == [False, True]


def test_a_run_that_went_silent_is_told_and_swept(flask, trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    flask("train", "quick", "--queue")
    with trainable.app_context(), writing() as session:
        run = session.get(Run, 1)
        run.state, run.attempt_id, run.heartbeat_at = "running", "a", now().replace(year=2020)
    assert "run 1: quick, no sign of life" in flask("runs").stdout
    assert [run["silent"] for run in json.loads(flask("runs", "--json").stdout)] == [True]
    monkeypatch.setattr(runs, "SILENT_AFTER", timedelta(seconds=0.05))
    assert "1 runs lost" in flask("sweep").output
    assert state_of(trainable, 1) == "lost"


def test_housekeeping(flask, trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("movierec.services.first_run.ENGINE", "quick")
    assert "run 1 is queued" in flask("first-run").output
    assert "nothing to do" in flask("first-run").output
    assert state_of(trainable, 1) == "queued"
    assert "0 runs lost, 0 artefacts of no run removed" in flask("sweep").output


def test_the_worker_command_becomes_the_worker(trainable: Flask, valkey) -> None:
    """It is replaced by `python -m movierec.worker`, which says what is missing."""
    valkey.kill()
    env = {name: str(trainable.config[name]) for name in ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR", "REDIS_URL")}
    command = [str(Path(sys.executable).parent / "flask"), "--app", "movierec", "worker"]
    done = subprocess.run(command, cwd=HERE.parent, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "The worker ends because Redis does not answer" in done.stderr


@pytest.mark.parametrize(
    "words", [["runs", "--limit", "9" * 20], ["evaluate", "9" * 20], ["put-on-air", "0", "--why", "x"]]
)
def test_a_number_that_no_run_can_have_is_refused(runner: FlaskCliRunner, words: list[str]) -> None:
    done = runner.invoke(args=words)
    assert done.exit_code == 2
    assert "is not in the range" in done.stderr
