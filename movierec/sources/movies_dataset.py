"""The Movies Dataset: MovieLens's ratings and links, with TMDB's metadata instead of MovieLens's titles."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from movierec.sources import metadata, titles
from movierec.sources.archive import Archive, BadSource, rows
from movierec.sources.base import Chunk, Rejects, SourceMovie
from movierec.sources.movielens import read_links
from movierec.sources.movies_dataset_gaps import GAPS
from movierec.sources.ratings import CSV, read_ratings


class MoviesDataset:
    """ratings_small, links_small, movies_metadata and, if there, keywords; else the full ratings and links."""

    simulated = False

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        small = archive.has("ratings_small.csv", "links_small.csv")
        self.name = "movies-dataset-small" if small else "movies-dataset"
        self._ratings, self._links = ("ratings_small.csv", "links_small.csv") if small else ("ratings.csv", "links.csv")
        self.rejects = Rejects()
        self._known: list[int] = []

    @classmethod
    def detect(cls, archive: Archive) -> bool:
        """Whether its three files are there, and MovieLens's own film list isn't."""
        rated = archive.has("ratings_small.csv", "links_small.csv") or archive.has("ratings.csv", "links.csv")
        return rated and archive.has(metadata.FILE) and not archive.has("movies.csv")

    def movies(self) -> Iterator[SourceMovie]:
        """All films of the links. One that the metadata doesn't know keeps its ratings and says so in its title."""
        links = read_links(self.archive, self._links, self.rejects)
        facts = metadata.read(self.archive, self.rejects)
        for line, movie_id in _linked(self.archive, self._links):
            if movie_id not in links.imdb and movie_id not in links.tmdb:
                continue  # listed by read_links
            self._known.append(movie_id)
            imdb_id, tmdb_id = links.imdb.get(movie_id), links.tmdb.get(movie_id)
            found, agree = facts.find(imdb_id, tmdb_id)
            if not agree and found is not None:
                self.rejects.add(
                    self._links, line, f"tmdbId {tmdb_id} is {found.imdb_id} in the metadata, not {imdb_id}; "
                    + ("our own title is used" if imdb_id in GAPS else "its title is used")
                )  # fmt: skip
            if imdb_id in GAPS or found is None or not found.title:
                yield self._filled(movie_id, line, imdb_id, tmdb_id)
            else:
                yield _movie(movie_id, found, imdb_id, tmdb_id)
        if not self._known:
            raise BadSource(f"{self._links} holds no film that can be used.")

    def events(self) -> Iterator[Chunk]:
        """All ratings of these films, in file order. Raises BadSource."""
        known = np.array(sorted(self._known), dtype=np.int64)
        return read_ratings(self.archive, self._ratings, CSV, known, self.rejects)

    def _filled(self, movie_id: int, line: int, imdb_id: str | None, tmdb_id: int | None) -> SourceMovie:
        """A film that the metadata lacks or mistakes for another."""
        if imdb_id in GAPS:
            title, year = GAPS[imdb_id]
        else:
            title, year = f"Unknown title ({imdb_id or f'TMDB {tmdb_id}'})", None
            self.rejects.add(self._links, line, f"{imdb_id or tmdb_id} is not in {metadata.FILE}: no title is known")
        return SourceMovie(
            movie_id, title, titles.sort_key(title), year, imdb_id=imdb_id, tmdb_id=None if imdb_id in GAPS else tmdb_id
        )


def _linked(archive: Archive, name: str) -> Iterator[tuple[int, int]]:
    """(line, movieId) of each link, once each."""
    numbered = rows(archive, name, header=("movieId",))
    next(numbered)
    seen: set[int] = set()
    for line, fields in numbered:
        movie_id = int(fields[0]) if fields and fields[0].isascii() and fields[0].isdigit() else 0
        if movie_id and movie_id not in seen:
            seen.add(movie_id)
            yield line, movie_id


def _movie(movie_id: int, found: metadata.Facts, imdb_id: str | None, tmdb_id: int | None) -> SourceMovie:
    others = (found.original_title,) if titles.fold(found.original_title) != titles.fold(found.title) else ()
    return SourceMovie(
        movie_id=movie_id,
        title=found.title[:400],
        sort_title=titles.sort_key(found.title[:400]),
        year=found.year,
        other_titles=tuple(name for name in others if name),
        genres=found.genres,
        countries=found.countries,
        keywords=found.keywords,
        runtime=found.runtime,
        language=found.language,
        released=found.released,
        overview=found.overview,
        poster_path=found.poster_path,
        imdb_id=imdb_id or found.imdb_id,
        tmdb_id=tmdb_id or found.tmdb_id,
    )
