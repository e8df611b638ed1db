"""What the tests share: a site on a real SQLite file, people in each role with their browsers, a dozen films."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from kit import FILMS, NOON, Browser, make_schema, password_hash, settings
from training_kit import Valkey, WorkerProcess, add_snapshot, register_test_engines, scientist

from movierec import create_app
from movierec.extensions import db, writing
from movierec.services import search
from movierec.tables import Movie, MovieGenre, User, View


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the schema and no row, made once; each test gets a copy."""
    folder = tmp_path_factory.mktemp("schema")
    path = folder / "instance" / "movierec.sqlite3"
    path.parent.mkdir()
    path.touch()  # the site itself never makes a database where there is none
    app = create_app(settings(folder))
    with app.app_context():
        make_schema()
        db.session.remove()
        db.engine.dispose()  # the last connection to close writes the journal back: the file alone is whole
    return path


@pytest.fixture
def make_app(tmp_path: Path, empty_database: Path) -> Iterator[Callable[..., Flask]]:
    """`make_app(PUBLIC_URL=...)`: a site with these settings on a fresh database of its own."""
    made: list[Flask] = []

    def make(**overrides: Any) -> Flask:
        given = settings(tmp_path / f"site{len(made)}", **overrides)
        given["INSTANCE_DIR"].mkdir(parents=True)
        shutil.copyfile(empty_database, given["INSTANCE_DIR"] / "movierec.sqlite3")
        app = create_app(given)
        app.test_client_class = Browser
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """The site. No app context is open: a client's request must make its own (`g` would be shared otherwise)."""
    return make_app()


@pytest.fixture
def app_context(app: Flask) -> Iterator[Flask]:
    """The site with its app context open, for tests that call services directly and use no client."""
    with app.app_context():
        yield app


@pytest.fixture
def client(app: Flask) -> Browser:
    """A browser that nobody is signed in with."""
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    """Runs `flask` commands."""
    return app.test_cli_runner()


@pytest.fixture
def people(app: Flask) -> Callable[..., int]:
    """`people("ana", role="scientist")` -> the new person's id; everyone's password is PASSWORD."""

    def make(name: str, role: str = "user", **columns: Any) -> int:
        with app.app_context(), writing() as session:
            user = User(name=name, name_key=name.casefold(), password_hash=password_hash(), role=role, **columns)
            session.add(user)
            session.flush()
            return user.id

    return make


@pytest.fixture
def as_viewer(app: Flask, people: Callable[..., int]) -> Browser:
    """Vera, a user, signed in."""
    return app.test_client().enter(people("vera"))


@pytest.fixture
def as_admin(app: Flask, people: Callable[..., int]) -> Browser:
    """Ada, an administrator, signed in."""
    return app.test_client().enter(people("ada", "admin"))


@pytest.fixture
def as_scientist(app: Flask, people: Callable[..., int]) -> Browser:
    """Sam, a scientist, signed in."""
    return app.test_client().enter(people("sam", "scientist"))


@pytest.fixture
def catalogue(app: Flask, people: Callable[..., int]) -> dict[str, int]:
    """A dozen films (accents, other scripts, a sequel pair, one with nothing known): title -> movie_id.

    Mina has watched the two Alien films and The Matrix, a day apart, the last two with a rating.
    """
    mina = people("mina")
    with app.app_context(), writing() as session:
        columns = ("id", "title", "sort_title", "year", "genres", "directors", "actors", "events")
        for rank, film in enumerate(FILMS, 1):
            session.add(Movie(**dict(zip(columns, film, strict=True)), rank=rank))
            session.flush()
            session.add_all(MovieGenre(genre=genre, rank=rank, movie_id=film[0]) for genre in film[4])
        for day, (movie_id, rating) in enumerate(((1214, None), (1200, 4.5), (2571, 3.0))):
            session.add(View(user_id=mina, movie_id=movie_id, watched_at=NOON + timedelta(days=day), rating=rating))
        search.rebuild(session)
    return {film[1]: film[0] for film in FILMS}


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A real Valkey of this test's own."""
    server = Valkey()
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest.fixture
def trainable(monkeypatch: pytest.MonkeyPatch, make_app: Callable[..., Flask], valkey: Valkey) -> Flask:
    """A site with a queue, a tiny snapshot and the engines of engines_for_tests."""
    register_test_engines(monkeypatch)
    app = make_app(REDIS_URL=valkey.url)
    add_snapshot(app)
    return app


@pytest.fixture
def sam(trainable: Flask) -> Browser:
    """A scientist of `trainable`, signed in."""
    return scientist(trainable, "sam")


@pytest.fixture
def start_worker(trainable: Flask) -> Iterator[Callable[..., WorkerProcess]]:
    """`start_worker()`: the house's worker for `trainable`, ended with the test."""
    started: list[WorkerProcess] = []

    def start(*args: object, **kwargs: object) -> WorkerProcess:
        started.append(WorkerProcess(trainable, *args, **kwargs))
        return started[-1]

    yield start
    for worker in started:
        worker.end()
