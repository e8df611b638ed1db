"""Facts that the site keeps about itself, with the environment winning where it speaks."""

from __future__ import annotations

from typing import Any

from flask import current_app

from movierec.extensions import db, writing
from movierec.tables import Setting


def get(key: str, default: Any = None) -> Any:
    """The stored value, read afresh."""
    row = db.session.get(Setting, key, populate_existing=True)
    return default if row is None else row.value


def put(key: str, value: Any) -> None:
    """Store a value (anything JSON)."""
    with writing() as session:
        session.merge(Setting(key=key, value=value))


def registration_open() -> bool:
    """Whether visitors may make an account. REGISTRATION=on or off wins over the stored switch; off at first."""
    forced = current_app.config["REGISTRATION"]
    return forced == "on" if forced else bool(get("registration", False))


def demo() -> bool:
    """Whether this is a demo site, which says so on every page."""
    return bool(get("demo", False))
