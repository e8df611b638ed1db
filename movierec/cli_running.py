"""`flask seed` makes a site ready to serve; `flask doctor` says what is wrong with one and what to do."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from flask import current_app
from flask.cli import with_appcontext

from movierec.services import accounts, doctor, seeding


def _say(line: str) -> None:
    click.echo(line, err=True)


class _Progress:
    """One line on stderr for each thing that is done; on a terminal it counts up."""

    def __init__(self) -> None:
        self.what = ""

    def __call__(self, what: str, share: float) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{what} {share:4.0%}", nl=share >= 1, err=True)
        elif what != self.what:
            _say(f"{what} ...")
        self.what = what


@click.command("seed")
@click.option("--demo", is_flag=True, help="Also open the three demo accounts; their passwords are new each time.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout, with a set-up link if needed.")
@with_appcontext
def seed(demo: bool, as_json: bool) -> None:
    """Make the site ready: database, data, first-run checks. Safe to repeat."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    done = seeding.seed(app, with_demo=demo, say=_say, progress=_Progress())
    if as_json:
        token = None if done.administrator else accounts.new_setup_token()
        result = asdict(done) | {"setup_path": f"/setup?token={token}" if token else None}
        click.echo(json.dumps(result))
        return
    _say(f"Ready, with data from {done.source or 'nowhere yet'}.")
    if not done.administrator:
        _say("Nobody administers it yet: `flask setup-link` prints the way to the first account.")
    for who in done.accounts:
        click.echo(f"{who.name:<16} {who.password:<16} {who.role}")


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="The checks as JSON on stdout.")
@with_appcontext
def examine(as_json: bool) -> None:
    """Check data, keys, queue, worker, disk and permissions: what is wrong and what to do. Exit 1 if anything fails."""
    checks = doctor.examine(current_app._get_current_object())  # type: ignore[attr-defined]
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=1))
    else:
        for check in checks:
            click.echo(f"{check.state:<5} {check.name:<14} {check.message}")
    if any(check.state == doctor.FAIL for check in checks):
        sys.exit(1)


commands = [seed, examine]
