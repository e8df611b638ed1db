"""A viewer asks for films: history, engine on air, films never seen; the best known fill in and the slate says so."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from time import perf_counter

from sqlalchemy import select

from movierec.engines.base import Engine
from movierec.engines.language.world import Ask, TalkingEngine
from movierec.extensions import db
from movierec.services import answering, catalogue, llm
from movierec.services.answering import INSTEAD, SILENT_FOR, WITHOUT, Answer, Watched, joined
from movierec.services.catalogue import Card
from movierec.services.desk import desk
from movierec.services.slates import RANK, Because, Slate
from movierec.services.station import OnAir, station
from movierec.tables import ACTIVE_STATES, Movie, Run, Serving, Snapshot, User

K = 42  # films on a home page: the first pick and what its lists hold
LATE = "The language model did not answer."
WHY_RANK = "What most viewers of this site's data watched, without the films you have seen."

Key = tuple[int, int, int, int, int]  # viewer, serving version, history version, snapshot, k


def slate_for(viewer_id: int, k: int = K, *, wait: bool = False) -> Slate:
    """The k best films for this viewer, never one watched, never one outside the catalogue.

    Whatever happens to the engine, the answer is a list. One that was made before comes with the films as the
    catalogue has them now. An engine that asks a language model is only waited for with `wait` (up to 20 s); without,
    its own quick list comes, `pending` where asking again would bring the model's.
    """
    begun = perf_counter()
    key = asked_in(viewer_id, k)
    kept = kept_slate(key, viewer_id)
    if kept is not None:
        return kept
    slate, seconds = _make(key, begun, wait)
    if seconds != 0.0:
        desk().keep(key, replace(slate, fresh=False), seconds)
    return slate


def kept_slate(key: Hashable, viewer_id: int) -> Slate | None:
    """What this process made before, with the films as they are now; None where one of them is gone."""
    kept = desk().kept(key)
    if kept is None:
        return None
    films = catalogue.cards([film.id for film in kept.films], viewer_id)
    return replace(kept, films=films) if len(films) == len(kept.films) else None


def because(viewer_id: int, movie_id: int, k: int = K) -> tuple[Because, Slate] | None:
    """Why this film is on the viewer's present list; None where it isn't, or the list is not at hand."""
    slate = desk().kept(asked_in(viewer_id, k))
    if slate is None or movie_id not in slate.because:
        return None
    found = slate.because[movie_id]
    return (found, slate) if found.line else None


def asked_in(viewer_id: int, k: int) -> Key:
    """All that a list depends on besides the question. Read it before what goes into the list, never after."""
    row = db.session.execute(
        select(
            select(Serving.version).where(Serving.id == 1).scalar_subquery(),
            select(User.history_version).where(User.id == viewer_id).scalar_subquery(),
            select(Snapshot.id).where(Snapshot.active).scalar_subquery(),
        )
    ).one()
    return viewer_id, row[0] or 0, row[1] or 0, row[2] or 0, k


def _make(key: Key, begun: float, wait: bool) -> tuple[Slate, float | None]:
    """The slate, and for how many seconds to keep it: None is as long as any, 0 is not at all."""
    viewer_id, version, *_, k = key
    seen = answering.watched(viewer_id)
    db.session.rollback()  # no transaction stays open while an engine loads or thinks
    on_air = station().tune(version)
    if on_air is None or on_air.engine is None:
        answer = Answer(fallback=_silence(on_air, version), keep=0.0)
    else:
        answer = _asked(on_air.engine, on_air.facts.engine, seen, k, Ask(viewer_id) if wait else None)
    own = unseen(answer.movie_ids, seen, viewer_id)[:k]
    films = own + best_known(seen, own, k - len(own), viewer_id)
    name = on_air.facts.engine if on_air is not None else ""
    slate = Slate(
        films, len(own) or len(films), RANK, WHY_RANK, answer.fallback, None, True, viewer_id,
        milliseconds=1000 * (perf_counter() - begun),
    )  # fmt: skip
    if on_air is not None and own:
        notice = joined(answer.notice, on_air.facts.trouble)
        if len(films) > len(own):
            notice = joined(notice, f"The list ends with best known films: {name} has no more for you.")
        slate = replace(
            slate, origin=on_air.facts, why=answer.why, notice=notice, cold=answer.cold, because=answer.because,
            model=answer.model, demo=answer.demo, pending=answer.pending,
        )  # fmt: skip
    elif answer.fallback is None:
        slate = replace(slate, fallback=f"{name} has no film left for you, {INSTEAD}")
    settled = on_air is not None and on_air.version == version and not slate.pending
    return slate, answer.keep if settled else 0.0


def _asked(engine: Engine, name: str, seen: Watched, k: int, about: Ask | None) -> Answer:
    """The engine's answer; where it talks to a language model and may not, or that fails, its own quick list."""
    if not isinstance(engine, TalkingEngine):
        return answering.answer(engine, name, seen, k, None)
    problem = llm.available()
    db.session.rollback()
    if about is not None and not problem:
        answer = answering.answer(engine, name, seen, k, about)
        if answer.movie_ids:
            return answer
        problem = LATE
    quick = answering.answer(engine, name, seen, k, None)
    if not quick.movie_ids or not problem:
        return replace(quick, pending=not problem)
    return replace(quick, fallback=f"{problem} {WITHOUT.format(name)}", keep=SILENT_FOR)


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


def unseen(found: Sequence[int], seen: Watched, viewer_id: int) -> list[Card]:
    """The films of the catalogue among these, each once, none that is watched."""
    barred = set(seen.movie_ids)
    return catalogue.cards([movie_id for movie_id in dict.fromkeys(found) if movie_id not in barred], viewer_id)


def best_known(seen: Watched, films: list[Card], count: int, viewer_id: int) -> list[Card]:
    """By the catalogue's rank, those that are neither watched nor listed already."""
    if count < 1:
        return []
    taken = set(seen.movie_ids) | {film.id for film in films}
    best = db.session.scalars(select(Movie.id).order_by(Movie.rank).limit(len(taken) + count))
    return catalogue.cards([movie_id for movie_id in best if movie_id not in taken][:count], viewer_id)
