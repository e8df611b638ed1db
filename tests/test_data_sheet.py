"""The page about the data: counts that can be checked by hand, missing fields, rejected rows, stale runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from kit import Browser
from training_kit import add_snapshot

from movierec.extensions import db, writing
from movierec.services import data_sheet, snapshots
from movierec.services.snapshot_files import Writer
from movierec.sources.base import Chunk
from movierec.tables import Run, Snapshot

DAY = 86_400


def put(app: Flask, viewers: list[int], movies: list[int], times: list[int], rejected: int = 0) -> int:
    """These events as the active snapshot; its id."""
    with app.app_context():
        writer = Writer(snapshots.root())
        ratings = np.full(len(viewers), np.nan, dtype=np.float32)
        columns = (np.array(viewers, dtype=np.int32), np.array(movies, dtype=np.int32), np.array(times, dtype=np.int64))
        writer.append(Chunk(*columns, ratings))
        written = writer.finish("mine", False, lambda *_: None)
        with writing() as session:
            row = snapshots.put_in_use(session, written, "mine", simulated=False, rejected=rejected)
        return row.id


def portrait(app: Flask, number: int) -> data_sheet.Portrait:
    with app.app_context():
        found = data_sheet.portrait(db.session.get_one(Snapshot, number))
        assert found is not None
        return found


def said(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_a_portrait_counts_viewers_films_and_times(app: Flask) -> None:
    # viewer 1: films 1 2 3 in one second and a day later 4; viewer 2: film 1; viewer 3: films 1 and 2, an hour apart
    found = portrait(app, put(app, [1, 1, 1, 1, 2, 3, 3], [1, 2, 3, 4, 1, 1, 2], [0, 0, 0, DAY, 0, 0, 3600]))
    assert (found.shortest, found.median, found.longest) == (1, 2, 4)
    assert found.seen_once == 2  # films 3 and 4
    assert found.same_second == 2 / 4  # of the three steps of viewer 1 and the one of viewer 3
    assert found.in_a_day == 2 / 3
    assert [(bar.words, bar.count, bar.mark) for bar in found.lengths] == [
        ("1", 1, False), ("2", 1, True), ("3", 0, False), ("4", 1, False),
    ]  # fmt: skip
    assert found.popularity == [(1, 3), (2, 2), (3, 1), (4, 1)]
    assert (found.unit, [(bar.words, bar.count) for bar in found.over_time]) == (
        "day",
        [("1970-01-01", 6), ("1970-01-02", 1)],
    )


@pytest.mark.parametrize(("days", "unit", "bars"), [(100, "month", 4), (1200, "year", 4)])
def test_a_long_time_is_told_by_month_or_year(app: Flask, days: int, unit: str, bars: int) -> None:
    found = portrait(app, put(app, [1, 1], [1, 2], [0, days * DAY]))
    assert (found.unit, len(found.over_time), found.over_time[1].count) == (unit, bars, 0)


def test_the_page_without_data_teaches_the_next_step(as_scientist: Browser) -> None:
    assert "No data yet" in as_scientist.get("/lab/data").text
    assert as_scientist.get("/lab/data/rejected.csv").text == ""


def test_the_page_with_data(as_scientist: Browser, app: Flask, catalogue: dict[str, int]) -> None:
    number = put(app, [1, 1, 2], [2571, 1214, 2571], [0, 5, 9], rejected=2)
    with app.app_context():
        folder = db.session.get_one(Snapshot, number).folder
    page = as_scientist.get("/lab/data")
    words = said(page)
    assert "3 views came in. 2 rows did not; nothing was guessed." in words
    assert "The report of this import is not kept any more." in words
    assert as_scientist.get("/lab/data/rejected.csv").status_code == 404
    assert "Filled 75.00 %" in words  # three of four cells
    assert page.text.count("data-chart=") == 3
    films = 12
    assert f"of {films}" in words
    assert "Year 1 8.3 %" in words
    assert "Genre 1 8.3 %" in words
    assert "Actors 3 25.0 %" in words
    path = Path(app.config["DATA_DIR"]) / "reports" / f"{folder}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('file,line,reason\nratings.csv,7,"The date has a month 13"\nratings.csv,9,"No such film"\n')
    assert "ratings.csv 7 The date has a month 13" in said(as_scientist.get("/lab/data"))
    report = as_scientist.get("/lab/data/rejected.csv")
    assert report.text == path.read_text()
    assert "attachment" in report.headers["Content-Disposition"]


def test_runs_of_an_older_snapshot_are_stale(as_scientist: Browser, app: Flask) -> None:
    old, new = add_snapshot(app), put(app, [1, 2], [1, 1], [0, 1])
    with app.app_context(), writing() as session:
        facts = {"engine": "popularity", "params": {}, "state": "done", "code_version": "1"}
        session.add_all(Run(snapshot_id=old, **facts) for _ in range(10))
        session.add(Run(snapshot_id=new, **facts))
    told = said(as_scientist.get("/lab/data"))
    table = told.partition("Runs and their snapshots")[2].partition("A stale run")[0]
    assert re.search(r"mine \w{6} 2 popularity #11 in use tiny \w{6} 320 popularity #10 .* and 2 more stale", table)


def test_many_views_are_counted_after_the_page_is_there(
    as_scientist: Browser, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(app, [1, 1, 2], [1, 2, 1], [0, 5, 9])
    monkeypatch.setattr(data_sheet, "AT_ONCE", 2)
    page = as_scientist.get("/lab/data").text
    assert 'hx-trigger="load"' in page
    assert "data-chart" not in page
    part = as_scientist.fragment("/lab/data").text
    assert part.strip().startswith('<div id="portrait"')
    assert part.count("data-chart=") == 3


def test_events_that_cannot_be_read_are_said(as_scientist: Browser, app: Flask) -> None:
    number = put(app, [1], [1], [0])
    with app.app_context():
        (snapshots.root() / db.session.get_one(Snapshot, number).folder / "time.npy").unlink()
    page = as_scientist.get("/lab/data")
    assert page.status_code == 200
    assert "can&#39;t be read" in page.text


def test_the_data_is_for_scientists(as_viewer: Browser, people: Callable[..., int]) -> None:
    assert as_viewer.get("/lab/data").status_code == 403
    assert as_viewer.get("/lab/data/rejected.csv").status_code == 403
