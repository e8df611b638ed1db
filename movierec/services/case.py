"""One test viewer of a comparison: the history, the film that came next, and each run's list for it side by side."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flask import current_app

from movierec import artifacts
from movierec.dataset import Dataset, History
from movierec.engines.base import Engine, Reason
from movierec.evaluation import pairs
from movierec.evaluation import protocol as protocols
from movierec.evaluation.scorecard import Scorecard
from movierec.evaluation.segments import ALL
from movierec.extensions import db
from movierec.services import answering, comparison, outside, runs, snapshots
from movierec.services.errors import NotFound, Refused, ServiceError, Unavailable
from movierec.services.side_by_side import Shown
from movierec.tables import Run

LENGTH = 10  # of a list
NAMED = 8  # films of the history that are named, the latest
BECAUSE = 2  # films that one reason names
LARGEST = 3_000_000  # views: more would take gigabytes of the web process
GONE = "a film that has left the catalogue"

_at_work = threading.Lock()  # one case at a time in a process: each reads the data and several engines


@dataclass(frozen=True)
class Place:
    """One film of a list: `hit` is the film that came next; `why` a phrase, empty where the engine gives none."""

    title: str
    hit: bool
    why: str


@dataclass(frozen=True)
class List:
    """What one run lists; `place` of the film that came next among all, where it was asked; `trouble` instead."""

    run: Run
    films: list[Place]
    place: int | None
    trouble: str = ""


@dataclass(frozen=True)
class Case:
    """One viewer."""

    number: int  # among the test viewers, from 1
    viewers: int
    events: int
    history: list[str]  # titles, the latest first
    wanted: list[str]  # what was held out
    lists: list[List]


def case(shown: Shown, number: int | None = None) -> Case:
    """Test viewer `number`; None: the one for whom these runs differ most.

    Raises Refused (nothing to show together, data that changed or is too large), NotFound (no such viewer) or
    Unavailable (another one is being read).
    """
    if shown.problem or not shown.found:
        raise Refused(shown.problem or "There is no run to show.")
    run = shown.found[0]
    if run.split != shown.protocol.split or run.artifact is None:
        raise Refused(f"{run.engine} #{run.id} has no list to show under {shown.protocol.id}.")
    if not _at_work.acquire(blocking=False):
        raise Unavailable("Another viewer is being read right now. Try again in a moment.")
    try:
        return _made(shown, number)
    finally:
        _at_work.release()


def _made(shown: Shown, number: int | None) -> Case:
    found = shown.found
    db.session.expunge_all()  # what was read of the runs outlives the transaction
    data = _data(found[0])
    holdout = protocols.split(data, shown.protocol.id)
    cards = [comparison.card(run, shown.protocol) for run in found]
    rows = np.unique(holdout.test.viewers)
    rows = rows[data.viewer_ids[rows] > 0]  # the site's own people are below zero: theirs is nobody's to see
    if not rows.size:
        raise NotFound("There is no test viewer to show.")
    if number is None:
        number = _most_different(cards, data.viewer_ids[rows], shown)
    if not 1 <= number <= rows.size:
        raise NotFound(f"There are test viewers 1 to {rows.size:,}.")
    row = int(rows[number - 1])
    history = holdout.test_history.history(row)
    wanted = holdout.test.items[holdout.test.viewers == row]
    viewer_id = int(data.viewer_ids[row])
    lists = [
        _list(run, card, history, wanted.tolist(), viewer_id, data) for run, card in zip(found, cards, strict=True)
    ]
    past = [data.index.movie_id(int(item)) for item in history.items[: -NAMED - 1 : -1]]
    next_ones = [data.index.movie_id(int(item)) for item in wanted]
    titles = answering.titles([*past, *next_ones])
    return Case(
        number,
        int(rows.size),
        len(history),
        [titles.get(movie, GONE) for movie in past],
        [titles.get(movie, GONE) for movie in next_ones],
        lists,
    )


def _data(run: Run) -> Dataset:
    snapshot = runs.snapshot_of(run)
    if snapshot is not None and snapshot.events > LARGEST:
        raise Refused(f"{snapshot.events:,} views are too many to look for one viewer in here.")
    data = snapshots.dataset(snapshot, run.views_until) if snapshot is not None else None
    db.session.remove()
    if data is None or data.sha256 != run.dataset_sha256:
        raise Refused(
            "The data that these runs learnt from has changed since (a viewer edited or left), so its test viewers "
            "can't be shown."
        )
    return data


def _most_different(cards: list[Scorecard], viewer_ids: np.ndarray, shown: Shown) -> int:
    """The test viewer for whom the compared metric lies furthest apart; the first of several."""
    table = np.full((len(cards), viewer_ids.size), np.nan)
    try:
        for place, card in enumerate(cards):
            _, mine, theirs = np.intersect1d(viewer_ids, card.viewer_ids, assume_unique=True, return_indices=True)
            table[place, mine] = pairs.values(card, shown.asked.metric, shown.asked.k, ALL)[theirs]
    except ValueError:  # the metric is not one of single viewers
        return 1
    everybody = ~np.isnan(table).any(axis=0)
    spread = np.where(everybody, table.max(axis=0) - table.min(axis=0), -1.0)
    return int(spread.argmax()) + 1


def _list(run: Run, card: Scorecard, history: History, wanted: list[int], viewer_id: int, data: Dataset) -> List:
    try:
        engine = _loaded(run)
        picks = engine.recommend([history], LENGTH)[0]
        reasons = engine.explain(history, [pick.item for pick in picks])
    except ServiceError as error:
        return List(run, [], None, error.message)
    except Exception:  # an engine is a plug-in: whatever it raises, the other lists are shown
        current_app.logger.exception("%s #%d could not list films for a test viewer", run.engine, run.id)
        return List(run, [], None, "It ran into a fault for this history.")
    movies = [data.index.movie_id(pick.item) for pick in picks]
    rests = [[data.index.movie_id(item) for item, _ in reason.because[:BECAUSE]] for reason in reasons]
    titles = answering.titles([*movies, *(movie for each in rests for movie in each)])
    films = [
        Place(titles.get(movie, GONE), pick.item in wanted, _why(reason, [titles[m] for m in rest if m in titles]))
        for movie, pick, reason, rest in zip(movies, picks, reasons, rests, strict=True)
    ]
    return List(run, films, _place(card, viewer_id))


def _loaded(run: Run) -> Engine:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    try:
        root = Path(app.config["MODELS_DIR"])
        engine = artifacts.load(root, run.engine, str(run.artifact), sha256=run.artifact_sha256)
    except artifacts.BadArtifact as error:
        raise Refused(f"Its files can't be used: {error}") from error
    return outside.connected(engine, app)


def _why(reason: Reason, rests_on: list[str]) -> str:
    return f"because of {' and '.join(rests_on)}" if rests_on else reason.why


def _place(card: Scorecard, viewer_id: int) -> int | None:
    """Where the first of the films held out stood for this viewer, from 1; None where they were not asked about."""
    row = np.flatnonzero(card.viewer_ids == viewer_id)
    mine = np.flatnonzero(card.owners == row[0]) if row.size else row
    bases = card.bases[mine]
    known = bases[~np.isnan(bases)]
    if not known.size:
        return None
    return int(np.ceil(known.min())) + 1
