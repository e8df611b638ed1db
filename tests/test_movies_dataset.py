"""The Movies Dataset: titles come through links, never by taking a movieId for a TMDB id; and the real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from layouts import DATASETS, events, metadata, needs_datasets, read, written
from test_metadata import TOY

from movierec.sources.archive import BadSource

LINKS = "movieId,imdbId,tmdbId\r\n1,0114709,862\r\n862,0000002,2\r\n3,0000003,\r\n4,0194314,171982\r\n5,0000005,6\r\n"
RATINGS = "userId,movieId,rating,timestamp\r\n1,1,4.0,10\r\n1,862,3.0,11\r\n2,3,2.5,12\r\n2,4,2.5,13\r\n"
META = metadata(
    TOY,
    {"id": "2", "imdb_id": "tt0000002", "title": "The Second", "original_title": "Le Deuxième"},
    {"id": "171982", "imdb_id": "tt2378428", "title": "Romance", "release_date": "2012-10-09"},
    {"id": "6", "imdb_id": "tt0000006", "title": "Sixth", "release_date": "1990-01-01"},
)  # fmt: skip
SMALL = {"links_small.csv": LINKS, "ratings_small.csv": RATINGS, "movies_metadata.csv": META}


def test_titles_come_through_links(tmp_path: Path) -> None:
    source, movies, chunks = read(written(tmp_path / "set", SMALL))
    assert source.name == "movies-dataset-small"
    assert (movies[1].title, movies[1].year, movies[1].imdb_id) == ("Toy Story", 1995, "tt0114709")
    assert (movies[862].title, movies[862].other_titles) == ("The Second", ("Le Deuxième",))
    assert movies[862].sort_title == "second"
    assert len(events(chunks)) == 4


def test_a_film_without_metadata_keeps_its_ratings_and_says_so(tmp_path: Path) -> None:
    source, movies, chunks = read(written(tmp_path / "set", SMALL))
    assert movies[3].title == "Unknown title (tt0000003)"
    assert (2, 3, 2.5, 12) in events(chunks)
    assert any("tt0000003 is not in" in reject.reason and reject.line == 4 for reject in source.rejects)


def test_where_the_two_ids_disagree_it_is_listed(tmp_path: Path) -> None:
    source, movies, _ = read(written(tmp_path / "set", SMALL))
    reasons = {reject.line: reject.reason for reject in source.rejects}
    assert (movies[4].title, movies[4].year) == ("Romance", 1999)  # known to be another film of that name
    assert "our own title is used" in reasons[5]
    assert movies[5].title == "Sixth"
    assert "its title is used" in reasons[6]


def test_keywords_come_by_the_tmdb_id_where_they_lie_beside(tmp_path: Path) -> None:
    told = (
        "id,keywords\n862,\"[{'id': 931, 'name': 'jealousy'}, {'id': 4290, 'name': \"\"Boy's Toy\"\"}]\"\n2,[]\n"
        "6,__import__('os').abort()\n"
    )
    source, movies, _ = read(written(tmp_path / "set", SMALL | {"keywords.csv": told}))
    assert [movies[at].keywords for at in (1, 862, 5)] == [("jealousy", "boys toy"), (), ()]
    assert ("keywords.csv", 4) in [(reject.file, reject.line) for reject in source.rejects]


def test_the_full_files_serve_where_there_are_no_small_ones(tmp_path: Path) -> None:
    full = {"links.csv": LINKS, "ratings.csv": RATINGS, "movies_metadata.csv": META}
    source, movies, _ = read(written(tmp_path / "set", full))
    assert (source.name, len(movies)) == ("movies-dataset", 5)


def test_links_without_a_film_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match="holds no film"):
        read(written(tmp_path / "set", SMALL | {"links_small.csv": "movieId,imdbId,tmdbId\n"}))


def test_a_link_that_cannot_be_used_is_no_film(tmp_path: Path) -> None:
    source, movies, _ = read(written(tmp_path / "set", SMALL | {"links_small.csv": LINKS + "9,x,y\nz,1,1\n1,1,1\n"}))
    assert 9 not in movies
    assert len(movies) == 5
    assert any("imdbId 'x'" in reject.reason for reject in source.rejects)


@needs_datasets
def test_the_real_one() -> None:
    _, movies, chunks = read(DATASETS / "movies-dataset-small.zip")
    told = events(chunks)
    assert (len({event[0] for event in told}), len({event[1] for event in told}), len(told)) == (671, 9066, 100_004)
    assert not any(movie.title.startswith("Unknown title") for movie in movies.values())
    by_imdb = {movie.imdb_id: (movie.title, movie.year) for movie in movies.values()}
    assert len(by_imdb) == len(movies) == 9125
    right = {
        "tt0114709": ("Toy Story", 1995),
        "tt0111161": ("The Shawshank Redemption", 1994),
        "tt0068646": ("The Godfather", 1972),
        "tt0211915": ("Amélie", 2001),
        "tt0133093": ("The Matrix", 1999),
        "tt0052618": ("Ben-Hur", 1959),
        "tt0072500": ("Fawlty Towers", 1975),
        "tt0194314": ("Romance", 1999),
        "tt0848281": ("The Deal", 2008),
        "tt0098090": ("The Phantom of the Opera", 1989),
        "tt0346293": ("Hitler: The Rise of Evil", 2003),
    }
    assert {imdb_id: by_imdb[imdb_id] for imdb_id in right} == right


@needs_datasets
def test_its_titles_are_movielens_titles_where_both_have_the_film() -> None:
    """An independent check of the join: the same imdb id in ml-latest-small, with MovieLens's own year."""
    _, ours, _ = read(DATASETS / "movies-dataset-small.zip")
    _, theirs, _ = read(DATASETS / "ml-latest-small.zip")
    years = {movie.imdb_id: movie.year for movie in theirs.values() if movie.imdb_id and movie.year}
    both = [(movie.year, years[movie.imdb_id]) for movie in ours.values() if movie.imdb_id in years and movie.year]
    near = sum(abs(mine - other) <= 1 for mine, other in both)
    assert len(both) > 7000
    assert near / len(both) > 0.985
