"""Tags and keywords: the most used of each film as plain folded words; what can't be used is listed with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import CSV, DAT, DATASETS, TAGS, needs_datasets, read, written

from movierec.sources import keywords
from movierec.sources.archive import BadSource, open_archive
from movierec.sources.base import Rejects, SourceMovie


def tagged(tmp_path: Path, *told: str) -> tuple[dict[int, SourceMovie], list[tuple[int, str]]]:
    """The films of the small set with these rows of tags.csv, and what was not used of them."""
    source, movies, _ = read(
        written(tmp_path / "set", CSV | {"tags.csv": TAGS + "".join(f"{row}\r\n" for row in told)})
    )
    return movies, [(reject.line, reject.reason) for reject in source.rejects if reject.file == "tags.csv"]


def test_the_most_used_come_first_then_the_alphabet(tmp_path: Path) -> None:
    movies, rejected = tagged(
        tmp_path, "1,1,Politics,5", "2,1,love,5", "3,1,LOVE,6", "1,2,Sci-Fi,7", "4,1,a b,8", '5,2,"dark, ""odd""",9'
    )
    assert rejected == []
    assert movies[1].keywords == ("love", "a b", "politics")
    assert movies[2].keywords == ("dark odd", "sci fi")
    assert movies[3].keywords == ()


def test_a_film_keeps_so_many_and_none_that_is_long_empty_or_a_viewers_own_note(tmp_path: Path) -> None:
    many = [f"1,1,tag {letter},5" for letter in "zyxwvutsrqponmlkjihgfedcba"]
    long = "w" * (keywords.LONGEST + 1)
    movies, rejected = tagged(
        tmp_path, *many, "1,2,In Netflix queue,5", f"1,2,{long},5", "1,2,!!!,5", f"1,2,{long[1:]},5"
    )
    assert movies[1].keywords == tuple(f"tag {letter}" for letter in "abcdefghijklmnopqrst")
    assert len(movies[1].keywords) == keywords.MOST
    assert movies[2].keywords == (long[1:],)
    assert rejected == []


def test_rows_that_cannot_be_used_are_listed(tmp_path: Path) -> None:
    movies, rejected = tagged(
        tmp_path,
        "1,1,fine,5",
        "1,1,two",
        "1,one,fine,5",
        "1,99,fine,5",
        "1,1,a\x07b,5",
        "",
        "1,1,fine,5,6",
        "2,1,fine,5",
    )
    assert movies[1].keywords == ("fine",)
    assert rejected == [
        (3, "3 columns instead of 4"), (4, "film 'one' is not a number from 1 to 799999999"),
        (5, "film 99 is not in the catalogue"), (6, "the tag holds control characters"), (7, "an empty row"),
        (8, "5 columns instead of 4"),
    ]  # fmt: skip


def test_what_is_not_utf8_is_listed(tmp_path: Path) -> None:
    rows = (TAGS + "1,1,caf\xe9,5\r\n1,1,ok,5\r\n").encode("latin-1")
    source, movies, _ = read(written(tmp_path / "set", CSV | {"tags.csv": rows}))
    assert movies[1].keywords == ("ok",)
    assert [(reject.line, reject.reason) for reject in source.rejects] == [(2, "the tag is not UTF-8")]


def test_tags_of_ten_million_stand_between_colons(tmp_path: Path) -> None:
    source, movies, _ = read(written(tmp_path / "x", DAT | {"tags.dat": "15::5::Paris::1\n15::5::a::b::1\n"}))
    assert movies[5].keywords == ("paris",)
    assert [(reject.file, reject.line) for reject in source.rejects] == [("tags.dat", 2)]


@pytest.mark.parametrize("most", ["MOST_TAGS", "MOST_WORDS"])
def test_past_a_bound_tags_are_no_longer_read(most: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keywords, most, 2)
    movies, rejected = tagged(tmp_path, "1,1,one,5", "1,1,two,5", "1,1,three,5", "1,1,four,5")
    assert movies[1].keywords == ("one", "two")
    assert len(rejected) == 1
    assert rejected[0][0] == 4


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=200), max_size=8))
def test_whatever_is_written_as_a_tag_becomes_words_or_is_listed(tags: list[str]) -> None:
    rejects = Rejects()
    rows = enumerate((["1", "7", tag, "5"] for tag in tags), 2)
    found = keywords.of_tags(iter(rows), "tags.csv", {7}, rejects).get(7, ())
    assert len(found) + len(rejects) <= len(tags)
    for word in found:
        assert 0 < len(word) <= keywords.LONGEST
        assert all(letter.isalnum() or letter == " " or letter.isidentifier() or letter > "\x7f" for letter in word)


def of_file(tmp_path: Path, *rows: str) -> tuple[dict[int, tuple[str, ...]], list[tuple[int, str]]]:
    """What keywords.csv with these rows says, and what was not used."""
    rejects = Rejects()
    path = written(tmp_path, {"keywords.csv": "id,keywords\n" + "".join(f"{row}\n" for row in rows)}) / "keywords.csv"
    with open_archive(path) as archive:
        found = keywords.read(archive, rejects)
    return found, [(reject.line, reject.reason) for reject in rejects]


def test_the_movies_datasets_file(tmp_path: Path) -> None:
    many = ", ".join(f"{{'id': {at}, 'name': 'K{at:02}'}}" for at in range(30))
    found, rejected = of_file(
        tmp_path, "862,\"[{'id': 931, 'name': 'jealousy'}, {'id': 2, 'name': \"\"Cat's Cradle\"\"}]\"", "5,[]",
        f'6,"[{many}]"',
        "7,\"[{'id': 1, 'name': 'Same'}, {'id': 2, 'name': 'same'}, {'id': 3}, 4, {'name': 5}]\"",
    )  # fmt: skip
    assert rejected == []
    assert found == {862: ("jealousy", "cats cradle"), 5: (), 6: tuple(f"k{at:02}" for at in range(20)), 7: ("same",)}


@pytest.mark.parametrize(("row", "reason"), [
    ("x,[]", "id 'x' is not a number"), ("1,[],2", "3 columns instead of 2"), ("", "an empty row"),
    ("1,__import__('os').abort()", "is no list of names"), ("1,{}", "is no list of names"),
    ("1,", "is no list of names"),
    ("1," + "(" * 5_000, "is no list of names"), ("1," + "[" * 25_000, "is no list of names"),
    ("1,\"['a\x07']\"", "a keyword holds control characters"), ("862,[]", "film 862 comes twice"),
])  # fmt: skip
def test_rows_of_that_file_that_cannot_be_used_are_listed(row: str, reason: str, tmp_path: Path) -> None:
    found, rejected = of_file(tmp_path, "862,\"[{'id': 931, 'name': 'jealousy'}]\"", row)
    assert found == {862: ("jealousy",)}
    assert [line for line, _ in rejected] == [3]
    assert reason in rejected[0][1]


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    written(tmp_path, {"keywords.csv": "word,count\nfine,3\n"})
    with open_archive(tmp_path / "keywords.csv") as archive, pytest.raises(BadSource, match="doesn't begin with"):
        keywords.read(archive, Rejects())


@needs_datasets
def test_the_real_tags() -> None:
    source, movies, _ = read(DATASETS / "ml-latest-small.zip")
    assert source.rejects == []
    assert sum(bool(movie.keywords) for movie in movies.values()) == 1460  # of 1,572; the others are in a queue only
    assert "atmospheric" in movies[296].keywords or len(movies[296].keywords) == keywords.MOST
    assert movies[260].keywords[:2] == ("classic sci fi", "sci fi")
