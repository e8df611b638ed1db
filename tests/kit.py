"""Helpers that tests import by name: `from kit import PASSWORD, Browser`; fixtures are in conftest.py."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from movierec import config
from movierec.blueprints import identity
from movierec.extensions import db
from movierec.services import passwords, sessions, storage

PASSWORD = "correct horse battery staple"
NOON = datetime(2024, 6, 1, 12, 0, tzinfo=UTC)

# id, title, sort title, year, genres, directors, actors, views in the source; the first is rank 1.
FILMS = tuple(
    (
        int(number),
        title,
        sort_title,
        int(year) if year else None,
        *(names.split(";") if names else [] for names in lists),
        int(events),
    )
    for number, title, sort_title, year, *lists, events in (
        line.split("|")
        for line in """
2571|The Matrix|matrix|1999|Action;Sci-Fi;Thriller|Lana Wachowski;Lilly Wachowski|Keanu Reeves|278
5952|The Lord of the Rings: The Two Towers|lord of the rings the two towers|2002|Adventure;Fantasy|Peter Jackson||188
1214|Alien|alien|1979|Horror;Sci-Fi|Ridley Scott|Sigourney Weaver|146
1200|Aliens|aliens|1986|Action;Adventure;Horror;Sci-Fi|James Cameron|Sigourney Weaver|126
4973|Amélie|amelie|2001|Comedy;Romance|Jean-Pierre Jeunet|Audrey Tautou|120
2324|La vita è bella|vita e bella|1997|Comedy;Drama;Romance;War|Roberto Benigni|Roberto Benigni|88
5618|千と千尋の神隠し|千と千尋の神隠し|2001|Adventure;Animation;Fantasy|Hayao Miyazaki|Rumi Hiiragi|87
6016|Cidade de Deus|cidade de deus|2002|Action;Crime;Drama|Fernando Meirelles|Alexandre Rodrigues|75
1212|The Third Man|third man|1949|Film-Noir;Mystery;Thriller|Carol Reed|Joseph Cotten;Orson Welles|54
670|Apur Sansar|apur sansar|1959|Drama|Satyajit Ray|Soumitra Chatterjee|4
8367|Nuit et brouillard|nuit et brouillard|1956|Documentary;War|Alain Resnais||2
9000|Untitled Reel|untitled reel|||||0
""".strip().splitlines()
    )
)


class Browser(FlaskClient):
    """A test client that fills in the form token, as a page's form would. CSRF is never switched off."""

    user_id: int | None = None

    @property
    def base(self) -> str:
        """Where the site is, with its scheme."""
        return "https://localhost" if self.application.config["HTTPS"] else "http://localhost"

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Ask over https where the site is on https; read the whole answer, so that no file stays open."""
        kwargs.setdefault("buffered", True)
        if args and isinstance(args[0], str):
            kwargs.setdefault("base_url", self.base)
        return super().open(*args, **kwargs)

    @property
    def csrf_token(self) -> str:
        """A form token that belongs to this browser's session."""
        secret = self.application.secret_key
        cookie = self.get_cookie(self.application.config["LOGIN_COOKIE"])
        with self.application.app_context():
            viewer = sessions.viewer(cookie.value) if cookie is not None else None
            if viewer is not None:
                raw = identity.form_secret(viewer, secret)
                return str(URLSafeTimedSerializer(secret, salt="wtf-csrf-token").dumps(raw))
        with self.session_transaction(base_url=self.base) as session:
            raw = session.setdefault("csrf_token", secrets.token_hex(20))
        return str(URLSafeTimedSerializer(secret, salt="wtf-csrf-token").dumps(raw))

    def submit(
        self, url: str, data: dict[str, Any] | None = None, *, htmx: bool = False, **kwargs: Any
    ) -> TestResponse:
        """POST a form with its token; `htmx` asks for a fragment."""
        headers = dict(kwargs.pop("headers", {})) | ({"HX-Request": "true"} if htmx else {})
        return self.post(url, data={"csrf_token": self.csrf_token} | (data or {}), headers=headers, **kwargs)

    def fragment(self, url: str, **kwargs: Any) -> TestResponse:
        """GET as htmx does."""
        return self.get(url, headers={"HX-Request": "true"}, **kwargs)

    def enter(self, user_id: int, *, remember: bool = False) -> Browser:
        """Sign this person in, by a session row instead of the costly password."""
        with self.application.app_context():
            token = sessions.begin(user_id, remember=remember)
        self.carry(token)
        self.user_id = user_id
        return self

    def carry(self, token: str) -> None:
        """Hold this session token in the cookie."""
        name = self.application.config["LOGIN_COOKIE"]
        self.set_cookie(name, token, secure=self.application.config["HTTPS"])


@cache
def password_hash() -> str:
    """argon2id of PASSWORD with the real parameters, made once a session."""
    return passwords.hash_password(PASSWORD)


def settings(folder: Path, **overrides: Any) -> dict[str, Any]:
    """Every key at its default, folders below `folder`: nothing of the machine's environment or .env leaks in."""
    defaults: dict[str, Any] = {key: default for key, (default, _) in config.KEYS.items()}
    places = {"INSTANCE_DIR": folder / "instance", "DATA_DIR": folder / "data", "MODELS_DIR": folder / "models"}
    quiet = {"TESTING": True, "SECRET_KEY": "only-for-tests-" + "0" * 32, "REDIS_URL": "redis://127.0.0.1:1"}
    return defaults | places | quiet | overrides


def make_schema() -> None:
    """The schema as the migrations make it; once a session, tests get copies of the file."""
    upgrade(str(storage.MIGRATIONS))


def dump(app: Flask, *, leave_out: tuple[str, ...] = ()) -> dict[str, str]:
    """Table -> a digest of its rows, without the times when sessions were last seen."""
    digests = {}
    with app.app_context(), db.engine.connect() as connection:
        for table in db.metadata.sorted_tables:
            columns = [column.name for column in table.columns if column.name != "last_seen_at"]
            rows = connection.exec_driver_sql(f"SELECT {', '.join(columns)} FROM {table.name}").all()
            lines = sorted(repr(tuple(row)) for row in rows)
            if table.name not in leave_out:
                digests[table.name] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return digests


def together(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Run `act(0)` ... `act(count - 1)` in threads that start at once; each one's result, or what it raised."""
    gate = threading.Barrier(count)

    def wait_and_act(number: int) -> Any:
        gate.wait()
        try:
            return act(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_act, range(count)))
