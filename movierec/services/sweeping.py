"""Runs and artefacts that something left behind: silent attempts, waiting runs without a job, folders of no run."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import select

from movierec import artifacts
from movierec.extensions import db
from movierec.services import jobs
from movierec.services.attempt import end_from_outside
from movierec.services.errors import Unavailable
from movierec.tables import Run, now

log = logging.getLogger(__name__)

SILENT_AFTER = timedelta(seconds=20)  # ten beats of an attempt's heart
WAITS_UNSEEN = timedelta(seconds=5)  # a run is given this long to reach the queue
ORPHANED_AFTER = timedelta(hours=24)

SILENT = "The worker that trained it gave no sign of life for {seconds} s: it was stopped or killed. Start it again."
DIED = "The worker took it and died before it began. Start it again."


def sweep() -> list[int]:
    """End every run that nobody works on any more and put back those that fell out of the queue; the runs ended."""
    return sweep_silent() + sweep_waiting()


def sweep_silent() -> list[int]:
    """Mark running attempts lost that stopped giving signs of life. One indexed read where there is nothing to do."""
    silent = select(Run.id, Run.attempt_id).where(Run.state == "running", Run.heartbeat_at < now() - SILENT_AFTER)
    reason = SILENT.format(seconds=f"{SILENT_AFTER.total_seconds():g}")
    found = db.session.execute(silent).all()
    return [run for run, attempt in found if end_from_outside(run, "lost", reason, attempt_id=attempt)]


def sweep_waiting() -> list[int]:
    """Waiting runs whose job is gone from Redis are put back; those whose worker died before it began are lost."""
    ended = []
    waiting = select(Run.id).where(Run.state == "queued", Run.created_at < now() - WAITS_UNSEEN)
    for run_id in db.session.execute(waiting).scalars().all():
        try:
            fate = jobs.missing(run_id)
            if fate == "gone":
                log.warning("run %s was not in the queue any more; put back", run_id)
                jobs.put(run_id)
            elif fate == "died" and end_from_outside(run_id, "lost", DIED):
                ended.append(run_id)
        except (RedisError, Unavailable) as error:  # without Redis nothing can be known about the queue
            log.warning("the queue can't be looked through: %s", error)
            break
    return ended


def sweep_artifacts() -> list[str]:
    """Remove folders of models/ that belong to no run, a day after they were written; their names."""
    root = Path(current_app.config["MODELS_DIR"])
    known = {folder for folder in db.session.execute(select(Run.artifact)).scalars() if folder is not None}
    age = ORPHANED_AFTER.total_seconds()
    for orphan in artifacts.orphans(root, known):
        log.warning("models/%s/%s belongs to no run (%.1f MB)", orphan.engine, orphan.folder, orphan.bytes / 1e6)
    removed = [o for o in artifacts.orphans(root, known, age) if o.engine]
    for orphan in removed:
        artifacts.delete(root, orphan.engine, orphan.folder)
    artifacts.sweep_temporary(root, age)
    return [orphan.folder for orphan in removed]
