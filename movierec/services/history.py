"""What a viewer watched: mark, change, remove with undo, clear, list. Every change bumps the history's version."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update

from movierec.extensions import db, writing
from movierec.services import catalogue
from movierec.services.catalogue import Card
from movierec.services.errors import NotFound, Refused
from movierec.tables import Movie, SlateRow, User, View, now

PAGE = 30
UNDO_FOR = timedelta(days=1)  # what was removed longer ago is gone for good
PURGED_AT_ONCE = 2000  # rows in one short transaction
AHEAD = timedelta(hours=14)  # no clock on earth is further before UTC
FIRST_SHOW = date(1895, 12, 28)
SLATES_LOOKED_AT = 3  # a film found on one of the last lists was found by that list's engine
UNKEPT: Any = object()  # "leave as it is", since None is "no rating"


@dataclass(frozen=True)
class Marked:
    """What marking a film did."""

    view_id: int
    card: Card
    watched_at: datetime
    rating: float | None
    new: bool  # False where the film was in the history already and only rating or date changed


@dataclass(frozen=True)
class Entry:
    """One line of the diary."""

    view_id: int
    card: Card
    watched_at: datetime
    rating: float | None
    found_by: str | None

    @property
    def month(self) -> str:
        """ "2026-11", by which the diary is grouped."""
        return f"{self.watched_at:%Y-%m}"


@dataclass(frozen=True)
class Diary:
    """One page of the history, newest first."""

    entries: list[Entry]
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class Numbers:
    """A history in figures."""

    this_year: int
    mean_rating: float | None
    found_here: float | None  # share of films that a list of this site brought
    decades: list[tuple[str, int]]  # films by decade, the oldest first


@dataclass(frozen=True)
class Removed:
    """What left the history; `token` brings it back for a day."""

    token: str
    count: int


def parse_rating(text: str | None) -> float | None:
    """ "3.5" -> 3.5, empty -> None. Raises Refused."""
    if not text or not text.strip():
        return None
    try:
        rating = float(text[:20])
    except ValueError:
        rating = math.nan
    if not (0.5 <= rating <= 5 and rating * 2 == int(rating * 2)):
        raise Refused("A rating is a number of stars from 0.5 to 5 in halves.", field="rating")
    return rating


def parse_day(text: str | None) -> datetime | None:
    """ "2026-11-21" -> noon of that day in UTC, today -> this moment, empty -> None. Raises Refused.

    Where it is tomorrow already (UTC+13) that day is today: nothing is ever watched later than now.
    """
    if not text or not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip()[:20])
    except ValueError:
        raise Refused("Give the day as year-month-day, for example 2026-11-21.", field="day") from None
    moment = now()
    if not FIRST_SHOW <= day <= latest_day():
        raise Refused("The day must lie between the first film show and today.", field="day")
    return moment if day >= moment.date() else datetime.combine(day, time(12), UTC)


def latest_day() -> date:
    """The day that it is where the sun rises first: the last that a viewer may call today."""
    return (now() + AHEAD).date()


def mark(viewer_id: int, movie_id: int, *, rating: Any = UNKEPT, watched_at: datetime | None = None) -> Marked:
    """Put a film into the history. It is there once: a second time changes rating and date, where they are given.

    Double clicks and retries leave one row. Raises NotFound for a film that is not in the catalogue.
    """
    with writing() as session:
        if session.scalar(select(Movie.id).where(Movie.id == movie_id)) is None:
            raise NotFound("There is no such film here. Search for it by its title.")
        view = session.scalar(
            select(View).where(View.user_id == viewer_id, View.movie_id == movie_id, View.removed_at.is_(None))
        )
        new = view is None
        if view is None:
            view = View(user_id=viewer_id, movie_id=movie_id, watched_at=watched_at or now())
            view.found_by = _found_by(session, viewer_id, movie_id)
            session.add(view)
        elif watched_at is not None:
            view.watched_at = watched_at
        if rating is not UNKEPT:
            view.rating = rating
        session.flush()
        _bump(session, viewer_id)
        kept = view.id, view.watched_at, view.rating
    return Marked(kept[0], catalogue.cards([movie_id], viewer_id)[0], kept[1], kept[2], new)


def _found_by(session: Any, viewer_id: int, movie_id: int) -> str | None:
    """The engine whose list the viewer has just been given this film on."""
    recent = session.execute(
        select(SlateRow.engine, SlateRow.movie_ids)
        .where(SlateRow.user_id == viewer_id)
        .order_by(SlateRow.id.desc())
        .limit(SLATES_LOOKED_AT)
    )
    return next((engine for engine, movie_ids in recent if movie_id in movie_ids), None)


def change(viewer_id: int, view_id: int, *, rating: float | None, watched_at: datetime | None) -> None:
    """Set an entry's rating, and its date where one is given. Raises NotFound, also for somebody else's."""
    with writing() as session:
        view = session.scalar(select(View).where(*_own(viewer_id, view_id)))
        if view is None:
            raise NotFound("This entry is not in your history any more.")
        view.rating = rating
        if watched_at is not None:
            view.watched_at = watched_at
        _bump(session, viewer_id)


def remove(viewer_id: int, view_id: int) -> Removed:
    """Take one entry out. Raises NotFound, also for somebody else's and for one that is out already."""
    with writing() as session:
        removed = _take_out(session, viewer_id, View.id == view_id)
        if not removed.count:
            raise NotFound("This entry is not in your history any more.")
    return removed


