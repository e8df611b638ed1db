"""`flask data`: import, enrich and fetch data sets, and say what the site runs on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from movierec.services import first_data, importing, snapshots
from movierec.services.importing import ImportReport
from movierec.services.snapshot_files import Progress

data = AppGroup("data", help="Films and ratings: import them, add facts, fetch them, say what is there.")
commands: list[click.Command] = [data]
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


@contextmanager
def told() -> Iterator[Progress]:
    """A progress bar on standard error for each thing that is being done, ended whatever comes."""
    bars: dict[str, Any] = {}

    def close() -> None:
        for bar in list(bars.values())[-1:]:
            bar.render_finish()

    def progress(what: str, share: float) -> None:
        if what not in bars:
            close()
            bars[what] = click.progressbar(length=1000, label=what, file=sys.stderr)
            bars[what].render_progress()
        bars[what].update(round(1000 * share) - bars[what].pos)

    try:
        yield progress
    finally:
        close()


@data.command("import")
@click.argument("what", metavar="PATH|NAME")
@as_json
def import_(what: str, as_json: bool) -> None:
    """Make a data set the site's catalogue: a zip, a folder, "starter", or a name that `fetch` knows."""
    with told() as progress:
        if what == "starter":
            report = importing.import_starter(progress)
        else:
            report = importing.import_source(first_data.find(what, progress), progress)
    if as_json:
        _print_json(report)
    else:
        _print_import(report)


@data.command()
@click.argument("path", type=click.Path(path_type=Path))
@as_json
def enrich(path: Path, as_json: bool) -> None:
    """Add overviews, dates, runtimes, languages, keywords and poster paths: movies_metadata.csv, plain or in a zip."""
    with told() as progress:
        report = importing.enrich(path, progress)
    if as_json:
        _print_json(report)
        return
    click.echo(f"{report.matched:,} films have facts of {report.rows:,} rows, {report.overviews:,} an overview.")
    _print_rejects(report)


@data.command()
@click.argument("name")
@as_json
def fetch(name: str, as_json: bool) -> None:
    """Download MovieLens from GroupLens, checked and resumable; prints where it lies."""
    with told() as progress:
        path = first_data.download(name, progress)
    click.echo(json.dumps({"name": name, "path": str(path)}) if as_json else path)


@data.command()
@as_json
def info(as_json: bool) -> None:
    """What the site runs on."""
    row = snapshots.current()
    if row is None:
        if as_json:
            click.echo("null")
        else:
            click.echo("There is no data yet: flask data import PATH, or flask data import starter.")
        return
    names = ("id", "source", "simulated", "movies", "viewers", "events", "rejected", "sha256")
    facts = {name: getattr(row, name) for name in names} | {"created_at": row.created_at.isoformat()}
    if as_json:
        click.echo(json.dumps(facts))
        return
    viewers = "simulated viewers" if row.simulated else "viewers"
    click.echo(
        f"{row.source}: {row.movies:,} films with events, {row.viewers:,} {viewers}, {row.events:,} events, "
        f"imported {row.created_at:%Y-%m-%d %H:%M} UTC ({row.rejected:,} rows not used)."
    )


def _print_import(report: ImportReport) -> None:
    viewers = "simulated viewers" if report.simulated else "viewers"
    click.echo(
        f"{report.source}: {report.movies:,} films ({report.rated:,} with events), {report.viewers:,} {viewers}, "
        f"{report.events:,} events in {report.seconds:.1f} s."
    )
    if report.unchanged:
        click.echo("The events are those there were: the snapshot stays.")
    if report.kept or report.removed or report.moved:
        click.echo(
            f"Of the films before: {report.removed:,} removed, {report.kept:,} kept because somebody watched them, "
            f"{report.moved:,} views moved to the same film here."
        )
    _print_rejects(report)


def _print_rejects(report: Any) -> None:
    if report.rejected:
        click.echo(f"{report.rejected:,} rows not used, all listed in {report.report}. The first:")
        for reject in report.rejects:
            click.echo(f"  {reject.file}:{reject.line} {reject.reason}")


def _print_json(report: Any) -> None:
    click.echo(json.dumps(asdict(report), default=str))
