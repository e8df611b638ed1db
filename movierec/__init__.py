"""The application factory: config, extensions, blueprints, commands; nothing else."""

from __future__ import annotations

from typing import Any

from flask import Flask

from movierec import config, extensions

__version__ = "0.1.0"


def create_app(overrides: dict[str, Any] | None = None) -> Flask:
    """The whole site. `overrides` win over the environment (tests use them). Raises config.BadConfig."""
    app = Flask(__name__)
    app.config.from_mapping(config.read(overrides))
    extensions.init_app(app)

    # Here, not above: who imports movierec.engines must not pay for the web application.
    from movierec import blueprints, cli

    blueprints.init_app(app)
    cli.init_app(app)
    return app
