"""One attempt at a run: claims the row, keeps it alive, listens for a stop, reports, and ends it exactly once.

Every write names the attempt and wants the row still `running`. Whoever ended the row before wins; an attempt that
lost its row learns it within half a second and leaves nothing behind. While another writer holds the database, what
there is to tell is kept and told later; a training is never given up for that.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from movierec.engines.base import Cancelled
from movierec.extensions import BadDatabase, busy, db, writing
from movierec.services.vitals import Log, Vitals
from movierec.tables import LogLine, MetricRow, Run, now

log = logging.getLogger(__name__)

LOOK_EVERY = 0.4  # seconds between two looks for a stop
BEAT_EVERY = 2.0  # seconds between two signs of life
REPORT_EVERY = 0.5  # seconds between two writes of the progress
END_WITHIN = 600.0  # seconds that the end of a training is tried for while others hold the database
Listener = Callable[[str, int, int, Mapping[str, float]], None]  # phase, step, total, metrics

SAVING = "saving"  # the phase after which nothing is asked any more
CHOICE = "validation"  # protocol of the numbers that choose among a series; never shown as a result
CURVES = "training"  # protocol of the live curves: no number of theirs is ever charted beside a measured one


class Attempt:
    """Holds a claimed run. Use `claim`; then it is a context manager whose thread gives the signs of life."""

    def __init__(self, app: Flask, run_id: int, attempt_id: str, listen: Listener | None = None) -> None:
        self.app, self.run_id, self.attempt_id, self.listen = app, run_id, attempt_id, listen
        self.wanted: str | None = None  # "keep" or "discard" once a person asked to stop
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._pulse, name=f"pulse-{run_id}", daemon=True)
        self._points: list[dict[str, Any]] = []
        self._pointed = False  # whether the first point of a curve is written: from then on there is something to keep
        self._untold: dict[str, Any] = {}  # columns of the row, as they are to be told
        self._log = Log(run_id)
        self._phase = "reading"
        self._written = 0.0

    def __enter__(self) -> Attempt:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    # -- the thread: its own connection, its own short transactions

    def _pulse(self) -> None:
        beaten, vitals = time.monotonic(), Vitals()
        while not self._ended.wait(LOOK_EVERY):
            with self.app.app_context():
                try:
                    self._look()
                    if time.monotonic() - beaten >= BEAT_EVERY:
                        # Who waited here would not hear a stop meanwhile.
                        self._write(wait=False, heartbeat_at=now(), **vitals.look())
                        beaten = time.monotonic()
                except (SQLAlchemyError, BadDatabase) as error:  # the next look is soon enough, whatever it was
                    log.warning("run %s could not give a sign of life: %s", self.run_id, error)

    def _look(self) -> None:
        row = db.session.execute(
            select(Run.cancel).where(Run.id == self.run_id, Run.attempt_id == self.attempt_id, Run.state == "running")
        ).one_or_none()
        self.wanted = "discard" if row is None else row.cancel

    # -- what the training calls

    def check(self) -> None:
        """Raises Cancelled where a person asked to stop, or where the row is no longer ours.

        Who is saving is doing what "keep" asks for.
        """
        if self.wanted == "discard" or (self.wanted == "keep" and self._phase != SAVING):
            raise Cancelled(keep=self.wanted == "keep")

    def report(self, step: int, total: int, **metrics: float) -> None:
        """The engine's Report: the progress is written twice a second, points of the curves are never left out.

        The first point is written at once, for it tells that there is something to keep.
        """
        self.check()
        self._untold |= {"step": step, "total": total}
        self._points += [_point(self.run_id, name, step, value) for name, value in metrics.items()]
        self._log.point(step, total, metrics)
        if self.listen is not None:
            self.listen(self._phase, step, total, metrics)
        first = bool(self._points) and not self._pointed
        if first or time.monotonic() - self._written >= REPORT_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what was reported and not written yet. Raises Cancelled where the row is no longer ours.

        Where another writer holds the database all of it is kept, for the next report or the end.
        """
        try:
            if not self._write(self._points, self._log.lines, wait=False, **self._untold):
                self.wanted = "discard"
            self._pointed = self._pointed or bool(self._points)
            self._points, self._log.lines, self._untold = [], [], {}
        except OperationalError as error:
            if not busy(error):
                raise
            log.info("run %s reports later: the database is busy", self.run_id)
        self._written = time.monotonic()
        self.check()

    def phase(self, name: str) -> None:
        """Say what is being done now. The progress starts anew."""
        self._phase = name
        self._log.phase(name)
        self._untold |= {"phase": name, "step": 0, "total": 0}
        self.flush()

    def note(self, **values: Any) -> None:
        """Tell facts about the attempt, which go onto the row."""
        self._untold |= values
        self.flush()

    def end(
        self, state: str, rows: Iterable[MetricRow] = (), *, also: Callable[[Any], None] | None = None, **values: Any
    ) -> str | None:
        """The commit rule: bring the row from `running` to its last state, once. None where it was no longer ours.

        A stop with "keep" that came in the last moment turns `done` into `cancelled`, with the artefact kept. `also`
        is done in the same transaction, only for `done`. A busy database is waited for up to END_WITHIN: hours of
        training may hang on this one write. Raises OperationalError after that.
        """
        rows, until = list(rows), time.monotonic() + END_WITHIN
        while True:
            try:
                return self._end(state, rows, also, values)
            except OperationalError as error:
                if not busy(error) or time.monotonic() >= until:
                    raise
                log.warning("run %s has ended and waits for the database, which is busy", self.run_id)

    def _end(
        self, state: str, rows: list[MetricRow], also: Callable[[Any], None] | None, values: Mapping[str, Any]
    ) -> str | None:
        told = {**self._untold, **values}
        with writing() as session:
            found = session.execute(
                select(Run.cancel).where(
                    Run.id == self.run_id, Run.attempt_id == self.attempt_id, Run.state == "running"
                )
            ).one_or_none()
            if found is None:
                return None
            if state == "done" and found.cancel:
                state, told["reason"] = "cancelled", KEPT
            session.add_all([*rows, *(MetricRow(**point) for point in self._points)])
            session.add_all([LogLine(**line) for line in self._log.lines])
            told |= {"state": state, "ended_at": now(), "phase": ""}
            session.execute(update(Run).where(Run.id == self.run_id).values(**told))
            if also is not None and state == "done":
                also(session)
        self._points, self._log.lines, self._untold = [], [], {}
        return state

    def _write(
        self,
        points: Iterable[dict[str, Any]] = (),
        lines: Iterable[dict[str, Any]] = (),
        *,
        wait: bool,
        **values: Any,
    ) -> bool:
        """One short transaction; False where the row is no longer ours."""
        with writing(wait=wait) as session:
            mine = session.execute(
                update(Run)
                .where(Run.id == self.run_id, Run.attempt_id == self.attempt_id, Run.state == "running")
                .values(**values, attempt_id=self.attempt_id)  # so that there is always something to set
            ).rowcount
            if mine:
                session.add_all([MetricRow(**point) for point in points])
                session.add_all([LogLine(**line) for line in lines])
        return bool(mine)


