"""A data set becomes the site's catalogue and active snapshot: all of it or nothing, the site's own data kept."""

from __future__ import annotations

import csv
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from flask import current_app

from movierec.config import ROOT
from movierec.extensions import db, writing
from movierec.services import films, search, snapshots
from movierec.services.errors import Conflict, Refused
from movierec.services.snapshot_files import Progress, Writer, Written
from movierec.sources import metadata
from movierec.sources.archive import BadSource, open_archive
from movierec.sources.base import Reject, Rejects, Source, SourceMovie
from movierec.sources.known import source_in
from movierec.sources.starter import Starter

REPORTS_KEPT = 20  # the latest ones
FIRST_REJECTS = 10


@dataclass(frozen=True)
class ImportReport:
    """What an import did, for people and for `--json`."""

    snapshot: int
    source: str
    simulated: bool
    movies: int  # films of the source
    rated: int  # those with at least one event
    viewers: int
    events: int
    rejected: int
    rejects: tuple[Reject, ...]  # the first few
    report: Path  # all of them, as CSV
    kept: int  # films of an earlier source that somebody here watched
    removed: int  # films of an earlier source that nobody here watched
    moved: int  # views that now point to the same film of the new source
    unchanged: bool  # the events were the active ones already
    seconds: float


@dataclass(frozen=True)
class EnrichReport:
    """What `enrich` found out."""

    rows: int
    matched: int
    overviews: int
    rejected: int
    rejects: tuple[Reject, ...]
    report: Path
    seconds: float


def silent(what: str, share: float) -> None:
    """A Progress that tells nobody."""


def import_source(path: Path, progress: Progress = silent) -> ImportReport:
    """Import the zip or folder at `path`. Raises Refused (the old data stays as it was) and Conflict."""
    with _one_at_a_time(), _refusing(), open_archive(path) as archive:
        return _take(source_in(archive), progress)


def import_starter(progress: Progress = silent) -> ImportReport:
    """Import the starter catalogue with its simulated viewers. Raises Refused and Conflict."""
    with _one_at_a_time(), _refusing():
        return _take(Starter(ROOT / "data" / "starter"), progress)


def enrich(path: Path, progress: Progress = silent) -> EnrichReport:
    """Add movies_metadata.csv (plain, in a zip or a folder) to the films there are. Raises Refused and Conflict."""
    began = time.monotonic()
    with _one_at_a_time(), _refusing(), open_archive(path) as archive:
        rejects = Rejects()
        progress("Reading metadata", 0.0)
        facts = metadata.read(archive, rejects)
        progress("Adding to films", 0.5)
        added = films.enrichment(facts, rejects)
        with writing() as session:
            films.enrich(session, added)
        report = _write_report("enrich", rejects)
        progress("Adding to films", 1.0)
    return EnrichReport(
        len(facts.by_tmdb), added.matched, added.overviews, len(rejects), tuple(rejects[:FIRST_REJECTS]), report,
        time.monotonic() - began,
    )  # fmt: skip


def _take(source: Source, progress: Progress) -> ImportReport:
    began = time.monotonic()
    db.session.rollback()  # what an earlier import wrote last must be seen
    snapshots.sweep()
    db.session.rollback()  # no transaction stays open while files are read
    progress("Reading films", 0.0)
    movies = list(source.movies())
    progress("Reading films", 1.0)
    writer = Writer(snapshots.root())
    snapshots.expect(writer.name)
    try:
        for chunk in source.events():
            writer.append(chunk)
            progress("Reading ratings", chunk.share)
        written = writer.finish(source.name, source.simulated, progress)
        report_path = _write_report(written.folder.name, source.rejects)
        progress("Updating the catalogue", 0.0)
        report = _commit(source, movies, written, report_path, began)
    except BaseException:
        writer.discard()
        raise
    if report.unchanged:
        writer.discard()
    progress("Updating the catalogue", 1.0)
    return report


def _commit(
    source: Source, movies: list[SourceMovie], written: Written, report_path: Path, began: float
) -> ImportReport:
    """Films, search and active snapshot change together, in one short transaction; all else is done before it."""
    plan = films.plan(movies, written.counts)
    search.fill(plan.rows)
    with writing() as session:
        change = films.swap(session, plan)
        search.swap(session, beyond=len(plan.rows))
        active = snapshots.current()
        unchanged = active is not None and (active.sha256, active.source) == (written.sha256, source.name)
        if active is None or not unchanged:
            active = snapshots.put_in_use(
                session, written, source.name, simulated=source.simulated, rejected=len(source.rejects)
            )
    return ImportReport(
        snapshot=active.id,
        source=source.name,
        simulated=source.simulated,
        movies=len(movies),
        rated=len(written.counts),
        viewers=written.viewers,
        events=written.events,
        rejected=len(source.rejects),
        rejects=tuple(islice(source.rejects, FIRST_REJECTS)),
        report=report_path,
        kept=change.kept,
        removed=change.removed,
        moved=change.moved,
        unchanged=unchanged,
        seconds=time.monotonic() - began,
    )


def _write_report(name: str, rejects: Rejects) -> Path:
    """All rows that were not used, as CSV."""
    folder = Path(current_app.config["DATA_DIR"]) / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file", "line", "reason"))
        table.writerows((reject.file, reject.line, reject.reason) for reject in rejects)
    for old in sorted(folder.glob("*.csv"), key=lambda each: each.stat().st_mtime_ns)[:-REPORTS_KEPT]:
        old.unlink(missing_ok=True)
    return path


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Raises Conflict while another import runs, in whichever process."""
    folder = Path(current_app.config["DATA_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "import.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("Another import is running: wait until it has ended.") from None
        yield


@contextmanager
def _refusing() -> Iterator[None]:
    """What a source says against its data, as the services say it; what the disk says, too."""
    try:
        yield
    except BadSource as error:
        raise Refused(f"{error} Nothing was changed.") from None
    except OSError as error:
        raise Refused(f"The import could not be written ({error}). Nothing was changed.") from None
    finally:
        db.session.rollback()  # ends the reading transaction
