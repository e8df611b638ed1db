"""What every source is: a file format that becomes films and events, with what can't be used listed by file and line.

Errors: BadSource, one sentence for people. Events come in chunks, so that 25 million rows never lie in memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from movierec.sources.archive import BadSource

MAX_REJECTS = 100_000  # more unusable rows than this: the file is not what it says
LAST_ID = 799_999_999  # MovieLens's own ids stay below; 800 and 900 million are the ranges of ml-100k and the starter
LAST_VIEWER = 2**31 - 1
LAST_TIME = 4_102_444_800  # seconds: the year 2100


@dataclass(frozen=True)
class SourceMovie:
    """One film as a source knows it; None and () are "unknown", never "none"."""

    movie_id: int
    title: str  # natural order: "The Third Man"
    sort_title: str
    year: int | None = None
    other_titles: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    directors: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()  # folded
    runtime: int | None = None  # minutes
    language: str | None = None
    released: str | None = None  # ISO date
    overview: str | None = None
    poster_path: str | None = None
    imdb_id: str | None = None  # "tt0041959"
    tmdb_id: int | None = None


@dataclass(frozen=True)
class Reject:
    """A row, or a part of one, that was not used."""

    file: str
    line: int  # 1 is the first line of the file; 0: the file as a whole
    reason: str


class Rejects(list[Reject]):
    """The rows that were not used, in the order they were met."""

    def add(self, file: str, line: int, reason: str) -> None:
        """Raises BadSource past MAX_REJECTS: that many can't be an accident."""
        if len(self) >= MAX_REJECTS:
            raise BadSource(
                f"More than {MAX_REJECTS:,} rows can't be used, the last in {file}, line {line}: {reason}. "
                "Is this the data set it says it is?"
            )
        self.append(Reject(file, line, reason))


@dataclass(frozen=True)
class Chunk:
    """Some events in file order; `share` (0..1) is how much of the file has been read with them."""

    viewers: npt.NDArray[np.int64]
    movie_ids: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]  # seconds since 1970 UTC
    ratings: npt.NDArray[np.float32]  # 0.5-5
    share: float = 1.0


class Source(Protocol):
    """A way of reading one layout. `movies()` is exhausted before `events()` is asked for.

    Those that read an archive have `detect(archive)`, which looks at its names only, and are listed in `known`.
    """

    name: str  # "ml-latest-small"
    simulated: bool
    rejects: Rejects

    def movies(self) -> Iterator[SourceMovie]:
        """All films. Raises BadSource."""

    def events(self) -> Iterator[Chunk]:
        """All events, in file order. Raises BadSource."""


@dataclass
class Links:
    """links.csv: MovieLens's movieId -> the film's ids elsewhere. A movieId is never a TMDB id."""

    imdb: dict[int, str] = field(default_factory=dict)
    tmdb: dict[int, int] = field(default_factory=dict)


__all__ = ["BadSource", "Chunk", "Links", "Reject", "Rejects", "Source", "SourceMovie"]