KEPT = "Stopped by request; the best state so far was kept."


def claim(app: Flask, run_id: int, attempt_id: str, listen: Listener | None = None) -> Attempt | None:
    """Take a waiting run. None where it does not wait any more: cancelled, or taken by somebody else."""
    moment = now()
    with writing() as session:
        taken = session.execute(
            update(Run)
            .where(Run.id == run_id, Run.state == "queued")
            .values(state="running", attempt_id=attempt_id, started_at=moment, heartbeat_at=moment, phase="reading")
        ).rowcount
    return Attempt(app, run_id, attempt_id, listen) if taken else None


def end_from_outside(
    run_id: int,
    state: str,
    reason: str,
    *,
    attempt_id: str | None = None,
    heartbeat_at: datetime | None = None,
    wait: bool = True,
    **values: Any,
) -> bool:
    """End an active run from another process (cancelled, killed, lost); False where it had ended already.

    With `attempt_id` a running row must be that attempt's; a waiting one is anybody's. With `heartbeat_at` this must
    still be its last sign of life. `wait` is `writing`'s.
    """
    with writing(wait=wait) as session:
        active = (Run.state == "queued") | (Run.state == "running")
        if attempt_id is not None:
            active = (Run.state == "queued") | ((Run.state == "running") & (Run.attempt_id == attempt_id))
        if heartbeat_at is not None:
            active &= Run.heartbeat_at == heartbeat_at
        ended = session.execute(
            update(Run)
            .where(Run.id == run_id, active)
            .values(state=state, reason=reason, ended_at=now(), phase="", **values)
        ).rowcount
    return bool(ended)


def _point(run_id: int, name: str, step: int, value: float) -> dict[str, Any]:
    """A point of a live curve: "ndcg@10" was measured on the validation targets, "loss" on the training data."""
    metric, _, k = name.partition("@")
    return {
        "run_id": run_id,
        "metric": metric,
        "k": int(k) if k else None,
        "protocol": CURVES,
        "split": "validation" if k else "train",
        "step": step,
        "value": float(value) if math.isfinite(value) else None,
    }


def rows_of(run_id: int, measures: Iterable[Any]) -> list[MetricRow]:
    """Metric rows of a scorecard's measures; NaN is "not measured"."""
    return [
        MetricRow(
            run_id=run_id,
            metric=m.metric,
            k=m.k or None,
            protocol=m.protocol,
            segment=m.segment,
            split=m.split,
            **{name: _known(getattr(m, name)) for name in ("value", "low", "high")},
            n=m.n,
        )
        for m in measures
    ]


def cost_rows(run_id: int, costs: Mapping[str, float], protocol: str) -> list[MetricRow]:
    """What the run cost, as metric rows beside the others."""
    return [
        MetricRow(run_id=run_id, metric=name, protocol=protocol, split="train", value=value)
        for name, value in costs.items()
    ]


def choice_rows(run_id: int, validation: Mapping[str, float]) -> list[MetricRow]:
    """What the best of a series is chosen by: the finished engine on the validation targets."""
    points = [_point(run_id, name, 0, value) for name, value in validation.items()]
    return [MetricRow(**(point | {"protocol": CHOICE, "step": None})) for point in points]


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
