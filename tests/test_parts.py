"""Runs made of runs: ordered on the very data of their parts, refused with what to do, whole without them later."""

from __future__ import annotations

import re
import shutil

import pytest
from flask import Flask
from kit import NOON, Browser
from sqlalchemy import update
from training_kit import add_snapshot, row_of

from movierec import artifacts
from movierec.dataset import History
from movierec.extensions import db, writing
from movierec.services import knobs, training, training_job
from movierec.services.errors import Refused
from movierec.tables import Movie, Run, User, View


def order(app: Flask, engine: str, **more: object) -> int:
    given = {name: more.pop(name) for name in ("parts", "steps") if name in more}
    with app.app_context():
        return training.request(engine, given, enqueue=False, **more)


def do(app: Flask, run_id: int) -> str | None:
    with app.app_context():
        return training_job.execute(run_id)


def trained(app: Flask, engine: str, **more: object) -> int:
    run_id = order(app, engine, **more)
    assert do(app, run_id) == "done"
    return run_id


def change(app: Flask, run_id: int, **columns: object) -> None:
    with app.app_context(), writing() as session:
        session.execute(update(Run).where(Run.id == run_id).values(**columns))


def watch(app: Flask, movie_id: int = 10) -> None:
    """A viewer of the site's own watches a film."""
    with app.app_context(), writing() as session:
        user = User(name="vera", name_key="vera", password_hash="x")
        session.add_all([user, Movie(id=movie_id, title="Ten", sort_title="ten", rank=1, events=0)])
        session.flush()
        session.add(View(user_id=user.id, movie_id=movie_id, watched_at=NOON))


def folder(app: Flask, run_id: int):
    run = row_of(app, run_id)
    return app.config["MODELS_DIR"] / run.engine / run.artifact


def refused(app: Flask, parts: str, **more: object) -> str:
    """What is said beside the knob."""
    with pytest.raises(knobs.BadParams) as error:
        order(app, "blend", parts=parts, **more)
    assert set(error.value.fields) == {"parts"}
    assert error.value.status == 422
    return error.value.fields["parts"]


def test_a_blend_of_runs_and_of_an_engine(trainable: Flask) -> None:
    first, second = trained(trainable, "popularity"), trained(trainable, "transitions")
    blend = trained(trainable, "blend", parts=f"{first}, #{second}, ease", seed=5)
    run = row_of(trainable, blend)
    assert run.params["parts"] == f"{first}, {second}, ease"
    assert run.dataset_sha256 == row_of(trainable, first).dataset_sha256
    assert run.reason.startswith("Made of ")
    shutil.rmtree(folder(trainable, first))  # its parts may go: nothing of theirs is needed any more
    with trainable.app_context(), writing() as session:
        session.delete(session.get(Run, second))
    models = trainable.config["MODELS_DIR"]
    engine = artifacts.load(models, "blend", run.artifact, sha256=run.artifact_sha256)
    assert len(engine.recommend([History.of([3, 4])], 5)[0]) == 5


def test_it_learns_from_the_data_of_its_parts(trainable: Flask) -> None:
    """A view came and another snapshot was put in use after the part was trained: the blend looks at neither."""
    part = trained(trainable, "popularity")
    watch(trainable)
    newer = add_snapshot(trainable)
    blend = trained(trainable, "blend", parts=f"{part}, transitions")
    for column in ("snapshot_id", "views_until", "dataset_sha256", "split"):
        assert getattr(row_of(trainable, blend), column) == getattr(row_of(trainable, part), column)
    other = row_of(trainable, order(trainable, "popularity"))
    assert (other.snapshot_id, other.views_until) == (newer, 1)


