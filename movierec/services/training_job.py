"""What the worker does with a run: read, split, fit, evaluate, save, and end the row under the commit rule."""

from __future__ import annotations

import logging
import resource
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from movierec import artifacts
from movierec.dataset import Holdout
from movierec.engines import registry
from movierec.engines.base import Cancelled, Engine, EngineError, Validate
from movierec.evaluation import harness
from movierec.evaluation import protocol as protocols
from movierec.evaluation.beyond import Films
from movierec.evaluation.scorecard import COST, Measure, Scorecard
from movierec.evaluation.statistics import Verdict
from movierec.extensions import db
from movierec.services import first_run, judging, outside, parts, settings, snapshots
from movierec.services.attempt import (
    KEPT,
    LOOK_EVERY,
    SAVING,
    Attempt,
    Listener,
    choice_rows,
    claim,
    cost_rows,
    rows_of,
)
from movierec.services.errors import Refused, ServiceError
from movierec.tables import Run, Snapshot

log = logging.getLogger(__name__)

T = TypeVar("T")

DISCARDED = "Stopped by request; nothing was kept."
REASON_LENGTH = 500  # characters of an unforeseen error that are kept on the row


@dataclass(frozen=True)
class Plan:
    """What the row orders and what it is done with."""

    engine: Engine
    holdout: Holdout
    films: Films
    dataset: str  # hash of the whole data
    first: bool  # the first run of a fresh site
    chosen: bool  # one of a series, the best of which is chosen on validation
    models: Path


@dataclass(frozen=True)
class Outcome:
    """What the fit and the evaluation left; `kept` is a training that was stopped and keeps its best state."""

    kept: bool
    cpu_seconds: float
    cards: tuple[Scorecard, ...] = ()
    run_id: int = 0
    verdict: Verdict | None = None  # of a first run, against popularity
    validation: Mapping[str, float] = field(default_factory=dict)  # of one of a series, as it is saved

    def settle(self, session: Any) -> None:
        """What else is decided the moment the run is done."""
        if self.verdict is not None:
            first_run.settle(session, self.run_id, self.verdict)


def execute(run_id: int, attempt_id: str | None = None, listen: Listener | None = None) -> str | None:
    """Train a waiting run to its end; says how it ended, None where it did not wait any more.

    The one boundary of a training: whatever goes wrong is written on the row and raised again.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    attempt = claim(app, run_id, attempt_id or str(uuid.uuid4()), listen)
    if attempt is None:
        log.info("run %s does not wait any more; nothing to do", run_id)
        return None
    with attempt:
        try:
            return _train(attempt)
        except Cancelled:
            return attempt.end("cancelled", reason=DISCARDED)
        except KeyboardInterrupt:
            _end_badly(attempt, "cancelled", reason="Stopped with Ctrl-C; nothing was kept.")
            raise
        except BaseException as error:
            _end_badly(attempt, "failed", reason=_reason(error), peak_memory=_peak_memory())
            raise


def _end_badly(attempt: Attempt, state: str, **values: Any) -> None:
    """End the row; where even that can't be written, what went wrong first is what the caller raises."""
    try:
        attempt.end(state, **values)
    except SQLAlchemyError:
        log.exception("run %s could not be ended", attempt.run_id)


def _train(attempt: Attempt) -> str | None:
    plan = _read(attempt)
    outcome = _fit_and_judge(attempt, plan)
    attempt.phase(SAVING)
    measures = _measures(outcome.cards)
    saved = artifacts.save(
        plan.models,
        plan.engine,
        facts={
            "site": settings.site_id(),
            "run": attempt.run_id,
            "measures": {
                f"{m.protocol} {m.metric}@{m.k}": m.value for m in measures if judging.is_of_everybody(m.segment)
            },
        },
        dataset=plan.dataset,
        add={f"{card.protocol}.npz": card.arrays() for card in outcome.cards},
    )
    peak = _peak_memory()
    costs = {"fit_cpu_s": outcome.cpu_seconds, "peak_memory_mb": peak / 1e6, "artifact_mb": saved.bytes / 1e6}
    ended = attempt.end(
        "cancelled" if outcome.kept else "done",
        [
            *rows_of(attempt.run_id, measures),
            *cost_rows(attempt.run_id, costs, COST),
            *choice_rows(attempt.run_id, outcome.validation),
        ],
        also=outcome.settle,
        reason=KEPT if outcome.kept else plan.engine.note or None,
        artifact=saved.folder,
        artifact_sha256=saved.sha256,
        artifact_bytes=saved.bytes,
        fit_seconds=outcome.cpu_seconds,
        peak_memory=peak,
    )
    if ended is None:  # somebody else ended the row: these files are nobody's. Where that is not known they stay.
        artifacts.delete(plan.models, type(plan.engine).slug, saved.folder)
    return ended


