"""What the judge is told about the films of the site."""

from __future__ import annotations

import numpy as np
from flask import Flask

from movierec.dataset import ItemIndex
from movierec.services import judging


def test_genres_and_years_go_by_item(app: Flask, catalogue: dict[str, int]) -> None:
    index = ItemIndex(np.array([5, 1214, 9000]))  # unknown to the site, Alien, and a film of which nothing is known
    with app.app_context():
        films = judging.films(index)
    assert films.genres == {2: ["Horror", "Sci-Fi"]}
    assert films.years == {2: 1979}


def test_which_numbers_are_of_everybody() -> None:
    assert [judging.is_of_everybody(name) for name in ("all", "sample:200", "viewers:cold", "kept:3")] == [
        True,
        True,
        False,
        False,
    ]
