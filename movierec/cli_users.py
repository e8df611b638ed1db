"""`flask users ...` and `flask setup-link`: accounts from the console."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from movierec import config
from movierec.services import accounts, sessions
from movierec.tables import ROLES, User

as_json = click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")


def _told(user: User, number: int = 0, last: datetime | None = None) -> dict[str, Any]:
    """A person as every command tells machines of them."""
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "active": user.active,
        "demo": user.demo,
        "created": user.created_at.isoformat(timespec="seconds"),
        "sessions": number,
        "last_seen": last.isoformat(timespec="seconds") if last else None,
    }


def _say(user: User, sentence: str, machine: bool) -> None:
    number, last = sessions.counts().get(user.id, (0, None))
    click.echo(json.dumps(_told(user, number, last), ensure_ascii=False) if machine else sentence)


@click.group()
def users() -> None:
    """People: list, create, roles, access, passwords."""


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@as_json
@with_appcontext
def create(name: str, role: str, password_stdin: bool, as_json: bool) -> None:
    """Make an account; asks for its password."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt="Once more", err=True)
    user = accounts.create(name, password, role)
    _say(user, f"{user.name} can sign in as {user.role}.", as_json)


@users.command("list")
@as_json
@with_appcontext
def list_people(as_json: bool) -> None:
    """Everybody: name, role, active, sessions, last seen."""
    seen = sessions.counts()
    rows = [_told(user, *seen.get(user.id, (0, None))) for user in accounts.everyone()]
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
@as_json
@with_appcontext
def set_role(name: str, role: str, as_json: bool) -> None:
    """Give somebody another role, from their next click on."""
    user = accounts.set_role(accounts.by_name(name).id, role)
    _say(user, f"{user.name} has the role {user.role}.", as_json)


@users.command()
@click.argument("name")
@as_json
@with_appcontext
def disable(name: str, as_json: bool) -> None:
    """Keep somebody out; ends all their sessions."""
    user = accounts.set_active(accounts.by_name(name).id, False)
    _say(user, f"{user.name} is signed out and can't sign in.", as_json)


@users.command()
@click.argument("name")
@as_json
@with_appcontext
def enable(name: str, as_json: bool) -> None:
    """Let somebody in again."""
    user = accounts.set_active(accounts.by_name(name).id, True)
    _say(user, f"{user.name} may sign in again.", as_json)


@users.command("reset-password")
@click.argument("name")
@with_appcontext
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
        link = f"{config.address(current_app.config)}/setup?token={token}"
        click.echo(f"Make the administrator here (works once, for an hour): {link}")
    elif not quiet:
        click.echo("There is an administrator already; accounts are made by them or with `flask users create`.")


commands = [users, setup_link]
