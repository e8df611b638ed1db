"""The content index of this site: built from the catalogue, kept on disk, mapped into each process that asks.

Its key names a state of the catalogue. Where the catalogue has moved on, the older index answers until a new one is
built in the background; where there is none yet, nobody waits for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask, current_app
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from movierec.content import asking
from movierec.content.index import ContentIndex, Film, build
from movierec.extensions import BadDatabase, db
from movierec.services import catalogue
from movierec.services.catalogue import Card
from movierec.tables import Movie, Setting

FORMAT = 2  # of the arrays: a new one is a new key
VERSION = "catalogue_version"  # the setting that each change of the films raises
LOOK_EVERY = 1.0  # seconds between two looks at the key
RETRY_AFTER = 60.0  # seconds until a building that failed is tried again
AT_ONCE, PAUSE = 300, 0.002  # films read between two pauses, seconds: the requests of this process go on meanwhile
COLUMNS = ("id", "title", "other_titles", "year", "genres", "directors", "actors", "countries", "keywords",
           "runtime", "overview", "rank")  # fmt: skip


@dataclass(frozen=True)
class Held:
    """An index and the state of the catalogue that it was made from."""

    key: str
    index: ContentIndex


class Shelf:
    """One a process and app. Thread-safe; a reference is swapped, never changed."""

    def __init__(self) -> None:
        self.held: Held | None = None
        self.looked = float("-inf")  # monotonic
        self.failed = float("-inf")
        self._building: threading.Thread | None = None
        self._lock = threading.Lock()

    def build_aside(self, app: Flask) -> None:
        """Start building unless it is under way here or failed just now."""
        with self._lock:
            under_way = self._building is not None and self._building.is_alive()
            if not under_way and time.monotonic() - self.failed >= RETRY_AFTER:
                self._building = threading.Thread(target=_build, args=(app, self), name="content", daemon=True)
                self._building.start()


def shelf() -> Shelf:
    """This app's shelf in this process."""
    held: Shelf | None = current_app.extensions.get("movierec_content")
    return held if held is not None else current_app.extensions.setdefault("movierec_content", Shelf())


def index() -> ContentIndex | None:
    """The index as this process has it, perhaps of an earlier catalogue; None while there is none.

    Never waits for a building. Needs an app context; ends no transaction.
    """
    here = shelf()
    if time.monotonic() - here.looked >= LOOK_EVERY:
        here.looked = time.monotonic()
        key = _key()
        if here.held is None or here.held.key != key:
            found = _load(key)
            if found is not None:
                here.held = Held(key, found)
            elif not current_app.testing:  # a test says when something is to be built
                here.build_aside(current_app._get_current_object())  # type: ignore[attr-defined]
    return here.held.index if here.held is not None else None


def rebuild(*, wait: bool = True) -> ContentIndex:
    """Build from the films as they are, store it, use it here. For commands and tests: it takes its time.

    Raises BlockingIOError, without `wait`, where another process is at it.
    """
    here = shelf()
    with _alone(wait=wait):
        key = _key()
        made = _load(key)
        if made is None:
            made = build(_films())
            _store(key, made)
    here.held = Held(key, made)
    return made


def similar(movie_id: int, viewer_id: int, k: int) -> list[tuple[Card, str]]:
    """The films most like this one, with what they share in a phrase; none while there is no index."""
    known = index()
    if known is None:
        return []
    hits = {hit.movie_id: ", ".join(hit.shared) for hit in asking.similar(known, movie_id, k)}
    return [(card, hits[card.id]) for card in catalogue.cards(list(hits), viewer_id)]


def changed(session: Any) -> None:
    """The films are others now: every index of before is out of date. In the caller's writing transaction."""
    row = session.get(Setting, VERSION)
    session.merge(Setting(key=VERSION, value=(row.value if row is not None else 0) + 1))


def _build(app: Flask, here: Shelf) -> None:
    try:
        with app.app_context():
            rebuild(wait=False)
    except BlockingIOError:
        app.logger.debug("content: another process is building the index")
    except (OSError, SQLAlchemyError, BadDatabase, ValueError) as error:
        here.failed = time.monotonic()
        app.logger.error("content: the index can't be built, %s", error)


def _key() -> str:
    """Equal only where the films are the same. Three look-ups in indexes, whatever the catalogue's size."""
    version = select(Setting.value).where(Setting.key == VERSION).scalar_subquery()
    row = db.session.execute(select(version, func.max(Movie.rank), func.max(Movie.id))).one()
    return hashlib.sha256(f"{FORMAT} {tuple(row)}".encode()).hexdigest()[:24]


def _films() -> Iterator[Film]:
    """Every film, straight from the driver; lists are JSON and often empty."""
    rows = db.session.connection().exec_driver_sql(f"SELECT {', '.join(COLUMNS)} FROM movies").all()  # noqa: S608
    db.session.rollback()  # no transaction stays open while the index is made
    for number, row in enumerate(rows):
        if number % AT_ONCE == AT_ONCE - 1:
            time.sleep(PAUSE)
        others, genres, directors, actors, countries, keywords = (
            [] if text in ("[]", None) else json.loads(text) for text in (row[2], *row[4:9])
        )
        yield Film(
            row.id, [row.title, *others], row.year, genres, directors, actors, countries, keywords, row.runtime,
            row.overview, row.rank,
        )  # fmt: skip


def _root() -> Path:
    return Path(current_app.config["DATA_DIR"]) / "content"


def _load(key: str) -> ContentIndex | None:
    """The stored index of that key, memory-mapped; None where there is none that is whole."""
    folder = _root() / key
    try:
        if not folder.is_dir():
            return None
        return ContentIndex.of({path.stem: np.load(path, mmap_mode="r") for path in folder.glob("*.npy")})
    except (OSError, ValueError, EOFError) as error:  # what lies on a disk may be anything; a new one replaces it
        current_app.logger.warning("content: the index in %s can't be used and is made anew: %s", folder, error)
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _store(key: str, made: ContentIndex) -> None:
    """One .npy an array (numpy maps no npz), made aside, renamed; indexes of before go."""
    root = _root()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = root / f".{uuid.uuid4()}"
    aside.mkdir()
    try:
        for name, array in made.arrays().items():
            np.save(aside / f"{name}.npy", array, allow_pickle=False)
        shutil.rmtree(root / key, ignore_errors=True)
        aside.rename(root / key)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    for old in root.iterdir():
        if old.is_dir() and old.name != key:
            shutil.rmtree(old, ignore_errors=True)  # who has it mapped keeps it


@contextmanager
def _alone(*, wait: bool) -> Iterator[None]:
    """Holds the lock of building. Raises BlockingIOError, without `wait`, where another process does."""
    root = _root()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (root / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
