"""What is on air, who put it there, and the lists that viewers were given."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from movierec.extensions import Base
from movierec.tables.base import Moment, now


class Serving(Base):
    """What is on air: one row. `version` grows with each change and is what processes compare."""

    __tablename__ = "serving"
    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="RESTRICT"))
    version: Mapped[int] = mapped_column(default=0)
    __table_args__ = (CheckConstraint("id = 1", name="single"),)


class ServingChange(Base):
    """Who put which run on air, when and why."""

    __tablename__ = "serving_changes"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    previous_run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    who: Mapped[str] = mapped_column(String(64))  # the name as it was then; "movierec" for the first run
    why: Mapped[str] = mapped_column(default="")
    known: Mapped[str] = mapped_column(default="")  # what the evidence said at that moment, in a sentence
    at: Mapped[datetime] = mapped_column(Moment, default=now)


class SlateRow(Base):
    """A list that a viewer was given: who made it, which films it put there itself, how long it took."""

    __tablename__ = "slates"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    engine: Mapped[str] = mapped_column(String(32))
    fallback: Mapped[str | None]  # why something else filled in, in a phrase
    movie_ids: Mapped[list[int]] = mapped_column(JSON)
    milliseconds: Mapped[float]
    at: Mapped[datetime] = mapped_column(Moment, default=now, index=True)
