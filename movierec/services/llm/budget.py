"""What may still be asked today, and what was: each call reserves its row before it is sent and settles it after.

The rows are the budget: their sums are read and the new one is written in one BEGIN IMMEDIATE transaction, so that no
two processes ever both take the last call. A process that dies leaves its reservation standing, at its full size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, select, true, update

from movierec.extensions import db, writing
from movierec.services.llm import breaker
from movierec.services.llm.answers import Answer, NoAnswer
from movierec.tables import LlmCall, User, now

FLIGHT = timedelta(seconds=30)  # longer than any call lasts: one still marked as sent after this died with its process
KEPT = timedelta(days=400)

SPENT = "Today's questions to the language model are used up"


@dataclass(frozen=True)
class Caps:
    """The limits from the settings."""

    concurrent: int
    viewer_calls: int
    site_calls: int
    viewer_tokens: int
    site_tokens: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Caps:
        """As LLM_CONCURRENT, LLM_VIEWER_CALLS, ... say."""
        return cls(**{name: int(config[f"LLM_{name.upper()}"]) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Spent:
    """Calls and tokens counted since midnight UTC, and calls under way."""

    calls: int
    tokens: int
    flying: int


@dataclass(frozen=True)
class Usage:
    """Calls of one day (ISO date), model, viewer and outcome: "ok", "cached", "sent" (never came back) or a kind."""

    day: str
    model: str
    viewer_id: int | None
    outcome: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float  # US dollars
    milliseconds: float  # mean of a call


def reserve(viewer_id: int | None, model: str, prompt_tokens: int, completion_tokens: int, caps: Caps) -> int:
    """Take one call and at most so many tokens from today's budgets; the call's id.

    Raises NoAnswer: open, busy, budget, demo; nothing is changed then.
    """
    moment = now()
    with writing() as session:
        if viewer_id is not None:
            _admit(session.get(User, viewer_id, populate_existing=True))
        breaker.pass_through(session, moment)
        site, own = _sums(moment, viewer_id)
        wanted = prompt_tokens + completion_tokens
        if site.flying >= caps.concurrent or (viewer_id is not None and own.flying):
            raise NoAnswer("busy", "The language model is busy with other questions.")
        if viewer_id is not None and _over(own, wanted, caps.viewer_calls, caps.viewer_tokens):
            raise NoAnswer("budget", f"{SPENT}: you get new ones at midnight UTC.")
        if _over(site, wanted, caps.site_calls, caps.site_tokens):
            raise NoAnswer("budget", f"{SPENT} for everybody on this site: there are new ones at midnight UTC.")
        call = LlmCall(
            viewer_id=viewer_id,
            at=moment,
            model=model,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        )
        session.add(call)
        session.flush()
        return call.id


def settle(call_id: int, answer: Answer) -> None:
    """The call brought an answer: its real tokens and cost replace the reservation."""
    columns = {"model": answer.model, "cost": answer.cost, "milliseconds": answer.milliseconds, "status": 200}
    columns |= {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
    _end(call_id, "ok", alive=True, retry_after=0.0, **columns)


def fail(
    call_id: int, no: NoAnswer, milliseconds: float, *, sent: bool, billed: bool, alive: bool, retry_after: float
) -> None:
    """The call brought none. What never left this machine is given back whole; tokens stay where some may be billed."""
    columns: dict[str, Any] = {"milliseconds": milliseconds, "status": no.status, "counted": sent}
    if not billed:
        columns |= {"prompt_tokens": 0, "completion_tokens": 0}
    _end(call_id, no.kind, alive=alive, retry_after=retry_after, **columns)


def unusable(call_id: int) -> None:
    """The answer came and was paid for, but whoever asked can't use it."""
    with writing() as session:
        session.execute(update(LlmCall).where(LlmCall.id == call_id).values(outcome="garbage"))


def note_hit(viewer_id: int | None, model: str) -> None:
    """A kept answer was served instead of a call. Costs nothing."""
    with writing() as session:
        session.add(LlmCall(viewer_id=viewer_id, model=model, outcome="cached", counted=False))


def spent(moment: datetime, viewer_id: int | None = None) -> Spent:
    """What is used of today's budgets: the whole site's, or one viewer's."""
    site, own = _sums(moment, viewer_id)
    return site if viewer_id is None else own


def usage(days: int) -> list[Usage]:
    """What was asked in the last so many days, today included; newest day first."""
    since = now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    keys = (func.date(LlmCall.at), LlmCall.model, LlmCall.viewer_id, LlmCall.outcome)
    sums = (func.sum(column) for column in (LlmCall.prompt_tokens, LlmCall.completion_tokens, LlmCall.cost))
    rows = db.session.execute(
        select(*keys, func.count(), *sums, func.avg(LlmCall.milliseconds))
        .where(LlmCall.at >= since)
        .group_by(*keys)
        .order_by(keys[0].desc(), *keys[1:])
    )
    return [Usage(*row) for row in rows]


def _admit(person: User | None) -> None:
    if person is None or not person.active:
        raise NoAnswer("off", "This account is closed.")
    if person.demo:
        raise NoAnswer("demo", "Demo accounts get no answers from the language model.")


def _sums(moment: datetime, viewer_id: int | None) -> tuple[Spent, Spent]:
    """The site's and the viewer's, in one walk over the day's rows and those under way."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    today = and_(LlmCall.counted, LlmCall.at >= midnight)
    flying = and_(LlmCall.outcome == "sent", LlmCall.at > moment - FLIGHT, LlmCall.at < moment + FLIGHT)
    tokens = func.sum(LlmCall.prompt_tokens + LlmCall.completion_tokens)
    columns: list[ColumnElement[Any]] = []
    for whose in (true(), LlmCall.viewer_id == viewer_id):
        columns += [
            func.count().filter(today, whose),
            func.coalesce(tokens.filter(today, whose), 0),
            func.count().filter(flying, whose),
        ]
    found = db.session.execute(select(*columns).where(LlmCall.at >= min(midnight, moment - FLIGHT))).one()
    return Spent(*found[:3]), Spent(*found[3:])


def _over(used: Spent, wanted: int, calls: int, tokens: int) -> bool:
    return used.calls >= calls or used.tokens + wanted > tokens


def _end(call_id: int, outcome: str, *, alive: bool, retry_after: float, **columns: Any) -> None:
    moment = now()
    with writing() as session:
        session.execute(update(LlmCall).where(LlmCall.id == call_id).values(outcome=outcome, **columns))
        session.execute(delete(LlmCall).where(LlmCall.at < moment - KEPT))
        breaker.note(session, moment, alive=alive, retry_after=retry_after)
