"""Simulated viewers: seeded people with tastes, moods and habits, so that there is something to learn offline.

Each has tastes over genres, eras and countries that drift, likes the famous more or less, follows a mood for a few
films, goes on with a series, and stays with a director for a while. Letters: F films, V viewers, E events.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

START, END = 1_420_070_400, 1_735_689_600  # 2015-01-01 and 2025-01-01 UTC, in seconds
YEAR = 31_556_952  # seconds
SEQUEL, STREAK, MOOD_ENDS = 0.55, 0.22, 0.12  # chances at each step
MOOD = 9.0  # how many times likelier a film of the mood is
DRIFT_EVERY = 12  # events between two looks at how tastes have drifted
DECADES = np.arange(1900, 2030, 10)

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Film:
    """What the simulated viewers know about a film."""

    movie_id: int
    year: int
    genres: tuple[str, ...]
    director: str
    country: str
    fame: int  # 1 (for lovers) to 5 (everybody knows it)
    series: str


class World:
    """The films as arrays, and who follows whom."""

    def __init__(self, films: Sequence[Film]) -> None:
        genres = sorted({genre for film in films for genre in film.genres})
        countries = sorted({film.country for film in films})
        self.years = np.array([film.year for film in films])  # (F,)
        self.fame = np.array([film.fame for film in films], dtype=np.float64)  # (F,)
        self.country = np.array([countries.index(film.country) for film in films])  # (F,)
        self.genres = np.array([[genre in film.genres for genre in genres] for film in films], dtype=np.float64)
        self.genre_share = self.genres / self.genres.sum(axis=1, keepdims=True)  # (F, G)
        self.n_countries = len(countries)
        self.abroad = np.array([country not in ("USA", "UK") for country in countries], dtype=np.float64)
        self.next_part = _next_parts(films)
        self.by_director = _by_director(films)


def _next_parts(films: Sequence[Film]) -> dict[int, int]:
    """Each film of a series -> the one that came after it."""
    series: dict[str, list[int]] = {}
    for at, film in enumerate(films):
        if film.series:
            series.setdefault(film.series, []).append(at)
    following: dict[int, int] = {}
    for parts in series.values():
        ordered = sorted(parts, key=lambda at: (films[at].year, films[at].movie_id))
        following |= dict(itertools.pairwise(ordered))
    return following


def _by_director(films: Sequence[Film]) -> dict[int, npt.NDArray[np.int64]]:
    """Each film -> the other films of its director."""
    works: dict[str, list[int]] = {}
    for at, film in enumerate(films):
        if film.director:
            works.setdefault(film.director, []).append(at)
    return {
        at: np.array([other for other in together if other != at])
        for together in works.values()
        if len(together) > 1
        for at in together
    }


def simulate(
    films: Sequence[Film], *, seed: int, viewers: int, events: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """(viewer 1..V, film index, time, rating) of about `events` events; the same for the same seed.

    RandomState's streams are frozen by numpy's own promise, unlike those of its newer generators.
    """
    dice = np.random.RandomState(seed)
    world = World(films)
    counts = _counts(dice, viewers, events, len(films))
    parts = []
    for viewer, count in enumerate(counts, 1):
        seen, times, ratings = _life(dice, world, int(count))
        parts.append((np.full(seen.size, viewer, dtype=np.int64), seen, times, ratings))
    who, which, when, stars = (np.concatenate(column) for column in zip(*parts, strict=True))
    return who, which, when, stars


def _counts(dice: np.random.RandomState, viewers: int, events: int, films: int) -> npt.NDArray[np.int64]:
    """How many films each viewer watches: a few watch a great many, and the sum is `events`."""
    weights = np.exp(0.75 * dice.standard_normal(viewers))
    few, many = min(12, films // 3), films // 3
    counts = np.floor(weights / weights.sum() * events).astype(np.int64).clip(few, many)
    while spare := events - int(counts.sum()):  # rounding and clipping left some over, or took too many
        able = np.flatnonzero(counts < many if spare > 0 else counts > few)[: abs(spare)]
        if not able.size:
            break
        counts[able] += np.sign(spare)
    return counts


def _life(
    dice: np.random.RandomState, world: World, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """One viewer's films in the order watched, with times and ratings."""
    early, late = _taste(dice, world), _taste(dice, world)
    famous = 0.9 + 0.5 * dice.random_sample()
    times = _times(dice, count)
    unseen = np.ones(world.years.size)
    liking: Array = np.zeros(world.years.size)
    weights: Array = liking
    mood = np.ones(world.years.size)
    seen = np.empty(count, dtype=np.int64)
    ratings = np.empty(count, dtype=np.float32)
    last = -1
    for step, moment in enumerate(times):
        if step % DRIFT_EVERY == 0:
            drift = 0.7 * step / count
            liking = (1 - drift) * early + drift * late
            weights = np.exp(liking + famous * (world.fame - 3))
        if step == 0 or dice.random_sample() < MOOD_ENDS:
            mood = _mood(dice, world, weights)
        out = 1970 + moment / YEAR >= world.years
        last = _choose(dice, world, last, weights * mood * unseen * out, unseen * out)
        unseen[last] = 0
        seen[step] = last
        ratings[step] = _stars(dice, liking[last] + 0.25 * (world.fame[last] - 3))
    return seen, times, ratings