def _read(attempt: Attempt) -> Plan:
    """The run's engine and data; no session stays open across the training."""
    run = db.session.get_one(Run, attempt.run_id, populate_existing=True)
    snapshot = db.session.get(Snapshot, run.snapshot_id) if run.snapshot_id is not None else None
    db.session.remove()
    if snapshot is None:
        raise Refused("The data that this run was to learn from is gone.")
    cls = registry.get(run.engine)
    engine = outside.connected(cls(cls.Params.model_validate(run.params)), attempt.app)

    def data() -> tuple[str, int, Holdout, Films]:
        whole = snapshots.dataset(snapshot, run.views_until)
        parts.hand_over(engine, whole.sha256, run.split)
        return whole.sha256, whole.n_events, protocols.split_as(whole, run.split), judging.films(whole.index)

    sha256, events, holdout, films = _stoppable(attempt, data)
    attempt.note(dataset_sha256=sha256, events=events)
    chosen = run.series_id is not None
    return Plan(engine, holdout, films, sha256, run.origin == "first", chosen, Path(current_app.config["MODELS_DIR"]))


def _stoppable(attempt: Attempt, work: Callable[[], T]) -> T:
    """`work()` in a thread of its own, for it has no step at which to look for a stop. Raises Cancelled at a stop."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            with attempt.app.app_context():
                done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name=f"reading-{attempt.run_id}", daemon=True).start()
    while not wait([done], LOOK_EVERY).done:
        attempt.check()
    attempt.check()
    return done.result()


def _fit_and_judge(attempt: Attempt, plan: Plan) -> Outcome:
    """Raises Cancelled unless the training may go on or its best state is wanted and there is one."""
    engine, holdout = plan.engine, plan.holdout
    attempt.phase("training")
    start = time.process_time()
    cards: list[Scorecard] = []
    try:
        engine.fit(holdout.train, attempt.report, _validator(attempt, holdout))
        attempt.flush()
    except Cancelled as stop:
        return _kept(engine, stop, time.process_time() - start)
    cpu_seconds = time.process_time() - start
    try:
        attempt.phase("evaluating")
        validation = _validator(attempt, holdout)(engine) if plan.chosen else {}
        fitting = [protocol.id for protocol in protocols.of_split(holdout.split)]
        for number, protocol in enumerate(fitting):

            def progress(done: int, total: int, number: int = number) -> None:
                attempt.report(number * total + done, len(fitting) * total)

            cards.append(harness.evaluate(engine, holdout, protocol, films=plan.films, progress=progress))
        verdict = first_run.judge(holdout, cards, attempt.check) if plan.first else None
    except Cancelled as stop:
        return _kept(engine, stop, cpu_seconds)
    return Outcome(False, cpu_seconds, tuple(cards), attempt.run_id, verdict, validation)


def _validator(attempt: Attempt, holdout: Holdout) -> Validate:
    """The house's judge, which looks for a stop before it begins."""
    judge = harness.validator(holdout)

    def validate(engine: Engine) -> Mapping[str, float]:
        attempt.check()
        return judge(engine)

    return validate


def _kept(engine: Engine, stop: Cancelled, cpu_seconds: float) -> Outcome:
    if not (stop.keep and engine.fitted):
        raise stop
    return Outcome(True, cpu_seconds)


def _measures(cards: tuple[Scorecard, ...]) -> list[Measure]:
    """All numbers of all scorecards; what a recommendation costs is told once, by the first."""
    found: list[Measure] = []
    for card in cards:
        found += [measure for measure in card.measures() if measure.protocol != COST or card is cards[0]]
    return found


def _peak_memory() -> int:
    """Bytes that this process had in memory at its fullest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _reason(error: BaseException) -> str:
    """Why a training failed, in a sentence: an engine's or a service's own, else the error's name and text."""
    if isinstance(error, EngineError | ServiceError | artifacts.BadArtifact | artifacts.DiskFull):
        return str(error)
    if isinstance(error, MemoryError):
        return f"Out of memory at {_peak_memory() / 1e6:.0f} MB: choose smaller settings or a smaller data set."
    return f"{type(error).__name__}: {error}"[:REASON_LENGTH]
