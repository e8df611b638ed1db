"""What is on air: changed only by who saw what it was, only to what loads, and back again."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update

from movierec.evaluation.statistics import Verdict
from movierec.extensions import db, writing
from movierec.services import first_run, runs, serving, snapshots, training, training_job
from movierec.services.errors import Conflict, NotFound, Refused
from movierec.tables import Run, ServingChange


@pytest.fixture
def site(trainable: Flask):
    with trainable.app_context():
        yield trainable


def trained(engine: str = "quick") -> int:
    run_id = training.request(engine, {"steps": 2}, enqueue=False)
    assert training_job.execute(run_id) == "done"
    return run_id


def put(run_id: int, version: int, why: str = "because", who: str = "ana") -> int:
    return serving.put_on_air(run_id, user_id=None, who=who, why=why, expected_version=version).version


def folder_of(site: Flask, run_id: int) -> Path:
    run = runs.get(run_id)
    return site.config["MODELS_DIR"] / run.engine / run.artifact


def test_nothing_is_on_air_at_first(site: Flask) -> None:
    row = serving.on_air()
    assert (row.run_id, row.version) == (None, 0)
    assert serving.changes() == []
    assert serving.before() is None


def test_putting_on_air_and_rolling_back_are_the_same_act(site: Flask) -> None:
    first, second = trained(), trained()
    assert put(first, 0) == 1
    assert put(second, 1, "  it is newer ") == 2
    assert serving.on_air().run_id == second
    assert serving.before().id == first
    row = serving.roll_back(user_id=None, who="ben", why="worse", expected_version=2)
    assert (row.run_id, row.version) == (first, 3)
    told = [(c.number, c.run_id, c.previous_run_id, c.who, c.why) for c in serving.changes()]
    assert told == [
        (3, first, second, "ben", "worse"),
        (2, second, first, "ana", "it is newer"),
        (1, first, None, "ana", "because"),
    ]
    newest, middle, _ = serving.changes()
    assert newest.until is None
    assert middle.until == newest.at


def test_who_saw_something_older_is_told_who_was_faster(site: Flask) -> None:
    first, second = trained(), trained()
    put(first, 0, "mine", who="ben")
    with pytest.raises(Conflict, match=rf"ben put run #{first} on air meanwhile \(mine\)"):
        put(second, 0)
    with pytest.raises(Conflict, match="on air already"):
        put(first, 1)
    assert serving.on_air().run_id == first


def test_a_version_from_nowhere_is_a_conflict(site: Flask) -> None:
    with pytest.raises(Conflict, match="has changed meanwhile"):
        put(trained(), 5)


def test_of_ten_at_once_one_wins(trainable: Flask) -> None:
    with trainable.app_context():
        run_ids = [trained() for _ in range(2)]
    together = threading.Barrier(10)

    def one(number: int) -> bool:
        with trainable.app_context():
            together.wait()
            try:
                put(run_ids[number % 2], 0)
            except Conflict:
                return False
            return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(one, range(10))) == 1
    with trainable.app_context():
        assert len(serving.changes()) == serving.on_air().version == 1


@pytest.mark.parametrize("fault", ["flip", "cut", "missing file", "missing folder", "swapped"])
def test_a_broken_artefact_is_refused_and_the_old_one_stays(site: Flask, fault: str) -> None:
    good, bad = trained(), trained()
    put(good, 0)
    folder = folder_of(site, bad)
    state = folder / "state.npz"
    if fault == "flip":
        content = bytearray(state.read_bytes())
        content[len(content) // 2] ^= 1
        state.write_bytes(content)
    elif fault == "cut":
        state.write_bytes(state.read_bytes()[:-10])
    elif fault == "missing file":
        state.unlink()
    elif fault == "missing folder":
        shutil.rmtree(folder)
    else:
        shutil.rmtree(folder)
        shutil.copytree(folder_of(site, good), folder)
    with pytest.raises(Refused, match=f"quick #{bad} can't go on air: .* What is on air stays"):
        put(bad, 1)
    assert (serving.on_air().run_id, serving.on_air().version) == (good, 1)


def test_a_manifest_that_is_not_the_recorded_one_is_refused(site: Flask) -> None:
    run_id = trained()
    with writing() as session:
        session.execute(update(Run).values(artifact_sha256="0" * 64))
    with pytest.raises(Refused, match="not the one that was recorded"):
        put(run_id, 0)


def test_what_has_no_artefact_cannot_go_on_air(site: Flask) -> None:
    run_id = training.request("quick", {}, enqueue=False)
    with pytest.raises(Refused, match="has no artefact to serve: it is queued"):
        put(run_id, 0)
    with pytest.raises(NotFound):
        put(4711, 0)
    for unseen in ("", "  ", "\0", " \0\x07\n", "\u200b\u200d", "\ud800", "x" * 501):
        with pytest.raises(Refused) as refused:
            put(run_id, 0, why=unseen)
        assert refused.value.field == "why", ascii(unseen)


def test_a_reason_is_kept_as_it_can_be_read() -> None:
    assert serving._shown(" bet\0ter,\n\x1b[31mmu\u0308de ") == "bet ter, [31mm\u00fcde"
    assert serving._shown("\U0001f44d\u200d\u2640") == "\U0001f44d\u200d\u2640"


def test_an_artefact_lost_during_the_trial(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = trained()
    tried = serving._try

    def lose(run: Run) -> str:
        folder = tried(run)
        with writing() as session:
            session.execute(update(Run).values(artifact=None))
        return folder

    monkeypatch.setattr(serving, "_try", lose)
    with pytest.raises(Refused, match="has just lost its artefact"):
        put(run_id, 0)


def test_nothing_to_go_back_to(site: Flask) -> None:
    put(trained(), 0)
    with pytest.raises(Conflict, match="Nothing was on air before"):
        serving.roll_back(user_id=None, who="ana", why="", expected_version=1)


# -- the first run's own way on air

BETTER, SAME = Verdict(0.05, 0.0312, 0.07, 0.001, 40), Verdict(0.01, -0.01, 0.03, 0.4, 40)


def note(run_id: int) -> str:
    return runs.get(run_id).note


def settle(run_id: int, verdict: Verdict) -> None:
    with writing() as session:
        first_run.settle(session, run_id, verdict)


def test_a_first_run_that_beats_popularity_goes_on_air_in_the_houses_name(site: Flask) -> None:
    run_id = trained()
    settle(run_id, BETTER)
    assert (serving.on_air().run_id, serving.on_air().version) == (run_id, 1)
    change = db.session.execute(select(ServingChange)).scalar_one()
    assert (change.who, change.why) == ("movierec", "Beats popularity by .050 [.031, .070] in NDCG@10.")
    assert "put on air because it beats popularity by .050 [.031, .070] in NDCG@10 (loo-full)" in note(run_id)


def test_a_first_run_without_a_clear_difference_stays_off_and_says_so(site: Flask) -> None:
    run_id = trained()
    settle(run_id, SAME)
    assert serving.on_air().run_id is None
    assert "not put on air: against popularity by .010 [−.010, .030]" in note(run_id)
    assert "no clear difference" in note(run_id)


def test_a_first_run_never_takes_the_place_of_something(site: Flask) -> None:
    chosen, run_id = trained(), trained()
    put(chosen, 0)
    settle(run_id, BETTER)
    assert serving.on_air().run_id == chosen
    assert "Something else was on air already" in note(run_id)


def test_a_site_is_fresh_until_something_was_trained(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_run, "ENGINE", "quick")
    run_id = first_run.request_if_fresh()
    assert runs.get(run_id).origin == "first"
    assert first_run.request_if_fresh() is None
    with writing() as session:  # it never reached the queue: that was no first run
        session.execute(update(Run).values(state="failed", started_at=None))
    again = first_run.request_if_fresh()
    assert again not in (None, run_id)
    assert training_job.execute(again) == "done"
    assert first_run.request_if_fresh() is None
    assert "first run" in note(again).lower()


def test_without_data_nothing_is_ordered(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "current", lambda: None)
    assert first_run.request_if_fresh() is None
