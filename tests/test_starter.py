"""The starter catalogue: enough films, facts that agree with MovieLens, and simulated viewers worth learning from."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from layouts import DATASETS, needs_datasets, read, written

from movierec.config import ROOT
from movierec.dataset import Dataset
from movierec.evaluation import protocol
from movierec.sources import titles
from movierec.sources.archive import BadSource
from movierec.sources.base import Chunk, SourceMovie
from movierec.sources.simulated import Film, simulate
from movierec.sources.starter import FIRST_ID, HEADER, Starter

FOLDER = ROOT / "data" / "starter"
ROW = '1,The Film,1999,Drama|War,Ana A,Bo B|Cy C,90,USA,3,,"One sentence, plain."'


@cache
def whole() -> tuple[list[SourceMovie], Chunk]:
    """The catalogue and its events; made once."""
    source = Starter(FOLDER)
    return list(source.movies()), next(iter(source.events()))


def data() -> Dataset:
    _, chunk = whole()
    return Dataset.from_events(chunk.viewers, chunk.movie_ids, chunk.times, chunk.ratings)


def test_there_are_films_of_all_decades_countries_and_genres_with_their_facts() -> None:
    movies, _ = whole()
    assert len(movies) >= 1000
    decades = Counter(movie.year // 10 for movie in movies)
    assert all(decades[decade] >= 20 for decade in range(192, 203))
    assert len({genre for movie in movies for genre in movie.genres}) >= 15
    assert len({country for movie in movies for country in movie.countries}) >= 40
    for movie in movies:
        assert movie.movie_id > FIRST_ID
        assert movie.genres, movie
        assert movie.directors, movie
        assert movie.countries, movie
        assert movie.overview, movie
        assert movie.runtime, movie


def test_series_have_one_name() -> None:
    """Parts told apart only by spelling ("Bourne", "Jason Bourne") would break the simulated habit of going on."""
    source = Starter(FOLDER)
    list(source.movies())
    names = {film.series for film in source._films if film.series}
    assert len({titles.fold(name).replace(" trilogy", "").removeprefix("the ") for name in names}) == len(names)


@needs_datasets
def test_it_agrees_with_movielens_on_the_year() -> None:
    """Of films with a title in common, at least 98 % have the year in common too."""
    movies, _ = whole()
    _, theirs, _ = read(DATASETS / "ml-latest-small.zip")
    years: dict[str, set[int]] = {}
    for movie in theirs.values():
        for name in (movie.title, *movie.other_titles):
            if movie.year:
                years.setdefault(titles.fold(name), set()).add(movie.year)
    overlapping = [movie for movie in movies if titles.fold(movie.title) in years]
    agreeing = [movie for movie in overlapping if movie.year in years[titles.fold(movie.title)]]
    assert len(overlapping) > 900
    assert len(agreeing) / len(overlapping) >= 0.98


def test_its_size() -> None:
    _, chunk = whole()
    assert chunk.viewers.size == 60_000
    assert np.unique(chunk.viewers).size == 800


def test_events_are_whole_histories() -> None:
    movies, chunk = whole()
    pairs = set(zip(chunk.viewers.tolist(), chunk.movie_ids.tolist(), strict=True))
    assert len(pairs) == chunk.viewers.size  # nobody watches a film twice
    assert set(chunk.movie_ids.tolist()) <= {movie.movie_id for movie in movies}
    assert set((chunk.ratings * 2).tolist()) <= set(range(1, 11))
    for viewer in (1, 400, 800):
        times = chunk.times[chunk.viewers == viewer]
        assert (np.diff(times) > 0).all()  # distinct seconds, in order
    ten_years = 10 * 365.25 * 86400
    assert 0.9 * ten_years < chunk.times.max() - chunk.times.min() <= ten_years
    year = {movie.movie_id: movie.year for movie in movies}
    seen = 1970 + chunk.times / 31_556_952
    assert all(at + 1e-6 >= year[film] for at, film in zip(seen, chunk.movie_ids.tolist(), strict=True))


def test_the_same_seed_is_the_same_people() -> None:
    films = [Film(at, 1980 + at % 30, ("Drama",), f"D{at % 7}", "USA", 1 + at % 5, "") for at in range(90)]
    first, again, other = (simulate(films, seed=seed, viewers=20, events=400) for seed in (5, 5, 6))
    for mine, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert first[0].size == other[0].size == 400
    assert first[1].tolist() != other[1].tolist()


def test_a_few_films_are_watched_a_great_deal_more_than_most() -> None:
    popularity = np.sort(data().popularity[1:])[::-1]
    assert popularity[: popularity.size // 10].sum() > 0.35 * popularity.sum()


def test_those_who_watch_a_part_often_go_on_with_the_next() -> None:
    source = Starter(FOLDER)
    list(source.movies())
    world = {film.movie_id: film for film in source._films}
    followed = chances = 0
    for history in data().histories():
        films = [world[data_index(item)] for item in history.items]
        for before, after in itertools.pairwise(films):
            if before.series:
                chances += 1
                followed += before.series == after.series
    assert followed / chances > 0.2


def data_index(item: int) -> int:
    return data_set().index.movie_id(int(item))


@cache
def data_set() -> Dataset:
    return data()


def test_there_is_something_to_learn_from_the_order() -> None:
    """What often follows the last film beats what is popular, several times over."""
    holdout = protocol.split_loo(data_set())
    follows = np.zeros((holdout.train.n_items + 1,) * 2, dtype=np.float32)
    for history in holdout.train.histories():
        np.add.at(follows, (history.items[:-1], history.items[1:]), 1)
    hits = {"popularity": 0, "order": 0}
    for viewer, wanted in zip(holdout.test.viewers, holdout.test.items, strict=True):
        seen = holdout.test_history.history(int(viewer)).items
        popular = holdout.train.popularity.astype(np.float64)
        for name, scores in (("popularity", popular), ("order", follows[seen[-1]] * 1e6 + popular)):
            scores = scores.copy()
            scores[seen] = -1
            hits[name] += int((scores > scores[wanted]).sum() < 10)
    assert hits["order"] > 2 * hits["popularity"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("movie_id,title\n", "doesn't begin with"),
        (",".join(HEADER) + "\n" + ROW.replace("1999", "soon") + "\n", "line 2"),
        (",".join(HEADER) + "\n" + ROW.replace(",3,,", ",6,,") + "\n", "fame 6"),
        (",".join(HEADER) + "\n1,too,few\n", "line 2"),
        (",".join(HEADER) + f"\n{ROW}\n{ROW}\n", "line 3: this movie_id comes twice"),
    ],
)
def test_a_fault_in_our_own_files_is_an_error(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(BadSource, match=said):
        list(Starter(written(tmp_path, {"a.csv": content})).movies())


def test_without_its_files_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match="missing"):
        list(Starter(tmp_path).movies())
