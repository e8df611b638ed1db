"""The page about the data: what a snapshot holds, what is known of its films, what was rejected, who uses it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from flask import current_app
from sqlalchemy import func, select

from movierec.extensions import db
from movierec.services import serving, snapshots
from movierec.services.errors import NotFound
from movierec.tables import Movie, Run, Snapshot, User, View

SHOWN_REJECTS = 50
SHOWN_RUNS = 8  # of one snapshot
AT_ONCE = 300_000  # views that are counted while a page waits, in about 50 ms
DAY = 86_400  # seconds
POINTS = 40  # of the popularity curve


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: the range in words, a short label, how many; `mark` where the middle one lies."""

    words: str
    short: str
    count: int
    mark: bool = False


@dataclass(frozen=True)
class Portrait:
    """What the events of one snapshot look like."""

    first: datetime
    last: datetime
    shortest: int
    longest: int
    median: int  # films of the viewer in the middle
    seen_once: int  # films
    same_second: float  # share of a viewer's neighbouring views
    in_a_day: float  # share of viewers whose views all fall within one day
    lengths: list[Bar]
    popularity: list[tuple[int, int]]  # (rank, views), from the most watched film
    over_time: list[Bar]
    unit: str  # "year", "month" or "day" of the bars over time


@dataclass(frozen=True)
class Missing:
    """One field of the catalogue: how many films lack it, and what that costs."""

    field: str
    films: int
    cost: str


@dataclass(frozen=True)
class Trained:
    """A snapshot with the runs that learnt from it."""

    snapshot: Snapshot
    runs: list[Run]
    more: int
    on_air: Run | None


@dataclass(frozen=True)
class Sheet:
    """The whole page, but for the portrait, which takes a moment."""

    snapshot: Snapshot
    own_views: int  # of this site's viewers
    films: int  # in the catalogue
    missing: list[Missing]
    trained: list[Trained]
    rejects: list[tuple[str, str, str]] = field(default_factory=list)  # file, line, reason: the first ones
    report: bool = False  # whether the import's report is still kept

    @property
    def filled(self) -> float:
        """Share of viewer-film pairs with a view."""
        cells = self.snapshot.viewers * self.snapshot.movies
        return self.snapshot.events / cells if cells else 0.0


def sheet() -> Sheet | None:
    """What is known without reading events; None where there is no data yet."""
    snapshot = snapshots.current()
    if snapshot is None:
        return None
    people = select(User.id).where(User.demo.is_(False))
    own = select(func.count(View.id)).where(View.removed_at.is_(None), View.user_id.in_(people))
    films, missing = _missing()
    path = _report(snapshot)
    rejects = [(row[0], row[1], row[2]) for row in islice(_rejects(path), SHOWN_REJECTS)]
    return Sheet(snapshot, db.session.scalar(own) or 0, films, missing, _trained(), rejects, path.is_file())


def rejected_rows() -> str:
    """The whole report of the last import, as CSV. Raises NotFound where it is not kept any more."""
    snapshot = snapshots.current()
    path = _report(snapshot) if snapshot is not None else None
    try:
        return path.read_text(encoding="utf-8") if path is not None else ""
    except OSError as error:
        raise NotFound("The report of that import is not kept any more.") from error


def _report(snapshot: Snapshot) -> Path:
    return Path(current_app.config["DATA_DIR"]) / "reports" / f"{snapshot.folder}.csv"


