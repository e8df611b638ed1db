"""What is done to a run after it has ended: words and tags, putting it aside, deleting it and taking that back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import current_app
from sqlalchemy import delete

from movierec import artifacts
from movierec.extensions import writing
from movierec.services import runs
from movierec.services.errors import Conflict, NotFound, Refused
from movierec.services.training import LONGEST_NOTE
from movierec.tables import ACTIVE_STATES, Run, Serving, now

LONGEST_TAG, MOST_TAGS = 24, 8
UNDO_FOR = timedelta(days=1)  # that a deleted run can be brought back


def describe(run_id: int, note: str, tags: str) -> None:
    """Set its note and its tags (with commas between them). Raises NotFound, or Refused beside the field."""
    note = " ".join(note.split())
    if len(note) > LONGEST_NOTE:
        raise Refused(f"Use at most {LONGEST_NOTE} characters.", field="note")
    wanted = list(dict.fromkeys(tag for part in tags.split(",") if (tag := " ".join(part.split()).lower())))
    if len(wanted) > MOST_TAGS:
        raise Refused(f"Use at most {MOST_TAGS} tags.", field="tags")
    if any(len(tag) > LONGEST_TAG for tag in wanted):
        raise Refused(f"A tag has at most {LONGEST_TAG} characters.", field="tags")
    with writing() as session:
        run = _there(session, run_id)
        run.note, run.tags = note, wanted


def archive(run_id: int, *, aside: bool) -> None:
    """Put it aside, out of the list, or back. Its numbers and its place on air stay. Raises NotFound."""
    with writing() as session:
        run = _there(session, run_id)
        run.archived_at = (run.archived_at or now()) if aside else None


def remove(run_id: int) -> None:
    """Delete it; for a day it can be brought back. Raises NotFound, or Conflict while it is on air or being trained."""
    with writing() as session:
        run = _there(session, run_id)
        on_air = session.get(Serving, 1, populate_existing=True)
        if on_air is not None and on_air.run_id == run_id:
            raise Conflict(f"{run.engine} #{run_id} is on air. Put another run on air first, then delete it.")
        if run.state in ACTIVE_STATES:
            raise Conflict(f"{run.engine} #{run_id} is not done yet. Stop it first, then delete it.")
        run.removed_at = now()


def restore(run_id: int) -> None:
    """Bring a deleted run back. Raises NotFound where it is gone for good."""
    with writing() as session:
        run = session.get(Run, run_id, populate_existing=True)
        if run is None:
            raise NotFound("That run is gone for good.")
        run.removed_at = None


def purge() -> int:
    """Forget runs that were deleted more than a day ago, with their numbers; how many. Their files go as orphans do."""
    with writing() as session:
        gone = session.execute(delete(Run).where(Run.removed_at < now() - UNDO_FOR))
    return int(gone.rowcount)


def manifest(run_id: int) -> tuple[str, dict[str, Any]]:
    """A name for the file, and what the run is: its row and its artefact's manifest. Raises NotFound or Refused."""
    run = runs.get(run_id)
    if run.artifact is None:
        raise Refused(f"{run.engine} #{run_id} has no files: it is {run.state}.")
    row = {
        name: getattr(run, name)
        for name in (
            "id",
            "engine",
            "params",
            "split",
            "state",
            "note",
            "tags",
            "dataset_sha256",
            "events",
            "code_version",
        )
    }
    root = Path(current_app.config["MODELS_DIR"])
    try:
        told = artifacts.verify(root, run.engine, run.artifact, sha256=run.artifact_sha256)
    except artifacts.BadArtifact as error:
        raise Refused(f"The files of {run.engine} #{run_id} can't be used: {error}") from error
    return f"{run.engine}-{run_id}.json", {"run": row, "manifest": json.loads(told.content())}


def _there(session: Any, run_id: int) -> Run:
    run: Run | None = session.get(Run, run_id, populate_existing=True)
    if run is None or run.removed_at is not None:
        raise NotFound("There is no such run.")
    return run
