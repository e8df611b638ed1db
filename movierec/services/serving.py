"""What is on air: looked up, changed by compare-and-swap after a trial of the artefact, rolled back, told."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import current_app
from sqlalchemy import select

from movierec import artifacts
from movierec.extensions import db, writing
from movierec.services.errors import Conflict, NotFound, Refused
from movierec.tables import Run, Serving, ServingChange

SHORTEST_WHY, LONGEST_WHY = 1, 500


@dataclass(frozen=True)
class Change:
    """One change of what is on air, as the history tells it. `number` counts from 1; `until` is None while it holds."""

    number: int
    run_id: int | None
    engine: str | None
    previous_run_id: int | None
    previous_engine: str | None
    who: str
    why: str
    known: str  # what the evidence said then; empty where nothing was asked
    at: datetime
    until: datetime | None


def on_air() -> Serving:
    """What is on air, read afresh; `run_id` is None before anything was put there."""
    row = db.session.get(Serving, 1, populate_existing=True)
    return row if row is not None else Serving(id=1, run_id=None, version=0)


def put_on_air(
    run_id: int, *, user_id: int | None, who: str, why: str, expected_version: int, known: str = ""
) -> Serving:
    """Try the run's artefact, then swap it in, if nobody else changed what is on air since `expected_version`.

    `known` is what the evidence said then, kept with the change.
    Raises NotFound, Refused (no usable artefact; what is on air stays) or Conflict (somebody was faster).
    """
    run = db.session.get(Run, run_id, populate_existing=True)
    if run is None or run.removed_at is not None:
        raise NotFound("There is no such run.")
    why = _shown(why)
    if not SHORTEST_WHY <= len(why) <= LONGEST_WHY:
        raise Refused(f"Say why, in 1 to {LONGEST_WHY} characters: it is kept with the change.", field="why")
    tried = _try(run)
    with writing() as session:
        row = _row(session)
        if row.version != expected_version:
            raise Conflict(f"{_last_change()} Nothing was changed now; look at it and decide again.")
        if row.run_id == run_id:
            raise Conflict(f"{run.engine} #{run_id} is on air already.")
        fresh = session.get(Run, run_id, populate_existing=True)
        if fresh is None or fresh.artifact != tried or fresh.removed_at is not None:
            raise Refused(f"{run.engine} #{run_id} has just lost its artefact. What is on air stays.")
        _swap(session, row, run_id, user_id, who, why, known)
    return row


def put_first_on_air(session: Any, run_id: int, *, who: str, why: str) -> bool:
    """Put a run on air whose artefact has just been tried, inside the caller's transaction; False where one is."""
    row = _row(session)
    if row.run_id is not None:
        return False
    _swap(session, row, run_id, None, who, why)
    return True


def roll_back(*, user_id: int | None, who: str, why: str, expected_version: int, known: str = "") -> Serving:
    """Put back what was on air before: the same act, with the same errors. Conflict where there was nothing."""
    previous = before()
    if previous is None:
        raise Conflict("Nothing was on air before, so there is nothing to go back to.")
    return put_on_air(previous.id, user_id=user_id, who=who, why=why, expected_version=expected_version, known=known)


def before() -> Run | None:
    """The run that was on air before the present one."""
    query = select(ServingChange).order_by(ServingChange.id.desc()).limit(1)
    last = db.session.execute(query).scalar_one_or_none()
    run = db.session.get(Run, last.previous_run_id) if last is not None and last.previous_run_id else None
    return run if run is not None and run.removed_at is None else None


def changes() -> list[Change]:
    """All changes, the latest first."""
    found = db.session.execute(select(ServingChange).order_by(ServingChange.id)).scalars().all()
    engines = {run.id: run.engine for run in db.session.execute(select(Run.id, Run.engine))}
    told = [
        Change(
            number,
            row.run_id,
            engines.get(row.run_id),
            row.previous_run_id,
            engines.get(row.previous_run_id),
            row.who,
            row.why,
            row.known,
            row.at,
            found[number].at if number < len(found) else None,
        )
        for number, row in enumerate(found, 1)
    ]
    return told[::-1]


def _shown(why: str) -> str:
    """The reason in one line, without control characters and halves of characters; empty where nothing can be seen."""
    told = " ".join(unicodedata.normalize("NFC", why).replace("\0", " ").split())
    told = "".join(char for char in told if unicodedata.category(char) not in ("Cc", "Cs", "Co", "Cn"))
    return told if any(unicodedata.category(char)[0] in "LNPS" for char in told) else ""


def _row(session: Any) -> Serving:
    """The one row, made where there is none yet; inside a writing transaction."""
    row: Serving | None = session.get(Serving, 1, populate_existing=True)
    if row is None:
        row = Serving(id=1, run_id=None, version=0)
        session.add(row)
    return row


def _swap(session: Any, row: Serving, run_id: int, user_id: int | None, who: str, why: str, known: str = "") -> None:
    change = ServingChange(run_id=run_id, previous_run_id=row.run_id, user_id=user_id, who=who, why=why, known=known)
    session.add(change)
    row.run_id, row.version = run_id, row.version + 1


def _try(run: Run) -> str:
    """Load the run's artefact into an object of its own; its folder. Raises Refused with the reason.

    No transaction stays open meanwhile; the run stays readable.
    """
    name = f"{run.engine} #{run.id}"
    if run.artifact is None or run.state not in ("done", "cancelled"):
        raise Refused(f"{name} has no artefact to serve: it is {run.state}. What is on air stays.")
    db.session.remove()
    try:
        artifacts.load(Path(current_app.config["MODELS_DIR"]), run.engine, run.artifact, sha256=run.artifact_sha256)
    except artifacts.BadArtifact as error:
        raise Refused(f"{name} can't go on air: {error} What is on air stays.") from error
    return run.artifact


def _last_change() -> str:
    """One sentence about the change that came in between."""
    query = select(ServingChange).order_by(ServingChange.id.desc()).limit(1)
    last = db.session.execute(query).scalar_one_or_none()
    if last is None:
        return "What is on air has changed meanwhile."
    return f"{last.who} put run #{last.run_id} on air meanwhile ({last.why})."
