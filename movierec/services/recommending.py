"""A viewer asks for films: history, engine on air, films never seen; popularity fills in and the slate says so."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock, Semaphore
from time import monotonic, perf_counter

import numpy as np
from flask import current_app
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from movierec.dataset import History
from movierec.engines.base import Engine
from movierec.extensions import db, writing
from movierec.services import catalogue
from movierec.services.catalogue import Card
from movierec.services.station import Facts, OnAir, station
from movierec.tables import ACTIVE_STATES, Movie, Run, Serving, SlateRow, User, View

K = 42  # films on a home page: the first pick and what its lists hold
SPARE = 10  # asked for beyond k, for films that have left the catalogue since the training
PATIENCE = 2.0  # seconds for an engine's answer
AT_ONCE = 4  # engines asked at once in a process; more would only wait
KEPT, KEPT_FOR = 500, 600.0  # slates kept in a process, seconds: an import may change the films
NAMED = 3  # films of the history that a reason names


Key = tuple[int, int, int, int]  # viewer, serving version, history version, k


@dataclass(frozen=True)
class Slate:
    """The list a viewer gets, with who made it. `fallback` is why something else filled in, in a sentence."""

    films: list[Card]
    origin: Facts
    why: str
    fallback: str | None
    notice: str | None
    cold: bool  # nothing of this viewer's history counts yet
    viewer_id: int
    milliseconds: float
    fresh: bool = True  # made for this request, not taken from the cache: to be logged


@dataclass(frozen=True)
class _Watched:
    movie_ids: list[int]
    history: History  # `items` still hold nothing; the engine's index translates


class _Desk:
    """What a process keeps between requests: made slates, and the threads that engines answer in."""

    def __init__(self) -> None:
        self.slates: OrderedDict[Key, tuple[float, Slate]] = OrderedDict()
        self.lock = Lock()
        self.free = Semaphore(AT_ONCE)
        self.threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="engine")

    def kept(self, key: Key) -> Slate | None:
        with self.lock:
            until, slate = self.slates.get(key, (0.0, None))
            if slate is None or until < monotonic():
                return None
            self.slates.move_to_end(key)
            return slate

    def keep(self, key: Key, slate: Slate) -> None:
        with self.lock:
            self.slates[key] = (monotonic() + KEPT_FOR, slate)
            while len(self.slates) > KEPT:
                self.slates.popitem(last=False)


def _desk() -> _Desk:
    held: _Desk | None = current_app.extensions.get("movierec_desk")
    return held if held is not None else current_app.extensions.setdefault("movierec_desk", _Desk())


def slate_for(viewer_id: int, k: int = K, versions: tuple[int, int] | None = None) -> Slate:
    """The k best films for this viewer, never one watched, never one outside the catalogue.

    `versions` are (serving version, history version) where the caller has just read them: then a slate that was
    made before costs no query. Whatever happens to the engine, the answer is a list.
    """
    serving, history = versions or _versions(viewer_id)
    key = (viewer_id, serving, history, k)
    desk = _desk()
    kept = desk.kept(key)
    if kept is not None:
        return kept
    begun = perf_counter()
    slate, final = _make(viewer_id, k, serving, begun)
    if final:  # an emergency is not kept: the engine may answer the next time
        desk.keep(key, replace(slate, fresh=False))
    return slate


def _versions(viewer_id: int) -> tuple[int, int]:
    row = db.session.execute(
        select(
            select(Serving.version).where(Serving.id == 1).scalar_subquery(),
            select(User.history_version).where(User.id == viewer_id).scalar_subquery(),
        )
    ).one()
    return row[0] or 0, row[1] or 0


def _make(viewer_id: int, k: int, version: int, begun: float) -> tuple[Slate, bool]:
    """The slate, and whether it is what the engine on air had to say (True) or an emergency (False)."""
    watched = _watched(viewer_id)
    held = station()
    on_air = held.tune(version)
    found: list[int] = []
    fallback, notice, final = None, None, on_air is not None and on_air.version == version
    facts, why, cold = Facts("popularity"), "What most viewers watched, without the films you have seen.", True
    if on_air is None:
        trouble = held.trouble(version)
        fallback = (
            "The engine on air can't be loaded, so this list shows what most viewers watched."
            if trouble
            else "The engine is still loading, so this list shows what most viewers watched. Yours is here in a moment."
        )
    elif on_air.engine is None:
        fallback = _nothing_trained()
        final = False  # soon there may be
    else:
        found, fallback, notice, final_answer = _ask(on_air, watched, k)
        final = final and final_answer
        if found:
            facts, why, cold = on_air.facts, _reason(on_air.facts.engine, watched), False
    films = _valid(found, watched, viewer_id)[:k]
    if len(films) < k:
        films += _popular(watched, films, k - len(films), viewer_id)
        if found and films and fallback is None:
            notice = _joined(notice, "The list ends with films that most viewers watched.")
    milliseconds = 1000 * (perf_counter() - begun)
    return Slate(films, facts, why, fallback, notice, cold, viewer_id, milliseconds), final


def _nothing_trained() -> str:
    """Why nothing is on air: the first training is at it, or a scientist has to decide."""
    if db.session.scalar(select(Run.id).where(Run.state.in_(ACTIVE_STATES)).limit(1)):
        return "An engine is being trained right now. Until it is on air, this list shows what most viewers watched."
    if db.session.scalar(select(Run.id).where(Run.state == "done").limit(1)):
        return "No engine is on air, so this list shows what most viewers watched."
    return "No engine is trained yet, so this list shows what most viewers watched."


def _watched(viewer_id: int) -> _Watched:
    rows = db.session.execute(
        select(View.movie_id, View.watched_at, View.rating)
        .where(View.user_id == viewer_id, View.removed_at.is_(None))
        .order_by(View.watched_at, View.id)
    ).all()
    ratings = [np.nan if row.rating is None else row.rating for row in rows]
    times = np.array([int(row.watched_at.timestamp()) for row in rows], dtype=np.int64)
    blank = np.zeros(len(rows), dtype=np.int32)
    return _Watched([row.movie_id for row in rows], History.of(blank, times, np.array(ratings, dtype=np.float32)))


def _ask(on_air: OnAir, watched: _Watched, k: int) -> tuple[list[int], str | None, str | None, bool]:
    """(movie ids, why it fell back, notice, whether that is final)."""
    engine, name = on_air.engine, on_air.facts.engine
    assert engine is not None
    assert engine.index is not None
    if not watched.movie_ids:
        return [], "You have not marked a film yet, so this list shows what most viewers watched.", None, True
    items = engine.index.items(watched.movie_ids)
    skipped = int((items == 0).sum())
    if skipped == len(items):
        return [], f"Your films are all new to {name}, so this list shows what most viewers watched.", None, True
    films = "film of your history is" if skipped == 1 else "films of your history are"
    was = "was" if skipped == 1 else "were"
    notice = f"{skipped} {films} new to this run and {was} skipped." if skipped else None
    history = History(items, watched.history.times, watched.history.ratings).known()
    try:
        picks = _in_time(engine, history, k + SPARE)
    except TimeoutError:
        current_app.logger.error("on air: %s did not answer within %.0f s", name, PATIENCE)
        return [], f"{name} did not answer in time, so this list shows what most viewers watched.", None, False
    except Exception:  # an engine is a plug-in: whatever it raises, the viewer gets a list
        current_app.logger.exception("on air: %s failed", name)
        return [], f"{name} ran into a fault, so this list shows what most viewers watched.", None, False
    return [engine.index.movie_id(item) for item in picks], None, notice, True


def _in_time(engine: Engine, history: History, k: int) -> list[int]:
    """The engine's items. Raises TimeoutError when it takes too long or too many are still at it."""
    desk = _desk()
    if not desk.free.acquire(blocking=False):
        raise TimeoutError

    def answer() -> list[int]:
        try:
            return [pick.item for pick in engine.recommend([history], k)[0]]
        finally:
            desk.free.release()

    return desk.threads.submit(answer).result(timeout=PATIENCE)


