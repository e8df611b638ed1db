"""Real gunicorns under load: what is on air changes under 50 requests a second; no acknowledged write is lost.

By hand, as long as one likes: `SWITCHES=200 WRITES=10000 pytest tests/test_traffic.py -s`.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from running_kit import House
from traffic_kit import Person, Traffic, app_of, at_a_rate, command, give_films, served, size

from movierec.extensions import db
from movierec.services import serving
from movierec.services.errors import Refused
from movierec.tables import Run

SWITCHES = size("SWITCHES", 16)
WRITES = size("WRITES", 320)
PER_SECOND = 50
PASSING = re.compile(r'name="csrf_token" value="[^"]*"|<time .*?</time>|Trained [^<]*', re.DOTALL)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def site(house: House) -> Iterator[Flask]:
    """A seeded site with 400 films."""
    give_films(house.folder, films=400)
    command(house, "seed")
    app = app_of(house)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def slate(person: Person) -> tuple[int, str]:
    """The person's list as HTMX fetches it, without what no two answers share."""
    status, text = person.ask("GET", "/", htmx=True)
    return status, PASSING.sub("", text)


def trained(house: House, app: Flask) -> tuple[int, int, int]:
    """Two runs whose lists differ and one whose artefact is damaged."""
    for half_life in ("1", "100000", "50"):
        command(house, "train", "popularity", "--set", f"half_life_days={half_life}", "--set", "minimum_events=0")
    with app.app_context():
        late, early, bad = db.session.query(Run).order_by(Run.id).all()
        for file in (app.config["MODELS_DIR"] / "popularity" / bad.artifact).glob("*.npz"):
            file.write_bytes(file.read_bytes()[:-7] + b"\0" * 7)
        return late.id, early.id, bad.id


def put(app: Flask, run_id: int) -> bool:
    """Whether it went on air; a damaged one is refused."""
    with app.app_context():
        try:
            serving.put_on_air(run_id, user_id=None, who="ana", why="switch", expected_version=serving.on_air().version)
        except Refused:
            return False
        return True


def settled(app: Flask, run_id: int, people: list[Person]) -> list[str]:
    """Everybody's list once all processes play that run: three seconds of nothing but the same answers."""
    assert put(app, run_id)
    same, since = [], time.monotonic()
    while time.monotonic() - since < 3:
        answers = [slate(person) for person in people]
        assert all(status == 200 for status, _ in answers)
        if answers != same:
            same, since = answers, time.monotonic()
    return [text for _, text in same]


def test_switches_under_traffic_give_no_error_and_no_mixed_answer(house: House, site: Flask) -> None:
    """A7, by a comparison of whole answers: each is exactly the one run's list or exactly the other's."""
    late, early, bad = trained(house, site)
    traffic, over = Traffic(), threading.Event()
    with served(house, site, processes=2, visitors=16) as people:
        expected = [settled(site, run_id, people) for run_id in (early, late)]
        assert all(one != other for one, other in zip(*expected, strict=True))
        known = {person.token: {texts[at] for texts in expected} for at, person in enumerate(people)}

        def act(person: Person) -> None:
            begun = time.monotonic()
            status, text = slate(person)
            fault = "" if status == 200 and text in known[person.token] else text[:2000]
            traffic.note(status, time.monotonic() - begun, fault)

        def switch() -> None:
            for number in range(SWITCHES):
                wanted = (early, bad, late, bad)[number % 4]
                assert put(site, wanted) == (wanted != bad)
                over.wait(0.3)
            over.set()

        switching = threading.Thread(target=switch)
        switching.start()
        rate = at_a_rate(people, PER_SECOND, act, over)
        switching.join()
    print(f"\nA7: {SWITCHES} switches at {rate:.1f} requests/s: {traffic.told()}")
    assert set(traffic.statuses) == {200}
    assert traffic.faults == []
    with closing(sqlite3.connect(house.folder / "instance" / "movierec.sqlite3")) as connection:
        made = connection.execute("SELECT run_id, movie_ids FROM slates").fetchall()
    assert {run for run, _ in made} == {early, late}


def test_no_acknowledged_write_is_lost_under_four_processes(house: House, site: Flask) -> None:
    """D1: 32 people mark films at once; what was answered with a redirect is in the database, nothing else is."""
    traffic, acknowledged, lock = Traffic(), set(), threading.Lock()
    each = -(-WRITES // 32)
    with served(house, site, processes=4, visitors=32) as people:
        for person in people:
            person.learn_token()

        def mark_all(person: Person, name: str) -> None:
            for film in range(1, each + 1):
                begun = time.monotonic()
                status, text = person.ask("POST", f"/movies/{film}/watched", {"back": "home"})
                traffic.note(status, time.monotonic() - begun, "" if status in (303, 503) else text[:2000])
                if status == 303:
                    with lock:
                        acknowledged.add((name, film))

        threads = [threading.Thread(target=mark_all, args=(person, f"viewer {at}")) for at, person in enumerate(people)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - begun
    print(f"\nD1: {len(traffic.seconds) / took:.0f} writes/s: {traffic.told()}")
    assert traffic.faults == []
    with closing(sqlite3.connect(house.folder / "instance" / "movierec.sqlite3")) as connection:
        rows = connection.execute(
            "SELECT name, movie_id FROM views JOIN users ON users.id = user_id WHERE removed_at IS NULL"
        ).fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert len(rows) == len(set(rows))
    assert set(rows) == acknowledged
    refused = traffic.statuses[503]  # "busy, try again": each waited five seconds for the lock
    assert len(acknowledged) == each * 32 - refused
    assert refused <= each * 32 / 1000
    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # 2 s on a machine that does nothing else
    assert traffic.quantile(0.99) < 2 * crowd
