"""Asks the language model: at most two tries within one time limit, each reserved before and settled after."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from movierec.extensions import busy, unwritable
from movierec.services.llm import budget, reading, redaction
from movierec.services.llm.access import Access
from movierec.services.llm.answers import Answer, NoAnswer

log = logging.getLogger(__package__)

TOTAL = 20.0  # seconds, all tries and waits together
LEAST = 2.0  # seconds that a second try must have left
TRIES = 2
JITTER = (0.2, 0.7)  # seconds before a second try, or on top of what the server asked for
SEATS = 2  # calls at once in one process: half of a web process's threads stay free for everybody else
MESSAGE = 16  # tokens a message costs besides its text, at most

_seats = threading.BoundedSemaphore(SEATS)


def _jitter() -> float:
    return random.uniform(*JITTER)  # noqa: S311  (spreads tries, hides nothing)


@dataclass(frozen=True)
class Clock:
    """How time passes; tests bring their own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = _jitter


CLOCK = Clock()


@contextmanager
def unhindered(consequence: str) -> Iterator[None]:
    """Keeping the books must not cost the viewer the answer: a database that can't be written is only logged."""
    try:
        yield
    except OperationalError as error:
        if not (busy(error) or unwritable(error)):
            raise
        log.warning("language model: %s (%s)", consequence, error.orig)


def ask(
    access: Access,
    messages: Sequence[dict[str, str]],
    viewer_id: int | None,
    max_tokens: int,
    caps: budget.Caps,
    *,
    total: float | None = None,
    clock: Clock | None = None,
) -> tuple[int, Answer]:
    """The call's id and the answer, within `total` seconds. Raises NoAnswer."""
    clock = clock or CLOCK
    deadline = clock.monotonic() + (TOTAL if total is None else total)
    if not _seats.acquire(blocking=False):
        raise NoAnswer("busy", "The language model is busy with other questions.")
    try:
        return _tries(access, messages, viewer_id, max_tokens, caps, deadline, clock)
    finally:
        _seats.release()


def _tries(
    access: Access,
    messages: Sequence[dict[str, str]],
    viewer_id: int | None,
    max_tokens: int,
    caps: budget.Caps,
    deadline: float,
    clock: Clock,
) -> tuple[int, Answer]:
    question = {"model": access.model, "messages": list(messages), "max_tokens": max_tokens, "stream": False}
    body = json.dumps(question).encode()
    # A token is at least one byte of text: more than this can't be used up, and what is too much comes back.
    most = sum(len(message["content"].encode("utf-8", "replace")) + MESSAGE for message in messages), max_tokens
    redaction.guard(access.key)
    failure: NoAnswer | None = None
    for number in range(TRIES):
        try:
            call_id = _reserve(viewer_id, access.model, most, caps)
        except NoAnswer as no:
            raise (failure or no) from None
        outcome = _try(access, body, most, call_id, deadline, clock)
        if isinstance(outcome, Answer):
            return call_id, outcome
        failure = outcome.no
        pause = (outcome.retry_after or 0.0) + clock.jitter()
        if not outcome.again or number == TRIES - 1 or clock.monotonic() + pause + LEAST > deadline:
            break
        clock.sleep(pause)
    assert failure is not None
    raise failure


def _reserve(viewer_id: int | None, model: str, most: tuple[int, int], caps: budget.Caps) -> int:
    try:
        return budget.reserve(viewer_id, model, *most, caps)
    except OperationalError as error:
        if not (busy(error) or unwritable(error)):
            raise
        raise NoAnswer("busy", "The language model can't be asked while the database is busy.") from None


def _try(
    access: Access, body: bytes, most: tuple[int, int], call_id: int, deadline: float, clock: Clock
) -> Answer | reading.Trouble:
    from movierec.services.llm.transport import Exchange  # requests: only who asks pays for it

    start = clock.monotonic()
    raw = Exchange(access.place, access.key, body).within(max(0.0, deadline - start))
    took = (clock.monotonic() - start) * 1000
    outcome = reading.read(raw, access, most, took)
    with unhindered(f"call {call_id} is not settled, its reservation stands"):
        if isinstance(outcome, Answer):
            budget.settle(call_id, outcome)
        else:
            # A rest that fits into this question is taken by it; a longer one binds everybody.
            longer = outcome.retry_after or 0.0
            rest = longer if longer > deadline - clock.monotonic() - LEAST else 0.0
            told = {"sent": outcome.sent, "billed": outcome.billed, "alive": outcome.alive}
            budget.fail(call_id, outcome.no, took, retry_after=rest, **told)
            log.warning("%s (%s, %.0f ms)", outcome.no.reason, getattr(raw, "detail", outcome.no.status), took)
    return outcome
