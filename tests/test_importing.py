"""Imports change everything or nothing, keep the site's own data, and list what they could not use."""

from __future__ import annotations

import csv
import fcntl
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, current_app
from layouts import CSV, DAT, DATASETS, MOVIES, RATINGS, TAGS, needs_datasets, written, zipped
from sqlalchemy import event, func, select

from movierec.config import ROOT
from movierec.extensions import db
from movierec.services import importing, search, snapshots, storage
from movierec.services.errors import Conflict, Refused
from movierec.tables import Movie, MovieGenre, Snapshot


@pytest.fixture
def tiny(app_context: Flask, tmp_path: Path) -> Path:
    """The small csv data set, imported."""
    path = written(tmp_path / "tiny", CSV)
    importing.import_source(path)
    return path


def state() -> dict[str, Any]:
    """What an import must leave as it was when it refuses."""
    snapshot = snapshots.current()
    return {
        "films": db.session.execute(select(Movie.id, Movie.title, Movie.rank, Movie.events).order_by(Movie.id)).all(),
        "genres": db.session.execute(select(MovieGenre.genre, MovieGenre.rank).order_by(MovieGenre.rank)).all(),
        "snapshot": snapshot and (snapshot.id, snapshot.sha256),
        "folders": sorted(folder.name for folder in snapshots.root().glob("*")),
        "found": search.find("american president").movie_ids,
    }  # fmt: skip


def test_only_the_last_reports_are_kept(app_context: Flask, tmp_path: Path) -> None:
    reports = app_context.config["DATA_DIR"] / "reports"
    reports.mkdir(parents=True)
    for number in range(30):
        (reports / f"old-{number}.csv").touch()
        os.utime(reports / f"old-{number}.csv", (number, number))
    report = importing.import_source(written(tmp_path / "tiny", CSV)).report
    left = {path.name for path in reports.iterdir()}
    assert left == {report.name} | {f"old-{number}.csv" for number in range(11, 30)}


def test_an_import_says_what_it_did(app_context: Flask, tmp_path: Path) -> None:
    said: list[tuple[str, float]] = []
    bad = CSV | {"ratings.csv": RATINGS + "1,99,4.0,5\r\n"}
    report = importing.import_source(zipped(tmp_path / "tiny.zip", bad), lambda what, share: said.append((what, share)))
    assert (report.source, report.simulated, report.unchanged) == ("tiny", False, False)
    assert (report.movies, report.rated, report.viewers, report.events, report.rejected) == (5, 4, 2, 5, 1)
    assert report.rejects[0].reason == "film 99 is not in the catalogue"
    assert (report.kept, report.removed, report.moved) == (0, 0, 0)
    assert list(csv.reader(report.report.read_text().splitlines())) == [
        ["file", "line", "reason"], ["ratings.csv", "7", "film 99 is not in the catalogue"],
    ]  # fmt: skip
    assert list(dict.fromkeys(what for what, _ in said)) == [
        "Reading films", "Reading ratings", "Sorting", "Updating the catalogue",
    ]  # fmt: skip
    assert all(0 <= share <= 1 for _, share in said)
    snapshot = snapshots.current()
    assert snapshot is not None
    assert (snapshot.id, snapshot.rejected, snapshot.movies) == (report.snapshot, 1, 4)


def test_films_are_ranked_by_how_often_they_were_watched(tiny: Path) -> None:
    rows = db.session.execute(select(Movie.id, Movie.rank, Movie.events).order_by(Movie.rank)).all()
    assert rows == [(1, 1, 2), (2, 2, 1), (3, 3, 1), (9, 4, 1), (7, 5, 0)]
    genres = db.session.execute(select(MovieGenre.movie_id).where(MovieGenre.genre == "Comedy")).scalars()
    assert list(genres) == [1, 9]


def test_films_are_found_by_search_at_once(tiny: Path) -> None:
    assert search.find("american president").movie_ids == [1]
    assert search.find("cite des enfants").movie_ids == [2]
    film = db.session.get(Movie, 2)
    assert film is not None
    assert (film.title, film.sort_title, film.other_titles) == (
        "The City of Lost Children", "city of lost children", ["La Cité des enfants perdus"],
    )  # fmt: skip


def test_tags_become_keywords_and_odd_rows_are_listed(app_context: Flask, tmp_path: Path) -> None:
    tags = TAGS + "1,1,White House,5\r\n2,1,<script>alert(1)</script>,6\r\n1,x,funny,7\r\n1,3,no,time,8\r\n"
    path = written(tmp_path / "tagged", CSV | {"tags.csv": tags})
    report = importing.import_source(path)
    assert [(reject.file, reject.line) for reject in report.rejects] == [("tags.csv", 4), ("tags.csv", 5)]
    assert "tags.csv,4,film 'x' is not a number" in report.report.read_text()
    keywords = dict(db.session.execute(select(Movie.id, Movie.keywords)).all())
    assert keywords == {1: ["script alert 1 script", "white house"], 2: [], 3: [], 7: [], 9: []}
    films, _ = written_rows(lambda: importing.import_source(path))
    assert films == {}
    importing.import_source(written(tmp_path / "plain", CSV))  # knows no tags: what was known stays
    assert db.session.scalar(select(Movie.keywords).where(Movie.id == 1)) == keywords[1]