def _rejects(path: Path) -> Iterator[list[str]]:
    """The rows of the report without its heading; nothing where it is not there."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield from (row for row in islice(csv.reader(file), 1, None) if len(row) == 3)
    except OSError:
        return


def _missing() -> tuple[int, list[Missing]]:
    """How many films there are, and the fields that some of them lack; one query."""
    fields = {
        "Genre": (func.json_array_length(Movie.genres) == 0, "in no genre segment; variety counts them as alike"),
        "Year": (Movie.year.is_(None), "in no decade; a plain poster"),
        "Director": (func.json_array_length(Movie.directors) == 0, "not found by a director’s name"),
        "Actors": (func.json_array_length(Movie.actors) == 0, "not found by an actor’s name"),
        "Overview": (Movie.overview.is_(None), "a wish in words finds them by title and genre only"),
        "Running time": (Movie.runtime.is_(None), "not found by length"),
        "IMDb id": (Movie.imdb_id.is_(None), "no link to IMDb"),
        "TMDB id": (Movie.tmdb_id.is_(None), "nothing to fetch from TMDB"),
    }
    counts = db.session.execute(
        select(func.count(Movie.id), *(func.count(Movie.id).filter(what) for what, _ in fields.values()))
    ).one()
    told = [Missing(name, count, cost) for (name, (_, cost)), count in zip(fields.items(), counts[1:], strict=True)]
    return counts[0], told


def _trained() -> list[Trained]:
    """Every snapshot that is in use or that runs learnt from, the one in use first."""
    runs: dict[int, list[Run]] = {}
    wanted = select(Run).where(Run.removed_at.is_(None), Run.snapshot_id.is_not(None)).order_by(Run.id.desc())
    for run in db.session.execute(wanted).scalars():
        runs.setdefault(run.snapshot_id or 0, []).append(run)
    rows = db.session.execute(select(Snapshot).order_by(Snapshot.active.desc(), Snapshot.id.desc())).scalars()
    on_air = serving.on_air().run_id
    told = []
    for row in rows:
        mine = runs.get(row.id, [])
        if row.active or mine:
            playing = next((run for run in mine if run.id == on_air), None)
            told.append(Trained(row, mine[:SHOWN_RUNS], max(0, len(mine) - SHOWN_RUNS), playing))
    return told


def portrait(snapshot: Snapshot) -> Portrait | None:
    """What its events look like; worked out once, since they never change. None where there are none.

    Raises Unavailable where they can't be read.
    """
    return _portrait(str(snapshots.root()), snapshot.folder, snapshot.id)


def known(snapshot: Snapshot) -> bool:
    """Whether the events are few enough to be looked at while a page waits."""
    return snapshot.events <= AT_ONCE


@lru_cache(maxsize=4)
def _portrait(_root: str, _folder: str, number: int) -> Portrait | None:
    snapshot = db.session.get_one(Snapshot, number)
    events = snapshots.events(snapshot)
    db.session.rollback()  # no transaction stays open while files are read
    if not len(events.times):
        return None
    _, owner, lengths = np.unique(events.viewers, return_inverse=True, return_counts=True)
    _, views = np.unique(events.movie_ids, return_counts=True)
    times = np.asarray(events.times)
    order = np.argsort(owner, kind="stable")  # by viewer, each in order of time
    steps = np.diff(times[order])[np.diff(owner[order]) == 0]
    begin = np.full(lengths.size, np.iinfo(np.int64).max)
    end = np.full(lengths.size, np.iinfo(np.int64).min)
    np.minimum.at(begin, owner, times)
    np.maximum.at(end, owner, times)
    unit, over_time = _over_time(times)
    return Portrait(
        _moment(int(times.min())),
        _moment(int(times.max())),
        int(lengths.min()),
        int(lengths.max()),
        int(np.median(lengths)),
        int((views == 1).sum()),
        float((steps == 0).mean()) if steps.size else 0.0,
        float((end - begin < DAY).mean()),
        _lengths(lengths),
        _popularity(views),
        over_time,
        unit,
    )


def _lengths(lengths: npt.NDArray[np.integer]) -> list[Bar]:
    """Viewers by films watched; every second bar begins at twice as many."""
    low, high, middle = int(lengths.min()), int(lengths.max()), float(np.median(lengths))
    edges = sorted({round(low * 2 ** (step / 2)) for step in range(64) if low * 2 ** (step / 2) <= high})
    bars = []
    for begin, end in zip(edges, [*edges[1:], high + 1], strict=True):
        count = int(((lengths >= begin) & (lengths < end)).sum())
        words = f"{begin:,} to {end - 1:,}" if end - 1 > begin else f"{begin:,}"
        bars.append(Bar(words, f"{begin:,}", count, begin <= middle < end))
    return bars


def _popularity(views: npt.NDArray[np.integer]) -> list[tuple[int, int]]:
    """The most watched film first; ranks by equal steps of their logarithm."""
    sorted_views = np.sort(views)[::-1]
    ranks = np.unique(np.geomspace(1, sorted_views.size, POINTS).round().astype(int))
    return [(int(rank), int(sorted_views[rank - 1])) for rank in ranks]


def _over_time(times: npt.NDArray[np.int64]) -> tuple[str, list[Bar]]:
    """Views by year, by month or by day, by how long the time is; periods without a view are bars of 0."""
    span = int(times.max() - times.min())
    unit, code = ("year", "Y") if span > 3 * 365 * DAY else ("month", "M") if span > 60 * DAY else ("day", "D")
    periods = times.astype("datetime64[s]").astype(f"datetime64[{code}]")
    first = periods.min()
    counts = np.bincount((periods - first).astype(int))
    names = [str(name) for name in first + np.arange(counts.size)]
    return unit, [Bar(name, name, int(count)) for name, count in zip(names, counts.tolist(), strict=True)]


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
