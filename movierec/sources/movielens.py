"""MovieLens as GroupLens lays it out: csv (latest, 25M, 32M), dat (1M, 10M) and u.data (100K)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np

from movierec.sources import keywords, titles
from movierec.sources.archive import Archive, BadSource, lines, rows, unreadable
from movierec.sources.base import LAST_ID, Chunk, Links, Rejects, SourceMovie
from movierec.sources.ratings import CSV, DAT, TAB, Layout, read_ratings

# ml-100k counts its films 1..1682 on its own: elsewhere the same number is another film. So they get a range of their
# own, or a history made on one data set would turn into other films with the next.
FIRST_ID_100K = 800_000_000
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
RENAMED = {"Children's": "Children"}
NO_GENRE = {"(no genres listed)", "unknown", ""}
LONGEST_TITLE = 400


class _MovieLens:
    """What the three layouts share: films are gathered first, then ratings of gathered films."""

    simulated = False
    files: tuple[str, str]  # films, ratings
    tags = ""  # the file of tags, where the layout has one
    layout: Layout
    shift = 0

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.name = archive.label
        self.rejects = Rejects()
        self._known: set[int] = set()

    @classmethod
    def detect(cls, archive: Archive) -> bool:
        """Whether both files of this layout are there."""
        return archive.has(*cls.files)

    def movies(self) -> Iterator[SourceMovie]:
        """All films with their tags; a movieId that comes twice is used once. Raises BadSource."""
        found = list(self._films())
        if not found:
            said = f" The first row's fault: {self.rejects[-1].reason}." if self.rejects else ""
            raise BadSource(f"{self.files[0]} holds no film that can be used.{said}")
        told = self._told() if self.tags and self.archive.has(self.tags) else {}
        for movie in found:
            yield replace(movie, keywords=told[movie.movie_id]) if movie.movie_id in told else movie

    def events(self) -> Iterator[Chunk]:
        """All ratings of these films, in file order. Raises BadSource."""
        known = np.array(sorted(self._known), dtype=np.int64) - self.shift
        for chunk in read_ratings(self.archive, self.files[1], self.layout, known, self.rejects):
            chunk.movie_ids[...] += self.shift
            yield chunk

    def _films(self) -> Iterator[SourceMovie]:
        links = read_links(self.archive, "links.csv", self.rejects) if self.archive.has("links.csv") else Links()
        for line, fields in self._rows():
            try:
                movie = self._movie(fields, links)
                if movie.movie_id in self._known:
                    raise ValueError(f"film {movie.movie_id} comes twice")
            except ValueError as fault:
                self.rejects.add(self.files[0], line, str(fault))
                continue
            self._known.add(movie.movie_id)
            yield movie

    def _told(self) -> dict[int, tuple[str, ...]]:
        return keywords.of_tags(self._tag_rows(), self.tags, self._known, self.rejects)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        raise NotImplementedError

    def _tag_rows(self) -> Iterator[tuple[int, list[str]]]:
        raise NotImplementedError

    def _movie(self, fields: list[str], links: Links) -> SourceMovie:
        raise NotImplementedError


class MovieLensCsv(_MovieLens):
    """ml-latest-small, ml-latest, ml-25m, ml-32m: CSV, UTF-8, with links to IMDb and TMDB."""

    files = ("movies.csv", "ratings.csv")
    tags = "tags.csv"
    layout = CSV

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        numbered = rows(self.archive, "movies.csv", header=("movieId", "title", "genres"))
        next(numbered)
        return numbered

    def _tag_rows(self) -> Iterator[tuple[int, list[str]]]:
        numbered = rows(self.archive, self.tags, header=("userId", "movieId", "tag", "timestamp"))
        next(numbered)
        return numbered

    def _movie(self, fields: list[str], links: Links) -> SourceMovie:
        if len(fields) != 3:
            raise ValueError(f"{len(fields)} columns instead of 3" if any(fields) else "an empty row")
        return film(movie_number(fields[0]), fields[1], fields[2].split("|"), links)


class MovieLensDat(_MovieLens):
    """ml-1m (latin-1) and ml-10m (UTF-8): `::` between the fields, no header."""

    files = ("movies.dat", "ratings.dat")
    tags = "tags.dat"
    layout = DAT

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        return _separated(self.archive, "movies.dat", "::")

    def _tag_rows(self) -> Iterator[tuple[int, list[str]]]:
        return _separated(self.archive, self.tags, "::")

    def _movie(self, fields: list[str], links: Links) -> SourceMovie:
        if len(fields) != 3:
            raise ValueError(f"{len(fields)} columns instead of 3")
        return film(movie_number(fields[0]), fields[1], fields[2].split("|"), links)


class MovieLens100K(_MovieLens):
    """ml-100k: u.item (latin-1, `|`, a flag for each genre) and u.data (tabs)."""

    files = ("u.item", "u.data")
    layout = TAB
    shift = FIRST_ID_100K

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        return _separated(self.archive, "u.item", "|")

    def _movie(self, fields: list[str], links: Links) -> SourceMovie:
        flags = fields[5:]
        if len(flags) != len(GENRES_100K):
            raise ValueError(f"{len(fields)} columns instead of {5 + len(GENRES_100K)}")
        genres = [genre for genre, flag in zip(GENRES_100K, flags, strict=True) if flag == "1"]
        return film(self.shift + movie_number(fields[0]), fields[1], genres, links, released=_date(fields[2]))


def film(movie_id: int, raw_title: str, genres: list[str], links: Links, released: str | None = None) -> SourceMovie:
    """A film from MovieLens's own columns. Raises ValueError with the reason."""
    if fault := unreadable((raw_title, *genres)):
        raise ValueError(f"the title or a genre {fault}")
    title = titles.parse(raw_title)
    if not title.text:
        raise ValueError("no title")
    if len(title.text) > LONGEST_TITLE:
        raise ValueError(f"a title of {len(title.text)} characters")
    named = [RENAMED.get(genre.strip(), genre.strip()) for genre in genres]
    return SourceMovie(
        movie_id=movie_id,
        title=title.text,
        sort_title=title.sort,
        year=title.year or (int(released[:4]) if released else None),
        other_titles=title.others,
        genres=tuple(dict.fromkeys(genre[:32] for genre in named if genre not in NO_GENRE)),
        released=released,
        imdb_id=links.imdb.get(movie_id),
        tmdb_id=links.tmdb.get(movie_id),
    )


