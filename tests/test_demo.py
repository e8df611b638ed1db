"""The three throw-away accounts: made, opened again with new passwords, closed."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import func, select

from movierec.extensions import db, writing
from movierec.services import accounts, demo, sessions, settings
from movierec.services.errors import Conflict, Refused
from movierec.tables import Movie, MovieGenre, User, View


@pytest.fixture
def films(app_context: Flask) -> None:
    """Three hundred films: one in three of each taste's kind, the first the best known."""
    kinds = (("Sci-Fi", 1999), ("Drama", 1950), ("Comedy", 2001))
    with writing() as session:
        for number in range(1, 301):
            year = kinds[number % 3][1]
            session.add(Movie(id=number, title=f"Film {number}", sort_title=f"film {number}", year=year, rank=number))
        session.flush()
        for number in range(1, 301):
            session.add(MovieGenre(genre=kinds[number % 3][0], rank=number, movie_id=number))


def histories() -> list[list[int]]:
    return [
        list(db.session.scalars(select(View.movie_id).where(View.user_id == user.id).order_by(View.watched_at)))
        for user in db.session.scalars(select(User).where(User.demo).order_by(User.id))
    ]


@pytest.mark.usefixtures("films")
def test_one_a_role_with_a_history_of_a_coherent_taste() -> None:
    told = demo.open_accounts()
    assert [who.role for who in told] == ["user", "admin", "scientist"]
    assert [len(history) for history in histories()] == [48, 32, 40]
    genres = {row.movie_id: row.genre for row in db.session.execute(select(MovieGenre.movie_id, MovieGenre.genre))}
    assert [{genres[movie_id] for movie_id in history} for history in histories()] == [
        {"Sci-Fi"}, {"Drama"}, {"Comedy"}
    ]  # fmt: skip
    rated = db.session.scalar(select(func.count()).where(View.rating.is_not(None)))
    assert 0.7 * 120 < rated < 120
    for who in told:
        token = accounts.sign_in(who.name, who.password, "127.0.0.1", remember=False)
        assert sessions.viewer(token).demo
    assert settings.demo()
    assert settings.registration_open(), "on by default in a demo"


@pytest.mark.usefixtures("films")
def test_each_start_has_new_passwords_and_the_same_history() -> None:
    first, before = demo.open_accounts(), histories()
    token = accounts.sign_in(first[0].name, first[0].password, "127.0.0.1", remember=False)
    second = demo.open_accounts()
    assert {who.password for who in first}.isdisjoint(who.password for who in second)
    assert histories() == before
    assert sessions.viewer(token) is None
    with pytest.raises(Refused):
        accounts.sign_in(first[0].name, first[0].password, "127.0.0.1", remember=False)


@pytest.mark.usefixtures("films")
def test_closed_they_let_nobody_in_and_open_again_with_their_role() -> None:
    told = demo.open_accounts()
    token = accounts.sign_in(told[1].name, told[1].password, "127.0.0.1", remember=False)
    assert demo.close_accounts() == 3
    assert demo.close_accounts() == 0
    assert sessions.viewer(token) is None
    with pytest.raises(Refused):
        accounts.sign_in(told[1].name, told[1].password, "127.0.0.1", remember=False)
    assert not accounts.administrator_exists(), "so that the set-up link comes"
    assert not settings.demo()
    assert not settings.registration_open()
    with writing():
        accounts.by_name("demo-viewer").role = "admin"
    assert [who.role for who in demo.open_accounts()] == ["user", "admin", "scientist"]
    assert accounts.by_name("demo-viewer").role == "user"


@pytest.mark.usefixtures("app_context")
def test_without_films_there_are_accounts_without_a_history() -> None:
    assert len(demo.open_accounts()) == 3
    assert histories() == [[], [], []]


@pytest.mark.usefixtures("app_context")
def test_a_real_person_of_that_name_is_left_alone() -> None:
    accounts.create("demo-admin", "correct horse battery", "user")
    with pytest.raises(Conflict, match="no demo account"):
        demo.open_accounts()
    assert accounts.by_name("demo-admin").role == "user"


@pytest.mark.parametrize(
    ("host", "public", "open_to_all"),
    [("127.0.0.1", "", True), ("::1", "", True), ("localhost", "", True), ("127.9.9.9", "", True),
     ("0.0.0.0", "", False), ("192.168.1.5", "", False), ("films.example.org", "", False), ("0.0.0.0", "1", True)],
)  # fmt: skip
def test_strangers_are_let_in_only_on_purpose(host: str, public: str, open_to_all: bool) -> None:
    config = {"HOST": host, "MOVIEREC_PUBLIC_DEMO": public}
    if open_to_all:
        demo.allowed(config)
    else:
        with pytest.raises(Refused, match="MOVIEREC_PUBLIC_DEMO=1"):
            demo.allowed(config)
