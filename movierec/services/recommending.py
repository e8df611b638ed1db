"""A viewer asks for films: history, engine on air, films never seen; the best known fill in and the slate says so."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Lock, Semaphore
from time import monotonic, perf_counter

import numpy as np
from flask import current_app
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from movierec.dataset import History
from movierec.engines.base import Engine, Pick, ScoringEngine
from movierec.extensions import db, writing
from movierec.services import catalogue
from movierec.services.catalogue import Card
from movierec.services.station import Facts, OnAir, station
from movierec.tables import ACTIVE_STATES, Movie, Run, Serving, SlateRow, Snapshot, User, View, now

K = 42  # films on a home page: the first pick and what its lists hold
SPARE = 10  # asked for beyond k, for films that have left the catalogue since the training
PATIENCE = 2.0  # seconds for an engine's answer
AT_ONCE = 4  # engines asked at once in a process; more would only wait
KEPT, KEPT_FOR = 500, 600.0  # slates kept in a process, seconds
NAMED = 3  # films of the history that a reason names
LOGGED_FOR = timedelta(days=90)
PURGED_AT_ONCE = 2000  # rows in one short transaction
RANK = Facts("rank")  # the catalogue's own order, known to pages as "best known": no engine, nothing trained
WHY_RANK = "What most viewers of this site's data watched, without the films you have seen."
INSTEAD = "so this list shows the best known films."


Key = tuple[int, int, int, int, int]  # viewer, serving version, history version, snapshot, k


@dataclass(frozen=True)
class Slate:
    """The list a viewer gets, with who made it. `fallback` is why something else filled in, in a sentence."""

    films: list[Card]
    own: int  # the first so many are `origin`'s, the rest filled up with the best known
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


@dataclass(frozen=True)
class _Answer:
    """What the engine on air said: films and their reason; or, in `fallback`, why it said nothing."""

    movie_ids: Sequence[int] = ()
    why: str = ""
    notice: str | None = None
    fallback: str | None = None
    cold: bool = False
    final: bool = True  # False for an emergency: it may answer the next time


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


def slate_for(viewer_id: int, k: int = K) -> Slate:
    """The k best films for this viewer, never one watched, never one outside the catalogue.

    Whatever happens to the engine, the answer is a list. One that was made before comes with the films as the
    catalogue has them now.
    """
    begun = perf_counter()
    key = _key(viewer_id, k)
    desk = _desk()
    kept = desk.kept(key)
    if kept is not None:
        films = catalogue.cards([film.id for film in kept.films], viewer_id)
        if len(films) == len(kept.films):
            return replace(kept, films=films)
    slate, final = _make(key, begun)
    if final:  # an emergency is not kept: the engine may answer the next time
        desk.keep(key, replace(slate, fresh=False))
    return slate


def _key(viewer_id: int, k: int) -> Key:
    row = db.session.execute(
        select(
            select(Serving.version).where(Serving.id == 1).scalar_subquery(),
            select(User.history_version).where(User.id == viewer_id).scalar_subquery(),
            select(Snapshot.id).where(Snapshot.active).scalar_subquery(),
        )
    ).one()
    return viewer_id, row[0] or 0, row[1] or 0, row[2] or 0, k


def _make(key: Key, begun: float) -> tuple[Slate, bool]:
    """The slate, and whether it is what the engine on air had to say (True) or an emergency (False)."""
    viewer_id, version, *_, k = key
    watched = _watched(viewer_id)
    db.session.rollback()  # no transaction stays open while an engine loads or thinks
    on_air = station().tune(version)
    if on_air is None or on_air.engine is None:
        answer = _Answer(fallback=_silence(on_air, version), final=False)
    else:
        answer = _ask(on_air.engine, on_air.facts.engine, watched, k)
    own = _unseen(answer.movie_ids, watched, viewer_id)[:k]
    films = own + _best_known(watched, own, k - len(own), viewer_id)
    origin, why, notice, fallback, cold = RANK, WHY_RANK, None, answer.fallback, True
    name = on_air.facts.engine if on_air is not None else ""
    if on_air is not None and own:
        origin, why, cold = on_air.facts, answer.why, answer.cold
        notice = _joined(answer.notice, on_air.facts.trouble)
        if len(films) > len(own):
            notice = _joined(notice, f"The list ends with best known films: {name} has no more for you.")
    elif fallback is None:
        fallback = f"{name} has no film left for you, {INSTEAD}"
    final = answer.final and on_air is not None and on_air.version == version
    milliseconds = 1000 * (perf_counter() - begun)
    count = len(own) or len(films)
    return Slate(films, count, origin, why, fallback, notice, cold, viewer_id, milliseconds), final


def _silence(on_air: OnAir | None, version: int) -> str:
    """Why no engine can be asked: it can't be loaded, is loading, is in training, or a scientist has to decide."""
    if on_air is None:
        if station().trouble(version):
            return f"The engine on air can't be loaded, {INSTEAD}"
        return f"The engine is still loading, {INSTEAD} Yours is here in a moment."
    if db.session.scalar(select(Run.id).where(Run.state.in_(ACTIVE_STATES)).limit(1)):
        return "An engine is being trained right now. Until it is on air, this list shows the best known films."
    if db.session.scalar(select(Run.id).where(Run.state == "done").limit(1)):
        return f"No engine is on air, {INSTEAD}"
    return f"No engine is trained yet, {INSTEAD}"


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


