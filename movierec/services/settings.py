"""Facts that the site keeps about itself, with the environment winning where it speaks."""

from __future__ import annotations

import uuid
from typing import Any

from flask import current_app
from sqlalchemy.dialects.sqlite import insert

from movierec.extensions import db, writing
from movierec.services.errors import Conflict
from movierec.tables import Setting

SITE = "site"


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
    return current_app.config["REGISTRATION"] == "on" if registration_forced() else bool(get("registration", demo()))


def registration_forced() -> bool:
    """Whether the environment decides about registration, so that the stored switch says nothing."""
    return bool(current_app.config["REGISTRATION"])


def open_registration(wanted: bool) -> None:
    """Set the stored switch. Raises Conflict where the environment decides."""
    if registration_forced():
        raise Conflict("REGISTRATION in this server's environment decides that. Change it there.")
    put("registration", wanted)


def site_id() -> str:
    """This site's own name, made once: what lies in a shared folder without it is somebody else's."""
    known = get(SITE)
    if known is None:
        with writing() as session:  # of two at once the first wins
            session.execute(insert(Setting).values(key=SITE, value=str(uuid.uuid4())).on_conflict_do_nothing())
        known = get(SITE)
    return str(known)


def demo() -> bool:
    """Whether this is a demo site, which says so on every page."""
    return bool(get("demo", False))
