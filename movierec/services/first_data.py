"""The data of a fresh site: a data set that lies there, else a download, else the starter catalogue."""

from __future__ import annotations

import stat
from pathlib import Path

from flask import current_app

from movierec.extensions import db
from movierec.services import importing, snapshots
from movierec.services.errors import Refused, ServiceError, Unavailable
from movierec.services.importing import ImportReport, silent
from movierec.services.snapshot_files import Progress
from movierec.sources import fetch
from movierec.sources.archive import BadSource, open_archive
from movierec.sources.known import source_in

PREFERRED = ("ml-latest-small", "movies-dataset")  # then whatever is smallest
METADATA = "metadata-for-ml-latest-small.zip"
PATIENCE = 8.0  # seconds that a first start waits for a download


def first_data(progress: Progress = silent) -> list[str]:
    """Give a site without data its first; says in sentences what was done. Does nothing where there is a snapshot.

    Raises what the starter catalogue's import raises: the last resort has none after it.
    """
    if snapshots.current() is not None:
        return []
    said = []
    for path in candidates():
        try:
            report = importing.import_source(path, progress)
        except Refused as error:
            said.append(f"{path.name} was passed over: {error.message}")
            continue
        return [*said, _sentence(report), *_enriched(path, report, progress)]
    try:
        path = download(PREFERRED[0], progress, within=PATIENCE)
        return [*said, _sentence(importing.import_source(path, progress))]
    except ServiceError as error:
        said.append(f"Nothing was downloaded: {error.message}")
    return [*said, _sentence(importing.import_starter(progress))]


def candidates() -> list[Path]:
    """Data sets that lie in MOVIEREC_DATASETS and in DATA_DIR, the best first."""
    data = Path(current_app.config["DATA_DIR"])
    named = current_app.config["MOVIEREC_DATASETS"]
    folders = [*([Path(named)] if named else []), data, data / "downloads"]
    found = dict.fromkeys(path for folder in folders for path in _inside(folder))
    return sorted(found, key=_preference)  # stable: of equals the first folder's


def _inside(folder: Path) -> list[Path]:
    """Zips and folders there that are laid out as a known data set."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix == ".zip" or path.is_dir()]
    except OSError:
        return []
    fitting = []
    for path in paths:
        try:
            with open_archive(path) as archive:
                source_in(archive)
        except BadSource:
            continue
        fitting.append(path)
    return fitting


def _preference(path: Path) -> tuple[int, int]:
    rank = next((at for at, name in enumerate(PREFERRED) if path.name.startswith(name)), len(PREFERRED))
    return rank, sum(map(_size, path.rglob("*") if path.is_dir() else [path]))


def _size(path: Path) -> int:
    """Bytes; 0 for what is no file, or is gone meanwhile. Links count as themselves: they may lead nowhere."""
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _enriched(path: Path, report: ImportReport, progress: Progress) -> list[str]:
    """Overviews and runtimes for ml-latest-small, where their file lies beside it."""
    beside = path.parent / METADATA
    if report.source != PREFERRED[0] or not beside.is_file():
        return []
    try:
        enriched = importing.enrich(beside, progress)
    except Refused as error:
        return [f"{beside.name} was passed over: {error.message}"]
    return [f"{enriched.matched:,} films have facts from {beside.name}."]


def _sentence(report: ImportReport) -> str:
    viewers = "simulated viewers" if report.simulated else "viewers"
    return (
        f"Imported {report.source}: {report.movies:,} films, {report.viewers:,} {viewers}, {report.events:,} events"
        f"{f', {report.rejected:,} rows not used (listed in {report.report})' if report.rejected else ''}."
    )


def find(name: str, progress: Progress = silent) -> Path:
    """That path, the data set of that name where data sets lie, else downloaded. Raises Refused and Unavailable."""
    try:
        if Path(name).exists():
            return Path(name)
    except (OSError, ValueError):  # too long for a path, or with a NUL: no path then, and no name of a data set
        raise Refused(f"There is nothing at {name[:80]!r}.") from None
    for path in candidates():
        if path.stem == name or path.name == name:
            return path
    if name not in fetch.NAMES:
        raise Refused(f"There is nothing at {name}, and no data set of that name: {', '.join(fetch.NAMES)}, starter.")
    return download(name, progress)


def download(name: str, progress: Progress = silent, *, within: float | None = None) -> Path:
    """MovieLens's file from GroupLens, checked, in DATA_DIR/downloads; `within` that many seconds, or given up.

    Raises Unavailable and Refused.
    """
    folder = Path(current_app.config["DATA_DIR"]) / "downloads"
    db.session.rollback()  # no transaction stays open while a file comes

    def tell(share: float) -> None:
        progress(f"Fetching {name}", share)

    try:
        return fetch.fetch_within(within, name, folder, tell) if within else fetch.fetch(name, folder, tell)
    except fetch.UnknownName as error:
        raise Refused(str(error)) from None
    except fetch.FetchFailed as error:
        raise Unavailable(str(error)) from None