def _ask(engine: Engine, name: str, watched: _Watched, k: int) -> _Answer:
    """The engine's films for what it knows of the history; a viewer it knows nothing of is asked for, too."""
    assert engine.index is not None
    items = engine.index.items(watched.movie_ids)
    known = [movie_id for movie_id, item in zip(watched.movie_ids, items, strict=True) if item]
    history = History(items, watched.history.times, watched.history.ratings).known()
    try:
        picks, personal = _in_time(engine, history, k + SPARE)
        movie_ids = [engine.index.movie_id(pick.item) for pick in picks]
    except TimeoutError:
        current_app.logger.error("on air: %s did not answer within %.0f s", name, PATIENCE)
        return _Answer(fallback=f"{name} did not answer in time, {INSTEAD}", final=False)
    except Exception:  # an engine is a plug-in: whatever it raises, the viewer gets a list
        current_app.logger.exception("on air: %s failed", name)
        return _Answer(fallback=f"{name} ran into a fault, {INSTEAD}", final=False)
    why = _reason(picks[0].why if picks else "", name, known if personal else [])
    return _Answer(movie_ids, why, _told(name, len(watched.movie_ids), len(known)), cold=not known)


def _in_time(engine: Engine, history: History, k: int) -> tuple[list[Pick], bool]:
    """The engine's picks, and whether their reason rests on this history: it would tell a stranger another one.

    Raises TimeoutError when it takes too long or too many are still at it.
    """
    desk = _desk()
    if not desk.free.acquire(blocking=False):
        raise TimeoutError

    def answer() -> tuple[list[Pick], bool]:
        try:
            picks = engine.recommend([history], k)[0]
            return picks, isinstance(engine, ScoringEngine) and engine.why(history) != engine.why(History.of([]))
        finally:
            desk.free.release()

    return desk.threads.submit(answer).result(timeout=PATIENCE)


def _unseen(found: Sequence[int], watched: _Watched, viewer_id: int) -> list[Card]:
    seen = set(watched.movie_ids)
    return catalogue.cards([movie_id for movie_id in dict.fromkeys(found) if movie_id not in seen], viewer_id)


def _best_known(watched: _Watched, films: list[Card], count: int, viewer_id: int) -> list[Card]:
    """By the catalogue's rank, those that are neither watched nor listed already."""
    if count < 1:
        return []
    taken = set(watched.movie_ids) | {film.id for film in films}
    best = db.session.scalars(select(Movie.id).order_by(Movie.rank).limit(len(taken) + count))
    return catalogue.cards([movie_id for movie_id in best if movie_id not in taken][:count], viewer_id)


def _reason(phrase: str, engine: str, rests_on: Sequence[int]) -> str:
    """The engine's phrase as a sentence, with the latest of the films that it rests on."""
    phrase = phrase.strip().rstrip(".") or f"in {engine}'s own order"
    names = catalogue.titles(rests_on[: -NAMED - 1 : -1])
    return f"{phrase[0].upper()}{phrase[1:]}{': ' if names else ''}{', '.join(names)}."


def _told(engine: str, watched: int, known: int) -> str | None:
    """What the viewer should know about the part that the history had."""
    if not known:
        films = "You have not marked a film yet" if not watched else "None of your films is known to this run"
        return f"{films}, so this is what {engine} shows a viewer it knows nothing about."
    skipped = watched - known
    if not skipped:
        return None
    films, were = ("film of your history is", "was") if skipped == 1 else ("films of your history are", "were")
    return f"{skipped} {films} new to this run and {were} skipped."


def _joined(*sentences: str | None) -> str | None:
    return " ".join(sentence for sentence in sentences if sentence) or None


def log(slate: Slate) -> None:
    """Keep what its maker put on the list, for the site's own measurements; films filled up are not its merit.

    A slate from the cache was kept when it was made. Never waits: where another writes, this one goes unlogged.
    """
    if not slate.fresh or not slate.films:
        return
    row = SlateRow(
        user_id=slate.viewer_id,
        run_id=slate.origin.run,
        engine=slate.origin.engine,
        fallback=slate.fallback,
        movie_ids=[film.id for film in slate.films[: slate.own]],
        milliseconds=slate.milliseconds,
    )
    try:
        with writing(wait=False) as session:
            session.add(row)
    except SQLAlchemyError as error:  # the viewer has the list; a busy disk must not take it away
        current_app.logger.warning("a slate was not logged: %s", error)


def purge_slates(older_than: timedelta = LOGGED_FOR) -> int:
    """Forget the lists given longer ago than that, in short transactions; how many. Takes no lock for none."""
    old = SlateRow.at < now() - older_than
    gone = 0
    while db.session.scalar(select(SlateRow.id).where(old).limit(1)) is not None:
        part = select(SlateRow.id).where(old).limit(PURGED_AT_ONCE)
        with writing() as session:
            gone += session.execute(delete(SlateRow).where(SlateRow.id.in_(part))).rowcount
    db.session.rollback()
    return gone
