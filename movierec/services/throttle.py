"""Failed sign-ins counted in SQLite, so that the limit holds across processes and without Redis."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, select

from movierec.extensions import db, writing
from movierec.services.errors import TooMany
from movierec.tables import LoginAttempt, now

WINDOW = timedelta(minutes=5)
PER_NAME_AND_ADDRESS = 10  # someone who forgot the password
PER_NAME = 20  # someone guessing one person's password from many addresses
PER_ADDRESS = 100  # someone trying many names; a household shares one address


def admit(name_key: str, address: str) -> None:
    """Count this try before the password is looked at, so that parallel tries can't slip through. Raises TooMany.

    The person's own address keeps a way in: tries from elsewhere fill PER_NAME, but an address that never
    failed for this name in the window may still try once.
    """
    since = now() - WINDOW
    with writing() as session:
        session.execute(delete(LoginAttempt).where(LoginAttempt.at < since))
        name, here, both = session.execute(
            select(
                func.count().filter(LoginAttempt.name_key == name_key),
                func.count().filter(LoginAttempt.address == address),
                func.count().filter(LoginAttempt.name_key == name_key, LoginAttempt.address == address),
            ).where(LoginAttempt.at >= since)
        ).one()
        refused = both >= PER_NAME_AND_ADDRESS or here >= PER_ADDRESS or (name >= PER_NAME and both > 0)
        if not refused:
            session.add(LoginAttempt(name_key=name_key[:128], address=address[:64]))
    if refused:
        raise TooMany("Too many tries. Wait five minutes and try again.", retry_after=int(WINDOW.total_seconds()))


def forgive(name_key: str, address: str) -> None:
    """The right password was given: this address's earlier tries for the name no longer count."""
    with writing() as session:
        session.execute(delete(LoginAttempt).where(LoginAttempt.name_key == name_key, LoginAttempt.address == address))


def recent(name_key: str) -> int:
    """How many failed tries there were for the name in the window."""
    since = now() - WINDOW
    query = select(func.count()).where(LoginAttempt.name_key == name_key, LoginAttempt.at >= since)
    return int(db.session.execute(query).scalar_one())
