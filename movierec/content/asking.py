"""Asking the content index: films like one film, and films for a wish, each with what speaks for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from movierec.content.index import ContentIndex
from movierec.content.wish import Idea, Wish

NEAR_YEARS = 20.0  # films so many years apart count a third as near in time
TIME, FAME = 0.15, 0.50  # what nearness in time adds to the likeness; by how much the best known are raised
COVERED = 0.5  # what having everything that was wished for adds
AGAINST = 0.5  # weight of a film that it should not be like

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Hit:
    """A film found; `shared` is what it has of what was asked for, in words, the weightiest first."""

    movie_id: int
    score: float
    shared: tuple[str, ...] = ()


def similar(index: ContentIndex, movie_id: int, k: int, without: Collection[int] = ()) -> list[Hit]:
    """The k films most like this one, best first; none for a film that the index doesn't know or knows nothing of.

    Likeness = the films' dot product, raised for what is better known and for films of the same time: of films alike
    on paper those are watched by the same people.
    """
    film = index.film(movie_id)
    if film is None:
        return []
    wanted = index.vector(film)
    scores = index.likeness(wanted) * (1 + FAME * index.fame)
    found = scores > 0
    scores += TIME * _near(index, film)
    scores[~found] = -np.inf
    scores[film] = -np.inf
    return _hits(index, scores, k, index.named(wanted), without)


def neighbours(index: ContentIndex, movie_ids: Collection[int], k: int, without: Collection[int] = ()) -> list[Hit]:
    """The k films most like these together."""
    known = [film for movie_id in movie_ids if (film := index.film(movie_id)) is not None]
    wanted = _together(index, known)
    scores = index.likeness(wanted) * (1 + FAME * index.fame)
    scores[scores <= 0] = -np.inf
    scores[known] = -np.inf
    return _hits(index, scores, k, index.named(wanted), without)


def search(index: ContentIndex, wish: Wish, k: int, without: Collection[int] = ()) -> list[Hit]:
    """The k best films for a wish, best first; nothing for a wish that says nothing.

    What must not be is left out for sure, where the catalogue knows it; a film of unknown length or year is left out
    where one is asked for.
    """
    if wish.empty or not len(index):
        return []
    wanted = _wanted(index, wish)
    scores = index.likeness(wanted)
    if wish.unlike:
        scores -= AGAINST * index.likeness(_together(index, wish.unlike))
    if wish.wanted:
        scores += COVERED * sum(_has(index, idea) for idea in wish.wanted) / len(wish.wanted)
    if wanted:
        scores[scores <= 0] = -np.inf
    scores *= np.where(scores > 0, 1 + FAME * index.fame, 1)
    if not wanted:  # only what must not be, years or lengths: the best known of what is left
        scores += index.fame
    scores[~_allowed(index, wish)] = -np.inf
    asked = {term for idea in wish.wanted for term in idea.terms}
    told = index.named(wanted) | {term: weight for term, weight in wanted.items() if term in asked}
    return _hits(index, scores, k, told, without)


def fitting(index: ContentIndex, wish: Wish, movie_ids: Sequence[int]) -> list[int]:
    """Those of these films that nothing in the wish speaks against; a film that the index doesn't know is left out."""
    allowed = _allowed(index, wish)
    return [movie_id for movie_id in movie_ids if (film := index.film(movie_id)) is not None and allowed[film]]


def _wanted(index: ContentIndex, wish: Wish) -> dict[int, float]:
    """Terms and weights of what is wished for: the films named and the ideas count the same."""
    wanted = _together(index, wish.like)
    ideas: dict[int, float] = {}
    for idea in wish.wanted:
        for term in idea.terms:
            ideas[term] = ideas.get(term, 0.0) + float(index.idf[term]) / len(idea.terms) ** 0.5
    for term, weight in _unit(ideas).items():
        wanted[term] = wanted.get(term, 0.0) + weight
    return wanted


def _together(index: ContentIndex, films: Collection[int]) -> dict[int, float]:
    """The mean direction of these films."""
    total: dict[int, float] = {}
    for film in films:
        for term, weight in index.vector(film).items():
            total[term] = total.get(term, 0.0) + weight
    return _unit(total)


def _unit(weights: dict[int, float]) -> dict[int, float]:
    length = sum(weight**2 for weight in weights.values()) ** 0.5
    return {term: weight / length for term, weight in weights.items()} if length else {}


def _has(index: ContentIndex, idea: Idea) -> Scores:
    """(D,) 1 where the film has any of the idea's terms."""
    found = np.zeros(len(index), dtype=np.float32)
    for term in idea.terms:
        found[index.films_of(term)] = 1
    return found


def _allowed(index: ContentIndex, wish: Wish) -> npt.NDArray[np.bool_]:
    """(D,) where nothing speaks against the film."""
    allowed = np.ones(len(index), dtype=bool)
    for idea in wish.unwanted:
        allowed &= _has(index, idea) == 0
    for span, values in ((wish.years, index.years), (wish.runtime, index.runtimes)):
        if span is not None:
            allowed &= (values >= max(1, span.low or 1)) & (values <= (span.high or np.iinfo(np.int32).max))
    allowed[wish.like + wish.unlike] = False
    return allowed


def _near(index: ContentIndex, film: int) -> Scores:
    """(D,) 1 for the same year, falling with the years between; 0 where a year is unknown."""
    if not index.years[film]:
        return np.zeros(len(index), dtype=np.float32)
    near = np.exp(-np.abs(index.years - index.years[film]) / NEAR_YEARS)
    return np.where(index.years > 0, near, 0).astype(np.float32)


def _hits(index: ContentIndex, scores: Scores, k: int, told: dict[int, float], without: Collection[int]) -> list[Hit]:
    """The k best finite scores, ties to the better known, each with what it has of the terms in `told`."""
    barred = [film for movie_id in without if (film := index.film(movie_id)) is not None]
    scores[barred] = -np.inf
    left = np.flatnonzero(np.isfinite(scores))
    if left.size > k > 0:
        kth = np.partition(scores[left], left.size - k)[left.size - k]
        left = left[scores[left] >= kth]
    order = left[np.lexsort((-index.fame[left], -scores[left]))][: max(k, 0)]
    return [Hit(int(index.movie_ids[at]), float(scores[at]), index.shared(told, int(at))) for at in order]
