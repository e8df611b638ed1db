"""Kinds of viewers and films by hand."""

import numpy as np
from evaluation_kit import dataset, parted

from movierec.evaluation.asking import Asked
from movierec.evaluation.beyond import Films
from movierec.evaluation.segments import by_fame, by_history, segments


def test_viewers_by_what_is_known_of_them():
    lengths = np.array([0, 5, 6, 7, 8, 9])  # two thirds of the way, rounded down: 7; more than that is hot
    masks = by_history(lengths)
    assert masks["cold"].tolist() == [True, True, False, False, False, False]
    assert masks["warm"].tolist() == [False, False, True, True, False, False]
    assert masks["hot"].tolist() == [False, False, False, False, True, True]
    assert by_history(np.array([], dtype=int)) == {}
    assert by_history(np.array([3, 4, 5]))["hot"].sum() == 0  # a cold viewer is never hot


def test_films_by_fame():
    # Views 5, 3, 1, 1, 0: film 1 alone makes up half of ten, with film 2 it is eight tenths.
    views = [[1], [1, 2], [1, 2, 3], [1, 2, 4], [1]]
    masks = by_fame(dataset(*views, n_items=5))
    assert np.flatnonzero(masks["head"]).tolist() == [1]
    assert np.flatnonzero(masks["mid"]).tolist() == [2]
    assert np.flatnonzero(masks["tail"]).tolist() == [3, 4, 5]
    assert not any(mask[0] for mask in masks.values())


def test_every_target_has_its_segments():
    films = Films({1: ("Drama",), 3: ("Drama", "War"), 4: ("Horror",)}, {1: 1994, 2: 2001, 3: 1999})
    held = parted([[5, 4], [1, 2, 3, 4, 5, 6]], [[1, 3], [7]], 7)
    found = segments(held, Asked.of(held.test), films)
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "viewers:cold": [True, True, False],
        "viewers:hot": [False, False, True],
        "films:mid": [True, True, False],  # 4 and 5, twice watched each, are half of eight; 1, 2, 3 begin below 6.4
        "films:tail": [False, False, True],
        "genre:Drama": [True, True, False],
        "genre:War": [False, True, False],  # nobody wants Horror: no such segment
        "decade:1990": [True, True, False],
    }
