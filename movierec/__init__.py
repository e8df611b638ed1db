"""The application factory: config, extensions, blueprints, commands; nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from movierec import config

if TYPE_CHECKING:
    from flask import Flask

__version__ = config.VERSION


def create_app(overrides: dict[str, Any] | None = None) -> Flask:
    """The whole site. `overrides` win over the environment (tests use them). Raises config.BadConfig."""
    # Here, not above: who imports movierec.engines or the supervisor must not pay for the web application.
    from flask import Flask

    from movierec import blueprints, cli, extensions

    app = Flask(__name__)
    app.config.from_mapping(config.read(overrides))
    app.logger.setLevel(app.config["LOG_LEVEL"])  # named movierec: the parent of every logger of ours
    extensions.init_app(app)
    blueprints.init_app(app)
    cli.init_app(app)
    return app