def read_links(archive: Archive, name: str, rejects: Rejects) -> Links:
    """links.csv. imdbId is text: its leading zeros belong to it. Raises BadSource."""
    links = Links()
    numbered = rows(archive, name, header=("movieId", "imdbId", "tmdbId"))
    next(numbered)
    for line, fields in numbered:
        try:
            if len(fields) != 3:
                raise ValueError(f"{len(fields)} columns instead of 3")
            movie_id = movie_number(fields[0])
            imdb, tmdb = fields[1].strip(), fields[2].strip()
            if not (_digits(imdb) or not imdb) or len(imdb) > 10:
                raise ValueError(f"imdbId {imdb[:40]!a} is not a number")
            if not (_digits(tmdb.removesuffix(".0")) or not tmdb) or len(tmdb) > 11:
                raise ValueError(f"tmdbId {tmdb[:40]!a} is not a number")
        except ValueError as fault:
            rejects.add(name, line, str(fault))
            continue
        if imdb:
            links.imdb[movie_id] = f"tt{imdb:0>7}"
        if tmdb:
            links.tmdb[movie_id] = int(tmdb.removesuffix(".0"))
    return links


def movie_number(field: str) -> int:
    """A movieId. Raises ValueError with the reason."""
    number = field.strip()
    if not _digits(number) or len(number) > 18 or not 0 < int(number) <= LAST_ID:
        raise ValueError(f"film {number[:40]!a} is not a number from 1 to {LAST_ID}")
    return int(number)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _separated(archive: Archive, name: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Lines split at the separator: UTF-8 where a line is UTF-8 (ml-10m), else latin-1 (ml-1m, ml-100k)."""
    with archive.open(name) as stream:
        for number, line in enumerate(lines(stream, name), 1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                text = line.decode("latin-1")
            yield number, text.rstrip("\r\n").split(separator)


def _date(text: str) -> str | None:
    """ "01-Jan-1995" -> "1995-01-01"; None where there is none."""
    try:
        return datetime.strptime(text.strip(), "%d-%b-%Y").date().isoformat()  # noqa: DTZ007 - a day has no time zone
    except ValueError:
        return None
