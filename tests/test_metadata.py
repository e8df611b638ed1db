"""movies_metadata.csv and its quirks: shifted and doubled rows, Python literals, blanks, zeros, line breaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from layouts import META_COLUMNS, meta_row, metadata, written

from movierec.sources import metadata as reading
from movierec.sources.archive import BadSource, open_archive
from movierec.sources.base import Rejects

TOY = {
    "id": "862",
    "imdb_id": "tt0114709",
    "title": "Toy Story",
    "original_title": "Toy Story",
    "original_language": "en",
    "genres": "[{'id': 16, 'name': 'Animation'}, {'id': 1, 'name': 'Family'}, {'id': 8, 'name': \"Science Fiction\"}]",
    "overview": "Led by Woody,\nAndy's toys live  happily.",
    "poster_path": "/rhIRbceoE9lR4veEXuwCC2wARtG.jpg",
    "production_countries": "[{'iso_3166_1': 'US', 'name': 'United States of America'}]",
    "release_date": "1995-10-30",
    "runtime": "81.0",
}  # fmt: skip


def read(tmp_path: Path, content: str | bytes) -> tuple[reading.Metadata, Rejects]:
    rejects = Rejects()
    written(tmp_path, {"movies_metadata.csv": content})
    with open_archive(tmp_path / "movies_metadata.csv") as archive:
        return reading.read(archive, rejects), rejects


def one(tmp_path: Path, **changed: str) -> reading.Facts:
    found, rejects = read(tmp_path, metadata(TOY | changed))
    assert rejects == []
    return found.by_tmdb[862]


def test_a_row(tmp_path: Path) -> None:
    facts = one(tmp_path)
    assert facts.genres == ("Animation", "Children", "Sci-Fi")
    assert facts.countries == ("USA",)
    assert facts.overview == "Led by Woody, Andy's toys live happily."
    assert (facts.runtime, facts.released, facts.year, facts.language) == (81, "1995-10-30", 1995, "en")
    assert facts.poster_path == "/rhIRbceoE9lR4veEXuwCC2wARtG.jpg"
    assert facts.imdb_id == "tt0114709"


@pytest.mark.parametrize(
    ("column", "value", "attribute", "unknown"),
    [
        ("runtime", "0.0", "runtime", None),
        ("runtime", "", "runtime", None),
        ("runtime", "inf", "runtime", None),
        ("overview", "No overview found.", "overview", None),
        ("overview", " \n ", "overview", None),
        ("release_date", "", "released", None),
        ("release_date", "1995-13-40", "year", None),
        ("genres", "[]", "genres", ()),
        ("genres", "nonsense [", "genres", ()),
        ("genres", "{'name': 'no list'}", "genres", ()),
        ("genres", "[{'id': 1}, 3, {'name': 4}]", "genres", ()),
        ("genres", "__import__('os').system('false')", "genres", ()),
        ("genres", "[" * 5000, "genres", ()),
        ("poster_path", "http://elsewhere/x.jpg", "poster_path", None),
        ("poster_path", "", "poster_path", None),
        ("imdb_id", "0", "imdb_id", None),
        ("original_language", "", "language", None),
    ],
)
def test_unknowns_are_unknown(tmp_path: Path, column: str, value: str, attribute: str, unknown: object) -> None:
    assert getattr(one(tmp_path, **{column: value}), attribute) == unknown


def test_a_row_without_a_title_has_its_original_one(tmp_path: Path) -> None:
    assert one(tmp_path, title="", original_title="Histoire de jouets").title == "Histoire de jouets"


def test_shifted_doubled_and_broken_rows_are_listed_with_their_line(tmp_path: Path) -> None:
    rows = [
        TOY | {"overview": "of\ntwo lines"},
        TOY | {"id": "1997-08-20"},
        TOY | {"title": "Again"},
        {"id": "7", "title": "Beep \a"},
    ]
    found, rejects = read(tmp_path, metadata(*rows) + "too,few\n")
    assert list(found.by_tmdb) == [862]
    assert [(reject.line, reject.reason) for reject in rejects] == [
        (4, "id '1997-08-20' is not a number: its columns are shifted"),
        (6, "film 862 comes twice"),
        (8, "a text holds control characters"),
        (9, "2 columns instead of 24"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,title\n1,x\n", "doesn't begin with"),
        ("adult,belongs_to_collection,id\n", "lacks the column imdb_id"),
        (META_COLUMNS + "\n", "holds no film"),
        (META_COLUMNS + "\n" + meta_row(**TOY), "middle of line"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(BadSource, match=said):
        read(tmp_path, content)


def test_a_film_is_found_by_imdb_first_and_disagreement_is_said(tmp_path: Path) -> None:
    found, _ = read(tmp_path, metadata(TOY, {"id": "5", "imdb_id": "tt5", "title": "Five"}))
    toy, five = found.by_tmdb[862], found.by_tmdb[5]
    assert found.find("tt0114709", 862) == (toy, True)
    assert found.find("tt0114709", None) == (toy, True)
    assert found.find(None, 862) == (toy, True)
    assert found.find("tt0114709", 5) == (toy, False)
    assert found.find("tt999", 5) == (five, False)
    assert found.find("tt999", None) == (None, True)
