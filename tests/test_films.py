"""The catalogue across imports: whose films stay, which views move, what a metadata file adds and what outlives it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from kit import NOON, dump
from layouts import CSV, DAT, K100, MOVIES, TAGS, metadata, written
from sqlalchemy import func, select
from test_metadata import TOY

from movierec.extensions import db, writing
from movierec.services import films, importing, search
from movierec.services.errors import Refused
from movierec.sources.starter import FIRST_ID
from movierec.tables import Movie, MovieGenre, User, View


@pytest.fixture
def tiny(app_context: Flask, tmp_path: Path) -> Path:
    """The small csv data set, imported."""
    path = written(tmp_path / "tiny", CSV)
    importing.import_source(path)
    return path


def watch(user_id: int, movie_id: int, **columns: Any) -> int:
    with writing() as session:
        view = View(user_id=user_id, movie_id=movie_id, watched_at=NOON, **columns)
        session.add(view)
        session.flush()
        return view.id


def views() -> list[tuple[int, int]]:
    return [tuple(row) for row in db.session.execute(select(View.user_id, View.movie_id).order_by(View.id))]


def test_films_nobody_watched_go_and_watched_ones_stay(app: Flask, people: Callable[..., int], tmp_path: Path) -> None:
    vera = people("vera")
    with app.app_context():
        importing.import_source(written(tmp_path / "tiny", CSV))
        watch(vera, 3)
        watch(vera, 7, removed_at=NOON)  # removed, but it may be undone
        report = importing.import_source(written(tmp_path / "dat", DAT))
        assert (report.removed, report.kept, report.moved) == (2, 2, 0)  # 1 is in both, 2 and 9 go
        rows = db.session.execute(select(Movie.id, Movie.events, Movie.rank).order_by(Movie.rank)).all()
        assert rows == [(1, 2, 1), (5, 1, 2), (3, 0, 3), (7, 0, 4)]
        genres = db.session.execute(select(MovieGenre.rank, MovieGenre.movie_id).where(MovieGenre.movie_id == 3)).all()
        assert genres == [(3, 3)]
        assert search.find("dusk dawn").movie_ids == [3], "a film that is kept is found"
        assert search.find("city of lost children").movie_ids == [], "one that went is not"
        assert views() == [(vera, 3), (vera, 7)]


def test_views_move_to_the_same_film_of_the_new_source(app: Flask, people: Callable[..., int], tmp_path: Path) -> None:
    """ml-100k's Toy Story is another id than ml-1m's; whose history holds it keeps it, once."""
    vera, otto, both = people("vera"), people("otto"), people("both")
    with app.app_context():
        importing.import_source(written(tmp_path / "k100", {k: v.encode("latin-1") for k, v in K100.items()}))
        toy, cafe = 800_000_001, 800_000_002
        watch(vera, toy, rating=4.5)
        watch(vera, cafe)
        watch(otto, toy, removed_at=NOON)
        watch(otto, toy)
        with writing() as session:  # an earlier source's film, as kept for somebody
            session.add(Movie(id=1, title="Toy Story", sort_title="toy story", year=1995, rank=9))
        watch(both, 1)
        watch(both, toy)
        report = importing.import_source(written(tmp_path / "dat", DAT))
        assert (report.moved, report.kept, report.removed) == (3, 2, 1)
        assert views() == [(vera, 1), (vera, cafe), (otto, 1), (otto, 1), (both, 1), (both, toy)]
        versions = dict(db.session.execute(select(User.name, User.history_version)).all())
        assert versions == {"vera": 1, "otto": 1, "both": 0}


def test_a_film_that_comes_twice_or_without_a_year_takes_nobodys_views(
    app: Flask, people: Callable[..., int], tmp_path: Path
) -> None:
    vera = people("vera")
    twice = "movieId,title,genres\n1,Emma (1996),Drama\n2,Emma (1996),Drama\n3,unknown,Drama\n"
    with app.app_context():
        importing.import_source(written(tmp_path / "tiny", CSV))
        with writing() as session:
            session.add(Movie(id=50, title="Emma", sort_title="emma", year=1996, rank=90))
            session.add(Movie(id=51, title="unknown", sort_title="unknown", rank=91))
        watch(vera, 50)
        watch(vera, 51)
        report = importing.import_source(written(tmp_path / "b", CSV | {"movies.csv": twice}))
        assert (report.moved, views()) == (0, [(vera, 50), (vera, 51)])


def test_the_starter_has_ids_of_its_own(app: Flask, people: Callable[..., int], tmp_path: Path) -> None:
    vera = people("vera")
    with app.app_context():
        report = importing.import_starter()
        assert (report.source, report.simulated, report.viewers, report.events) == ("starter", True, 800, 60_000)
        assert db.session.scalar(select(func.min(Movie.id))) > FIRST_ID
        matrix = db.session.scalar(select(Movie.id).where(Movie.title == "The Matrix"))
        persona = db.session.scalar(select(Movie.id).where(Movie.title == "Persona"))
        watch(vera, matrix)
        watch(vera, persona)
        extra = CSV | {"movies.csv": MOVIES + '2571,"Matrix, The (1999)",Sci-Fi\r\n'}
        report = importing.import_source(written(tmp_path / "ml", extra))
        assert (report.moved, report.kept) == (1, 1)
        assert views() == [(vera, 2571), (vera, persona)]


def test_enriching_adds_facts_and_a_new_import_keeps_them(tiny: Path, tmp_path: Path) -> None:
    path = written(
        tmp_path / "meta",
        {
            "movies_metadata.csv": metadata(
                TOY | {"id": "9087", "imdb_id": "tt0112346", "title": "The American President"},
                {"id": "555", "imdb_id": "tt7", "title": "Another", "release_date": "1980-01-01"},
            )
        },
    )
    report = importing.enrich(path / "movies_metadata.csv")
    assert (report.rows, report.matched, report.overviews, report.rejected) == (2, 1, 1, 1)
    assert "film 9 (tt10366206) is linked to TMDB 555, which is 'Another', 1980" in report.rejects[0].reason
    db.session.expire_all()
    film = db.session.get(Movie, 1)
    assert film is not None
    assert (film.runtime, film.released, film.language, film.countries) == (81, "1995-10-30", "en", ["USA"])
    assert film.overview == "Led by Woody, Andy's toys live happily."
    importing.import_source(tiny)
    db.session.expire_all()
    film = db.session.get(Movie, 1)
    assert film is not None
    assert (film.runtime, film.countries) == (81, ["USA"])


def test_enriching_adds_keywords_where_a_film_has_none(app_context: Flask, tmp_path: Path) -> None:
    tagged = written(tmp_path / "tagged", CSV | {"tags.csv": TAGS + "1,1,politics,5\r\n"})
    importing.import_source(tagged)
    path = written(
        tmp_path / "meta",
        {
            "movies_metadata.csv": metadata(
                TOY | {"id": "9087", "imdb_id": "tt0112346"}, {"id": "1", "imdb_id": "tt0112682", "title": "City"}
            ),
            "keywords.csv": "id,keywords\n9087,\"[{'id': 1, 'name': 'love'}]\"\n1,\"[{'id': 2, 'name': 'Dream'}]\"\n",
        },
    )
    importing.enrich(path)
    importing.import_source(tagged)
    keywords = dict(db.session.execute(select(Movie.id, Movie.keywords).where(Movie.id < 3)).all())
    assert keywords == {1: ["politics"], 2: ["dream"]}


def test_enriching_again_writes_nothing(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is to be written is worked out before the lock is taken."""
    row = TOY | {"id": "9087", "imdb_id": "tt0112346"}
    path = written(tmp_path / "meta", {"movies_metadata.csv": metadata(row)})
    writes, enrich = [], films.enrich

    def spy(session: Any, added: films.Enrichment) -> None:
        writes.append([change["id"] for change in added.changes])
        enrich(session, added)

    monkeypatch.setattr(films, "enrich", spy)
    assert (importing.enrich(path).matched, importing.enrich(path).matched) == (1, 1)
    assert writes == [[1], []]


