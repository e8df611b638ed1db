"""`flask engines | train | evaluate | runs | worker | put-on-air | roll-back | first-run | sweep`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click
from flask.cli import with_appcontext

from movierec.engines import registry
from movierec.evaluation import protocol as protocols
from movierec.services import first_run, judging, knobs, runs, serving, snapshots, sweeping, training, training_job
from movierec.tables import MetricRow, Run

CONSOLE = "the console"

as_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")

NUMBER = click.IntRange(1, 2**31 - 1)  # of a run, of rows


def progress_line(number: str) -> Callable[[str, int, int, Mapping[str, float]], None]:
    """A listener that keeps one line on stderr up to date, and leaves a line where metrics came in."""

    def say(phase: str, step: int, total: int, metrics: Mapping[str, float]) -> None:
        told = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        share = f"{100 * step / total:3.0f} %" if total else ""
        if told or sys.stderr.isatty():
            click.echo(f"\r{number} {phase} {share} {told}", nl=bool(told), err=True)

    return say


def show(run: Run, rows: list[MetricRow], machine: bool, segments: bool = False) -> None:
    """A run's metric rows, as JSON or as a table; in a table those of single segments only where they are wanted."""
    if machine:
        _print_json(runs.as_dicts(run, rows))
        return
    state = "no sign of life: `flask sweep` ends it" if runs.silent(run) else run.state
    click.echo(f"run {run.id}: {run.engine}, {state}{f' ({run.reason})' if run.reason else ''}")
    for row in rows if segments else [row for row in rows if judging.is_of_everybody(row.segment)]:
        value = "not measured" if row.value is None else f"{row.value:.4f}"
        interval = "" if row.low is None else f"[{row.low:.4f}, {row.high:.4f}]"
        segment = f" {row.segment:18}" if segments else ""
        click.echo(f"  {row.protocol:16}{segment} {runs.label(row):38} {value:>12} {interval:18} n={row.n or '-'}")


@click.command("engines")
@as_json
@with_appcontext
def engines(as_json: bool) -> None:
    """List the engines, with their settings for the present data and why one is absent."""
    snapshot = snapshots.current()
    listed: list[dict[str, Any]] = [
        {
            "engine": listing.slug,
            "title": listing.engine.title,
            "summary": listing.engine.summary,
            "absent": listing.absent,
            "params": [
                {"name": knob.name, "kind": knob.kind, "default": knob.default, "bounds": knob.bounds}
                for knob in knobs.knobs(listing.engine, snapshot)
            ],
        }
        for listing in registry.listings()
    ]
    if as_json:
        _print_json(listed)
        return
    for listing in listed:
        click.echo(f"{listing['engine']:14} {listing['absent'] or listing['summary']}")
        for knob in listing["params"]:
            click.echo(f"    {knob['name']:20} {knob['default']!s:10} {knob['bounds']}")


@click.command("train")
@click.argument("engine")
@click.option("--set", "settings", multiple=True, metavar="KNOB=VALUE", help="A setting; may be given several times.")
@click.option("--seed", type=int, help="Same data, settings and seed: same run.")
@click.option("--split", default="loo", show_default=True, help="How the data is parted: loo, time or ratio.")
@click.option("--note", default="", help="Why this run.")
@click.option("--queue", "queued", is_flag=True, help="Leave it to the worker instead of training in this process.")
@as_json
@with_appcontext
def train(
    engine: str, settings: tuple[str, ...], seed: int | None, split: str, note: str, queued: bool, as_json: bool
) -> None:
    """Train ENGINE and print the run and its numbers."""
    given: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.BadParameter(f"{setting!r} is not of the form knob=value", param_hint="--set")
        given[name] = value
    run_id = training.request(engine, given, split=split, seed=seed, note=note, enqueue=queued)
    click.echo(f"run {run_id}", err=True)
    if queued and as_json:  # nothing is measured yet: the run itself, as `flask runs` lists it
        _print_json(_told(runs.lines(run_id=run_id)[0]))
        return
    if not queued:
        _train_here(run_id)
    show(runs.get(run_id), runs.metric_rows(run_id), as_json)
    if runs.get(run_id).state not in ("done", "queued", "running"):
        raise SystemExit(1)


