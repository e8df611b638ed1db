"""A slate: the list a viewer gets, with who made it and why each film is on it; what was given is kept a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from flask import current_app
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from movierec.extensions import db, writing
from movierec.services.catalogue import Card
from movierec.services.station import Facts
from movierec.tables import SlateRow, now

LOGGED_FOR = timedelta(days=90)
PURGED_AT_ONCE = 2000  # rows in one short transaction
RANK = Facts("rank")  # the catalogue's own order, known to pages as "best known": no engine, nothing trained
CONTENT = Facts("content")  # films by what they are about: no engine, nothing trained
MODEL = Facts("model")  # a language model put films by content into its order
NAMED = 2  # films that one line names


@dataclass(frozen=True)
class Because:
    """Why one film is on the list. `films` holds (movie id, title, effect) of watched films, the strongest first.

    The effect is by how much the film's score falls without that one, in the engine's own units.
    """

    said: str = ""  # what was said about this very film, by a model or by content
    films: tuple[tuple[int, str, float], ...] = ()
    filled: bool = False  # not chosen by the model: filled in behind its choice

    @property
    def line(self) -> str:
        """One plain line for people; empty where there is nothing of its own to say."""
        if self.said:
            return self.said
        names = [title for _, title, _ in self.films[:NAMED]]
        return f"Because you watched {' and '.join(names)}" if names else ""


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
    because: Mapping[int, Because] = field(default_factory=dict)  # by movie id, where there is something to say
    pending: bool = False  # a language model's own order can still be asked for
    model: str = ""  # the language model that had a part in it
    demo: bool = False  # which is a stand-in and says so


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


def purge(older_than: timedelta = LOGGED_FOR) -> int:
    """Forget the lists given longer ago than that, in short transactions; how many. Takes no lock for none."""
    old = SlateRow.at < now() - older_than
    gone = 0
    while db.session.scalar(select(SlateRow.id).where(old).limit(1)) is not None:
        part = select(SlateRow.id).where(old).limit(PURGED_AT_ONCE)
        with writing() as session:
            gone += session.execute(delete(SlateRow).where(SlateRow.id.in_(part))).rowcount
    db.session.rollback()
    return gone