def test_what_cannot_be_a_part_is_said_beside_the_knob(trainable: Flask) -> None:
    good, gone, broken = (trained(trainable, "quick") for _ in range(3))
    waiting = order(trainable, "slow")
    change(trainable, gone, artifact=None)
    (folder(trainable, broken) / "state.npz").write_bytes(b"x")
    made = trained(trainable, "blend", parts=f"{good}, popularity")
    unknown = trained(trainable, "quick")
    change(trainable, unknown, engine="taken-away")
    for parts, said in (
        ("4711", "There is no run #4711."),
        (f"{waiting}", f"#{waiting} is queued: only a run that is done can be a part."),
        (f"{gone}", f"The files of #{gone} were removed: train quick again, or name the engine."),
        (f"{broken}", f"The files of #{broken} can't be used: state.npz: is 1 bytes long"),
        (f"{made}", "A blend can't be part of a blend: name what it is made of instead."),
        (f"{good}, blend", "A blend can't be part of a blend: name what it is made of instead."),
        (f"{unknown}", "There is no engine 'taken-away'."),
        (f"{good}, absent", "absent can't be trained here: no_such_library not installed"),
        (f"{good}, nonsense", "There is no engine 'nonsense'."),
        (f"{good}, {good}", f"Run {good} is named twice."),
        ("a b", "'a b' is neither the number of a run nor the name of an engine."),
    ):
        assert refused(trainable, parts).startswith(said)


def test_parts_of_different_data_or_split_are_refused_with_what_to_do(trainable: Flask) -> None:
    before = trained(trainable, "popularity")
    watch(trainable)
    after = trained(trainable, "quick")
    said = refused(trainable, f"{before}, {after}")
    assert said.startswith(f"#{before} and #{after} learnt from different data")
    assert f"quick in place of {after}" in said
    assert refused(trainable, f"{before}", split="ratio").startswith(f"#{before} was trained under the split loo")
    assert trained(trainable, "blend", parts=f"{before}, quick")


def test_a_part_that_goes_before_the_training_begins(trainable: Flask) -> None:
    part = trained(trainable, "quick")
    state = (folder(trainable, part) / "state.npz").read_bytes()
    for spoil, said in (
        (
            lambda: (folder(trainable, part) / "state.npz").unlink(),
            f"The files of #{part} can't be used: state.npz: is",
        ),
        (lambda: change(trainable, part, state="failed"), f"#{part} is failed: only a run that is done"),
    ):
        blend = order(trainable, "blend", parts=f"{part}, popularity")
        spoil()
        with pytest.raises(Refused):
            do(trainable, blend)
        run = row_of(trainable, blend)
        assert run.state == "failed"
        assert run.reason.startswith(said)
        (folder(trainable, part) / "state.npz").write_bytes(state)


def test_data_that_changed_since_is_said(trainable: Flask) -> None:
    watch(trainable)
    part = trained(trainable, "quick")
    blend = order(trainable, "blend", parts=f"{part}, popularity")
    with trainable.app_context(), writing() as session:
        session.execute(update(View).values(removed_at=NOON))
    with pytest.raises(Refused):
        do(trainable, blend)
    assert row_of(trainable, blend).reason.startswith(f"The data that #{part} learnt from has changed since")


def test_an_engine_that_is_not_made_of_runs_is_asked_nothing(trainable: Flask) -> None:
    assert row_of(trainable, trained(trainable, "quick")).state == "done"


# -- the form and the console


def test_the_form_says_which_runs_there_are(sam: Browser, trainable: Flask) -> None:
    assert "No run has finished yet." in sam.get("/lab/form/blend").text
    done = trained(trainable, "quick")
    order(trainable, "slow")
    assert f"Finished runs: {done} (quick)." in sam.get("/lab/form/blend").text
    assert "Finished runs" not in sam.get("/lab/form/quick").text


def test_the_form_comes_back_with_what_is_wrong(sam: Browser) -> None:
    answer = sam.submit("/lab/runs", {"engine": "blend", "parts": "12, ease"})
    assert answer.status_code == 422
    assert re.search(r'id="k-parts-bad"[^>]*>.*There is no run #12\.', answer.text, re.DOTALL)
    assert 'value="12, ease"' in answer.text


def test_the_console_trains_a_blend(trainable: Flask) -> None:
    part = trained(trainable, "quick")
    runner = trainable.test_cli_runner()
    done = runner.invoke(args=["train", "blend", "--set", f"parts={part},transitions"])
    assert done.exit_code == 0, done.output
    assert "Made of " in done.stdout
    wrong = runner.invoke(args=["train", "blend", "--set", "parts=99"])
    assert wrong.exit_code == 1
    assert "There is no run #99." in wrong.stderr
    with trainable.app_context():
        assert db.session.query(Run).count() == 2
