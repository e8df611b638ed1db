"""A real gunicorn on a real site, and many people at it at once: who asks, how fast, and what came back."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask
from kit import password_hash
from running_kit import ROOT, House, wait_for

from movierec import create_app
from movierec.extensions import db, writing
from movierec.services import sessions
from movierec.tables import User

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def give_films(folder: Path, films: int, viewers: int = 40, each: int = 20) -> None:
    """Films in MovieLens's layout whose fame wanders: the early views are of the first films, the late of the last."""
    given = folder / "given" / "wandering"
    given.mkdir(parents=True)
    names = "".join(f"{film},Film {film} (19{10 + film % 90}),Drama|Comedy\n" for film in range(1, films + 1))
    (given / "movies.csv").write_text(f"movieId,title,genres\n{names}")
    (given / "links.csv").write_text("movieId,imdbId,tmdbId\n")
    rows = []
    for viewer in range(viewers):
        for step in range(each):
            film = 1 + (viewer * films // viewers + step * (1 + viewer % 3)) % films
            rows.append(f"{viewer + 1},{film},4.0,{1_000_000_000 + (viewer * each + step) * 86_400}\n")
    (given / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "".join(rows))


def command(house: House, *words: str) -> None:
    """One `flask` command of the site; fails where it does."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", *words], cwd=ROOT, env=house.env | {"FLASK_APP": "wsgi"}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


def app_of(house: House) -> Flask:
    """The same site in this process."""
    places = {name: house.env[name] for name in ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR")}
    return create_app(places | {"TESTING": True, "DATABASE_URL": "", "REDIS_URL": "redis://127.0.0.1:1"})


def enter(app: Flask, count: int) -> list[str]:
    """So many new people, signed in; their tokens."""
    with app.app_context():
        with writing() as session:
            people = [
                User(name=f"viewer {at}", name_key=f"viewer {at}", password_hash=password_hash()) for at in range(count)
            ]
            session.add_all(people)
        tokens = [sessions.begin(user.id, remember=False) for user in people]
        db.session.remove()
    return tokens


@contextmanager
def served(house: House, app: Flask, *, processes: int, visitors: int) -> Iterator[list[Person]]:
    """Gunicorn alone, as the supervisor starts it, and so many new people at it."""
    house.env["WEB_CONCURRENCY"] = str(processes)
    house.launch(command=[sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"])
    people = [Person(house.port, token) for token in enter(app, visitors)]
    try:
        wait_for(house.serves, "the first page")
        yield people
    finally:
        for person in people:
            person.leave()
        house.process.terminate()
        house.process.wait(30)


@dataclass
class Person:
    """A browser that keeps its connection and its cookies."""

    port: int
    token: str
    line: http.client.HTTPConnection | None = None
    form: str = ""  # the cookie that form tokens belong to
    csrf: str = ""

    def ask(self, method: str, path: str, body: dict[str, str] | None = None, *, htmx: bool = False) -> tuple[int, str]:
        """Status and body. A connection that the server ended between two requests is opened again, as browsers do."""
        headers = {"Cookie": f"movierec_session={self.token}" + (f"; movierec_form={self.form}" if self.form else "")}
        headers |= {"HX-Request": "true"} if htmx else {}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            data = urlencode(body | {"csrf_token": self.csrf})
        for attempt in (1, 2):
            if self.line is None:
                self.line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                self.line.request(method, path, data, headers)
                answer = self.line.getresponse()
                text = answer.read().decode()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.line.close()
                self.line = None
                if attempt == 2:
                    raise
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            if cookie.startswith("movierec_form="):
                self.form = cookie.split(";")[0].partition("=")[2]
        return answer.status, text

    def leave(self) -> None:
        """Close the connection."""
        if self.line is not None:
            self.line.close()

    def learn_token(self) -> None:
        """Open a page with a form, as one does before sending it."""
        status, text = self.ask("GET", "/account")
        assert status == 200
        self.csrf = TOKEN.search(text).group(1)


@dataclass
class Traffic:
    """What came back, from all threads together."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int, seconds: float, fault: str = "") -> None:
        with self.lock:
            self.statuses[status] += 1
            self.seconds.append(seconds)
            if fault:
                self.faults.append(fault)

    def quantile(self, share: float) -> float:
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]

    def told(self) -> str:
        """One line for whoever runs it by hand."""
        cuts = ", ".join(f"p{100 * share:g} {1000 * self.quantile(share):.0f} ms" for share in (0.5, 0.99, 1.0))
        return f"{len(self.seconds)} requests, {dict(self.statuses)}, {cuts}, {len(self.faults)} faults"


def at_a_rate(people: list[Person], per_second: float, act: Callable[[Person], None], until: threading.Event) -> float:
    """Everybody does `act` again and again, all together so often a second, until the event; the rate that came."""
    began, turn, lock = time.monotonic(), [0], threading.Lock()

    def one(person: Person) -> None:
        while not until.is_set():
            with lock:
                mine, turn[0] = turn[0], turn[0] + 1
            until.wait(max(0.0, began + mine / per_second - time.monotonic()))
            if not until.is_set():
                act(person)

    threads = [threading.Thread(target=one, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return turn[0] / (time.monotonic() - began)


def size(name: str, small: int) -> int:
    """How much of it: little in the test suite, as much as the variable says by hand."""
    return int(os.environ.get(name, small))
