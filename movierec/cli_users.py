"""`flask users ...` and `flask setup-link`: accounts from the console."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from movierec.services import accounts, sessions
from movierec.services.errors import ServiceError
from movierec.tables import ROLES


def _spoken(command: Callable[..., None]) -> Callable[..., None]:
    """What a service refuses becomes one sentence and exit status 1."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ServiceError as error:
            raise click.ClickException(error.message) from None

    return run


@click.group()
def users() -> None:
    """People: list, create, roles, access, passwords."""


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@with_appcontext
@_spoken
def create(name: str, role: str, password_stdin: bool) -> None:
    """Make an account; asks for its password."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    user = accounts.create(name, password, role)
    click.echo(f"{user.name} can sign in as {user.role}.")


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
@with_appcontext
def list_people(as_json: bool) -> None:
    """Everybody: name, role, active, sessions, last seen."""
    seen = sessions.counts()
    rows = []
    for user in accounts.everyone():
        number, last = seen.get(user.id, (0, None))
        rows.append(
            {
                "id": user.id,
                "name": user.name,
                "role": user.role,
                "active": user.active,
                "demo": user.demo,
                "created": user.created_at.isoformat(timespec="seconds"),
                "sessions": number,
                "last_seen": last.isoformat(timespec="seconds") if last else None,
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        state = "active" if row["active"] else "disabled"
        demo = ", demo" if row["demo"] else ""
        click.echo(f"{row['name']}: {row['role']}, {state}{demo}, last seen {row['last_seen'] or 'never'}")
    if not rows:
        click.echo("There are no accounts yet. `flask setup-link` prints the way to the first one.")


@users.command("set-role")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@with_appcontext
@_spoken
def set_role(name: str, role: str) -> None:
    """Give somebody another role, from their next click on."""
    user = accounts.set_role(accounts.by_name(name).id, role)
    click.echo(f"{user.name} has the role {user.role}.")


@users.command()
@click.argument("name")
@with_appcontext
@_spoken
def disable(name: str) -> None:
    """Keep somebody out; ends all their sessions."""
    user = accounts.set_active(accounts.by_name(name).id, False)
    click.echo(f"{user.name} is signed out and can't sign in.")


@users.command()
@click.argument("name")
@with_appcontext
@_spoken
def enable(name: str) -> None:
    """Let somebody in again."""
    user = accounts.set_active(accounts.by_name(name).id, True)
    click.echo(f"{user.name} may sign in again.")


@users.command("reset-password")
@click.argument("name")
@with_appcontext
@_spoken
def reset_password(name: str) -> None:
    """Make a new random password, print it once and end all the person's sessions."""
    user = accounts.by_name(name)
    password = accounts.reset_password(user.id)
    click.echo(f"New password of {user.name}, shown only now:", err=True)
    click.echo(password)


@click.command("setup-link")
@click.option("--quiet", is_flag=True, help="Print nothing where an administrator exists.")
@with_appcontext
def setup_link(quiet: bool) -> None:
    """Print a one-time link that makes the first administrator. It replaces the links printed before."""
    token = accounts.new_setup_token()
    if token:
        click.echo(f"Make the administrator here (works once, for an hour): {_address()}/setup?token={token}")
    elif not quiet:
        click.echo("There is an administrator already; accounts are made by them or with `flask users create`.")


def _address() -> str:
    """Where a browser on this machine or, with PUBLIC_URL, anywhere reaches the site."""
    config = current_app.config
    host = config["HOST"]
    if host in ("127.0.0.1", "0.0.0.0", "::1", "::"):  # noqa: S104  (compared, not bound)
        host = "localhost"
    elif ":" in host:
        host = f"[{host}]"
    return str(config["PUBLIC_URL"]) or f"http://{host}:{config['PORT']}"


commands = [users, setup_link]