def test_records_that_disagree_about_ids_but_share_title_and_year_are_one_film(tiny: Path, tmp_path: Path) -> None:
    row = {"id": "555", "imdb_id": "tt7", "title": "He said “Hello”", "release_date": "2002-01-01", "runtime": "90"}
    report = importing.enrich(written(tmp_path / "meta", {"movies_metadata.csv": metadata(row)}))
    assert (report.matched, report.rejected) == (1, 0)


def test_facts_of_another_film_under_the_same_id_do_not_stay(tiny: Path, tmp_path: Path) -> None:
    row = TOY | {"id": "9087", "imdb_id": "tt0112346"}
    importing.enrich(written(tmp_path / "meta", {"movies_metadata.csv": metadata(row)}))
    importing.import_source(written(tmp_path / "dat", DAT))  # its film 1 has no imdb id: another record
    film = db.session.get(Movie, 1, populate_existing=True)
    assert film is not None
    assert (film.title, film.overview, film.runtime) == ("Toy Story", None, None)


def test_enriching_with_something_else_is_refused(tiny: Path, tmp_path: Path, app: Flask) -> None:
    before = dump(app)
    for path in (written(tmp_path / "x", {"y.csv": "a"}), tmp_path / "absent.csv"):
        with pytest.raises(Refused):
            importing.enrich(path)
    assert importing.enrich(written(tmp_path / "z", {"movies_metadata.csv": metadata({"id": "1"})})).matched == 0
    assert dump(app) == before
