"""MovieLens in its three layouts, and every quirk of its files; ratings parsed fast agree with those parsed slowly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import CSV, DAT, K100, LINKS, MOVIES, RATINGS, events, read, written, zipped

from movierec.sources import base, ratings
from movierec.sources.archive import BadSource
from movierec.sources.base import Reject, Rejects


def csv_set(tmp_path: Path, **files: str | bytes) -> Path:
    """The csv layout with some files replaced: csv_set(tmp_path, ratings="...")."""
    return written(tmp_path / "set", CSV | {f"{name}.csv": content for name, content in files.items()})


def test_csv(tmp_path: Path) -> None:
    source, movies, chunks = read(zipped(tmp_path / "ml-tiny.zip", CSV, "ml-tiny"))
    assert (source.name, source.simulated, source.rejects) == ("ml-tiny", False, [])
    assert {movie.movie_id: (movie.title, movie.year) for movie in movies.values()} == {
        1: ("The American President", 1995),
        2: ("The City of Lost Children", 1995),
        3: ("From Dusk Till Dawn 2: Texas Blood Money", 1999),
        7: ("Death Note: Desu nôto", 2006),
        9: ('He said "hello"', 2001),
    }
    assert movies[2].other_titles == ("La Cité des enfants perdus",)
    assert movies[1].genres == ("Comedy", "Drama")
    assert movies[7].genres == ()
    assert events(chunks) == [
        (1, 1, 4.0, 964982703),
        (1, 3, 0.5, 964982703),
        (1, 2, 5.0, 964981247),
        (2, 1, 3.5, 1000000000),
        (2, 9, 3.0, 900000000),
    ]
    assert chunks[-1].share == 1.0


def test_links_keep_their_zeros_and_blanks(tmp_path: Path) -> None:
    _, movies, _ = read(csv_set(tmp_path))
    assert [(movies[at].imdb_id, movies[at].tmdb_id) for at in (1, 2, 3, 9)] == [
        ("tt0112346", 9087),
        ("tt0112682", None),
        (None, None),
        ("tt10366206", 555),
    ]


def test_links_may_be_missing(tmp_path: Path) -> None:
    _, movies, _ = read(written(tmp_path / "set", {"movies.csv": MOVIES, "ratings.csv": RATINGS}))
    assert movies[1].imdb_id is None


def test_dat_of_one_million(tmp_path: Path) -> None:
    files = {name: content.encode("latin-1") for name, content in DAT.items()}
    source, movies, chunks = read(written(tmp_path / "ml-1m", files))
    assert source.name == "ml-1m"
    assert (movies[5].title, movies[5].year) == ("Le Café", 1990)
    assert movies[1].genres == ("Animation", "Children", "Comedy")
    assert events(chunks) == [(1, 5, 4.0, 978300760), (1, 1, 5.0, 978300760), (2, 1, 3.0, 978302109)]


def test_dat_of_ten_million_is_utf8_with_half_stars(tmp_path: Path) -> None:
    _, movies, chunks = read(written(tmp_path / "x", DAT | {"ratings.dat": "1::5::4.5::978300760\n"}))
    assert movies[5].title == "Le Café"
    assert events(chunks) == [(1, 5, 4.5, 978300760)]


def test_hundred_thousand_has_ids_of_its_own(tmp_path: Path) -> None:
    files = {name: content.encode("latin-1") for name, content in K100.items()}
    _, movies, chunks = read(written(tmp_path / "ml-100k", files))
    assert [(movie.title, movie.year) for movie in movies.values()] == [
        ("Toy Story", 1995),
        ("Yes, I Am Café", 1996),
        ("unknown", None),
    ]
    assert movies[800_000_001].genres == ("Animation", "Children", "Comedy")
    assert movies[800_000_001].released == "1995-01-01"
    assert movies[800_000_267].genres == ()
    assert events(chunks)[0] == (196, 800_000_001, 3.0, 881250949)
    assert {event[1] for event in events(chunks)} == set(movies)


def test_rows_that_cannot_be_used_are_listed_with_line_and_reason(tmp_path: Path) -> None:
    bad = RATINGS + "x,1,4.0,5\n1,1,6.0,5\n1,1\n\n1,99,4.0,5\n1,1,4.0,-5\n1,1,4.25,5\n3,1,4.00,6\n"
    source, _, chunks = read(csv_set(tmp_path, ratings=bad))
    assert events(chunks)[-1] == (3, 1, 4.0, 6)
    assert len(events(chunks)) == 6
    listed = [(reject.line, reject.reason) for reject in source.rejects]
    assert sorted(listed) == [
        (7, "viewer 'x' is not a number from 0 to 2147483647"),
        (8, "rating '6.0' is not in half stars from 0.5 to 5"),
        (9, "2 columns instead of 4"),
        (10, "an empty row"),
        (11, "film 99 is not in the catalogue"),
        (12, "time '-5' is not a number from 0 to 4102444800"),
        (13, "rating '4.25' is not in half stars from 0.5 to 5"),
    ]
    assert {reject.file for reject in source.rejects} == {"ratings.csv"}


def test_films_that_cannot_be_used_are_listed_and_their_ratings_too(tmp_path: Path) -> None:
    bad = (
        b"movieId,title,genres\n1,Good (2000),Drama\nx,Bad (2000),Drama\n2,Two columns\n1,Again (2001),Drama\n"
        b"3,caf\xe9 (2000),Drama\n4,,Drama\n5," + b"x" * 500 + b",Drama\n0,Zero (2000),Drama\n\n"
        b"900000001,Starter's (2000),Drama\n"
    )
    source, movies, chunks = read(csv_set(tmp_path, movies=bad))
    assert list(movies) == [1]
    assert [event[1] for event in events(chunks)] == [1, 1]
    reasons = {reject.line: reject.reason for reject in source.rejects if reject.file == "movies.csv"}
    assert reasons == {
        3: "film 'x' is not a number from 1 to 799999999",
        4: "2 columns instead of 3",
        5: "film 1 comes twice",
        6: "the title or a genre is not UTF-8",
        7: "no title",
        8: "a title of 500 characters",
        9: "film '0' is not a number from 1 to 799999999",
        10: "an empty row",
        11: "film '900000001' is not a number from 1 to 799999999",
    }
    assert sum(reject.file == "ratings.csv" for reject in source.rejects) == 3


def test_links_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    source, movies, _ = read(csv_set(tmp_path, links=LINKS + "3,abc,1\n3,1\n3,0000001,x\n7,,12.0\n"))
    assert [reject.reason for reject in source.rejects] == [
        "imdbId 'abc' is not a number", "2 columns instead of 3", "tmdbId 'x' is not a number",
    ]  # fmt: skip
    assert movies[7].tmdb_id == 12


def test_columns_too_many_in_dat_files_are_listed(tmp_path: Path) -> None:
    source, _, _ = read(written(tmp_path / "x", DAT | {"movies.dat": DAT["movies.dat"] + "6::a\n"}))
    assert source.rejects == [Reject("movies.dat", 3, "2 columns instead of 3")]
    source, _, _ = read(written(tmp_path / "y", K100 | {"u.item": K100["u.item"] + "3|a\n"}))
    assert source.rejects == [Reject("u.item", 4, "2 columns instead of 24")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ratings", RATINGS[:-3], "ends in the middle of line 6"),
        ("ratings", RATINGS[: RATINGS.index("2,9")] + "2", "ends in the middle of line 6"),
        ("ratings", "1,1,4.0,5\n", "doesn't begin with userId"),
        ("ratings", "userId,movieId,rating\n1,1,4.0\n", "doesn't begin with userId"),
        ("ratings", "userId,movieId,rating,timestamp\n", "holds no rating"),
        ("ratings", "userId,movieId,rating,timestamp\n1,1,NaN,5\n", "holds no rating .* fault: rating 'NaN'"),
        ("ratings", "userId,movieId,rating,timestamp\n1,1,four,5\n", "holds no rating .* fault: rating 'four'"),
        ("ratings", "", "holds no rating"),
        ("ratings", RATINGS + "1,\0,4.0,5\n", "NUL"),
        ("ratings", "userId,movieId,rating,timestamp\n" + "1" * 6_000_000 + "\n", "longer than 1 MB"),
        ("ratings", "x" * 12_000_000, "longer than 1 MB"),
        ("movies", MOVIES[:-5], "ends in the middle of line 6"),
        ("movies", "title,movieId\n", "doesn't begin with movieId,title,genres"),
        ("movies", "movieId,title,genres\n", "holds no film"),
        ("movies", "movieId,title,genres\nx,y,z\n", "holds no film .* fault: film 'x'"),
    ],
)
def test_cut_off_foreign_and_hostile_files_are_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    with pytest.raises(BadSource, match=said):
        read(csv_set(tmp_path, **{name: content}))


def test_a_line_of_more_than_a_megabyte_among_odd_ones_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match="line 2 is longer"):
        read(csv_set(tmp_path, ratings="userId,movieId,rating,timestamp\n" + "1" * 2_000_000 + "\n1,1,4.0,5\n"))


def test_very_many_unusable_rows_end_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(base, "MAX_REJECTS", 3)
    with pytest.raises(BadSource, match="More than 3 rows can't be used"):
        read(csv_set(tmp_path, ratings=RATINGS + "x\n" * 4))


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match="no data set that is known here"):
        read(written(tmp_path / "set", {"ratings.csv": RATINGS}))


def test_blocks_are_cut_at_line_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratings, "BLOCK", 64)
    whole = "userId,movieId,rating,timestamp\r\n" + "".join(f"{at},1,4.5,{at * 1000}\r\n" for at in range(1, 200))
    source, _, chunks = read(csv_set(tmp_path, ratings=whole.replace("\r\n7,", "\r\nx,")))
    assert len(chunks) > 20
    assert [event[0] for event in events(chunks)] == [at for at in range(1, 200) if at != 7]
    assert [reject.line for reject in source.rejects] == [8]
    assert [chunk.share for chunk in chunks] == sorted(chunk.share for chunk in chunks)


number = st.integers(0, 10**11).map(str)
field = st.one_of(number, st.sampled_from(["", "0", "-1", "4.0", "4.5", "5.5", "0.5", "0.0", "x", "4.", "٣", "1e3"]))
row = st.lists(field, min_size=3, max_size=5).map(",".join)
star = st.integers(1, 10).map(lambda twice: str(twice / 2))
good = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 799_999_999), star, st.integers(0, 4_102_444_800)).map(
    lambda fields: ",".join(map(str, fields))
)


@settings(deadline=None)
@given(st.lists(st.one_of(good, row), min_size=1, max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_fast_and_slow_agree(rows: list[str], end: str) -> None:
    """Whatever the fast way accepts, the slow way reads alike; what has a fault, the fast way leaves to it."""
    block = "".join(line + end for line in rows).encode()
    rejects = Rejects()
    columns, lines = ratings.slow(block, b",", "ratings.csv", 1, rejects)
    quick = ratings.fast(block, ord(","))
    if quick is None:
        return
    assert not rejects
    assert lines.tolist() == list(range(1, len(rows) + 1))
    for mine, theirs in zip(quick, columns, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@given(st.lists(good, min_size=1, max_size=6))
def test_rows_as_movielens_writes_them_are_read_the_fast_way(rows: list[str]) -> None:
    assert ratings.fast("".join(line + "\r\n" for line in rows).encode(), ord(",")) is not None
