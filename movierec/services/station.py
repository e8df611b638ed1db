"""The engine on air as this process holds it: a new version loads in the background, the old one plays until then."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from flask import Flask, current_app
from sqlalchemy import select

from movierec import artifacts
from movierec.artifacts import ArtifactError
from movierec.engines.base import Engine, EngineError
from movierec.extensions import db
from movierec.tables import MetricRow, Run, Serving, Snapshot

FIRST_WAIT = 3.0  # seconds that a request waits for the first engine of its process
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


@dataclass(frozen=True)
class OnAir:
    """One version of what is on air; no engine where no run is on air."""

    version: int
    engine: Engine | None
    facts: Facts


class Station:
    """One a process and app. Thread-safe; a reference is swapped, never changed."""

    def __init__(self) -> None:
        self.current: OnAir | None = None
        self.failed: tuple[int, str, float] | None = None  # version, why, when (monotonic)
        self._loading: threading.Event | None = None
        self._lock = threading.Lock()

    def tune(self, version: int) -> OnAir | None:
        """What this process plays for that version: the version itself, or the old one while it loads or can't.

        None only while nothing was ever loaded here.
        """
        current = self.current
        if current is not None and current.version == version:
            return current
        loading = self._begin(version)
        if loading is not None and (current is None or current.engine is None):  # nothing better to play meanwhile
            loading.wait(FIRST_WAIT)
        return self.current

    def trouble(self, version: int) -> str | None:
        """Why this process could not load that version, in a sentence; None where it could, or has not tried."""
        failed = self.failed
        return failed[1] if failed is not None and failed[0] == version else None

    def _begin(self, version: int) -> threading.Event | None:
        """Start loading unless it is under way or has just failed; the event is set when it ends."""
        with self._lock:
            if self._loading is not None:
                return self._loading
            failed = self.failed
            if failed is not None and failed[0] == version and time.monotonic() - failed[2] < RETRY_AFTER:
                return None
            self._loading = ended = threading.Event()
            app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
            threading.Thread(target=self._load, args=(app, ended), name="on-air", daemon=True).start()
            return ended

    def _load(self, app: Flask, ended: threading.Event) -> None:
        version = -1
        try:
            with app.app_context():
                version, run = _on_air()
                self.current = OnAir(version, _engine(run), _facts(run))
                self.failed = None
        except (ArtifactError, EngineError) as error:
            self._give_up(app, version, str(error))
        except Exception as error:
            self._give_up(app, version, f"{type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._loading = None
            ended.set()

    def _give_up(self, app: Flask, version: int, why: str) -> None:
        self.failed = (version, why, time.monotonic())
        app.logger.error("on air: version %d can't be loaded, the old one stays: %s", version, why)


def station() -> Station:
    """This app's station in this process."""
    held: Station | None = current_app.extensions.get("movierec_station")
    return held if held is not None else current_app.extensions.setdefault("movierec_station", Station())


def _on_air() -> tuple[int, Run | None]:
    row = db.session.execute(
        select(Serving.version, Run).outerjoin(Run, Run.id == Serving.run_id).where(Serving.id == 1)
    ).first()
    return (0, None) if row is None else (row[0], row[1])


def _engine(run: Run | None) -> Engine | None:
    if run is None:
        return None
    if run.artifact is None:
        raise ArtifactError(f"Run {run.id} has no artefact.")
    return artifacts.load(current_app.config["MODELS_DIR"], run.engine, run.artifact, sha256=run.artifact_sha256)


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
