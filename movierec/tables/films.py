"""The catalogue and who watched what in it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from movierec.extensions import Base
from movierec.tables.base import Moment, now


class Movie(Base):
    """A film of the catalogue. `rank` 1 is the most watched in the source; `genres` and people are lists."""

    __tablename__ = "movies"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(400))  # natural order: "The Third Man"
    sort_title: Mapped[str] = mapped_column(String(400), index=True)  # folded, without article
    other_titles: Mapped[list[str]] = mapped_column(JSON, default=list)
    year: Mapped[int | None] = mapped_column(index=True)
    genres: Mapped[list[str]] = mapped_column(JSON, default=list)
    directors: Mapped[list[str]] = mapped_column(JSON, default=list)
    actors: Mapped[list[str]] = mapped_column(JSON, default=list)
    countries: Mapped[list[str]] = mapped_column(JSON, default=list)
    keywords: Mapped[list[str]] = mapped_column(JSON, default=list)  # folded, the most used first
    runtime: Mapped[int | None]  # minutes
    language: Mapped[str | None] = mapped_column(String(16))
    released: Mapped[str | None] = mapped_column(String(10))  # ISO date
    overview: Mapped[str | None]
    poster_path: Mapped[str | None] = mapped_column(String(200))
    imdb_id: Mapped[str | None] = mapped_column(String(16))  # "tt0041959"
    tmdb_id: Mapped[int | None]
    events: Mapped[int] = mapped_column(default=0)  # views in the source's snapshot
    rank: Mapped[int] = mapped_column(index=True)


class MovieGenre(Base):
    """A film in a genre, with the film's rank, so that "best known Westerns" is one index walk."""

    __tablename__ = "movie_genres"
    genre: Mapped[str] = mapped_column(String(32), primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    movie_id: Mapped[int] = mapped_column(ForeignKey("movies.id", ondelete="CASCADE"), index=True)


class View(Base):
    """This viewer watched this movie at this time. Removing keeps the row for undo; a film is in a history once."""

    __tablename__ = "views"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    movie_id: Mapped[int] = mapped_column(ForeignKey("movies.id", ondelete="RESTRICT"), index=True)
    watched_at: Mapped[datetime] = mapped_column(Moment)
    rating: Mapped[float | None]  # half stars, 0.5-5
    found_by: Mapped[str | None] = mapped_column(String(32))  # engine of the slate it was marked on
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    removed_at: Mapped[datetime | None] = mapped_column(Moment)
    movie: Mapped[Movie] = relationship(lazy="raise")
    __table_args__ = (
        Index("uq_views_live", "user_id", "movie_id", unique=True, sqlite_where=text("removed_at IS NULL")),
        Index("ix_views_history", "user_id", "watched_at", "id"),
        CheckConstraint(
            "rating IS NULL OR (rating BETWEEN 0.5 AND 5 AND rating * 2 = CAST(rating * 2 AS INTEGER))", name="rating"
        ),
        {"sqlite_autoincrement": True},
    )
