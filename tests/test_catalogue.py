"""Browsing and the film's own row, on a dozen films whose order is known."""

from __future__ import annotations

import pytest
from flask import Flask

from movierec.extensions import db, writing
from movierec.services import catalogue as films
from movierec.services.errors import NotFound, Refused
from movierec.tables import Snapshot, User

NOBODY = 0


def mina() -> int:
    return db.session.query(User.id).filter_by(name="mina").scalar()


def titles(page: films.Page) -> list[str]:
    return [card.title for card in page.films]


def test_the_best_known_come_first(app_context: Flask, catalogue: dict[str, int]) -> None:
    page = films.browse(NOBODY, size=5)
    assert titles(page)[:3] == ["The Matrix", "The Lord of the Rings: The Two Towers", "Alien"]
    assert (page.total, page.pages, page.page) == (len(catalogue), -(-len(catalogue) // 5), 1)


def test_every_film_is_on_exactly_one_page(app_context: Flask, catalogue: dict[str, int]) -> None:
    pages = films.browse(NOBODY, size=5).pages
    seen = [card.id for at in range(1, pages + 1) for card in films.browse(NOBODY, page=at, size=5).films]
    assert sorted(seen) == sorted(catalogue.values())


def test_a_genre_and_its_years(app_context: Flask, catalogue: dict[str, int]) -> None:
    assert titles(films.browse(NOBODY, genre="Horror")) == ["Alien", "Aliens"]
    assert titles(films.browse(NOBODY, genre="Horror", years="1980s")) == ["Aliens"]
    assert titles(films.browse(NOBODY, years="1949")) == ["The Third Man"]
    assert films.browse(NOBODY, genre="No such genre").total == 0


@pytest.mark.parametrize(
    ("sort", "first"), [("popular", "The Matrix"), ("newest", "The Lord of the Rings: The Two Towers"),
                        ("oldest", "The Third Man"), ("title", "Alien")]
)  # fmt: skip
def test_orders(app_context: Flask, catalogue: dict[str, int], sort: str, first: str) -> None:
    assert films.browse(NOBODY, sort=sort).films[0].title == first


def test_films_without_a_year_come_last_by_year(app_context: Flask, catalogue: dict[str, int]) -> None:
    assert films.browse(NOBODY, sort="newest").films[-1].year is None
    assert films.browse(NOBODY, sort="oldest").films[-1].year is None


def test_what_was_watched_is_marked_for_its_viewer_only(app_context: Flask, catalogue: dict[str, int]) -> None:
    watched = {card.title for card in films.browse(mina()).films if card.watched}
    assert watched == {"Alien", "Aliens", "The Matrix"}
    assert not any(card.watched for card in films.browse(NOBODY).films)


@pytest.mark.parametrize("years", ["19x0", "199", "90s", "19950", "１９９９", "0s", "-199"])
def test_years_that_are_none_are_refused(app_context: Flask, catalogue: dict[str, int], years: str) -> None:
    with pytest.raises(Refused):
        films.browse(NOBODY, years=years)


def test_unknown_order_and_page(app_context: Flask, catalogue: dict[str, int]) -> None:
    with pytest.raises(Refused):
        films.browse(NOBODY, sort="id; DROP TABLE movies")
    with pytest.raises(NotFound):
        films.browse(NOBODY, page=99)
    with pytest.raises(NotFound):
        films.browse(NOBODY, page=0)


def test_genres_and_decades_are_counted(app_context: Flask, catalogue: dict[str, int]) -> None:
    assert dict(films.genres())["Sci-Fi"] == 3
    assert films.genres() == sorted(films.genres(), key=lambda pair: (-pair[1], pair[0]))
    assert dict(films.decades())["1940s"] == 1
    assert [decade for decade, _ in films.decades()] == sorted(dict(films.decades()), reverse=True)
    assert films.decades(mina()) == [("1990s", 1), ("1980s", 1), ("1970s", 1)]
    assert films.decades(NOBODY) == []


def test_one_film_with_the_viewers_entry(app_context: Flask, catalogue: dict[str, int]) -> None:
    seen = films.film(catalogue["Aliens"], mina()).seen
    assert seen is not None
    assert seen.rating == 4.5
    assert films.film(catalogue["Aliens"], NOBODY).seen is None
    with pytest.raises(NotFound):
        films.film(999_999, NOBODY)
    with pytest.raises(NotFound):
        films.movie(999_999)


def test_cards_keep_the_order_and_leave_out_what_is_gone(app_context: Flask, catalogue: dict[str, int]) -> None:
    asked = [catalogue["Aliens"], 999_999, catalogue["The Matrix"]]
    assert [card.title for card in films.cards(asked, NOBODY)] == ["Aliens", "The Matrix"]
    assert films.titles(asked) == ["Aliens", "The Matrix"]
    assert films.cards([], NOBODY) == []


def test_the_source_is_the_active_snapshot(app_context: Flask) -> None:
    assert films.source() is None
    with writing() as session:
        for folder, active in (("a", False), ("b", True)):
            session.add(
                Snapshot(source=folder, simulated=active, folder=folder, sha256="0" * 64, events=7, viewers=2, movies=3,
                         active=active)
            )  # fmt: skip
    assert films.source() == films.Source("b", True, 3, 7, 0)
