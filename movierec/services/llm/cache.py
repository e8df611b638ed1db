"""Answers kept in SQLite for the viewer who got them: bounded in bytes and in days, and never served to another."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

from sqlalchemy import delete, func, select

from movierec.extensions import db, writing
from movierec.services.llm.access import Access
from movierec.services.llm.answers import Answer
from movierec.tables import LlmAnswer, User, now

EXPIRY = timedelta(days=7)
MOST_BYTES = 32 * 2**20  # of all texts together; the oldest go first


def key(access: Access, viewer_id: int | None, max_tokens: int, cache_key: str) -> str:
    """A digest of all that an answer depends on, its viewer included."""
    place = access.place
    parts = (viewer_id, place.netloc, place.path, access.model, max_tokens, cache_key)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def get(digest: str, viewer_id: int | None) -> Answer | None:
    """The kept answer, if there is one that is not too old."""
    row = db.session.execute(
        select(LlmAnswer).where(
            LlmAnswer.key == digest,
            LlmAnswer.viewer_id.is_not_distinct_from(viewer_id),
            LlmAnswer.at > now() - EXPIRY,
        )
    ).scalar_one_or_none()
    if row is None:
        return None
    return Answer(
        row.text, row.model, row.prompt_tokens, row.completion_tokens, cost=0.0, milliseconds=0.0, cached=True
    )


def put(digest: str, viewer_id: int | None, answer: Answer) -> None:
    """Keep an answer, and let go what is too old or too much. An account that is gone meanwhile keeps nothing."""
    moment = now()
    with writing() as session:
        if viewer_id is not None and session.get(User, viewer_id, populate_existing=True) is None:
            return
        row = LlmAnswer(
            key=digest, viewer_id=viewer_id, at=moment, model=answer.model, prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens, size=len(answer.text.encode()), text=answer.text,
        )  # fmt: skip
        session.merge(row)
        session.flush()
        session.execute(delete(LlmAnswer).where(LlmAnswer.at <= moment - EXPIRY))
        newer = func.sum(LlmAnswer.size).over(order_by=(LlmAnswer.at.desc(), LlmAnswer.key)).label("newer")
        sums = select(LlmAnswer.key, newer).subquery()
        session.execute(delete(LlmAnswer).where(LlmAnswer.key.in_(select(sums.c.key).where(sums.c.newer > MOST_BYTES))))
