"""Which source a path holds: the layouts are tried in turn, the first that fits reads it."""

from __future__ import annotations

from movierec.sources.archive import Archive, BadSource
from movierec.sources.base import Source
from movierec.sources.movielens import MovieLens100K, MovieLensCsv, MovieLensDat
from movierec.sources.movies_dataset import MoviesDataset

KINDS = (MovieLensCsv, MovieLensDat, MovieLens100K, MoviesDataset)


def source_in(archive: Archive) -> Source:
    """The source that the archive's names say it is. Raises BadSource with the layouts there are."""
    for kind in KINDS:
        if kind.detect(archive):
            return kind(archive)
    raise BadSource(
        f"{archive.path.name} is no data set that is known here: MovieLens (movies.csv and ratings.csv, movies.dat and "
        "ratings.dat, or u.item and u.data) or The Movies Dataset (ratings_small.csv, links_small.csv and "
        "movies_metadata.csv)."
    )
