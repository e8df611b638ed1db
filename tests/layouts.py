"""Small hand-written data sets in every layout, for tests: `from layouts import written, read`."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from movierec.sources.archive import open_archive
from movierec.sources.base import Chunk, Source, SourceMovie
from movierec.sources.known import source_in

DATASETS = Path(os.environ["MOVIEREC_DATASETS"]) if os.environ.get("MOVIEREC_DATASETS") else None
needs_datasets = pytest.mark.skipif(DATASETS is None, reason="MOVIEREC_DATASETS names no folder with real data")

MOVIES = """movieId,title,genres\r
1,"American President, The (1995)",Comedy|Drama\r
2,"City of Lost Children, The (Cité des enfants perdus, La) (1995)",Fantasy\r
3,From Dusk Till Dawn 2: Texas Blood Money (1999) ,Horror\r
7,Death Note: Desu nôto (2006–2007),(no genres listed)\r
9,"He said ""hello"" (2001)",Comedy\r
"""
RATINGS = """userId,movieId,rating,timestamp\r
1,1,4.0,964982703\r
1,3,0.5,964982703\r
1,2,5.0,964981247\r
2,1,3.5,1000000000\r
2,9,3,900000000\r
"""
LINKS = """movieId,imdbId,tmdbId\r
1,0112346,9087\r
2,0112682,\r
9,10366206,555\r
"""
TAGS = "userId,movieId,tag,timestamp\r\n"
CSV = {"movies.csv": MOVIES, "ratings.csv": RATINGS, "links.csv": LINKS, "README.txt": "read me\n"}

DAT = {
    "movies.dat": "1::Toy Story (1995)::Animation|Children's|Comedy\n5::Café, Le (1990)::Drama\n",
    "ratings.dat": "1::5::4::978300760\n1::1::5::978300760\n2::1::3::978302109\n",
}
FLAGS = "0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0"
K100 = {
    "u.item": (
        f"1|Toy Story (1995)|01-Jan-1995||http://x/?a%20b|{FLAGS}\n"
        f"2|Yes, I Am Café (1996) (V)|02-Feb-1996||http://x|{FLAGS}\n"
        f"267|unknown||||1{FLAGS[1:].replace('1', '0')}\n"
    ),
    "u.data": "196\t1\t3\t881250949\n186\t2\t4\t891717742\n196\t267\t1\t881250950\n",
}


def written(folder: Path, files: Mapping[str, str | bytes], encoding: str = "utf-8") -> Path:
    """The folder with these files in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return folder


def zipped(path: Path, files: Mapping[str, str | bytes], inside: str = "") -> Path:
    """A zip with these files, below the folder `inside` where one is named."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{inside}/{name}" if inside else name, content)
    return path


def read(path: Path) -> tuple[Source, dict[int, SourceMovie], list[Chunk]]:
    """All that the data set at `path` holds: the source (with its rejects), films by id, chunks of events."""
    with open_archive(path) as archive:
        source = source_in(archive)
        movies = {movie.movie_id: movie for movie in source.movies()}
        return source, movies, list(source.events())


def events(chunks: list[Chunk]) -> list[tuple[int, int, float, int]]:
    """(viewer, film, rating, time) of all chunks, in order."""
    return [
        (int(viewer), int(film), float(rating), int(time))
        for chunk in chunks
        for viewer, film, rating, time in zip(chunk.viewers, chunk.movie_ids, chunk.ratings, chunk.times, strict=True)
    ]


META_COLUMNS = (
    "adult,belongs_to_collection,budget,genres,homepage,id,imdb_id,original_language,original_title,overview,"
    "popularity,poster_path,production_companies,production_countries,release_date,revenue,runtime,spoken_languages,"
    "status,tagline,title,video,vote_average,vote_count"
)


def meta_row(**facts: str) -> str:
    """A row of movies_metadata.csv with these facts, the other columns empty."""
    return ",".join('"' + facts.get(name, "").replace('"', '""') + '"' for name in META_COLUMNS.split(","))


def metadata(*rows: dict[str, str]) -> str:
    """movies_metadata.csv with these rows."""
    return "\n".join([META_COLUMNS, *(meta_row(**row) for row in rows)]) + "\n"