def test_the_same_again_changes_nothing(tiny: Path) -> None:
    before = state()
    report = importing.import_source(tiny)
    assert report.unchanged
    assert state() == before
    assert db.session.scalar(select(func.count(Snapshot.id))) == 1


def written_rows(act: Callable[[], Any]) -> tuple[Counter[str], list[int]]:
    """How many rows each statement wrote to the tables of films, and how many rows each transaction wrote at all."""
    films, each = Counter[str](), []

    def note(_connection: Any, cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith("BEGIN IMMEDIATE"):
            each.append(0)
        elif statement.startswith(("INSERT", "UPDATE", "DELETE")) and cursor.rowcount > 0:
            each[-1] += cursor.rowcount
            if {"movies", "movie_genres"} & set(statement.split()):
                films[statement.split()[0]] += cursor.rowcount

    event.listen(db.engine, "after_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(db.engine, "after_cursor_execute", note)
    return films, each


def test_the_lock_is_held_for_what_changes_only(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "AT_ONCE", 2)
    films, each = written_rows(lambda: importing.import_source(tiny))
    assert films == {}
    assert each[-1] == 1, "the last one, which swaps, only says which index is asked"
    assert max(each[:-1]) < 80, "two titles with their trigrams at a time"
    more = written(tmp_path / "more", CSV | {"ratings.csv": RATINGS + "1,7,4.0,5\r\n1,9,4.0,5\r\n2,9,4.0,6\r\n"})
    films, each = written_rows(lambda: importing.import_source(more))
    assert films["UPDATE"] == 5, (
        "9 rises to the second place, 7 from none: only the first film stays as it is, but it is 4"
    )


def test_readers_see_the_old_catalogue_until_all_of_it_changes(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is filled in transactions of its own: nobody finds anything of it before the swap."""
    before, seen, swap = state(), [], importing.films.swap

    def look_then_swap(session: Any, plan: Any) -> Any:
        with sqlite3.connect(storage.path_of(current_app)) as other:
            seen.append(other.execute("SELECT id, title, rank, events FROM movies ORDER BY id").fetchall())
            side = other.execute("SELECT side FROM search_side").fetchone()[0]
            words = other.execute(f"SELECT folded FROM search_titles{side} ORDER BY position").fetchall()
            seen.append([folded for (folded,) in words])
        other.close()
        return swap(session, plan)

    monkeypatch.setattr(importing.films, "swap", look_then_swap)
    importing.import_source(written(tmp_path / "dat", DAT))
    assert seen[0] == [tuple(row) for row in before["films"]]
    assert "the american president" in seen[1]
    assert search.find("american president").movie_ids == []


def test_no_transaction_is_open_while_files_are_read(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def spy(what: str, _share: float) -> None:
        asked.append((what, db.session().in_transaction()))

    importing.import_source(tiny, spy)
    assert {what for what, _ in asked} >= {"Reading films", "Reading ratings", "Sorting", "Updating the catalogue"}
    assert not any(open_ for _, open_ in asked)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ratings.csv", RATINGS[:-4]),
        ("ratings.csv", RATINGS.split("\r\n", 1)[1]),
        ("ratings.csv", RATINGS + "1,\0,1,1\r\n"),
        ("ratings.csv", ",".join(["x"] * 10_000) + "\n" + ",".join(["1"] * 10_000) + "\n"),
        ("ratings.csv", "userId,movieId,rating,timestamp\n" + "9" * 5_000_000),
        ("ratings.csv", b"userId,movieId,rating,timestamp\n\xff\xfe\x00\n"),
        ("ratings.csv", "<html>not found</html>\n"),
        ("movies.csv", MOVIES[:-4]),
        ("movies.csv", 'movieId,title,genres\n1,"Never closed (1990),Drama\n2,Next (1991),Drama\n'),
        ("movies.csv", "movieId,title,genres\n1," + "x" * 1_500_000 + ",Drama\n"),
        ("movies.csv", "\n".join(",".join(["x"] * 10_000) for _ in range(3)) + "\n"),
        ("movies.csv", "movieId,title,genres\n1,\0,Drama\n"),
        ("links.csv", "1,2,3\n"),
        ("tags.csv", "1,2,3,4\n"),
        ("tags.csv", "userId,movieId,tag,timestamp\n1,1,\"never closed,5\n"),
        ("tags.csv", "userId,movieId,tag,timestamp\n1,1,cut o"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_in_a_sentence_and_change_nothing(
    tiny: Path, tmp_path: Path, name: str, content: str | bytes
) -> None:
    before = state()
    with pytest.raises(Refused, match=r"Nothing was changed\.$") as refused:
        importing.import_source(written(tmp_path / "bad", CSV | {name: content}))
    assert name in refused.value.message
    assert len(refused.value.message) < 400
    assert state() == before


def test_mixed_encodings_are_listed_row_by_row(tiny: Path, tmp_path: Path) -> None:
    mixed = MOVIES.encode() + "11,Café (1990),Drama\r\n".encode("latin-1") + "12,Café (1991),Drama\r\n".encode()
    report = importing.import_source(written(tmp_path / "mixed", CSV | {"movies.csv": mixed}))
    assert [(reject.line, reject.reason) for reject in report.rejects] == [(7, "the title or a genre is not UTF-8")]
    assert report.movies == 6


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_truncated_zip_changes_nothing(tiny: Path, tmp_path: Path, keep: float) -> None:
    whole = zipped(tmp_path / "whole.zip", CSV).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: int(len(whole) * keep)])
    before = state()
    with pytest.raises(Refused, match="not a whole zip"):
        importing.import_source(tmp_path / "cut.zip")
    assert state() == before


def test_a_foreign_zip_changes_nothing(tiny: Path, tmp_path: Path) -> None:
    before = state()
    with pytest.raises(Refused, match="no data set that is known here"):
        importing.import_source(zipped(tmp_path / "photos.zip", {"1.jpg": "x"}))
    with pytest.raises(Refused, match="There is nothing at"):
        importing.import_source(tmp_path / "absent.zip")
    assert state() == before


def test_a_disk_that_refuses_is_said_and_changes_nothing(tiny: Path, tmp_path: Path, app: Flask) -> None:
    before = state()
    reports = Path(app.config["DATA_DIR"]) / "reports"
    for path in reports.iterdir():
        path.unlink()
    reports.rmdir()
    reports.write_text("a file where the folder should be")
    with pytest.raises(Refused, match="could not be written"):
        importing.import_source(written(tmp_path / "more", DAT))
    assert state() == before


def test_two_imports_at_once_are_a_conflict(app_context: Flask, app: Flask, tmp_path: Path) -> None:
    data = Path(app.config["DATA_DIR"])
    data.mkdir(parents=True)
    with (data / "import.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="Another import is running"):
            importing.import_source(written(tmp_path / "tiny", CSV))


def test_a_crash_before_the_commit_leaves_the_old_data_active(tiny: Path, tmp_path: Path, app: Flask) -> None:
    """The process dies when folder and films are in place but not committed; the next import sweeps up."""
    before = state()
    site, new = Path(app.config["INSTANCE_DIR"]).parent, written(tmp_path / "dat", DAT)
    died = subprocess.run([sys.executable, "-c", CRASH, site, new], env={"PYTHONPATH": PYTHONPATH}, check=False)
    assert died.returncode == 7
    after = state()
    left = set(after.pop("folders")) - set(before.pop("folders"))
    assert after == before
    assert len(left) == 1
    importing.import_source(tiny)
    assert not (snapshots.root() / left.pop()).exists()


PYTHONPATH = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
CRASH = """
import os, sys
from pathlib import Path
from kit import settings
from movierec import create_app
from movierec.services import importing, search
search.swap = lambda session, beyond: os._exit(7)
with create_app(settings(Path(sys.argv[1]))).app_context():
    importing.import_source(Path(sys.argv[2]))
"""


@needs_datasets
def test_real_movielens_and_its_metadata(app_context: Flask) -> None:
    report = importing.import_source(DATASETS / "ml-latest-small.zip")
    assert (report.movies, report.rated, report.viewers, report.events) == (9742, 9724, 610, 100_836)
    assert (report.source, report.rejected) == ("ml-latest-small", 0)
    assert report.seconds < 10
    enriched = importing.enrich(DATASETS / "metadata-for-ml-latest-small.zip")
    assert enriched.overviews > 8500
    snapshot = snapshots.current()
    assert snapshot is not None
    data = snapshots.dataset(snapshot, 0)
    assert (data.n_viewers, data.n_items, data.n_events) == (610, 9724, 100_836)


@needs_datasets
def test_the_real_movies_dataset(app_context: Flask) -> None:
    report = importing.import_source(DATASETS / "movies-dataset-small.zip")
    assert (report.rated, report.viewers, report.events) == (9066, 671, 100_004)
    rows = dict(db.session.execute(select(Movie.imdb_id, Movie.title)).all())
    assert (rows["tt0114709"], rows["tt0211915"], rows["tt0068646"]) == ("Toy Story", "Amélie", "The Godfather")
