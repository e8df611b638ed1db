"""The circuit breaker: a server that fails five times in a row is left alone for a minute, then tried once.

Its state is a row in SQLite, not a variable of each process: the processes learn from each other, a new one need not
pay for the lesson again, the console and the pages see it, and it is read in the transaction that reserves anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.orm import Session, scoped_session

from movierec.extensions import db
from movierec.services.llm.answers import NoAnswer
from movierec.tables import LlmBreaker

FAILURES = 5  # in a row
REST = timedelta(seconds=60)
PROBE = timedelta(seconds=30)  # a probe that never came back (its process died) is made again after this
LONGEST = timedelta(minutes=10)  # that a server's Retry-After is believed, and that a jump of the clock can cost

AnySession = Session | scoped_session[Session]


@dataclass(frozen=True)
class State:
    """closed: calls pass; open: none does until `until`; half-open: the next call is the probe."""

    name: Literal["closed", "open", "half-open"]
    failures: int = 0
    until: datetime | None = None


def state(moment: datetime) -> State:
    """How it stands."""
    row = db.session.get(LlmBreaker, 1, populate_existing=True)
    if row is None or row.open_until is None:
        return State("closed", row.failures if row else 0)
    resting = moment < row.open_until <= moment + LONGEST
    return State("open" if resting else "half-open", row.failures, row.open_until)


def pass_through(session: AnySession, moment: datetime) -> None:
    """Inside the reserving transaction: raises NoAnswer("open"); where half-open this call becomes the probe."""
    now = state(moment)
    if now.name == "open":
        raise NoAnswer("open", "The language model failed again and again, so it is left alone for a moment.")
    if now.name == "half-open":
        _row(session).open_until = moment + PROBE


def note(session: AnySession, moment: datetime, *, alive: bool, retry_after: float = 0.0) -> None:
    """Inside a transaction: what a call showed. `retry_after` seconds of rest, as the server itself asked for."""
    row = _row(session)
    probing = row.open_until is not None
    row.failures = 0 if alive else row.failures + 1
    rest = REST if not alive and (row.failures >= FAILURES or probing) else timedelta(0)
    rest = min(max(rest, timedelta(seconds=min(retry_after, 86400.0))), LONGEST)
    row.open_until = moment + rest if rest else None


def _row(session: AnySession) -> LlmBreaker:
    row = session.get(LlmBreaker, 1, populate_existing=True)
    if row is None:
        row = LlmBreaker(id=1, failures=0)
        session.add(row)
    return row
