"""A run's list before it goes on air: for oneself or for a viewer whose next film is known, beside what is on air."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from flask import Flask, current_app

from movierec import artifacts
from movierec.dataset import Dataset, History
from movierec.engines.base import Engine
from movierec.evaluation import protocol as protocols
from movierec.extensions import db
from movierec.services import answering, outside, recommending, runs, serving, snapshots
from movierec.services.answering import Answer, Watched
from movierec.services.catalogue import Card
from movierec.services.errors import NotFound, Refused, Unavailable
from movierec.services.station import station
from movierec.tables import Run

K = 10
PATIENCE = 8.0  # seconds for reading the artefact, the data and the answer
SHOWN = 8  # films of a history that are named, the latest
NOTHING = "It lists no film for this history: best known films would fill in."

_at_work = threading.Lock()  # one preview at a time in a process: each holds an engine of its own in memory


@dataclass(frozen=True)
class List:
    """One list of films, and where the film that the viewer watched next stands; `trouble` says why there is none."""

    name: str
    films: list[Card] = field(default_factory=list)
    hit: int | None = None  # place, from 1
    milliseconds: float | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Preview:
    """What a viewer would get from this run, and gets now."""

    run: Run
    mine: List
    on_air: List | None  # None where the run is itself on air, or nothing is
    history: list[str]  # titles, the latest first
    events: int
    viewer: int | None  # number of a test viewer, from 1; None: oneself
    viewers: int | None  # test viewers that there are, where one was asked for
    next_film: str | None  # what the test viewer watched next


@dataclass(frozen=True)
class _Case:
    seen: Watched
    next_film: int | None = None
    viewers: int | None = None


def preview(run_id: int, *, user_id: int, viewer: int | None = None) -> Preview:
    """The first films of the run's list for the person, or for test viewer number `viewer` of the run's own data.

    Reads the artefact beside what is on air, which goes on undisturbed. Raises NotFound, Refused (no usable artefact,
    data that has changed, no such viewer) or Unavailable (another preview is being read, or it takes too long).
    """
    run = runs.get(run_id)
    if run.artifact is None:
        raise Refused(f"{run.engine} #{run_id} has no artefact to look at: it is {run.state}.")
    if not _at_work.acquire(blocking=False):
        raise Unavailable("Another preview is being read right now. Try again in a moment.")
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    done: Future[Preview] = Future()

    def work() -> None:
        try:
            with app.app_context():
                done.set_result(_made(runs.get(run_id), user_id, viewer))
        except BaseException as error:
            done.set_exception(error)
        finally:
            _at_work.release()

    db.session.remove()
    threading.Thread(target=work, name=f"preview-{run_id}", daemon=True).start()
    try:
        return done.result(timeout=PATIENCE)
    except TimeoutError:
        raise Unavailable(
            f"{run.engine} #{run_id} could not be read within {PATIENCE:.0f} s: it is too large to look at here, or "
            "the server is busy. What is on air goes on."
        ) from None


def _made(run: Run, user_id: int, viewer: int | None) -> Preview:
    case = _Case(answering.watched(user_id)) if viewer is None else _test_case(run, viewer)
    engine = _loaded(run)
    mine = _asked(engine, f"{run.engine} #{run.id}", case, user_id)
    titles = answering.titles(case.seen.movie_ids[-SHOWN:])
    return Preview(
        run,
        mine,
        _now(run, case, user_id),
        [
            titles.get(movie_id, "a film that has left the catalogue")
            for movie_id in case.seen.movie_ids[: -SHOWN - 1 : -1]
        ],
        len(case.seen.movie_ids),
        viewer,
        case.viewers,
        None
        if case.next_film is None
        else answering.titles([case.next_film]).get(case.next_film, "a film that is gone"),
    )


def _loaded(run: Run) -> Engine:
    db.session.remove()  # no transaction stays open while files are read
    try:
        engine = artifacts.load(
            current_app.config["MODELS_DIR"], run.engine, str(run.artifact), sha256=run.artifact_sha256
        )
    except artifacts.BadArtifact as error:
        raise Refused(f"{run.engine} #{run.id} can't be looked at: {error}") from error
    return outside.connected(engine, current_app._get_current_object())  # type: ignore[attr-defined]


def _now(run: Run, case: _Case, user_id: int) -> List | None:
    """The same question to the engine that this process plays."""
    row = serving.on_air()
    if row.run_id is None or row.run_id == run.id:
        return None
    playing = station().tune(row.version)
    if playing is None or playing.engine is None:
        return List("what is on air", trouble="It is not loaded in this process yet.")
    return _asked(playing.engine, f"{playing.facts.engine} #{playing.facts.run}", case, user_id)


def _asked(engine: Engine, name: str, case: _Case, user_id: int) -> List:
    begun = perf_counter()
    answer: Answer = answering.answer(engine, name, case.seen, K, None)
    took = (perf_counter() - begun) * 1000
    films = recommending.unseen(answer.movie_ids, case.seen, user_id)[:K]
    places: dict[int | None, int] = {film.id: place for place, film in enumerate(films, 1)}
    if not films:
        return List(
            name, trouble=answer.fallback or "It lists no film for this history: best known films would fill in."
        )
    return List(name, films, places.get(case.next_film), took)


def _test_case(run: Run, number: int) -> _Case:
    """The history of one viewer of the test split, and the first film held back. Raises Refused, NotFound."""
    data = _data(run)
    holdout = protocols.split_as(data, run.split)
    viewers = np.unique(holdout.test.viewers)
    viewers = viewers[data.viewer_ids[viewers] > 0]  # the site's own people are below zero: theirs is nobody's to see
    if not 1 <= number <= viewers.size:
        raise NotFound(f"There are test viewers 1 to {viewers.size:,}.")
    viewer = int(viewers[number - 1])
    history = holdout.test_history.history(viewer)
    movie_ids = [data.index.movie_id(int(item)) for item in history.items]
    held = holdout.test.items[holdout.test.viewers == viewer]
    blank = History.of(np.zeros(len(movie_ids), dtype=np.int32), history.times, history.ratings)
    return _Case(Watched(movie_ids, blank), data.index.movie_id(int(held[0])), int(viewers.size))


def _data(run: Run) -> Dataset:
    snapshot = runs.snapshot_of(run)
    data = snapshots.dataset(snapshot, run.views_until) if snapshot is not None else None
    if data is None or data.sha256 != run.dataset_sha256:
        raise Refused(
            f"The data that {run.engine} #{run.id} learnt from has changed since (a viewer edited or left), so its "
            "test viewers can't be shown. Your own list can."
        )
    return data