def clear(viewer_id: int) -> Removed:
    """Take everything out."""
    with writing() as session:
        return _take_out(session, viewer_id)


def undo(viewer_id: int, token: str) -> int:
    """Put back what one removal took out; how many entries came back. A film marked again meanwhile stays as it is.

    Raises NotFound for a token that is none, too old, used up or somebody else's.
    """
    try:
        moment = datetime.fromtimestamp(int(token[:20]) / 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        raise NotFound("This can't be undone any more.") from None
    with writing() as session:
        live = select(View.movie_id).where(View.user_id == viewer_id, View.removed_at.is_(None))
        taken = (View.user_id == viewer_id, View.removed_at == moment, View.removed_at >= now() - UNDO_FOR)
        newest = select(func.max(View.id)).where(*taken).group_by(View.movie_id)  # an import may make one film of two
        back = session.execute(
            update(View)
            .where(View.movie_id.not_in(live), View.id.in_(newest))
            .values(removed_at=None)
            .execution_options(synchronize_session=False)
        ).rowcount
        if not back:
            raise NotFound("This can't be undone any more.")
        _bump(session, viewer_id)
    return int(back)


def _take_out(session: Any, viewer_id: int, *which: Any) -> Removed:
    """Mark these entries removed, all with one moment that no earlier removal of this viewer has: the undo token."""
    moment = now()
    latest = session.scalar(select(func.max(View.removed_at)).where(View.user_id == viewer_id))
    if latest is not None and moment <= latest:
        moment = latest + timedelta(microseconds=1)
    count = session.execute(
        update(View)
        .where(View.user_id == viewer_id, View.removed_at.is_(None), *which)
        .values(removed_at=moment)
        .execution_options(synchronize_session=False)
    ).rowcount
    if count:
        _bump(session, viewer_id)
    return Removed(str(round(moment.timestamp() * 1_000_000)), int(count))


def purge_removed() -> int:
    """Delete for good what was removed longer ago than undo reaches, in short transactions; how many entries.

    For the house's regular sweeping. Takes no lock where there is nothing to do.
    """
    old = View.removed_at < now() - UNDO_FOR
    gone = 0
    while db.session.scalar(select(View.id).where(old).limit(1)) is not None:
        with writing() as session:
            part = select(View.id).where(old).limit(PURGED_AT_ONCE)
            gone += session.execute(delete(View).where(View.id.in_(part))).rowcount
    db.session.rollback()
    return gone


def _bump(session: Any, viewer_id: int) -> None:
    session.execute(update(User).where(User.id == viewer_id).values(history_version=User.history_version + 1))


def _own(viewer_id: int, view_id: int) -> tuple[Any, ...]:
    return View.id == view_id, View.user_id == viewer_id, View.removed_at.is_(None)


def entry(viewer_id: int, view_id: int) -> Entry:
    """One line of the diary. Raises NotFound, also for somebody else's."""
    found = _entries(viewer_id, [View.id == view_id], 1, 0)
    if not found:
        raise NotFound("This entry is not in your history any more.")
    return found[0]


def diary(viewer_id: int, page: int = 1, size: int = PAGE) -> Diary:
    """One page of the history. Raises NotFound for a page past the end."""
    total = count(viewer_id)
    pages = max(1, -(-total // size))
    if not 1 <= page <= pages:
        raise NotFound(f"Your history has {pages} page{'s' if pages > 1 else ''}.")
    return Diary(_entries(viewer_id, [], size, (page - 1) * size), page, pages, total)


def latest(viewer_id: int, how_many: int = 4) -> list[Entry]:
    """The films watched last, newest first."""
    return _entries(viewer_id, [], how_many, 0)


def count(viewer_id: int) -> int:
    """How many films are in the history."""
    live = select(func.count()).where(View.user_id == viewer_id, View.removed_at.is_(None))
    return db.session.scalar(live) or 0


def numbers(viewer_id: int) -> Numbers:
    """The history in figures; None for what has no entry to rest on."""
    live = (View.user_id == viewer_id, View.removed_at.is_(None))
    new_year = datetime(now().year, 1, 1, tzinfo=UTC)
    films, this_year, mean, found = db.session.execute(
        select(
            func.count(),
            func.count().filter(View.watched_at >= new_year),
            func.avg(View.rating),
            func.count(View.found_by),
        ).where(*live)
    ).one()
    decades = catalogue.decades(viewer_id)[::-1]
    return Numbers(this_year, mean, found / films if films else None, decades)


def _entries(viewer_id: int, which: Sequence[Any], size: int, offset: int) -> list[Entry]:
    rows = db.session.execute(
        select(View.id, View.movie_id, View.watched_at, View.rating, View.found_by)
        .where(View.user_id == viewer_id, View.removed_at.is_(None), *which)
        .order_by(View.watched_at.desc(), View.id.desc())
        .limit(size)
        .offset(offset)
    ).all()
    films = {card.id: card for card in catalogue.cards([row.movie_id for row in rows], viewer_id)}
    return [Entry(row.id, films[row.movie_id], row.watched_at, row.rating, row.found_by) for row in rows]
