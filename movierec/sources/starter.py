"""The starter catalogue: our own films, and viewers simulated by a seeded generator, so that no download is needed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from movierec.sources import titles
from movierec.sources.base import BadSource, Chunk, Rejects, SourceMovie
from movierec.sources.simulated import Film, simulate

# The starter's films have a range of ids of their own: its 1001 is not MovieLens's 1001, and a history made on the
# starter must keep its films when MovieLens is imported later.
FIRST_ID = 900_000_000
HEADER = [
    "movie_id", "title", "year", "genres", "director", "actors", "runtime", "country", "fame", "series", "synopsis",
]  # fmt: skip
SEED = 20_240_601
VIEWERS, EVENTS = 800, 60_000


class Starter:
    """The CSV files of a folder as films, and simulated viewers of them."""

    name = "starter"
    simulated = True

    def __init__(self, folder: Path, *, seed: int = SEED, viewers: int = VIEWERS, events: int = EVENTS) -> None:
        self._folder = folder
        self._size = (seed, viewers, events)
        self._films: list[Film] = []
        self.rejects = Rejects()

    def movies(self) -> Iterator[SourceMovie]:
        """All films. Raises BadSource: these files are ours, so any fault in them is one."""
        files = sorted(self._folder.glob("*.csv"))
        if not files:
            raise BadSource(f"The starter catalogue is missing: there is no CSV file in {self._folder}.")
        seen: set[int] = set()
        for path in files:
            with path.open(newline="", encoding="utf-8") as file:
                table = csv.DictReader(file, strict=True)
                if table.fieldnames != HEADER:
                    raise BadSource(f"{path.name} doesn't begin with {','.join(HEADER)}.")
                for row in table:
                    try:
                        movie = _movie(row)
                        self._films.append(_film(movie, row))
                    except (ValueError, TypeError, AttributeError) as fault:
                        raise BadSource(f"{path.name}, line {table.line_num}: {fault}.") from None
                    if movie.movie_id in seen:
                        raise BadSource(f"{path.name}, line {table.line_num}: this movie_id comes twice.")
                    seen.add(movie.movie_id)
                    yield movie

    def events(self) -> Iterator[Chunk]:
        """All simulated events, in order of viewer and time."""
        seed, viewers, events = self._size
        who, films, times, ratings = simulate(self._films, seed=seed, viewers=viewers, events=events)
        ids = np.array([film.movie_id for film in self._films], dtype=np.int64)
        yield Chunk(who, ids[films], times, ratings)


def _movie(row: dict[str, str]) -> SourceMovie:
    title = titles.clean(row["title"])
    return SourceMovie(
        movie_id=FIRST_ID + int(row["movie_id"]),
        title=title,
        sort_title=titles.sort_key(title),
        year=int(row["year"]),
        genres=tuple(row["genres"].split("|")),
        directors=_list(row["director"]),
        actors=_list(row["actors"]),
        countries=_list(row["country"]),
        runtime=int(row["runtime"]),
        overview=titles.clean(row["synopsis"]) or None,
    )


def _film(movie: SourceMovie, row: dict[str, str]) -> Film:
    fame = int(row["fame"])
    if not 1 <= fame <= 5:
        raise ValueError(f"fame {fame} is not in 1-5")
    director = movie.directors[0] if movie.directors else ""
    country = movie.countries[0] if movie.countries else ""
    return Film(movie.movie_id, movie.year or 0, movie.genres, director, country, fame, row["series"].strip())


def _list(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split("|") if name.strip())
