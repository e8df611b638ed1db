"""How fast and in how much memory does a MovieLens-25M-sized file import, and how long do other writers wait?

python benchmarks/importing.py [ratings]   or   python benchmarks/importing.py --locks [films ...]
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

VIEWERS_SHARE, FILMS = 1 / 154, 59_047  # as MovieLens 25M: 162,541 viewers of 59,047 films
GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Thriller")
LOOP_ROWS = 2_000_000  # of the plain csv loop, which is measured by its rate


def generate(folder: Path, ratings: int, films: int = FILMS) -> None:
    """movies.csv and ratings.csv of that size, ordered as MovieLens orders them: by viewer, then film."""
    rng = np.random.default_rng(1)
    with (folder / "movies.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("movieId", "title", "genres"))
        table.writerows(
            (at, f"Film {at}, The ({1930 + at % 90})", f"{GENRES[at % 6]}|{GENRES[at % 5]}")
            for at in range(1, films + 1)
        )
    viewers = max(int(ratings * VIEWERS_SHARE), 1)
    counts = np.full(viewers, ratings // viewers) + (np.arange(viewers) < ratings % viewers)
    with (folder / "ratings.csv").open("w") as file:
        file.write("userId,movieId,rating,timestamp\r\n")
        for start in range(0, viewers, 20_000):
            file.write(_rows(rng, start + 1, counts[start : start + 20_000], films))


def _rows(rng: np.random.Generator, first: int, counts: np.ndarray, films: int) -> str:
    """Rows of some viewers: films ascend within a viewer, times are their own."""
    who = np.repeat(np.arange(first, first + counts.size), counts)
    place = np.arange(who.size) - np.repeat(np.cumsum(counts) - counts, counts)
    step = films // int(counts.max())
    which = 1 + (place * step + rng.integers(0, step, who.size)) % films
    stars = rng.integers(1, 11, who.size) / 2
    times = rng.integers(789_652_009, 1_574_327_703, who.size)
    columns = zip(who.tolist(), which.tolist(), stars.tolist(), times.tolist(), strict=True)
    return "".join(f"{viewer},{film},{star},{at}\r\n" for viewer, film, star, at in columns)


def site(folder: Path):
    """A site on a fresh database in `folder`."""
    from movierec import create_app
    from movierec.services import storage

    places = {key: folder / key.lower() for key in ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR")}
    app = create_app(places | {"MOVIEREC_DATASETS": "", "DATABASE_URL": ""})
    storage.prepare(app)
    return app


def importing(folder: Path) -> int:
    """Import it into a site: films, search, snapshot."""
    from movierec.services import importing

    with site(folder / "site").app_context():
        return importing.import_source(folder / "set").events


def parsing(folder: Path) -> int:
    """The file's rows as checked arrays, nothing more: what the csv loop does."""
    from movierec.sources.archive import open_archive
    from movierec.sources.base import Rejects
    from movierec.sources.ratings import CSV, read_ratings

    known = np.arange(1, FILMS + 1)
    with open_archive(folder / "set") as archive:
        return sum(chunk.times.size for chunk in read_ratings(archive, "ratings.csv", CSV, known, Rejects()))


def data_set(folder: Path) -> int:
    """The training's data set from the snapshot, verified."""
    from movierec.services import snapshots

    with site(folder / "site").app_context():
        snapshot = snapshots.current()
        assert snapshot is not None
        return snapshots.dataset(snapshot, 0).n_events


def csv_loop(folder: Path) -> int:
    """The peer: csv.reader and int() into lists, nothing sorted, nothing written."""
    viewers, films, stars, times = [], [], [], []
    with (folder / "set" / "ratings.csv").open(newline="") as file:
        reader = csv.reader(file)
        next(reader)
        for row, (viewer, film, star, at) in enumerate(reader):
            if row == LOOP_ROWS:
                break
            viewers.append(int(viewer))
            films.append(int(film))
            stars.append(float(star))
            times.append(int(at))
    return len(viewers)


STEPS = {
    "parsing alone": parsing,
    "csv loop": csv_loop,
    "whole import": importing,
    "data set for training": data_set,
}


def locks(films: int) -> None:
    """Print how long imports of that many films keep the write lock: the swap of the catalogue, and the longest."""
    from sqlalchemy import event

    from movierec.extensions import db
    from movierec.services import importing

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, events in (("one", 100_000), ("other", 120_000)):
            (folder / part).mkdir()
            generate(folder / part, events, films)
        with site(folder / "site").app_context():
            held: list[float] = []

            @event.listens_for(db.engine, "after_cursor_execute")
            def begin(_connection, _cursor, statement, *_more):
                if statement == "BEGIN IMMEDIATE":
                    held.append(-time.perf_counter())

            commit = db.engine.dialect.do_commit

            def end(connection):
                commit(connection)
                held[-1] += time.perf_counter()

            db.engine.dialect.do_commit = end
            for what, act in (
                ("into an empty site", lambda: importing.import_source(folder / "one")),
                ("the same again", lambda: importing.import_source(folder / "one")),
                ("the same films, other ratings", lambda: importing.import_source(folder / "other")),
                ("the starter catalogue instead", importing.import_starter),
            ):
                held.clear()
                whole = act().seconds
                print(f"| {films:,} | {what} | {held[-1]:.2f} | {max(held):.2f} | {whole:.1f} |")


def measured(step: str, folder: Path) -> dict[str, float]:
    """One step in a process of its own: rows, seconds, peak resident memory."""
    done = subprocess.run([sys.executable, __file__, "--step", step, str(folder)], capture_output=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Generate, measure each step, print the table."""
    if sys.argv[1:2] == ["--step"]:
        began = time.perf_counter()
        rows = STEPS[sys.argv[2]](Path(sys.argv[3]))
        seconds = time.perf_counter() - began
        status = Path("/proc/self/status").read_text()  # getrusage's peak would include the parent's before exec
        peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
        print(json.dumps({"rows": rows, "seconds": seconds, "peak": peak}))
        return
    if sys.argv[1:2] == ["--locks"]:
        print("| films | import | lock of the swap, s | longest lock, s | whole import, s |\n|---|---|---|---|---|")
        for films in [int(text) for text in sys.argv[2:]] or [9_742, 87_585]:
            locks(films)
        return
    ratings = int(sys.argv[1]) if len(sys.argv) > 1 else 25_000_095
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "set").mkdir()
        generate(Path(folder) / "set", ratings)
        size = (Path(folder) / "set" / "ratings.csv").stat().st_size
        found = {step: measured(step, Path(folder)) for step in STEPS}
    loop = found["csv loop"]["rows"] / found["csv loop"]["seconds"]
    print(f"{ratings:,} ratings of {FILMS:,} films, {size / 1e6:,.0f} MB of csv\n")
    print("| step | rows | seconds | rows/s | times the csv loop | peak memory |\n|---|---|---|---|---|---|")
    for step, told in found.items():
        rate = told["rows"] / told["seconds"]
        print(
            f"| {step} | {told['rows']:,} | {told['seconds']:.1f} | {rate:,.0f} | {rate / loop:.1f} "
            f"| {told['peak'] / 1e9:.2f} GB |"
        )


if __name__ == "__main__":
    main()
