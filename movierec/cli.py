"""The commands of `flask`: every module movierec/cli_*.py adds those in its list `commands`."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import click
from flask import Flask

from movierec.extensions import BadDatabase


def init_app(app: Flask) -> None:
    """Add the commands. Their modules stay light: `flask --help` must answer within a second."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("cli_"):
            for command in importlib.import_module(f"movierec.{module.name}").commands:
                app.cli.add_command(_spoken(command))


def _spoken(command: click.Command) -> click.Command:
    """Where there is no usable database yet, every command says so in one sentence."""
    invoke = command.invoke
    if invoke.__name__ == "run_spoken":  # a second app of this process: the command is one and the same
        return command

    def run_spoken(context: click.Context) -> Any:
        try:
            return invoke(context)
        except BadDatabase as error:
            raise click.ClickException(str(error)) from None

    command.invoke = run_spoken  # type: ignore[method-assign,assignment]
    return command
