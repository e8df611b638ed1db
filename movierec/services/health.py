"""Whether this process can serve, part by part: for whoever watches the site from outside. Tells no path and no key."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from movierec.extensions import BadDatabase, db
from movierec.services import jobs, serving, station
from movierec.services.doctor import LEAST_DISK

OK, DEGRADED, FAILING = "ok", "degraded", "failing"
FOLDERS = ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR")


@dataclass(frozen=True)
class Part:
    """One part of the site. Degraded: pages go on without it. Failing: this process should get no requests."""

    state: str
    message: str
    seconds: float | None = None  # since the worker's last sign of life


@dataclass(frozen=True)
class Health:
    """All parts by name."""

    parts: dict[str, Part]

    @property
    def state(self) -> str:
        """The worst state of a part."""
        found = {part.state for part in self.parts.values()}
        return next((state for state in (FAILING, DEGRADED) if state in found), OK)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"status": self.state, "checks": {name: asdict(part) for name, part in self.parts.items()}}


def look() -> Health:
    """Look at every part now; raises nothing. Needs an app context."""
    redis, worker = _queue()
    database, serves = _database()
    return Health({"database": database, "redis": redis, "worker": worker, "disk": _disk(), "serving": serves})


def _queue() -> tuple[Part, Part]:
    queue = jobs.state()
    if queue.error:
        told = "does not answer: trainings wait, everything else goes on"
        return Part(DEGRADED, told), Part(DEGRADED, "unknown without redis")
    redis = Part(OK, f"answers in {queue.milliseconds:.0f} ms, {queue.waiting} trainings wait")
    if not queue.workers:
        return redis, Part(DEGRADED, "none is alive: trainings wait", queue.last_beat)
    return redis, Part(OK, f"{queue.workers} alive, {queue.busy} busy", queue.last_beat)


def _database() -> tuple[Part, Part]:
    """The database, and the run on air, which it names."""
    try:
        on_air = serving.on_air()
        db.session.rollback()
    except (SQLAlchemyError, BadDatabase):
        return Part(FAILING, "can't be read"), Part(FAILING, "unknown without the database")
    answers = Part(OK, "answers")
    if on_air.run_id is None:
        return answers, Part(OK, "no run yet: viewers get the popular films")
    playing = station.station().tune(on_air.version)
    if playing is None or playing.engine is None:
        return answers, Part(DEGRADED, f"run {on_air.run_id} is not loaded: viewers get the popular films")
    if playing.facts.run != on_air.run_id:
        return answers, Part(DEGRADED, f"run {on_air.run_id} is not loaded: run {playing.facts.run} fills in")
    return answers, Part(OK, f"run {on_air.run_id} plays")


def _disk() -> Part:
    try:
        states = [os.statvfs(current_app.config[key]) for key in FOLDERS if current_app.config[key].exists()]
    except OSError:
        return Part(FAILING, "can't be looked at")
    free = min(state.f_bavail * state.f_frsize for state in states)
    if free < LEAST_DISK:
        return Part(FAILING, f"only {free // 2**20} MB are free")
    return Part(OK, f"{free / 2**30:.0f} GB are free")