def _train_here(run_id: int) -> None:
    """The very job of the worker; what goes wrong is on the row and needs no traceback here."""
    try:
        training_job.execute(run_id, listen=progress_line(f"#{run_id}"))
    except KeyboardInterrupt:
        raise click.Abort from None
    except Exception as error:
        raise click.ClickException(f"run {run_id} failed: {runs.get(run_id).reason or error}") from error


@click.command("evaluate")
@click.argument("run_id", metavar="RUN", type=NUMBER)
@click.option("--protocol", help="How the numbers are made; by default the full ranking of the run's own split.")
@click.option("--segments", is_flag=True, help="Also by kind of viewer and film, and with shortened histories.")
@as_json
@with_appcontext
def evaluate(run_id: int, protocol: str | None, segments: bool, as_json: bool) -> None:
    """Measure RUN's artefact again and store its numbers."""
    line = progress_line(f"#{run_id}")
    how = protocol or protocols.of_split(runs.get(run_id).split)[0].id
    rows = runs.evaluate(run_id, how, lambda done, total: line("evaluating", done, total, {}))
    show(runs.get(run_id), rows, as_json, segments)


@click.command("runs")
@click.option("--limit", type=NUMBER, default=20, show_default=True)
@as_json
@with_appcontext
def list_runs(limit: int, as_json: bool) -> None:
    """List runs, the newest first, with their metric rows."""
    found = runs.lines(limit=limit)
    if as_json:
        told = [_told(line) for line in found]
        _print_json(told)
        return
    for line in found:
        show(line.run, runs.metric_rows(line.run.id), machine=False)


def _told(line: runs.Line) -> dict[str, Any]:
    names = ("engine", "state", "reason", "params", "split", "artifact", "events", "fit_seconds", "peak_memory", "note")
    moments = {name: getattr(line.run, name) for name in ("created_at", "started_at", "ended_at")}
    return (
        {"run": line.run.id, "on_air": serving.on_air().run_id == line.run.id, "by": line.by, "silent": line.silent}
        | {name: getattr(line.run, name) for name in names}
        | {name: moment and moment.isoformat() for name, moment in moments.items()}
        | {"metrics": runs.as_dicts(line.run, runs.metric_rows(line.run.id))}
    )


def _print_json(told: Any) -> None:
    click.echo(json.dumps(told, indent=1))


@click.command("put-on-air")
@click.argument("run_id", metavar="RUN", type=NUMBER)
@click.option("--why", required=True, help="Kept with the change.")
@as_json
@with_appcontext
def put_on_air(run_id: int, why: str, as_json: bool) -> None:
    """Serve RUN to viewers from now on."""
    version = serving.on_air().version
    row = serving.put_on_air(run_id, user_id=None, who=CONSOLE, why=why, expected_version=version)
    _say({"run": row.run_id, "version": row.version}, f"run {row.run_id} is on air", as_json)


@click.command("roll-back")
@click.option("--why", default="Rolled back.", show_default=True)
@as_json
@with_appcontext
def roll_back(why: str, as_json: bool) -> None:
    """Serve what was on air before."""
    version = serving.on_air().version
    row = serving.roll_back(user_id=None, who=CONSOLE, why=why, expected_version=version)
    _say({"run": row.run_id, "version": row.version}, f"run {row.run_id} is on air again", as_json)


@click.command("first-run")
@as_json
@with_appcontext
def order_first_run(as_json: bool) -> None:
    """Order the first training of a fresh site, if it is one. The worker does this by itself."""
    run_id = first_run.request_if_fresh()
    _say({"run": run_id}, "nothing to do" if run_id is None else f"run {run_id} is queued", as_json)


@click.command("sweep")
@as_json
@with_appcontext
def sweep(as_json: bool) -> None:
    """End runs that nobody works on and remove what they left. The worker does this by itself."""
    lost, removed = sweeping.sweep(patient=True), sweeping.tidy()
    said = f"{len(lost)} runs lost, {len(removed)} artefacts of no run removed"
    _say({"lost": lost, "removed": removed}, said, as_json)


def _say(told: dict[str, Any], sentence: str, machine: bool) -> None:
    if machine:
        _print_json(told)
    else:
        click.echo(sentence)


@click.command("worker")
def worker() -> None:
    """Train what is queued, until a signal comes."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "movierec.worker"])  # noqa: S606


commands: list[click.Command] = [
    engines, train, evaluate, list_runs, put_on_air, roll_back, order_first_run, sweep, worker,
]  # fmt: skip
