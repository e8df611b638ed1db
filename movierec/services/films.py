"""The catalogue's films as an import changes them: planned while nobody waits, then swapped in, moved to, enriched."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import func, select, true, update

from movierec.extensions import db
from movierec.services import content
from movierec.sources import titles
from movierec.sources.base import Rejects, SourceMovie
from movierec.sources.metadata import FILE, Facts, Metadata
from movierec.tables import Movie, User, View

AT_ONCE = 500  # values in one IN (...)
LISTS = ("other_titles", "genres", "directors", "actors", "countries", "keywords")
# What another file may have added: a source that doesn't know it leaves it as it is.
ADDED = ("runtime", "language", "released", "overview", "poster_path")
ADDED_LISTS = ("directors", "actors", "countries", "keywords")
EMPTY = "[]"  # a list of nothing, as it is stored
PLACE = ("events", "rank")
COLUMNS = tuple(Movie.__table__.columns.keys())
FACTS = tuple(name for name in COLUMNS if name not in ("id", *PLACE))
# Straight to the driver, with rows as they are stored: SQLAlchemy's own work would take longer than SQLite's.
INSERT = f"INSERT INTO movies ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608
RENEWED = (*FACTS, *PLACE, "id")
RENEW = f"UPDATE movies SET {' = ?, '.join(RENEWED[:-1])} = ? WHERE id = ?"  # noqa: S608
PLACED = (*PLACE, "id")
REPLACE = "UPDATE movies SET events = ?, rank = ? WHERE id = ?"
CACHE = 64 * 1024  # KiB; pages of a large change that don't fit into SQLite's usual 2 MiB are written again and again

Row = dict[str, Any]  # a film as it is stored: lists are JSON
Values = tuple[Any, ...]  # of a statement
Genre = tuple[str, int, int]  # genre, rank, movie id


@dataclass(frozen=True)
class Plan:
    """What an import will do to the catalogue, worked out before the lock is taken."""

    rows: list[Row]  # every film of the source, by rank
    added: list[Values]  # by id, like those below: SQLite then only appends
    renewed: list[Values]  # something about them is new
    replaced: list[Values]  # only how often they were watched, or their rank, is new
    left: frozenset[int]  # films of an earlier source that this one doesn't have
    targets: dict[tuple[str, int], int]  # folded title and year -> the one film of the source that has them
    genres: list[Genre] | None  # None: the stored ones are right


@dataclass(frozen=True)
class Change:
    """What an import did to films that are not in its source."""

    kept: int
    removed: int
    moved: int  # views


def plan(movies: Sequence[SourceMovie], counts: dict[int, int]) -> Plan:
    """How the catalogue becomes these films; rank 1 is the most watched in the source, equals by movie id.

    Only imports change films, and one runs at a time: what is read here still holds when the plan is carried out.
    """
    run = db.session.connection().exec_driver_sql
    before = {row["id"]: row for row in run(f"SELECT {', '.join(COLUMNS)} FROM movies").mappings()}  # noqa: S608
    rows = [_stored(movie, counts.get(movie.movie_id, 0), before.get(movie.movie_id)) for movie in movies]
    rows.sort(key=lambda row: (-row["events"], row["id"]))
    added, renewed, replaced = [], [], []
    for rank, row in enumerate(rows, 1):
        row["rank"] = rank
    for row in sorted(rows, key=itemgetter("id")):
        old = before.get(row["id"])
        if old is None:
            added.append(itemgetter(*COLUMNS)(row))
        elif any(row[name] != old[name] for name in FACTS):
            renewed.append(itemgetter(*RENEWED)(row))
        elif any(row[name] != old[name] for name in PLACE):
            replaced.append(itemgetter(*PLACED)(row))
    left = frozenset(before.keys() - {row["id"] for row in rows})
    genres = _genres(rows)
    stored = {tuple(row) for row in run("SELECT genre, rank, movie_id FROM movie_genres") if row[2] not in left}
    db.session.rollback()  # ends the reading transaction
    return Plan(rows, added, renewed, replaced, left, _targets(rows), None if stored == set(genres) else genres)


def _stored(movie: SourceMovie, events: int, old: Any) -> Row:
    """The film as a row; what was added to this very film before stays where the source doesn't know it."""
    row = vars(movie) | {name: json.dumps(getattr(movie, name)) for name in LISTS} | {"events": events}
    row["id"] = row.pop("movie_id")
    if old is not None and old["imdb_id"] == row["imdb_id"]:
        row |= {name: old[name] for name in ADDED if row[name] is None}
        row |= {name: old[name] for name in ADDED_LISTS if row[name] == EMPTY}
    return row


def _genres(rows: Sequence[Row]) -> list[Genre]:
    """The films' genres in the order they are stored, which makes storing them fast."""
    return sorted({(genre, row["rank"], row["id"]) for row in rows for genre in json.loads(row["genres"])})


