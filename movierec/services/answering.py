"""What the engine on air makes of one viewer's history, in movies and sentences; or why it says nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from flask import current_app
from sqlalchemy import select

from movierec.dataset import History, ItemIndex
from movierec.engines.base import Engine
from movierec.engines.language.world import Ask
from movierec.extensions import db
from movierec.services import catalogue, desk
from movierec.services.desk import Said
from movierec.services.slates import Because
from movierec.tables import Movie, View

SPARE = 10  # asked for beyond k, for films that have left the catalogue since the training
NAMED = 3  # films of the history that a reason names
SILENT_FOR = 60.0  # seconds that a list without its language model is kept: the model may answer then
WITHOUT = "This is {}'s list without it."
INSTEAD = "so this list shows the best known films."
DEMO = "A demo model put this list in order: a stand-in that takes the shortlist as it comes, no language model."


@dataclass(frozen=True)
class Watched:
    """A viewer's history, oldest first."""

    movie_ids: list[int]
    history: History  # `items` still hold nothing; the engine's index translates

    def known_to(self, index: ItemIndex) -> tuple[History, list[int]]:
        """As that engine knows it, and the movies of it that it knows."""
        items = index.items(self.movie_ids)
        known = [movie_id for movie_id, item in zip(self.movie_ids, items, strict=True) if item]
        return History(items, self.history.times, self.history.ratings).known(), known


@dataclass(frozen=True)
class Answer:
    """What the engine on air said: films and their reasons; or, in `fallback`, why it said nothing."""

    movie_ids: Sequence[int] = ()
    why: str = ""
    notice: str | None = None
    fallback: str | None = None
    cold: bool = False
    keep: float | None = None  # seconds: None as long as any, 0 for an emergency: it may answer the next time
    pending: bool = False  # the language model was not asked yet
    because: Mapping[int, Because] = field(default_factory=dict)
    model: str = ""
    demo: bool = False


def watched(viewer_id: int) -> Watched:
    """The viewer's history as the database has it."""
    rows = db.session.execute(
        select(View.movie_id, View.watched_at, View.rating)
        .where(View.user_id == viewer_id, View.removed_at.is_(None))
        .order_by(View.watched_at, View.id)
    ).all()
    ratings = [np.nan if row.rating is None else row.rating for row in rows]
    times = np.array([int(row.watched_at.timestamp()) for row in rows], dtype=np.int64)
    blank = np.zeros(len(rows), dtype=np.int32)
    return Watched([row.movie_id for row in rows], History.of(blank, times, np.array(ratings, dtype=np.float32)))


def answer(engine: Engine, name: str, seen: Watched, k: int, about: Ask | None) -> Answer:
    """The engine's films for what it knows of the history; a viewer it knows nothing of is asked for, too.

    `about` lets an engine that talks to a language model do so. No transaction is open while it thinks.
    """
    assert engine.index is not None
    history, known = seen.known_to(engine.index)
    try:
        said = desk.ask(engine, history, k + SPARE, about)
        movie_ids = [engine.index.movie_id(pick.item) for pick in said.picks]
    except TimeoutError:
        patience = desk.PATIENCE if about is None else getattr(engine, "patience", desk.PATIENCE)
        current_app.logger.error("on air: %s did not answer within %.0f s", name, patience)
        return Answer(fallback=f"{name} did not answer in time, {INSTEAD}", keep=0.0)
    except Exception:  # an engine is a plug-in: whatever it raises, the viewer gets a list
        current_app.logger.exception("on air: %s failed", name)
        return Answer(fallback=f"{name} ran into a fault, {INSTEAD}", keep=0.0)
    chosen = said.talked.chosen if said.talked is not None else 0
    phrase = said.picks[chosen].why if chosen < len(said.picks) else ""
    made = Answer(
        movie_ids,
        _reason(phrase if not chosen else "", name, known if said.personal else []),
        _told(name, len(seen.movie_ids), len(known)),
        cold=not known,
        because=_because(said, movie_ids, engine.index, chosen),
    )
    return made if said.talked is None else _with_model(made, said, name)


def _with_model(made: Answer, said: Said, name: str) -> Answer:
    """Who chose, and how far down; or why the model had no part in it."""
    talked = said.talked
    assert talked is not None
    if not talked.chosen:
        return replace(made, fallback=f"{talked.silence} {WITHOUT.format(name)}", keep=SILENT_FOR)
    first = "The first film was" if talked.chosen == 1 else f"The first {talked.chosen} films were"
    why = f"{first} chosen by {named(talked.model)} from a shortlist of this catalogue; the others are filled in."
    return replace(
        made, why=why, model=talked.model, demo=talked.demo, notice=joined(made.notice, DEMO if talked.demo else None)
    )


def named(model: str) -> str:
    """The model in a sentence."""
    return f"the {model}" if model and not model[0].isupper() and " " in model else model or "a language model"


def _because(said: Said, movie_ids: Sequence[int], index: ItemIndex, chosen: int) -> dict[int, Because]:
    """Why each film is on the list: the model's words, and the films of the history that speak for it."""
    rests = [[(index.movie_id(item), effect) for item, effect in reason.because] for reason in said.reasons]
    rests = [one[:NAMED] for one in rests] or [[] for _ in movie_ids]
    names = titles([movie_id for one in rests for movie_id, _ in one])
    found = {}
    for at, (movie_id, pick, films) in enumerate(zip(movie_ids, said.picks, rests, strict=True)):
        told = tuple((film, names[film], effect) for film, effect in films if film in names)
        because = Because(pick.why if at < chosen else "", told, filled=0 < chosen <= at)
        if because.line or because.filled:
            found[movie_id] = because
    return found


def titles(movie_ids: Sequence[int]) -> dict[int, str]:
    """Movie id -> title."""
    wanted = list(dict.fromkeys(movie_ids))
    rows = db.session.execute(select(Movie.id, Movie.title).where(Movie.id.in_(wanted))).all() if wanted else []
    return {row.id: row.title for row in rows}


def _reason(phrase: str, engine: str, rests_on: Sequence[int]) -> str:
    """The engine's phrase as a sentence, with the latest of the films that it rests on."""
    phrase = phrase.strip().rstrip(".") or f"in {engine}'s own order"
    names = catalogue.titles(rests_on[: -NAMED - 1 : -1])
    return f"{phrase[0].upper()}{phrase[1:]}{': ' if names else ''}{', '.join(names)}."


def _told(engine: str, count: int, known: int) -> str | None:
    """What the viewer should know about the part that the history had."""
    if not known:
        films = "You have not marked a film yet" if not count else "None of your films is known to this run"
        return f"{films}, so this is what {engine} shows a viewer it knows nothing about."
    skipped = count - known
    if not skipped:
        return None
    films, were = ("film of your history is", "was") if skipped == 1 else ("films of your history are", "were")
    return f"{skipped} {films} new to this run and {were} skipped."


def joined(*sentences: str | None) -> str | None:
    """The sentences there are, one after the other."""
    return " ".join(sentence for sentence in sentences if sentence) or None
