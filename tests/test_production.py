"""What lists did on the site: counted from slates and from what was marked as watched afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from movierec.extensions import writing
from movierec.services import production
from movierec.services.production import Share
from movierec.tables import Movie, Run, SlateRow, User, View, now


@pytest.fixture
def site(app_context: Flask) -> dict[str, int]:
    """Two viewers, two runs and five films."""
    with writing() as session:
        people = [User(name=name, name_key=name, password_hash="x") for name in ("mina", "otto")]
        runs = [Run(engine=engine, params={}, state="done", code_version="1") for engine in ("ease", "blend")]
        films = [
            Movie(id=number, title=f"Film {number}", sort_title=f"film {number}", rank=number) for number in range(1, 6)
        ]
        session.add_all([*people, *runs, *films])
        session.flush()
        return {"mina": people[0].id, "otto": people[1].id, "ease": runs[0].id, "blend": runs[1].id}


def given(
    user: int, run: int | None, films: list[int], hours_ago: float = 1.0, ms: float = 2.0, **more: object
) -> None:
    at = now() - timedelta(hours=hours_ago)
    with writing() as session:
        session.add(
            SlateRow(
                user_id=user,
                run_id=run,
                engine="x",
                movie_ids=films,
                milliseconds=ms,
                at=at,
                fallback=more.get("fallback"),
            )
        )


def watched(user: int, film: int, hours_ago: float = 0.5, **columns: object) -> None:
    at = now() - timedelta(hours=hours_ago)
    with writing() as session:
        session.add(View(user_id=user, movie_id=film, watched_at=at, created_at=at, **columns))


def test_nothing_yet(app_context: Flask) -> None:
    found = production.production()
    assert (found.slates, found.p50, found.p95, found.columns) == (0, None, None, [])
    assert (found.led.value, found.led.low, found.led.high) == (None, None, None)
    assert len(found.days) == production.DAYS
    assert production.by_run([1]) == {}


def test_a_list_leads_to_a_film_that_its_viewer_marks_soon_after(site: dict[str, int]) -> None:
    given(site["mina"], site["ease"], [1, 2])  # leads to both: once counted
    given(site["mina"], site["ease"], [4])
    given(site["otto"], site["ease"], [1, 2])  # somebody else watched them
    given(site["mina"], site["blend"], [3], hours_ago=30)  # a day later: too late
    given(site["mina"], None, [], fallback="no engine")
    watched(site["mina"], 1)
    watched(site["mina"], 2)
    watched(site["mina"], 3)
    watched(site["otto"], 5)  # on no list
    watched(site["mina"], 4, hours_ago=2)  # before the list
    found = production.production()
    assert found.slates == 5
    assert (found.fallbacks.count, found.fallbacks.n) == (1, 5)
    assert (found.led.count, found.led.n) == (1, 4)
    assert production.by_run([site["ease"], site["blend"]]) == {site["ease"]: Share(1, 3), site["blend"]: Share(0, 1)}
    assert [column.engine for column in found.columns][-1] == "ease"
    assert sum(share.n for column in found.columns for share in column.shares if share) == 4


def test_an_entry_that_was_taken_back_led_nowhere(site: dict[str, int]) -> None:
    given(site["mina"], site["ease"], [1])
    watched(site["mina"], 1, removed_at=now())
    assert production.production().led == Share(0, 1)


def test_latencies_and_days(site: dict[str, int]) -> None:
    for place, took in enumerate(range(1, 101)):
        given(site["mina"], site["ease"], [1], hours_ago=0.01 * place, ms=float(took))
    given(site["mina"], site["ease"], [1], hours_ago=24 * 8, ms=9e9)  # too long ago
    found = production.production()
    assert (found.timed, found.slates) == (100, 100)
    assert found.p50 == pytest.approx(50.5)
    assert found.p95 == pytest.approx(95.05)
    assert found.days == sorted(found.days)


def test_only_the_latest_runs_get_a_line(site: dict[str, int]) -> None:
    with writing() as session:
        more = [Run(engine=f"e{n}", params={}, state="done", code_version="1") for n in range(5)]
        session.add_all(more)
        session.flush()
        ids = [run.id for run in more]
    for place, run in enumerate(ids):
        given(site["mina"], run, [1], hours_ago=24 * (5 - place))
    assert [column.run for column in production.production().columns] == ids[1:]


def test_wilsons_interval() -> None:
    share = Share(10, 100)
    assert share.value == 0.1
    assert share.low == pytest.approx(0.0552, abs=1e-4)
    assert share.high == pytest.approx(0.1744, abs=1e-4)
    assert (Share(0, 10).low, Share(10, 10).high) == (0.0, 1.0)
