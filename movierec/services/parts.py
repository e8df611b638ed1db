"""Runs that are parts of another: whether they may be, which data that one must learn from then, and handing them over.

A part has seen the films that its own split left it. So a run made of parts learns from the very data and split of its
parts: on any other, a part might have learnt what the whole is judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flask import current_app
from sqlalchemy import select

from movierec import artifacts
from movierec.engines import registry
from movierec.engines.base import Engine, EngineError
from movierec.extensions import db
from movierec.services.errors import Refused
from movierec.services.knobs import BadParams, Knob
from movierec.tables import Run

KNOB = "parts"  # of an engine that is made of runs: the knob that names them, which a form marks
OFFERED = 6  # runs that a form names


@dataclass(frozen=True)
class Basis:
    """What the parts learnt from."""

    snapshot_id: int | None
    views_until: int


def basis(engine: Engine, split: str) -> Basis | None:
    """The data of the runs that the engine's knobs name; None where they name none. Raises BadParams, beside KNOB."""
    try:
        runs = [_finished(run_id) for run_id in engine.parts()]
        engine.check({run.id: registry.get(run.engine) for run in runs})
    except (Refused, EngineError) as error:
        raise BadParams({KNOB: str(error)}) from error
    if not runs:
        return None
    for run in runs[1:]:
        if run.dataset_sha256 != runs[0].dataset_sha256:
            said = (
                f"#{runs[0].id} and #{run.id} learnt from different data, so what one has seen the other may be "
                f"judged by. Name one by its engine ({run.engine} in place of {run.id}) to train it along."
            )
            raise BadParams({KNOB: said})
    for run in runs:
        if run.split != split:
            said = (
                f"#{run.id} was trained under the split {run.split}, this would be under {split}: it may have learnt "
                f"what the whole is judged by. Ask for the split {run.split}, or name {run.engine} in its place."
            )
            raise BadParams({KNOB: said})
        _whole(run)
    return Basis(runs[0].snapshot_id, runs[0].views_until)


def hand_over(engine: Engine, dataset_sha256: str, split: str) -> None:
    """Load the runs that the engine names and give them to it, once they are known to have learnt from this data.

    Raises Refused where one is gone, broken or of other data or split; EngineError where the engine can't use it.
    """
    wanted = engine.parts()
    if not wanted:
        return
    runs = [_finished(run_id) for run_id in wanted]
    other = [run.id for run in runs if (run.dataset_sha256, run.split) != (dataset_sha256, split)]
    if other:
        raise Refused(
            f"The data that #{other[0]} learnt from has changed since (a viewer edited or left). Name the engine in "
            "place of the run to train it along."
        )
    db.session.remove()  # no transaction stays open while files are read
    engine.use({run.id: _loaded(run) for run in runs})


def offered(knobs: Sequence[Knob]) -> list[Knob]:
    """The knobs of a form; one that names runs says which there are."""
    return [
        replace(knob, description=f"{knob.description} {_there()}") if knob.name == KNOB else knob for knob in knobs
    ]


def _there() -> str:
    """The newest finished runs, in a sentence."""
    there = (Run.state == "done", Run.artifact.is_not(None), Run.removed_at.is_(None))
    query = select(Run.id, Run.engine).where(*there).order_by(Run.id.desc())
    found = db.session.execute(query.limit(OFFERED)).all()
    told = ", ".join(f"{run.id} ({run.engine})" for run in found)
    return f"Finished runs: {told}." if found else "No run has finished yet."


def _finished(run_id: int) -> Run:
    """The run, if it is done and has an artefact. Raises Refused."""
    run = db.session.get(Run, run_id, populate_existing=True)
    if run is None or run.removed_at is not None:
        raise Refused(f"There is no run #{run_id}.")
    if run.state != "done":
        raise Refused(f"#{run_id} is {run.state}: only a run that is done can be a part.")
    if run.artifact is None:
        raise Refused(f"The files of #{run_id} were removed: train {run.engine} again, or name the engine.")
    return run


def _whole(run: Run) -> None:
    """Raises BadParams unless the run's files are as they were written."""
    try:
        artifacts.verify(_models(), run.engine, str(run.artifact), sha256=run.artifact_sha256)
    except artifacts.BadArtifact as error:
        raise BadParams({KNOB: f"The files of #{run.id} can't be used: {error}"}) from error


def _loaded(run: Run) -> Engine:
    try:
        return artifacts.load(_models(), run.engine, str(run.artifact), sha256=run.artifact_sha256)
    except artifacts.BadArtifact as error:
        raise Refused(f"The files of #{run.id} can't be used: {error}") from error


def _models() -> Path:
    return Path(current_app.config["MODELS_DIR"])
