"""movies_metadata.csv of The Movies Dataset (TMDB's facts): read by column names, odd rows listed, unknowns unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from movierec.sources import keywords, titles
from movierec.sources.archive import Archive, BadSource, rows, unreadable
from movierec.sources.base import Rejects

FILE = "movies_metadata.csv"
FIRST = ("adult", "belongs_to_collection")  # how its header begins
NEEDED = (
    "id", "imdb_id", "genres", "original_language", "original_title", "overview", "poster_path",
    "production_countries", "release_date", "runtime", "title",
)  # fmt: skip
RENAMED = {"Science Fiction": "Sci-Fi", "Family": "Children"}  # TMDB's word -> MovieLens's
COUNTRIES = {"United States of America": "USA", "United Kingdom": "UK", "Soviet Union": "USSR"}  # as the house says
NOTHING = {"no overview found.", "no overview found", "no overview", "none", "n/a", "null"}
LONGEST_OVERVIEW = 10_000


@dataclass(frozen=True)
class Facts:
    """What one row says about a film; None and () are "unknown"."""

    line: int
    tmdb_id: int
    imdb_id: str | None
    title: str
    original_title: str
    year: int | None
    released: str | None
    genres: tuple[str, ...]
    countries: tuple[str, ...]
    language: str | None
    runtime: int | None
    overview: str | None
    poster_path: str | None
    keywords: tuple[str, ...]


@dataclass
class Metadata:
    """All rows, by either id; of doubled rows the first counts."""

    by_tmdb: dict[int, Facts] = field(default_factory=dict)
    by_imdb: dict[str, Facts] = field(default_factory=dict)

    def find(self, imdb_id: str | None, tmdb_id: int | None) -> tuple[Facts | None, bool]:
        """The film's facts, and whether the two ids agree on them (a link may name another film in one of its ids)."""
        named, numbered = self.by_imdb.get(imdb_id or ""), self.by_tmdb.get(tmdb_id or -1)
        if named is not None:
            return named, numbered is None or numbered is named
        if numbered is None:
            return None, True
        return numbered, imdb_id is None or numbered.imdb_id is None or numbered.imdb_id == imdb_id


def read(archive: Archive, rejects: Rejects) -> Metadata:
    """All usable rows, with the keywords of keywords.csv where that lies beside. Raises BadSource."""
    found = Metadata()
    told = keywords.read(archive, rejects) if archive.has(keywords.FILE) else {}
    for facts in _facts(archive, told, rejects):
        if facts.tmdb_id in found.by_tmdb:
            rejects.add(FILE, facts.line, f"film {facts.tmdb_id} comes twice")
            continue
        found.by_tmdb[facts.tmdb_id] = facts
        if facts.imdb_id:
            found.by_imdb.setdefault(facts.imdb_id, facts)
    if not found.by_tmdb:
        raise BadSource(f"{FILE} holds no film that can be used.")
    return found


def _facts(archive: Archive, told: Mapping[int, tuple[str, ...]], rejects: Rejects) -> Iterator[Facts]:
    numbered = rows(archive, FILE, header=FIRST, strict=False)  # three rows in the original have stray quotes
    _, names = next(numbered)
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise BadSource(f"{FILE} lacks the column {missing[0]}: this is not The Movies Dataset's file.")
    for line, fields in numbered:
        try:
            if len(fields) != len(names):
                raise ValueError(f"{len(fields)} columns instead of {len(names)}")
            yield _row(line, dict(zip(names, fields, strict=True)), told)
        except ValueError as fault:
            rejects.add(FILE, line, str(fault))


def _row(line: int, row: dict[str, str], told: Mapping[int, tuple[str, ...]]) -> Facts:
    """One row. Raises ValueError with the reason."""
    number = row["id"].strip()
    if not (number.isascii() and number.isdigit() and len(number) < 12):
        raise ValueError(f"id {number[:40]!a} is not a number: its columns are shifted")
    if fault := unreadable(row[name] for name in NEEDED):
        raise ValueError(f"a text {fault}")
    imdb_id = row["imdb_id"].strip()
    released = _day(row["release_date"])
    original = titles.clean(row["original_title"])
    return Facts(
        line=line,
        tmdb_id=int(number),
        imdb_id=imdb_id if imdb_id.startswith("tt") and imdb_id[2:].isdigit() else None,
        title=titles.clean(row["title"]) or original,
        original_title=original,
        year=int(released[:4]) if released else None,
        released=released,
        genres=tuple(dict.fromkeys(RENAMED.get(name, name)[:32] for name in _names(row["genres"]))),
        countries=tuple(COUNTRIES.get(name, name) for name in _names(row["production_countries"])),
        language=row["original_language"].strip()[:16] or None,
        runtime=_minutes(row["runtime"]),
        overview=_overview(row["overview"]),
        poster_path=_poster(row["poster_path"]),
        keywords=told.get(int(number), ()),
    )


def _names(literal: str) -> list[str]:
    """The names in a Python literal; what is no such literal has none."""
    try:
        return keywords.names(literal)
    except ValueError:
        return []


def _day(text: str) -> str | None:
    """An ISO date, or None for a blank or impossible one."""
    try:
        return date.fromisoformat(text.strip()).isoformat()
    except ValueError:
        return None


def _minutes(text: str) -> int | None:
    """Whole minutes; 0 is "unknown" here."""
    try:
        minutes = round(float(text))
    except (ValueError, OverflowError):
        return None
    return minutes if 0 < minutes < 10_000 else None


def _overview(text: str) -> str | None:
    """The overview as one paragraph; phrases that say there is none are none."""
    plain = titles.clean(text)[:LONGEST_OVERVIEW]
    return None if plain.casefold() in NOTHING or not plain else plain


def _poster(text: str) -> str | None:
    path = text.strip()
    return path if path.startswith("/") and path[1:].replace(".", "").isalnum() and len(path) <= 200 else None
