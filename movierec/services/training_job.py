"""What the worker does with a run: read, split, fit, evaluate, save, and end the row under the commit rule."""

from __future__ import annotations

import logging
import resource
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, current_app

from movierec import artifacts
from movierec.dataset import Dataset, Holdout
from movierec.engines import registry
from movierec.engines.base import Cancelled, Engine, EngineError
from movierec.evaluation import harness
from movierec.evaluation import protocol as protocols
from movierec.evaluation.scorecard import COST, Measure, Scorecard
from movierec.extensions import db
from movierec.services import first_run, snapshots
from movierec.services.attempt import KEPT, SAVING, Attempt, Listener, claim, cost_rows, rows_of
from movierec.services.errors import Refused, ServiceError
from movierec.tables import Run, Snapshot

log = logging.getLogger(__name__)

DISCARDED = "Stopped by request; nothing was kept."
REASON_LENGTH = 500  # characters of an unforeseen error that are kept on the row


@dataclass(frozen=True)
class Plan:
    """What the row orders, read before the session is closed."""

    engine: Engine
    data: Dataset
    origin: str
    models: Path


@dataclass(frozen=True)
class Outcome:
    """What the fit and the evaluation left; `kept` is a training that was stopped and keeps its best state."""

    kept: bool
    fit_seconds: float
    cards: tuple[Scorecard, ...]


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
            attempt.end("cancelled", reason="Stopped with Ctrl-C; nothing was kept.")
            raise
        except BaseException as error:
            attempt.end("failed", reason=_reason(error), peak_memory=_peak_memory())
            raise


def _train(attempt: Attempt) -> str | None:
    plan = _read(attempt)
    holdout = protocols.split(plan.data)
    outcome = _fit_and_judge(attempt, plan.engine, holdout)
    verdict = first_run.judge(holdout, outcome.cards) if plan.origin == "first" and outcome.cards else None
    attempt.phase(SAVING)
    measures = _measures(outcome.cards)
    saved = artifacts.save(
        plan.models,
        plan.engine,
        facts={"run": attempt.run_id, "measures": {f"{m.protocol} {m.metric}@{m.k}": m.value for m in measures}},
        dataset=plan.data.sha256,
        add={f"{card.protocol}.npz": card.arrays() for card in outcome.cards},
    )
    slug, peak = type(plan.engine).slug, _peak_memory()
    costs = {"fit_cpu_s": outcome.fit_seconds, "peak_memory_mb": peak / 1e6, "artifact_mb": saved.bytes / 1e6}
    ended = None
    try:
        ended = attempt.end(
            "cancelled" if outcome.kept else "done",
            rows_of(attempt.run_id, measures) + cost_rows(attempt.run_id, costs, COST),
            reason=KEPT if outcome.kept else getattr(plan.engine, "note", "") or None,
            artifact=saved.folder,
            artifact_sha256=saved.sha256,
            artifact_bytes=saved.bytes,
            fit_seconds=outcome.fit_seconds,
            peak_memory=peak,
        )
    finally:
        if ended is None:  # somebody else ended the row, or it could not be written: these files are nobody's
            artifacts.delete(plan.models, slug, saved.folder)
    if ended == "done" and verdict is not None:
        first_run.settle(attempt.run_id, verdict)
    return ended


def _read(attempt: Attempt) -> Plan:
    """The run's engine and data; no session stays open across the training."""
    run = db.session.get_one(Run, attempt.run_id, populate_existing=True)
    snapshot = db.session.get(Snapshot, run.snapshot_id) if run.snapshot_id is not None else None
    if snapshot is None:
        raise Refused("The data that this run was to learn from is gone.")
    cls = registry.get(run.engine)
    engine = cls(cls.Params.model_validate(run.params))
    origin, data = run.origin, snapshots.dataset(snapshot, run.views_until)
    db.session.remove()
    attempt.note(dataset_sha256=data.sha256, events=data.n_events)
    return Plan(engine, data, origin, Path(current_app.config["MODELS_DIR"]))


def _fit_and_judge(attempt: Attempt, engine: Engine, holdout: Holdout) -> Outcome:
    """Raises Cancelled unless the training may go on or its best state is wanted and there is one."""
    attempt.phase("training")
    start = time.process_time()
    cards: list[Scorecard] = []
    try:
        engine.fit(holdout.train, attempt.report, harness.validator(holdout))
        attempt.flush()
    except Cancelled as stop:
        return _kept(engine, stop, time.process_time() - start)
    fit_seconds = time.process_time() - start
    try:
        attempt.phase("evaluating")
        fitting = [protocol.id for protocol in protocols.PROTOCOLS.values() if protocol.split == holdout.split]
        for number, protocol in enumerate(fitting):

            def progress(done: int, total: int, number: int = number) -> None:
                attempt.report(number * total + done, len(fitting) * total)

            cards.append(harness.evaluate(engine, holdout, protocol, progress=progress))
    except Cancelled as stop:
        return _kept(engine, stop, fit_seconds)
    return Outcome(False, fit_seconds, tuple(cards))


def _kept(engine: Engine, stop: Cancelled, fit_seconds: float) -> Outcome:
    if not (stop.keep and engine.fitted):
        raise stop
    return Outcome(True, fit_seconds, ())


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