def _targets(rows: Sequence[Row]) -> dict[tuple[str, int], int]:
    same: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row in rows:
        if row["year"] is not None:
            same[(titles.fold(row["title"]), row["year"])].append(row["id"])
    return {named: ids[0] for named, ids in same.items() if len(ids) == 1}


def swap(session: Any, plan: Plan) -> Change:
    """Carry the plan out, inside the caller's writing transaction.

    A film of an earlier source stays while a view points to it, ranked after those of the source; views of one that
    the new source also has, under the same title and year, move over.
    """
    run = session.connection().exec_driver_sql
    run(f"PRAGMA cache_size = -{CACHE}")
    for statement, films in ((INSERT, plan.added), (RENEW, plan.renewed), (REPLACE, plan.replaced)):
        if films:
            run(statement, films)
    moved = _move_views(session, plan)
    watched = set(session.scalars(select(View.movie_id).distinct()))
    kept = sorted(plan.left & watched)
    if plan.genres is not None:
        run("DELETE FROM movie_genres")
        _put_genres(run, plan.genres)
    if gone := sorted(plan.left - watched):
        run("DELETE FROM movies WHERE id = ?", [(movie_id,) for movie_id in gone])
    if kept:
        _keep(session, kept, len(plan.rows))
    if plan.added or plan.renewed or plan.replaced or plan.left:
        content.changed(session)
    return Change(kept=len(kept), removed=len(gone), moved=moved)


def _keep(session: Any, kept: Sequence[int], after: int) -> None:
    """These films are no longer counted and come after the others."""
    run = session.connection().exec_driver_sql
    run(REPLACE, [(0, rank, movie_id) for rank, movie_id in enumerate(kept, after + 1)])
    run("DELETE FROM movie_genres WHERE movie_id = ?", [(movie_id,) for movie_id in kept])
    genres = func.json_each(Movie.genres).table_valued("value")
    of_kept = select(genres.c.value, Movie.rank, Movie.id).join_from(Movie, genres, true()).where(Movie.rank > after)
    _put_genres(run, [tuple(row) for row in session.execute(of_kept.distinct())])


def _put_genres(run: Any, genres: Sequence[Any]) -> None:
    if genres:
        run("INSERT INTO movie_genres (genre, rank, movie_id) VALUES (?, ?, ?)", genres)


def _move_views(session: Any, plan: Plan) -> int:
    """Views of films that are left to the one film of the same title and year. Nobody gets a film twice."""
    moved = 0
    for movie_id, title, year in [row for part in _parts(sorted(plan.left)) for row in session.execute(_watched(part))]:
        target = plan.targets.get((titles.fold(title), year))
        if target is None:
            continue
        have = select(View.user_id).where(View.movie_id == target, View.removed_at.is_(None))
        mine = session.execute(
            select(View.id, View.user_id).where(View.movie_id == movie_id, View.user_id.not_in(have))
        ).all()
        for part in _parts([view.id for view in mine]):
            session.execute(update(View).where(View.id.in_(part)).values(movie_id=target))
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


@dataclass(frozen=True)
class Enrichment:
    """What a metadata file adds, worked out before the lock is taken."""

    matched: int  # films that it knows
    overviews: int
    changes: list[Row]  # only films that are not so already


def enrichment(facts: Metadata, rejects: Rejects) -> Enrichment:
    """What the metadata knows beside each film it names."""
    columns = [getattr(Movie, name) for name in (*ADDED, "countries", "keywords")]
    changes, matched, overviews = [], 0, 0
    for movie in db.session.execute(
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
        new = {name: movie[name] if getattr(found, name) is None else getattr(found, name) for name in ADDED}
        new["countries"] = list(found.countries) or movie["countries"]
        new["keywords"] = movie["keywords"] or list(found.keywords)  # an import would bring its own tags back
        if any(new[name] != movie[name] for name in new):
            changes.append({"id": movie["id"], **new})
        matched += 1
        overviews += found.overview is not None
    db.session.rollback()  # ends the reading transaction
    return Enrichment(matched, overviews, changes)


def enrich(session: Any, added: Enrichment) -> None:
    """Put it beside the films, inside the caller's writing transaction."""
    if added.changes:
        session.execute(update(Movie), added.changes)
        content.changed(session)


def _alike(movie: Any, found: Facts) -> bool:
    """Whether two records that disagree about ids speak of one film: a title in common, at most a year apart."""
    ours = {titles.fold(name) for name in (movie["title"], *movie["other_titles"])}
    theirs = {titles.fold(name) for name in (found.title, found.original_title)}
    return bool(ours & theirs) and abs((movie["year"] or 0) - (found.year or 0)) <= 1


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
