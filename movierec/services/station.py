"""The engine on air as this process holds it: a new version loads in the background, the old one plays until then."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime

from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from movierec import artifacts
from movierec.artifacts import ArtifactError
from movierec.engines.base import Engine, EngineError
from movierec.extensions import BadDatabase, db
from movierec.services import outside, serving
from movierec.tables import MetricRow, Run, Serving, Snapshot

FIRST_WAIT = 3.0  # seconds that a request waits for the first engine of its process
LOOK_EVERY = 1.0  # seconds between two looks for a new version
RETRY_AFTER = 30.0  # seconds until a version that could not be loaded is tried again
PROTOCOL = "loo-full"  # whose numbers viewers are told


@dataclass(frozen=True)
class Facts:
    """Where a list comes from, as told to people: rows, never guesses."""

    engine: str
    run: int | None = None
    trained_at: datetime | None = None
    events: int | None = None
    simulated: bool = False
    hit_rate: float | None = None  # share of viewers whose next film is in the top 10
    hit_low: float | None = None
    hit_high: float | None = None
    hit_n: int | None = None
    protocol: str = PROTOCOL
    trouble: str | None = None  # why this is not what is on air, in a sentence


@dataclass(frozen=True)
class OnAir:
    """One version of what is on air, or of what fills in for it (an older one); no engine where no run is on air."""

    version: int
    engine: Engine | None
    facts: Facts


class Station:
    """One a process and app. Thread-safe; a reference is swapped, never changed."""

    def __init__(self) -> None:
        self.current: OnAir | None = None
        self.failed: tuple[int, str, float] | None = None  # version, why, when (monotonic)
        self._loading: threading.Event | None = None
        self._follower: threading.Thread | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def tune(self, version: int) -> OnAir | None:
        """What this process plays for that version: the version itself, or the old one while it loads or can't.

        None only while nothing was ever loaded here.
        """
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        if not app.testing:  # a test says when something is to be loaded
            self.follow(app)
        current = self.current
        if current is not None and current.version == version:
            return current
        loading = self._begin(app, version)
        if loading is not None and (current is None or current.engine is None):  # nothing better to play meanwhile
            loading.wait(FIRST_WAIT)
        return self.current

    def trouble(self, version: int) -> str | None:
        """Why this process could not load that version, in a sentence; None where it could, or has not tried."""
        failed = self.failed
        return failed[1] if failed is not None and failed[0] == version else None

    def follow(self, app: Flask) -> None:
        """See to it that one thread of this process looks for a new version and loads it, asked for films or not.

        Never before a fork, which would not take the thread along; there it is begun anew.
        """
        follower = self._follower
        if follower is not None and follower.is_alive():
            return
        with self._lock:
            if self._follower is None or not self._follower.is_alive():
                self._stopped.clear()
                self._follower = threading.Thread(target=self._look, args=(app,), name="following", daemon=True)
                self._follower.start()

    def stop(self) -> None:
        """End the thread that follows; the process's own end needs no call."""
        self._stopped.set()
        if self._follower is not None:
            self._follower.join()

    def _look(self, app: Flask) -> None:
        said = ""
        while True:
            try:
                with app.app_context():
                    version = _on_air()[0]
                said = ""
                if self.current is None or self.current.version != version:
                    loading = self._begin(app, version)
                    if loading is not None:
                        loading.wait()
            except (SQLAlchemyError, BadDatabase) as error:  # the next look is soon; the engine that is held goes on
                if str(error) != said:
                    app.logger.warning("what is on air can't be looked up: %s", error)
                said = str(error)
            if self._stopped.wait(LOOK_EVERY):
                return

    def _begin(self, app: Flask, version: int) -> threading.Event | None:
        """Start loading unless it is under way or has just failed; the event is set when it ends."""
        with self._lock:
            if self._loading is not None:
                return self._loading
            failed = self.failed
            if failed is not None and failed[0] == version and time.monotonic() - failed[2] < RETRY_AFTER:
                return None
            self._loading = ended = threading.Event()
            threading.Thread(target=self._load, args=(app, ended), name="on-air", daemon=True).start()
            return ended

    def _load(self, app: Flask, ended: threading.Event) -> None:
        version, run = -1, None
        try:
            with app.app_context():
                version, run = _on_air()
                self.current = OnAir(version, _engine(run), _facts(run))
                self.failed = None
        except (ArtifactError, EngineError) as error:
            self._give_up(app, version, run, str(error))
        except Exception as error:
            self._give_up(app, version, run, f"{type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._loading = None
            ended.set()

    def _give_up(self, app: Flask, version: int, run: Run | None, why: str) -> None:
        """The engine that is held goes on; where there is none, the latest one before that can be loaded."""
        playing = self.current
        if (playing is None or playing.engine is None) and run is not None:
            with app.app_context():
                playing = _latest_before(run) or playing
        if playing is not None and playing.engine is not None and run is not None:
            lost, facts = f"{run.engine} #{run.id}", playing.facts
            trouble = f"{lost} is on air but can't be loaded, so {facts.engine} #{facts.run} fills in."
            playing = replace(playing, facts=replace(facts, trouble=trouble))
        self.current, self.failed = playing, (version, why, time.monotonic())
        app.logger.error("on air: version %d can't be loaded, what was before stays or fills in: %s", version, why)


def station() -> Station:
    """This app's station in this process."""
    held: Station | None = current_app.extensions.get("movierec_station")
    return held if held is not None else current_app.extensions.setdefault("movierec_station", Station())


def follow(app: Flask) -> None:
    """Have this process follow what is on air from now on; for a server's hook after the fork."""
    with app.app_context():
        station().follow(app)


def _on_air() -> tuple[int, Run | None]:
    row = db.session.execute(
        select(Serving.version, Run).outerjoin(Run, Run.id == Serving.run_id).where(Serving.id == 1)
    ).first()
    return (0, None) if row is None else (row[0], row[1])


def _latest_before(run: Run) -> OnAir | None:
    """The latest run on air before this one that can be loaded; None where there is none."""
    tried = {run.id}
    for change in serving.changes():
        if change.run_id is None or change.run_id in tried:
            continue
        tried.add(change.run_id)
        try:
            earlier = db.session.get(Run, change.run_id)
            return OnAir(change.number, _engine(earlier), _facts(earlier))
        except Exception as error:  # whatever is wrong with it, one still older may be whole
            current_app.logger.warning("on air: run %d can't fill in: %s", change.run_id, error)
    return None


def _engine(run: Run | None) -> Engine | None:
    if run is None:
        return None
    if run.artifact is None:
        raise ArtifactError(f"Run {run.id} has no artefact.")
    db.session.remove()  # no transaction stays open while files are read; the run stays readable
    loaded = artifacts.load(current_app.config["MODELS_DIR"], run.engine, run.artifact, sha256=run.artifact_sha256)
    return outside.connected(loaded, current_app._get_current_object())  # type: ignore[attr-defined]


def _facts(run: Run | None) -> Facts:
    if run is None:
        return Facts("popularity")
    simulated = db.session.scalar(select(Snapshot.simulated).where(Snapshot.id == run.snapshot_id))
    hit = db.session.execute(
        select(MetricRow.value, MetricRow.low, MetricRow.high, MetricRow.n).where(
            MetricRow.run_id == run.id,
            MetricRow.protocol == PROTOCOL,
            MetricRow.split == "test",
            MetricRow.metric == "hr",
            MetricRow.k == 10,
            MetricRow.segment == "all",
        )
    ).first()
    value, low, high, n = hit or (None, None, None, None)
    return Facts(run.engine, run.id, run.ended_at, run.events, bool(simulated), value, low, high, n)
