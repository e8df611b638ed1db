"""Failed sign-ins counted in SQLite, so that the limit holds across processes and without Redis."""

from __future__ import annotations

import ipaddress
from datetime import timedelta

from sqlalchemy import delete, func, select

from movierec.extensions import writing
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
    since, place = now() - WINDOW, _place(address)
    with writing() as session:
        session.execute(delete(LoginAttempt).where(LoginAttempt.at < since))
        name, here, both = session.execute(
            select(
                func.count().filter(LoginAttempt.name_key == name_key),
                func.count().filter(LoginAttempt.address == place),
                func.count().filter(LoginAttempt.name_key == name_key, LoginAttempt.address == place),
            )
        ).one()
        refused = both >= PER_NAME_AND_ADDRESS or here >= PER_ADDRESS or (name >= PER_NAME and both > 0)
        if not refused:
            session.add(LoginAttempt(name_key=name_key, address=place))
    if refused:
        raise TooMany("Too many tries. Wait five minutes and try again.", retry_after=int(WINDOW.total_seconds()))


def forgive(name_key: str, address: str) -> None:
    """The right password was given: this address's earlier tries for the name no longer count."""
    mine = (LoginAttempt.name_key == name_key, LoginAttempt.address == _place(address))
    with writing() as session:
        session.execute(delete(LoginAttempt).where(*mine))


def _place(address: str) -> str:
    """Where the address is: an IPv6 customer owns 2^64 addresses of one network, which count as one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
