"""Three throw-away accounts for a look around: one a role, with a history each, open only while the demo runs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from flask import current_app
from sqlalchemy import delete, func, select

from movierec import config
from movierec.extensions import db, writing
from movierec.services import accounts, settings
from movierec.services.errors import Conflict, NotFound, Refused
from movierec.tables import Movie, MovieGenre, Session, User, View, now


@dataclass(frozen=True)
class Taste:
    """What one of the three likes: genres, and from when to when."""

    name: str
    role: str
    genres: tuple[str, ...]
    years: tuple[int, int]
    films: int


@dataclass(frozen=True)
class Account:
    """A demo account as it is told to whoever started the demo."""

    name: str
    role: str
    password: str


TASTES = (
    Taste("demo-viewer", "user", ("Sci-Fi", "Thriller", "Adventure"), (1968, 2024), 48),
    Taste("demo-admin", "admin", ("Drama", "Romance", "Film-Noir"), (1930, 1979), 32),
    Taste("demo-scientist", "scientist", ("Animation", "Comedy", "Documentary"), (1985, 2024), 40),
)
KNOWN = 4  # the history is drawn from this many times as many films, the best known of the taste
HISTORY_DAYS = 700


def allowed(site: Mapping[str, Any]) -> None:
    """Raises Refused where strangers could reach the demo and nobody has said that they may."""
    if not config.loopback(str(site["HOST"])) and site["MOVIEREC_PUBLIC_DEMO"] != "1":
        raise Refused(
            f"A demo on {site['HOST']} would let anybody in who reaches it: "
            "leave HOST at 127.0.0.1, or set MOVIEREC_PUBLIC_DEMO=1 if that is meant."
        )


def open_accounts() -> list[Account]:
    """Make the three accounts, or open them again, each with a new password. Raises Refused and Conflict."""
    allowed(current_app.config)
    told = []
    for taste in TASTES:
        user_id, password = _account(taste)
        _fill(user_id, taste)
        told.append(Account(taste.name, taste.role, password))
    settings.put("demo", True)
    return told


def close_accounts() -> int:
    """End the demo: nobody can sign in with its accounts any more. Says how many were open."""
    with writing() as session:
        open_ones = session.scalars(select(User).where(User.demo, User.active)).all()
        for user in open_ones:
            user.active = False
            session.execute(delete(Session).where(Session.user_id == user.id))
    if settings.demo():
        settings.put("demo", False)
    return len(open_ones)


def _account(taste: Taste) -> tuple[int, str]:
    try:
        user = accounts.by_name(taste.name)
    except NotFound:
        password = secrets.token_urlsafe(12)
        return accounts.create(taste.name, password, taste.role, demo=True).id, password
    if not user.demo:
        raise Conflict(f"{taste.name} is the name of an account that is no demo account: rename or remove that first.")
    password = accounts.reset_password(user.id)
    with writing() as session:
        again = session.get(User, user.id, populate_existing=True)
        again.active, again.role = True, taste.role
    return user.id, password


def _fill(user_id: int, taste: Taste) -> None:
    """A history of that taste, the same at each first start; one that is there already is left as it is."""
    if db.session.scalar(select(func.count()).where(View.user_id == user_id)):
        return
    dice = Random(taste.name)  # noqa: S311  (a repeatable history, not a secret)
    films = _films(taste)
    chosen = [films[at] for at in sorted(dice.sample(range(len(films)), min(taste.films, len(films))))]
    dice.shuffle(chosen)
    gap = timedelta(days=HISTORY_DAYS) / max(1, len(chosen))
    moment = now() - timedelta(days=HISTORY_DAYS)
    with writing() as session:
        for movie_id, likeness in chosen:
            moment += gap * dice.uniform(0.4, 1.4)
            rating = None if dice.random() < 0.15 else _half_stars(2.6 + 0.6 * likeness + dice.gauss(0, 0.7))
            session.add(View(user_id=user_id, movie_id=movie_id, watched_at=min(moment, now()), rating=rating))
        session.get(User, user_id, populate_existing=True).history_version += 1


def _films(taste: Taste) -> list[tuple[int, int]]:
    """The best known films of the taste: (movie id, how many of its genres they have)."""
    likeness = func.count().label("likeness")
    found = db.session.execute(
        select(Movie.id, likeness)
        .join(MovieGenre, MovieGenre.movie_id == Movie.id)
        .where(MovieGenre.genre.in_(taste.genres), Movie.year.between(*taste.years))
        .group_by(Movie.id)
        .order_by(Movie.rank)
        .limit(KNOWN * taste.films)
    )
    return [(row.id, row.likeness) for row in found]


def _half_stars(value: float) -> float:
    return min(5.0, max(0.5, round(value * 2) / 2))
