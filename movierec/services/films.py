"""The catalogue's films as an import changes them: put in, kept for who watched them, moved to, ranked, enriched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, case, delete, func, insert, select, true, update
from sqlalchemy.dialects.sqlite import insert as upsert

from movierec.services import search
from movierec.sources import titles
from movierec.sources.base import Rejects, SourceMovie
from movierec.sources.metadata import FILE, Facts, Metadata
from movierec.tables import Movie, MovieGenre, User, View

AT_ONCE = 500  # values in one IN (...)
LISTS = ("other_titles", "genres", "directors", "actors", "countries")
# What another file may have added: a source that doesn't know it leaves it as it is.
ADDED = ("runtime", "language", "released", "overview", "poster_path")


@dataclass(frozen=True)
class Change:
    """What an import did to films that are not in its source."""

    kept: int
    removed: int
    moved: int  # views


def rows(movies: Sequence[SourceMovie], counts: dict[int, int]) -> list[dict[str, Any]]:
    """The films as rows of the catalogue; made before the writing transaction, so that it stays short."""
    made = []
    for movie in movies:
        row = vars(movie) | {name: list(getattr(movie, name)) for name in LISTS}
        row["id"] = row.pop("movie_id")
        made.append(row | {"events": counts.get(movie.movie_id, 0), "rank": 0})
    return made


def replace(session: Any, new: Sequence[dict[str, Any]]) -> Change:
    """Make these rows the catalogue, inside the caller's writing transaction.

    A film of an earlier source stays while a view points to it; views of one that the new source also has, under
    the same title and year, move over.
    """
    before = set(session.scalars(select(Movie.id)))
    _put(session, new)
    left = before - {row["id"] for row in new}
    moved = _move_views(session, left, new)
    watched = set(session.scalars(select(View.movie_id).distinct()))
    gone = left - watched
    for part in _parts(sorted(gone)):
        session.execute(delete(Movie).where(Movie.id.in_(part)))
    for part in _parts(sorted(left & watched)):
        session.execute(update(Movie).where(Movie.id.in_(part)).values(events=0))
    _rank(session)
    search.rebuild(session)
    return Change(kept=len(left & watched), removed=len(gone), moved=moved)


def _put(session: Any, new: Sequence[dict[str, Any]]) -> None:
    films = cast(Table, Movie.__table__)
    table, statement = films.c, upsert(films)
    given = statement.excluded
    changed: dict[str, Any] = {
        name: given[name]
        for name in ("title", "sort_title", "year", "other_titles", "genres", "imdb_id", "tmdb_id", "events")
    }
    same = table.imdb_id.is_not_distinct_from(given.imdb_id)  # what was added was added to this very film
    for name in ADDED:
        changed[name] = case((same, func.coalesce(given[name], table[name])), else_=given[name])
    for name in ("directors", "actors", "countries"):
        nothing = func.json_array_length(given[name]) == 0
        changed[name] = case((same & nothing, table[name]), else_=given[name])
    session.connection().execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed), new)


def _move_views(session: Any, left: set[int], new: Sequence[dict[str, Any]]) -> int:
    """Views of `left` films to the one new film of the same title and year. Nobody gets a film twice."""
    old = [row for part in _parts(sorted(left)) for row in session.execute(_watched(part))]
    if not old:
        return 0
    same: dict[tuple[str, int | None], list[int]] = defaultdict(list)
    for row in new:
        same[(titles.fold(row["title"]), row["year"])].append(row["id"])
    moved = 0
    for movie_id, title, year in old:
        found = same.get((titles.fold(title), year), [])
        if len(found) != 1 or year is None:
            continue
        have = select(View.user_id).where(View.movie_id == found[0], View.removed_at.is_(None))
        mine = session.execute(
            select(View.id, View.user_id).where(View.movie_id == movie_id, View.user_id.not_in(have))
        ).all()
        for part in _parts([view.id for view in mine]):
            session.execute(update(View).where(View.id.in_(part)).values(movie_id=found[0]))
        for part in _parts(sorted({view.user_id for view in mine})):
            newer = update(User).where(User.id.in_(part)).values(history_version=User.history_version + 1)
            session.execute(newer)
        moved += len(mine)
    return moved


def _watched(part: Sequence[int]) -> Any:
    return (
        select(Movie.id, Movie.title, Movie.year)
        .where(Movie.id.in_(part), Movie.id.in_(select(View.movie_id)))
        .order_by(Movie.id)
    )


def _rank(session: Any) -> None:
    """Rank 1 is the most watched in the source; equals by movie id. Genres carry the rank."""
    order = select(Movie.id, func.row_number().over(order_by=(Movie.events.desc(), Movie.id)).label("place")).subquery()
    session.execute(update(Movie).where(Movie.id == order.c.id).values(rank=order.c.place))
    session.execute(delete(MovieGenre))
    genres = func.json_each(Movie.genres).table_valued("value")
    each = select(genres.c.value, Movie.rank, Movie.id).join_from(Movie, genres, true()).distinct()
    session.execute(insert(MovieGenre).from_select(["genre", "rank", "movie_id"], each))


def enrich(session: Any, facts: Metadata, rejects: Rejects) -> tuple[int, int]:
    """Put what the metadata knows beside each film it names; says how many films and overviews those are."""
    columns = [getattr(Movie, name) for name in (*ADDED, "countries")]
    changes, overviews = [], 0
    for movie in session.execute(
        select(Movie.id, Movie.title, Movie.other_titles, Movie.year, Movie.imdb_id, Movie.tmdb_id, *columns)
    ).mappings():
        found, agree = facts.find(movie["imdb_id"], movie["tmdb_id"])
        if found is None:
            continue
        if not agree and not _alike(movie, found):
            rejects.add(
                FILE, found.line, f"film {movie['id']} ({movie['imdb_id']}) is linked to TMDB {movie['tmdb_id']}, "
                f"which is {found.title!a}, {found.year}: not used",
            )  # fmt: skip
            continue
        added = {name: movie[name] if getattr(found, name) is None else getattr(found, name) for name in ADDED}
        changes.append({"id": movie["id"], **added, "countries": list(found.countries) or movie["countries"]})
        overviews += found.overview is not None
    if changes:
        session.execute(update(Movie), changes)
    return len(changes), overviews


def _alike(movie: Any, found: Facts) -> bool:
    """Whether two records that disagree about ids speak of one film: a title in common, at most a year apart."""
    ours = {titles.fold(name) for name in (movie["title"], *movie["other_titles"])}
    theirs = {titles.fold(name) for name in (found.title, found.original_title)}
    return bool(ours & theirs) and abs((movie["year"] or 0) - (found.year or 0)) <= 1


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
