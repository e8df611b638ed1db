"""Failed sign-ins counted in SQLite, so that the limit holds across processes and without Redis.

Beside the failures lie the places that each name signed in from: there its owner gets in while others guess.
"""

from __future__ import annotations

import ipaddress
from datetime import timedelta

from sqlalchemy import delete, func, select

from movierec.extensions import db, writing
from movierec.services.errors import TooMany
from movierec.tables import LoginAttempt, now

WINDOW = timedelta(minutes=5)
PER_NAME_AND_ADDRESS = 10  # someone who forgot the password
PER_NAME = 20  # someone guessing one person's password from many addresses, none of which ever knew it
PER_ADDRESS = 100  # someone trying many names; a household shares one address
REMEMBERED = timedelta(days=90)  # a place that signed in is known for this long
KNOWN = " known "  # before the name: no name's own key, as keys have no space in front


def admit(name_key: str, address: str) -> None:
    """Count this try before the password is looked at, so that parallel tries can't slip through. Raises TooMany.

    Tries from anywhere fill PER_NAME; who signed in from this address before may still try PER_NAME_AND_ADDRESS
    times. Somebody at a new place has to wait until the guessing ends: any exception would be the guessers' too.
    """
    moment, place, known = now(), _place(address), KNOWN + name_key
    failed = LoginAttempt.name_key.not_like(f"{KNOWN}%")
    with writing() as session:
        session.execute(delete(LoginAttempt).where(failed, LoginAttempt.at < moment - WINDOW))
        session.execute(delete(LoginAttempt).where(LoginAttempt.at < moment - REMEMBERED))
        name, here, both, trusted = session.execute(
            select(
                func.count().filter(LoginAttempt.name_key == name_key),
                func.count().filter(failed, LoginAttempt.address == place),
                func.count().filter(LoginAttempt.name_key == name_key, LoginAttempt.address == place),
                func.count().filter(LoginAttempt.name_key == known, LoginAttempt.address == place),
            )
        ).one()
        refused = both >= PER_NAME_AND_ADDRESS or here >= PER_ADDRESS or (name >= PER_NAME and not trusted)
        if not refused:
            session.add(LoginAttempt(name_key=name_key, address=place))
    if refused:
        raise TooMany("Too many tries. Wait five minutes and try again.", retry_after=int(WINDOW.total_seconds()))


def forgive(name_key: str, address: str) -> None:
    """The right password was given: this address's earlier tries for the name no longer count, and it is known."""
    place, known = _place(address), KNOWN + name_key
    with writing() as session:
        mine = (LoginAttempt.name_key.in_((name_key, known)), LoginAttempt.address == place)
        session.execute(delete(LoginAttempt).where(*mine))
        session.add(LoginAttempt(name_key=known, address=place))


def forget(name_key: str) -> None:
    """Remove all that is kept of a name. Inside the transaction in which its person is removed."""
    db.session.execute(delete(LoginAttempt).where(LoginAttempt.name_key.in_((name_key, KNOWN + name_key))))


def _place(address: str) -> str:
    """Where the address is: an IPv6 customer owns 2^64 addresses of one network, which count as one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
