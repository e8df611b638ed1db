"""What the tests of the language model share: sites whose model is the stub, and ways to ask it."""

from __future__ import annotations

from typing import Any

from flask import Flask
from llm_stub import CANARY, Stub
from sqlalchemy import select

from movierec.extensions import db, writing
from movierec.services import llm
from movierec.services.llm import NoAnswer
from movierec.tables import LlmCall, User

QUESTION = [{"role": "system", "content": "Answer in JSON."}, {"role": "user", "content": "What next?"}]
# What QUESTION reserves: a token is at least a byte, and each message costs at most 16 more.
QUESTION_TOKENS = len("Answer in JSON.") + 16 + len("What next?") + 16


def given(stub: Stub, **overrides: str) -> dict[str, str]:
    """Settings for a model at the stub, with a key to look for."""
    named = {"LLM_BASE_URL": stub.url, "LLM_MODEL": "tiny", "LLM_API_KEY": CANARY, "LLM_ALLOW_LOCAL": "1"}
    return named | overrides


def ask(viewer_id: int | None = None, key: str = "k", **kwargs: Any) -> llm.Answer:
    """Ask QUESTION."""
    return llm.complete(QUESTION, viewer_id=viewer_id, cache_key=key, **kwargs)


def kind(viewer_id: int | None = None, key: str = "k", **kwargs: Any) -> str:
    """ "ok", or why there was no answer."""
    try:
        ask(viewer_id, key, **kwargs)
    except NoAnswer as no:
        said = no
    else:
        return "ok"
    assert said.reason.endswith(".")
    assert CANARY not in said.reason
    return said.kind


def rows(app: Flask) -> list[LlmCall]:
    """Every call on record, oldest first."""
    db.session.rollback()
    return list(db.session.execute(select(LlmCall).order_by(LlmCall.id)).scalars())


def person(name: str = "ana", **columns: Any) -> int:
    """A new viewer's id."""
    with writing() as session:
        user = User(name=name, name_key=name, password_hash="x", **columns)
        session.add(user)
        session.flush()
        return user.id
