"""A slate as the home page shows it: the first pick, what comes next, and further down the same list by genre."""

from __future__ import annotations

from dataclasses import dataclass

from movierec.services import catalogue
from movierec.services.catalogue import Card
from movierec.services.slates import RANK, Slate

NEXT, ROW, ROWS = 12, 6, 2  # films in the first list; in each list by genre; lists by genre


@dataclass(frozen=True)
class Reel:
    """One list of the page; `genre` leads to more of it."""

    title: str
    text: str
    films: list[Card]
    genre: str | None = None


@dataclass(frozen=True)
class Programme:
    """What the home page shows of a slate."""

    slate: Slate
    first: Card | None
    overview: str | None
    reels: list[Reel]


def arrange(slate: Slate) -> Programme:
    """Every film stands on the page once, in the slate's order within each list."""
    if not slate.films:
        return Programme(slate, None, None, [])
    first, *rest = slate.films
    title = "Best known here" if slate.origin == RANK else "To start with" if slate.cold else "Next for you"
    text = "From the same list, right after the first pick."
    reels = [Reel(title, text, rest[:NEXT])] if rest else []
    left, told = rest[NEXT:], set[str]()
    for _ in range(ROWS):
        genre, films = _largest(left, told)
        if len(films) < ROW:
            break
        reels.append(Reel(f"{genre} among them", "From further down the same list.", films[:ROW], genre))
        told.add(genre)
        taken = {film.id for film in films[:ROW]}
        left = [film for film in left if film.id not in taken]
    return Programme(slate, first, catalogue.movie(first.id).overview, reels)


def _largest(films: list[Card], told: set[str]) -> tuple[str, list[Card]]:
    """The genre, of those not told yet, that most of these films have; and those films."""
    by_genre: dict[str, list[Card]] = {}
    for film in films:
        for genre in set(film.genres) - told:
            by_genre.setdefault(genre, []).append(film)
    return max(sorted(by_genre.items(), key=lambda pair: pair[0]), key=lambda pair: len(pair[1]), default=("", []))