def _valid(found: Sequence[int], watched: _Watched, viewer_id: int) -> list[Card]:
    seen = set(watched.movie_ids)
    return catalogue.cards([movie_id for movie_id in dict.fromkeys(found) if movie_id not in seen], viewer_id)


def _popular(watched: _Watched, films: list[Card], count: int, viewer_id: int) -> list[Card]:
    """The best known films that are neither watched nor listed already."""
    taken = set(watched.movie_ids) | {film.id for film in films}
    best = db.session.scalars(select(Movie.id).order_by(Movie.rank).limit(len(taken) + count))
    return catalogue.cards([movie_id for movie_id in best if movie_id not in taken][:count], viewer_id)


def _reason(engine: str, watched: _Watched) -> str:
    names = catalogue.titles(watched.movie_ids[: -NAMED - 1 : -1])
    many = len(watched.movie_ids)
    films = "your one film" if many == 1 else f"the order of your {many} films"
    return f"{engine} reads {films}, the latest first of all: {', '.join(names)}."


def _joined(first: str | None, second: str) -> str:
    return f"{first} {second}" if first else second


def log(slate: Slate) -> None:
    """Keep what was shown, for the site's own measurements. A slate from the cache was kept when it was made."""
    if not slate.fresh or not slate.films:
        return
    try:
        with writing() as session:
            session.add(
                SlateRow(
                    user_id=slate.viewer_id,
                    run_id=slate.origin.run,
                    engine=slate.origin.engine,
                    fallback=slate.fallback,
                    movie_ids=[film.id for film in slate.films],
                    milliseconds=slate.milliseconds,
                )
            )
    except SQLAlchemyError as error:  # the viewer has the list; a busy disk must not take it away
        current_app.logger.warning("a slate was not logged: %s", error)
