"""The commands of `flask`: every module movierec/cli_*.py adds those in its list `commands`."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import click
from flask import Flask
from sqlalchemy.exc import OperationalError

from movierec.extensions import BadDatabase, busy, unwritable
from movierec.services.errors import ServiceError

BUSY = "The database is busy: another process is writing to it. Nothing was changed by this step; try again."
FULL = "The disk is full or read-only: make room or mend it, then try again."
OTHER = "The database can't be used ({reason}): `flask doctor` says more."


def init_app(app: Flask) -> None:
    """Add the commands. Their modules stay light: `flask --help` must answer within a second."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("cli_"):
            for command in importlib.import_module(f"movierec.{module.name}").commands:
                app.cli.add_command(_spoken(command))


def _spoken(command: click.Command) -> click.Command:
    """What a service refuses, and a database that can't be used, become one sentence on stderr and exit status 1."""
    invoke = command.invoke
    if invoke.__name__ == "run_spoken":  # a second app of this process: the command is one and the same
        return command

    def run_spoken(context: click.Context) -> Any:
        try:
            return invoke(context)
        except ServiceError as error:
            raise click.ClickException(error.message) from None
        except BadDatabase as error:
            raise click.ClickException(str(error)) from None
        except OperationalError as error:
            said = BUSY if busy(error) else FULL if unwritable(error) else OTHER.format(reason=error.orig)
            raise click.ClickException(said) from None

    command.invoke = run_spoken  # type: ignore[method-assign,assignment]
    return command