def _taste(dice: np.random.RandomState, world: World) -> Array:
    """(F,) how a viewer likes each film, fame aside."""
    genres: Array = 0.8 * dice.standard_normal((world.genres.shape[1],))
    genres[dice.permutation(genres.size)[:3]] += 2.2
    usual = 0.35 * dice.standard_normal((DECADES.size,)) + 0.35 * (DECADES - 1985) / 30
    favourite = 1930 + 90 * dice.random_sample()
    eras = usual + 1.3 * np.exp(-(((DECADES + 5 - favourite) / 14) ** 2))
    countries = 0.6 * dice.standard_normal((world.n_countries,)) - (1.4 * dice.random_sample()) * world.abroad
    of_era = eras[(world.years - DECADES[0]) // 10]
    taste: Array = 1.6 * (world.genre_share @ genres) + of_era + countries[world.country]
    return taste


def _times(dice: np.random.RandomState, count: int) -> npt.NDArray[np.int64]:
    """Ascending seconds, each once: evenings in bursts over a part of the ten years."""
    gaps = dice.exponential(1.0, count) * np.where(dice.random_sample(count) < 0.15, 12.0, 1.0)
    span = (END - START) * (0.15 + 0.8 * dice.random_sample())
    begin = START + (END - START - span) * dice.random_sample()
    whole = np.cumsum(gaps)
    seconds: npt.NDArray[np.int64] = np.floor(begin + span * whole / (whole[-1] * 1.001)).astype(np.int64)
    return np.maximum.accumulate(seconds - np.arange(count)) + np.arange(count)


def _mood(dice: np.random.RandomState, world: World, weights: Array) -> Array:
    """(F,) what the viewer is after just now: films like one drawn from their taste, in genre, era and country."""
    model = _draw(dice, weights)
    shared = world.genre_share @ (world.genres[model] > 0)  # share of each film's genres that it has in common
    near = np.exp(-np.abs(world.years - world.years[model]) / 8.0)
    home = (world.country == world.country[model]) * 1.0
    mood: Array = 1 + MOOD * shared**2 * (0.15 + near) * (0.4 + 0.6 * home)
    return mood


def _choose(dice: np.random.RandomState, world: World, last: int, weights: Array, free: Array) -> int:
    """The next film: the next part of the series, another of the director, or what fits taste and mood."""
    part = world.next_part.get(last, -1)
    if part >= 0 and free[part] and dice.random_sample() < SEQUEL:
        return part
    works = world.by_director.get(last)
    if works is not None and dice.random_sample() < STREAK:
        among = weights[works]
        if among.sum() > 0:
            return int(works[_draw(dice, among)])
    return _draw(dice, weights)


def _draw(dice: np.random.RandomState, weights: Array) -> int:
    """An index, likelier the heavier."""
    line = np.cumsum(weights)
    return int(min(np.searchsorted(line, dice.random_sample() * line[-1], side="right"), weights.size - 1))


def _stars(dice: np.random.RandomState, liking: float) -> float:
    """Half stars from 0.5 to 5, higher for what is liked."""
    return float(np.clip(np.rint(2 * (3.3 + 0.28 * liking + 0.55 * dice.standard_normal())), 1, 10)) / 2
