"""The stub provider: answers like a language model, from the shortlist alone, without network, key or cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from movierec.services.llm.answers import Answer

MODEL = "demo model"
TOKEN = 4  # bytes, roughly


def answer(messages: Sequence[dict[str, str]]) -> Answer:
    """The first `k` of the shortlist, each with a reason; always the same for the same messages.

    Reads the last user message that holds a JSON object with "shortlist": [{"id": ..., "title": ...}, ...] and "k".
    """
    asked = next(filter(None, (_asked(message) for message in reversed(messages))), {})
    shortlist = [film for film in asked["shortlist"] if isinstance(film, dict) and "id" in film] if asked else []
    wanted = asked.get("k")
    count = wanted if isinstance(wanted, int) and wanted > 0 else 10
    wish = str(asked.get("wish") or "").strip()
    picks = [{"id": film["id"], "reason": _reason(film, wish)} for film in shortlist[:count]]
    text = json.dumps({"picks": picks}, ensure_ascii=False)
    size = sum(len(message.get("content", "").encode()) for message in messages)
    return Answer(text, MODEL, size // TOKEN, len(text.encode()) // TOKEN, cost=0.0, milliseconds=0.0, demo=True)


def _asked(message: dict[str, str]) -> dict[str, Any]:
    """The JSON object in a user message, whatever stands around it; empty where there is none with a shortlist."""
    content = message.get("content", "")
    if message.get("role") != "user" or "{" not in content:
        return {}
    try:
        found, _ = json.JSONDecoder().raw_decode(content[content.index("{") :])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("shortlist"), list) else {}


def _reason(film: dict[str, Any], wish: str) -> str:
    title = str(film.get("title") or "This film")[:60]
    return f"Demo model: {title} may suit your wish." if wish else f"Demo model: {title} is close to what you watched."
