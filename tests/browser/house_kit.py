"""A house for browser tests: its data, its console, and what a person does again and again."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from tiny import chain

ROOT = Path(__file__).resolve().parent.parent.parent
PASSWORD = "a quiet cinema at night"
PATIENCE = 120.0  # seconds for anything that has to happen; a busy machine trains slowly


@dataclass
class House:
    """A running site: its address, its console, and commands in its folder."""

    address: str
    console: Path
    env: dict[str, str]

    def flask(self, *words: str, stdin: str = "") -> str:
        """The output of a `flask` command in this house; fails the test where the command fails."""
        done = subprocess.run(
            [sys.executable, "-m", "flask", *words], cwd=ROOT, env=self.env, input=stdin, text=True, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def setup_link(self) -> str:
        """The one-time link that the console shows."""
        return wait_for(lambda: re.search(r"http://\S+/setup\?token=\S+", self.console.read_text()))[0]


def wait_for(condition: Callable[[], Any]) -> Any:
    """The first true answer of `condition`; fails when none comes in PATIENCE."""
    until = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return answer


def write_data(folder: Path) -> None:
    """The Markov chain of tests/tiny.py laid out as MovieLens does it, under titles of the starter catalogue."""
    films: list[dict[str, str]] = []
    for path in sorted((ROOT / "data" / "starter").glob("*.csv")):
        with path.open() as file:
            films += csv.DictReader(file)
    films = sorted(films, key=lambda film: (-int(film["fame"]), int(film["movie_id"])))[:60]
    data = chain()
    folder.mkdir(parents=True)
    with (folder / "movies.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["movieId", "title", "genres"])
        for movie_id, film in zip(data.index.movie_ids, films, strict=True):
            rows.writerow([movie_id, f"{film['title']} ({film['year']})", film["genres"]])
    with (folder / "ratings.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["userId", "movieId", "rating", "timestamp"])
        for viewer, history in enumerate(data.histories(), 1):
            for item, moment in zip(history.items, history.times, strict=True):
                rows.writerow([viewer, data.index.movie_id(int(item)), 4.0, 1_500_000_000 + int(moment)])
    with (folder / "links.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["movieId", "imdbId", "tmdbId"])
        rows.writerows([movie_id, f"{movie_id:07d}", ""] for movie_id in data.index.movie_ids)


def sign_in(page: Page, name: str) -> Page:
    """Through the door, as a person does it."""
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    return page


def titles(page: Page, within: str = "#slate") -> list[str]:
    """The films shown, in order."""
    return page.locator(f"{within} .caption .film-name").all_inner_texts()


def check(page: Page) -> None:
    """axe finds nothing, and the page does not scroll sideways."""
    found = Axe().run(page)
    said = [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found.response["violations"]]
    assert not said, f"{page.url}: {said}"
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{page.url} is {wide} px too wide"
