"""A whole site in a folder of its own: started for real, asked, watched; and a small data set to start with."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 40.0  # seconds that a condition is waited for on a busy machine


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> float:
    """Seconds until the condition held; fails when it never does."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - began


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class House:
    """One site in a folder of its own, and everything that runs for it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.port = folder, free_port()
        places = {f"{name.upper()}_DIR": str(folder / name) for name in ("instance", "data", "models")}
        inherited = {key: value for key, value in os.environ.items() if key not in ("REDIS_URL", "DATABASE_URL")}
        self.env = inherited | places | {"PORT": str(self.port), "MOVIEREC_DATASETS": str(folder / "given")} | settings
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, command: list[str] | None = None) -> float:
        """Start it and wait until it says that it runs; seconds that took."""
        began = time.monotonic()
        self.launch(*arguments, command=command)
        wait_for(lambda: "is running at" in self.said() or self.process.poll() is not None, "the start")
        assert "is running at" in self.said(), self.said()
        return time.monotonic() - began

    def launch(self, *arguments: str, command: list[str] | None = None) -> None:
        """Start it without waiting."""
        command = command or [sys.executable, "-m", "movierec.supervisor", *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def refuses(self) -> str:
        """Start it, see it end with status 1, and return what it said."""
        self.launch()
        assert self.process.wait(PATIENCE) == 1
        assert "Traceback" not in self.said()
        return self.said()

    def end(self, number: int = signal.SIGTERM) -> float:
        """Send the signal; seconds until nothing of the house is left."""
        self.process.send_signal(number)
        took = wait_for(lambda: not self.pids(), "the end")
        self.process.wait()
        return took

    def said(self) -> str:
        return self.log.read_text()

    def pids(self, *words: str) -> list[int]:
        """Processes that run in this house's folder, with all these words in their command line; oldest first."""
        instance = str(self.folder / "instance")
        mark, found = f"INSTANCE_DIR={instance}\0".encode(), []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal():
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    ours = instance in line or mark in (entry / "environ").read_bytes()  # Valkey writes over the latter
                    if line and ours and all(word in line for word in words):
                        found.append(int(entry.name))
            except OSError:  # it ended meanwhile
                continue
        return sorted(found)

    def get(self, path: str) -> int:
        """The status of a page; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return 0

    def serves(self) -> bool:
        return self.get("/login") == 200

    def execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self.folder / "instance" / "movierec.sqlite3")) as connection:
            connection.execute(statement)
            connection.commit()


def give_data(folder: Path) -> None:
    """A data set of six films and twenty viewers in MovieLens's layout."""
    given = folder / "given" / "tiny"
    given.mkdir(parents=True)
    films = range(1, 7)
    (given / "movies.csv").write_text(
        "movieId,title,genres\n" + "".join(f"{film},Film {film} (199{film}),Drama|Comedy\n" for film in films)
    )
    (given / "links.csv").write_text("movieId,imdbId,tmdbId\n" + "".join(f"{f},000000{f},{f}\n" for f in films))
    rows = [f"{viewer},{film},4.0,{1_000_000 + viewer * 100 + film}\n" for viewer in range(1, 21) for film in films]
    (given / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "".join(rows))
