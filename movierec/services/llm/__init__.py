"""The only door to the language model: who asks gets an answer within the time limit, or a reason for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import current_app

from movierec.services import settings
from movierec.services.llm import access, breaker, budget, cache, client, stub
from movierec.services.llm.answers import Answer, Kind, NoAnswer
from movierec.services.llm.budget import Usage, usage
from movierec.tables import now

__all__ = [
    "Answer",
    "Kind",
    "NoAnswer",
    "Status",
    "Usage",
    "available",
    "complete",
    "model",
    "status",
    "switch",
    "usage",
    "wanted",
]

MAX_TOKENS = 1500  # of an answer: a dozen ids with reasons need about 900
OFF = "llm_off"  # the setting


@dataclass(frozen=True)
class Status:
    """What an administrator sees. `problem` is empty where the model can be asked; `spent` is the site's today."""

    problem: str
    off: bool
    demo: bool
    model: str
    host: str
    breaker: breaker.State
    spent: budget.Spent
    caps: budget.Caps


def available() -> str:
    """Empty where the language model can be asked (the stub provider too), else what to set. Needs an app context."""
    if settings.get(OFF, False):
        return "An administrator has switched the language model off."
    try:
        model()
    except NoAnswer as no:
        return no.reason
    return ""


def model() -> str:
    """The name of the model that would be asked now. Raises NoAnswer("absent")."""
    config = current_app.config
    return stub.MODEL if access.stub(config) else access.read(config).model


def complete(
    messages: list[dict[str, str]],
    *,
    viewer_id: int | None,
    cache_key: str,
    max_tokens: int = MAX_TOKENS,
    accept: Callable[[str], bool] | None = None,
) -> Answer:
    """Ask the model; within 20 s an Answer, or NoAnswer with why. Needs an app context, outside `writing()`.

    `cache_key` names all that the answer depends on besides model and viewer (history version, wish, prompt version).
    `accept` says whether a text can be used: what it refuses becomes NoAnswer("garbage") and is not kept in the cache.
    `viewer_id` None (the console, an evaluation) is bound by the site's budget only.
    Ends the session's reading transaction: rows read before are read again where they are used after.
    """
    config = current_app.config
    if settings.get(OFF, False):
        raise NoAnswer("off", available())
    if access.stub(config):
        return stub.answer(messages)
    where = access.read(config)
    digest = cache.key(where, viewer_id, max_tokens, cache_key)
    kept = cache.get(digest, viewer_id)
    if kept is not None:
        with client.unhindered("a hit is not noted"):
            budget.note_hit(viewer_id, kept.model)
        return kept
    call_id, answer = client.ask(where, messages, viewer_id, max_tokens, budget.Caps.of(config))
    if accept is not None and not accept(answer.text):
        with client.unhindered(f"call {call_id} stays marked as ok"):
            budget.unusable(call_id)
        raise NoAnswer("garbage", "The language model's answer could not be used.", status=200)
    with client.unhindered("an answer is not kept"):
        cache.put(digest, viewer_id, answer)
    return answer


def wanted() -> bool:
    """Whether somebody has begun to set a language model up, so that a problem with it is one."""
    return access.begun(current_app.config)


def switch(on: bool) -> None:
    """Let everybody ask the language model, or nobody."""
    settings.put(OFF, not on)


def status() -> Status:
    """How it stands, for the console and the settings page. Sends nothing."""
    config, moment = current_app.config, now()
    try:
        name, host = model(), "" if access.stub(config) else access.read(config).place.netloc
    except NoAnswer:
        name = host = ""
    return Status(
        available(), bool(settings.get(OFF, False)), access.stub(config), name, host,
        breaker.state(moment), budget.spent(moment), budget.Caps.of(config),
    )  # fmt: skip
