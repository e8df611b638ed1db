"""Runs and artefacts that something left behind: silent attempts, waiting runs without a job, folders of no run."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from movierec import artifacts
from movierec.extensions import busy, db
from movierec.services import history, jobs, run_care, runs, settings, slates
from movierec.services.attempt import end_from_outside
from movierec.services.errors import Unavailable
from movierec.tables import Run, now

log = logging.getLogger(__name__)

Alive = tuple[str | None, datetime | None]  # attempt, its last sign of life

WAITS_UNSEEN = timedelta(seconds=5)  # a run is given this long to reach the queue
ORPHANED_AFTER = timedelta(hours=24)

SILENT = "The training gave no sign of life for {seconds} s: it was stopped, killed or frozen. Start it again."
DIED = "The worker took it and died before it began. Start it again."


class Watch:
    """When this process saw the last signs of life change, by a clock that no suspend and no new time moves."""

    def __init__(self) -> None:
        self._since: dict[int, tuple[Alive, float]] = {}

    def look(self) -> list[tuple[int, Alive]]:
        """Running attempts that have been silent for runs.SILENT_AFTER under this process's eyes."""
        alive = select(Run.id, Run.attempt_id, Run.heartbeat_at).where(Run.state == "running")
        moment, seen = time.monotonic(), {run: (attempt, beat) for run, attempt, beat in db.session.execute(alive)}
        db.session.remove()
        self._since = {
            run: self._since[run] if run in self._since and self._since[run][0] == sign else (sign, moment)
            for run, sign in seen.items()
        }
        after = runs.SILENT_AFTER.total_seconds()
        return [(run, sign) for run, (sign, since) in self._since.items() if moment - since >= after]

    def forget(self, run_id: int) -> None:
        """Begin anew with this run."""
        self._since.pop(run_id, None)


def sweep(*, patient: bool = False) -> list[int]:
    """End every run that nobody works on any more and put back those that fell out of the queue; the runs ended.

    Silence takes two looks that lie runs.SILENT_AFTER apart. The worker looks again and again; who looks only once is
    `patient`: where something seems silent by the clock on the wall, it stays for the second look.
    """
    lost = sweep_silent()
    if patient and any(runs.silent(run) for run in runs.active()):
        db.session.remove()
        threading.Event().wait(runs.SILENT_AFTER.total_seconds())
        lost += sweep_silent()
    return lost + sweep_waiting()


def sweep_silent() -> list[int]:
    """Mark running attempts lost that stopped giving signs of life. One indexed read where there is nothing to do."""
    watch: Watch = current_app.extensions.setdefault("movierec_watch", Watch())
    reason, lost = SILENT.format(seconds=f"{runs.SILENT_AFTER.total_seconds():g}"), []
    for run, (attempt, beat) in watch.look():
        try:
            if end_from_outside(run, "lost", reason, attempt_id=attempt, heartbeat_at=beat, wait=False):
                lost.append(run)
        except OperationalError as error:
            if not busy(error):
                raise
            watch.forget(run)  # who holds the database now may have held it all the while, and the beats up with it
    return lost


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


def tidy() -> list[str]:
    """What can wait an hour: what was removed long ago, old slates, artefacts of no run; the artefacts removed."""
    history.purge_removed()
    slates.purge()
    run_care.purge()
    return sweep_artifacts()


def sweep_artifacts() -> list[str]:
    """Remove artefacts of this site that belong to no run, a day after they were written; their names."""
    root = Path(current_app.config["MODELS_DIR"])
    known = {folder for folder in db.session.execute(select(Run.artifact)).scalars() if folder is not None}
    site, age = settings.site_id(), ORPHANED_AFTER.total_seconds()
    removed = []
    for orphan in artifacts.orphans(root, known):
        if not orphan.engine:  # is being written just now
            continue
        log.warning("models/%s/%s belongs to no run (%.1f MB)", orphan.engine, orphan.folder, orphan.bytes / 1e6)
        if orphan.age_s >= age and _site_of(root, orphan) == site:
            artifacts.delete(root, orphan.engine, orphan.folder)
            removed.append(orphan.folder)
    artifacts.sweep_temporary(root, age)
    return removed


def _site_of(root: Path, orphan: artifacts.Orphan) -> str | None:
    """The site that trained it, as its manifest says; None where it can't be told: such a folder is left to people."""
    try:
        return artifacts.verify(root, orphan.engine, orphan.folder).facts.get("site")
    except artifacts.BadArtifact:
        return None
