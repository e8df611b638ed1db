"""What lists are like beside being right: arithmetic by hand and the empty cases."""

import math

import numpy as np
import pytest

from movierec.evaluation import beyond
from movierec.evaluation.beyond import Films

LISTS = np.array([[1, 2], [1, 3], [4, 0]])
POPULARITY = np.array([0, 8, 4, 4, 0, 0])  # of 16 views; films 4 and 5 were never watched
NOTHING = np.zeros((2, 3), dtype=int)


def test_coverage_is_the_share_of_films_recommended_to_anyone():
    assert beyond.coverage(LISTS, 5) == 4 / 5


def test_gini_by_hand():
    # Counts, ascending: 0, 1, 1, 1, 2. Weights 2 i - 6: -4, -2, 0, 2, 4. Sum 0 - 2 + 0 + 2 + 8, by 5 x 5.
    assert beyond.gini(LISTS, 5) == pytest.approx(8 / 25)
    assert beyond.gini(np.array([[1, 2], [3, 4]]), 4) == 0  # evenly
    assert beyond.gini(np.ones((9, 1), dtype=int), 100) == pytest.approx(0.99)  # all on one of a hundred


def test_novelty_counts_bits_of_surprise():
    # Shares 8/16, 4/16, 4/16; the unwatched film counts as watched once.
    np.testing.assert_allclose(beyond.novelty(LISTS, POPULARITY), [(1 + 2) / 2, (1 + 2) / 2, math.log2(16)])


def test_the_percentile_counts_half_of_those_watched_as_much():
    # Film 1: four are below, itself half: 4.5 of 5. Films 2 and 3: two below, two as much: 3. Films 4 and 5: 1.
    np.testing.assert_allclose(beyond.percentile(LISTS, POPULARITY), [(4.5 + 3) / 2 / 5, (4.5 + 3) / 2 / 5, 1 / 5])


def test_diversity_is_one_minus_the_mean_likeness_of_pairs():
    films = Films({1: ("Drama", "War"), 2: ("War",), 3: ("Comedy",), 5: ("Drama", "War")})
    names, table = films.genre_table(5)
    assert names == ["Comedy", "Drama", "War"]
    assert table[1].tolist() == [False, True, True]
    lists = np.array([[1, 2, 3], [1, 5, 4], [4, 1, 0], [1, 0, 0]])
    # Likenesses 1/2, 0, 0. Then 1 of the one pair that is known. Then none, twice.
    np.testing.assert_allclose(beyond.diversity(lists, table), [1 - 0.5 / 3, 0, np.nan, np.nan])


def test_unknown_genres_are_not_measured():
    assert np.isnan(beyond.diversity(LISTS, Films().genre_table(5)[1])).all()


def test_nothing_recommended_is_not_measured():
    table = Films({1: ("Drama",)}).genre_table(5)[1]
    assert math.isnan(beyond.coverage(NOTHING, 5))
    assert math.isnan(beyond.gini(NOTHING, 5))
    for values in (beyond.novelty(NOTHING, POPULARITY), beyond.percentile(NOTHING, POPULARITY)):
        assert np.isnan(values).all()
    assert np.isnan(beyond.diversity(NOTHING, table)).all()


def test_many_lists_are_looked_at_in_parts(monkeypatch):
    table = Films({1: ("Drama",), 2: ("Drama", "War"), 3: ("War",)}).genre_table(5)[1]
    lists = np.random.default_rng(1).permuted(np.tile(np.arange(1, 5), (50, 1)), axis=1)
    whole = beyond.diversity(lists, table)
    monkeypatch.setattr(beyond, "CHUNK", 7)
    np.testing.assert_array_equal(beyond.diversity(lists, table), whole)
