"""The films as lists and pages show them: browsing, one film, genres, and which data the site runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from movierec.extensions import db
from movierec.services.errors import NotFound, Refused
from movierec.tables import Movie, MovieGenre, Snapshot, View

PAGE = 48  # films on a page of browsing; a whole number of rows of two, three, four and six
SORTS = {"popular": "Best known first", "newest": "Newest first", "oldest": "Oldest first", "title": "By title"}


@dataclass(frozen=True)
class Card:
    """A film as lists show it; `watched` is about the viewer who looks."""

    id: int
    title: str
    year: int | None
    genres: list[str]
    directors: list[str]
    runtime: int | None
    watched: bool = False


@dataclass(frozen=True)
class Seen:
    """The viewer's own entry about a film."""

    view_id: int
    watched_at: datetime
    rating: float | None


@dataclass(frozen=True)
class Film:
    """A film's own page: all that its row knows, and the viewer's entry if there is one."""

    movie: Movie
    seen: Seen | None

    @property
    def id(self) -> int:
        return self.movie.id


@dataclass(frozen=True)
class Page:
    """One page of a longer list of films."""

    films: list[Card]
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class Source:
    """Which data the site runs on, in a footer's words."""

    name: str
    simulated: bool
    movies: int  # that have views in it
    events: int
    catalogue: int  # all films, those without a view too


_COLUMNS = (Movie.id, Movie.title, Movie.year, Movie.genres, Movie.directors, Movie.runtime)


def cards(movie_ids: Sequence[int], viewer_id: int) -> list[Card]:
    """These films in this order; an id without a film is left out."""
    if not movie_ids:
        return []
    rows = db.session.execute(select(*_COLUMNS).where(Movie.id.in_(movie_ids)))
    watched = watched_among(movie_ids, viewer_id)
    found = {row.id: Card(*row, watched=row.id in watched) for row in rows}
    return [found[movie_id] for movie_id in movie_ids if movie_id in found]


def titles(movie_ids: Sequence[int]) -> list[str]:
    """The titles of these films, in this order."""
    found = dict(db.session.execute(select(Movie.id, Movie.title).where(Movie.id.in_(movie_ids))).all())
    return [found[movie_id] for movie_id in movie_ids if movie_id in found]


def watched_among(movie_ids: Sequence[int], viewer_id: int) -> set[int]:
    """Those of these films that are in the viewer's history."""
    live = select(View.movie_id).where(
        View.user_id == viewer_id, View.removed_at.is_(None), View.movie_id.in_(movie_ids)
    )
    return set(db.session.scalars(live))


def browse(
    viewer_id: int, *, genre: str = "", years: str = "", sort: str = "popular", page: int = 1, size: int = PAGE
) -> Page:
    """One page of the catalogue. `years` is "1994", "1990s" or empty.

    Raises Refused for a sort or years that are none, NotFound for a page past the end.
    """
    if sort not in SORTS:
        raise Refused(f"Films can't be sorted that way. Choose one of: {', '.join(SORTS)}.", field="sort")
    matching = _matching(genre, years)
    total = db.session.scalar(select(func.count()).select_from(matching.subquery())) or 0
    pages = max(1, -(-total // size))
    if not 1 <= page <= pages:
        raise NotFound(f"There are {pages} pages of these films.")
    ordered = _ordered(matching, genre, sort).offset((page - 1) * size).limit(size)
    return Page(cards(list(db.session.scalars(ordered)), viewer_id), page, pages, total)


def _matching(genre: str, years: str) -> Any:
    matching = select(Movie.id)
    if genre:
        matching = matching.join(MovieGenre, MovieGenre.movie_id == Movie.id).where(MovieGenre.genre == genre)
    if years:
        low, high = span(years)
        matching = matching.where(Movie.year.between(low, high))
    return matching


def _ordered(matching: Any, genre: str, sort: str) -> Any:
    rank: Any = MovieGenre.rank if genre else Movie.rank  # the genre's index holds the rank: no sort
    order: dict[str, tuple[Any, ...]] = {
        "popular": (rank,),
        "newest": (Movie.year.desc().nulls_last(), rank),
        "oldest": (Movie.year.asc().nulls_last(), rank),
        "title": (Movie.sort_title, Movie.id),
    }
    return matching.order_by(*order[sort])


def span(years: str) -> tuple[int, int]:
    """ "1994" -> (1994, 1994); "1990s" -> (1990, 1999). Raises Refused."""
    digits = years[:-1] if years.endswith("s") else years
    if not (digits.isascii() and digits.isdigit() and len(digits) == 4):
        raise Refused("Give a year such as 1994, or a decade such as 1990s.", field="years")
    low = int(digits)
    return (low - low % 10, low - low % 10 + 9) if years.endswith("s") else (low, low)


def genres() -> list[tuple[str, int]]:
    """Each genre and how many films it has, the largest first."""
    count = func.count()
    return [
        (genre, films)
        for genre, films in db.session.execute(
            select(MovieGenre.genre, count).group_by(MovieGenre.genre).order_by(count.desc(), MovieGenre.genre)
        )
    ]


def decades(viewer_id: int | None = None) -> list[tuple[str, int]]:
    """Each decade ("1990s") and how many films it has, the newest first; of one viewer's history where one is given."""
    decade = func.floor(Movie.year / 10)
    counted = select(decade, func.count()).where(Movie.year.is_not(None)).group_by(decade)
    if viewer_id is not None:
        counted = counted.join(View, View.movie_id == Movie.id).where(
            View.user_id == viewer_id, View.removed_at.is_(None)
        )
    return [(f"{int(tens)}0s", films) for tens, films in sorted(db.session.execute(counted), reverse=True)]


def film(movie_id: int, viewer_id: int) -> Film:
    """One film. Raises NotFound."""
    movie = db.session.get(Movie, movie_id)
    if movie is None:
        raise NotFound("There is no such film here. Search for it by its title.")
    seen = db.session.execute(
        select(View.id, View.watched_at, View.rating).where(
            View.user_id == viewer_id, View.movie_id == movie_id, View.removed_at.is_(None)
        )
    ).first()
    return Film(movie, Seen(*seen) if seen else None)


def movie(movie_id: int) -> Movie:
    """The film's row alone. Raises NotFound."""
    found = db.session.get(Movie, movie_id)
    if found is None:
        raise NotFound("There is no such film here.")
    return found


def source() -> Source | None:
    """The data set in use; None while nothing is imported."""
    # Ranks have no gaps: the last one counts the films, and it is one step in an index.
    # Ranks have no gaps: the last one counts the films, and it is one step in an index.
    films = select(func.coalesce(func.max(Movie.rank), 0)).scalar_subquery()
    row = db.session.execute(
        select(Snapshot.source, Snapshot.simulated, Snapshot.movies, Snapshot.events, films).where(Snapshot.active)
    ).first()
    return None if row is None else Source(*row)
