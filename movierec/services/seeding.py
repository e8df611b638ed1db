"""Making a site ready to serve: database, first data, demo accounts; safe to repeat and quick when nothing is to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Flask

from movierec.services import accounts, demo, first_data, snapshots, storage


@dataclass(frozen=True)
class Seeded:
    """What the site is like now, for whoever started it."""

    administrator: bool
    source: str  # of the data; empty where there is none
    accounts: list[demo.Account] = field(default_factory=list)


def seed(app: Flask, *, with_demo: bool, say: Callable[[str], None], progress: Callable[[str, float], None]) -> Seeded:
    """Bring the site to this version and fill it if it is empty; `say` hears what was done, in short lines.

    Raises BadDatabase and what first_data and demo raise. Needs an app context.
    """
    if with_demo:
        demo.allowed(app.config)
    with storage.one_at_a_time(app.config["INSTANCE_DIR"] / "seed.lock"):  # of two starters the second finds it done
        fresh = not storage.path_of(app).exists()
        if storage.prepare(app):
            done = "was created" if fresh else "was brought to this version"
            say(f"The database at {storage.path_of(app)} {done}.")
        for sentence in first_data.first_data(progress):
            say(sentence)
        told = demo.open_accounts() if with_demo else []
        if not with_demo and (closed := demo.close_accounts()):
            say(f"{closed} demo accounts were closed; `make demo` opens them again.")
    snapshot = snapshots.current()
    return Seeded(accounts.administrator_exists(), snapshot.source if snapshot else "", told)
