"""What the language model was asked, what it cost, what it answered, and whether it is left alone just now."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from movierec.extensions import Base
from movierec.tables.base import Moment, now


class LlmCall(Base):
    """One try to get an answer: first a reservation, then what became of it. Budgets are sums over these rows.

    While `outcome` is "sent" the call is under way and its tokens are the most that it may use.
    """

    __tablename__ = "llm_calls"
    id: Mapped[int] = mapped_column(primary_key=True)
    viewer_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    at: Mapped[datetime] = mapped_column(Moment, default=now)
    model: Mapped[str] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(String(16), default="sent")  # "ok", "cached" or a kind of NoAnswer
    counted: Mapped[bool] = mapped_column(default=True)  # against the budgets; not what never left this machine
    status: Mapped[int] = mapped_column(default=0)  # of HTTP
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    cost: Mapped[float] = mapped_column(default=0.0)  # US dollars
    milliseconds: Mapped[float] = mapped_column(default=0.0)
    __table_args__ = (
        Index("ix_llm_calls_at", "at"),
        Index("ix_llm_calls_viewer", "viewer_id", "at"),
        {"sqlite_autoincrement": True},
    )


class LlmAnswer(Base):
    """An answer kept for the viewer who got it. The key is a digest of all that the answer depends on."""

    __tablename__ = "llm_answers"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    viewer_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(Moment, default=now, index=True)
    model: Mapped[str] = mapped_column(String(100))
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    size: Mapped[int]  # bytes of the text
    text: Mapped[str]


class LlmBreaker(Base):
    """One row: how often in a row the model's server failed, and until when it is left alone."""

    __tablename__ = "llm_breaker"
    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    failures: Mapped[int] = mapped_column(default=0)
    open_until: Mapped[datetime | None] = mapped_column(Moment)
    __table_args__ = (CheckConstraint("id = 1", name="single"),)
