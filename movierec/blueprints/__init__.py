"""Parse, ask one service, render: no query and no numpy here. This file joins the blueprints to the app."""

from __future__ import annotations

import importlib
import pkgutil

from flask import Blueprint, Flask

from movierec.blueprints import access, errors, frame, headers, identity


def init_app(app: Flask) -> None:
    """Register every blueprint of this folder (a module with a `blueprint`), and what surrounds each request."""
    identity.init_app(app)
    headers.init_app(app)  # its two rules come before everything else
    access.init_app(app)
    errors.init_app(app)
    frame.init_app(app)
    for module in pkgutil.iter_modules(__path__):
        found = getattr(importlib.import_module(f"{__name__}.{module.name}"), "blueprint", None)
        if isinstance(found, Blueprint):
            app.register_blueprint(found)
