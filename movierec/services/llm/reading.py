"""From the bytes of a reply to an answer: everything in it is somebody else's and is checked before it is used."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any

from movierec.services.llm.access import LONGEST_MODEL, Access
from movierec.services.llm.answers import Answer, Lost, NoAnswer, Reply
from movierec.services.llm.redaction import redacting

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line end
MOST_TOKENS = 10**7  # of one call; more is nonsense
MOST_COST = 1000.0  # US dollars of one call, likewise
PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # worth a second try
OF_THE_QUESTION = frozenset({400, 403, 413, 422})  # the server is well, it only won't answer this


@dataclass(frozen=True)
class Trouble:
    """Why a try gave no answer. `again`: a second try may help; `alive`: the server is well, whatever it said.

    `sent`: the question may have left this machine; `billed`: tokens may have been used, how many is not known.
    """

    no: NoAnswer
    again: bool = False
    alive: bool = False
    sent: bool = True
    billed: bool = False
    retry_after: float | None = None


SAID = {
    "slow": "The language model took too long.",
    "unreachable": "The language model can't be reached.",
    "failed": "The language model's server failed.",
    "garbage": "The language model's answer could not be used.",
}


def read(outcome: Reply | Lost, access: Access, reserved: tuple[int, int], milliseconds: float) -> Answer | Trouble:
    """The answer in a reply, or what is wrong. `reserved` tokens stand in where the server does not count them."""
    if isinstance(outcome, Lost):
        again = outcome.kind in ("unreachable", "failed")
        return Trouble(NoAnswer(outcome.kind, SAID[outcome.kind]), again=again, sent=outcome.sent, billed=outcome.sent)
    if outcome.status != 200:
        return _refusal(outcome.status, outcome.retry_after)
    content = _json(outcome.body)
    code = _error_code(content)
    if code:  # said in the body of a 200: the model had begun
        trouble = _refusal(code, outcome.retry_after)
        return replace(trouble, billed=True)
    text = _text(content)
    if not text.strip():
        return Trouble(NoAnswer("garbage", SAID["garbage"], status=200), billed=True)
    usage = _dict(content.get("usage"))
    prompt = _count(usage.get("prompt_tokens"), reserved[0])
    completion = _count(usage.get("completion_tokens"), reserved[1])
    cost = _cost(usage.get("cost"), access.cost(prompt, completion))
    model = content.get("model")
    named = _clean(model).strip()[:LONGEST_MODEL] if isinstance(model, str) else ""
    return Answer(_clean(text), named or access.model, prompt, completion, cost, milliseconds)


def _refusal(status: int, retry_after: float | None) -> Trouble:
    if status == 429:
        no = NoAnswer("limited", "The language model's server is asked too often just now.", status=status)
    elif 400 <= status < 500 and status != 408:
        no = NoAnswer("refused", f"The language model's server refused the question (HTTP {status}).", status=status)
    else:
        no = NoAnswer("failed", f"The language model's server failed (HTTP {status}).", status=status)
    return Trouble(no, again=status in PASSING, alive=status in OF_THE_QUESTION, retry_after=retry_after)


def _json(body: bytes) -> dict[str, Any]:
    try:
        return _dict(json.loads(body.decode("utf-8-sig", "replace")))
    except (ValueError, RecursionError):  # not JSON, or nested thousands deep
        return {}


def _error_code(content: dict[str, Any]) -> int:
    """OpenRouter answers 200 and then says in the body that the model failed; 0 where all is well."""
    choices = content.get("choices")
    choice = _dict(choices[0]) if isinstance(choices, list) and choices else {}
    error = content.get("error") or choice.get("error")
    if not error:
        return 0
    code = _dict(error).get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def _text(content: dict[str, Any]) -> str:
    choices = content.get("choices")
    choice = _dict(choices[0]) if isinstance(choices, list) and choices else {}
    said = _dict(choice.get("message")).get("content")
    if isinstance(said, list):  # in parts, as some servers answer
        said = "".join(part["text"] for part in map(_dict, said) if isinstance(part.get("text"), str))
    return said if isinstance(said, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _clean(text: str) -> str:
    """Without the key, should the server echo it; without what can't be stored and what a terminal would obey."""
    return redacting.clean(_CONTROL.sub("", text.encode("utf-8", "replace").decode()))


def _count(value: Any, otherwise: int) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if whole else otherwise


def _cost(value: Any, otherwise: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number and 0 <= value <= MOST_COST else otherwise
