"""Several values at once: which combinations there are, that each is trained once, the best, and stopping."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from kit import Browser
from sqlalchemy import select, update
from training_kit import until

from movierec.extensions import db, queue, writing
from movierec.services import series, training, training_job
from movierec.services.errors import Conflict, NotFound, Refused, Unavailable
from movierec.services.knobs import BadParams
from movierec.tables import MetricRow, Run, Series, User


@pytest.fixture
def site(trainable: Flask):
    with trainable.app_context():
        yield trainable


def ordered(given: dict[str, object], **told: object) -> int:
    return series.request("quick", given, split="loo", by=None, **told)


def waiting() -> int | None:
    return db.session.scalar(select(Run.id).where(Run.state == "queued"))


def train_all() -> list[int]:
    """As the worker does, one after the other; the runs."""
    found = []
    for _ in range(series.MOST):
        series.advance()
        run_id = waiting()
        if run_id is None:
            return found
        training_job.execute(run_id)
        found.append(run_id)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("16", ["16"]),
        ("16, 32,16 ; 64", ["16", "32", "64"]),
        ("0.1 to 0.5 by 0.1", ["0.1", "0.2", "0.3", "0.4", "0.5"]),
        ("1..7 step 3", ["1", "4", "7"]),
        ("0.1 to 0.25 by 0.1", ["0.1", "0.2"]),
        ("a b", ["a b"]),
        ("", [""]),
        (",", [","]),
    ],
)
def test_lists_and_ranges(text: str, expected: list[str]) -> None:
    assert series.values(text) == expected


@pytest.mark.parametrize("text", ["5 to 1 by 1", "1 to 5 by 0", "1 to 5 by -1", "1 to 1000000000 by 0.001"])
def test_ranges_that_lead_nowhere(text: str) -> None:
    with pytest.raises(ValueError, match=r"goes up|at most 12"):
        series.values(text)


def test_each_combination_is_trained_once_on_the_same_data_and_the_best_is_told(site: Flask) -> None:
    number = ordered({"steps": "1, 2", "rate": "0.1 to 0.2 by 0.1"}, note="try")
    first = waiting()
    assert queue().job_ids == [str(first)]
    sheet = series.sheet(number)
    assert sheet.titles == ["Steps", "Rate"]
    assert [member.values for member in sheet.members] == [[1, 0.1], [1, 0.2], [2, 0.1], [2, 0.2]]
    assert (sheet.open, sheet.done, sheet.best) == (True, 0, None)
    assert [found.series.id for found in series.active()] == [number]
    training_job.execute(first)
    rest = train_all()
    assert len(rest) == 3
    sheet = series.sheet(number)
    assert [member.run.params["steps"] for member in sheet.members] == [1, 1, 2, 2]
    assert {member.run.views_until for member in sheet.members} == {sheet.series.views_until}
    assert {member.run.note for member in sheet.members} == {"try"}
    assert sheet.open is False
    assert sheet.done == 4
    assert sheet.best.place == 0  # all count views: of equals the first
    assert all(member.validation == sheet.best.validation for member in sheet.members)
    judged = db.session.execute(select(MetricRow).where(MetricRow.protocol == "validation")).scalars().all()
    assert {(row.metric, row.k, row.split) for row in judged} >= {("ndcg", 10, "validation")}
    with writing() as session:
        query = select(MetricRow).where(MetricRow.protocol == "validation", MetricRow.run_id == rest[1])
        session.scalars(query.where(MetricRow.metric == "ndcg")).one().value = 0.9
    assert series.sheet(number).best.place == 2
    assert db.session.get(Series, number, populate_existing=True).stopped_at is not None  # nothing is left to begin
    assert series.active() == []
    assert train_all() == []


def test_another_training_of_the_engine_comes_first(site: Flask) -> None:
    other = training.request("quick", {})
    number = ordered({"steps": "1,2"})
    assert [member.run for member in series.sheet(number).members] == [None, None]
    training_job.execute(other)
    series.advance()
    assert series.sheet(number).members[0].run.state == "queued"
    series.advance()  # again, or by a second worker
    assert series.sheet(number).members[1].run is None


def test_what_cannot_be_ordered(site: Flask, valkey) -> None:
    for given, said in (
        ({"steps": "3"}, "Nothing here has several values"),
        ({"steps": "1..6 by 1", "rate": "0.1,0.2,0.3"}, "18 combinations; a series has at most 12"),
        ({"taste": "plain, odd"}, "Nothing here has several values|Must be one of"),
    ):
        with pytest.raises(Refused, match=said):
            ordered(given)
    with pytest.raises(BadParams) as refused:
        ordered({"steps": "9 to 1 by 1"})
    assert "goes up" in refused.value.fields["steps"]
    with pytest.raises(BadParams) as refused:
        ordered({"steps": "0, 1"})
    assert "1 or more" in refused.value.fields["steps"]
    with pytest.raises(Refused, match="no split"):
        series.request("quick", {"steps": "1,2"}, split="odd", by=None)
    with pytest.raises(Refused, match="at most 300"):
        ordered({"steps": "1,2"}, note="n" * 301)
    with pytest.raises(NotFound):
        series.sheet(4711)
    valkey.kill()
    with pytest.raises(Unavailable, match="Nothing was started"):
        ordered({"steps": "1,2"})
    assert db.session.execute(select(Series)).first() is None


def test_without_data_there_is_no_series(app_context: Flask) -> None:
    with pytest.raises(Refused, match="no data"):
        series.request("popularity", {}, split="loo", by=None)


def test_stopping_ends_the_one_that_runs_and_begins_no_more(site: Flask) -> None:
    number = ordered({"steps": "1,2,3"})
    training_job.execute(waiting())
    series.advance()
    running = waiting()
    series.cancel(number, who="sam")
    sheet = series.sheet(number)
    assert [member.run and member.run.state for member in sheet.members] == ["done", "cancelled", None]
    assert "Cancelled by sam" in sheet.series.reason
    assert sheet.members[1].run.id == running
    assert train_all() == []
    with pytest.raises(Conflict, match="ended already"):
        series.cancel(number, who="sam")


def test_a_series_that_cannot_go_on_says_why(site: Flask) -> None:
    number = ordered({"steps": "1,2"})
    training_job.execute(waiting())
    with writing() as session:
        session.execute(update(Series).values(engine="gone"))
    series.advance()
    sheet = series.sheet(number)
    assert "It can't go on" in sheet.series.reason
    assert sheet.open is False
    assert sheet.titles == ["steps"]


def test_the_worker_goes_on_by_itself(trainable: Flask, start_worker) -> None:
    with trainable.app_context():
        number = ordered({"steps": "1,2"})
    start_worker()

    def ended() -> bool:
        with trainable.app_context():
            return not series.sheet(number).open

    until(ended, 60, "the end of the series")
    with trainable.app_context():
        assert [member.run.state for member in series.sheet(number).members] == ["done", "done"]


def test_its_pages(trainable: Flask) -> None:
    with trainable.app_context(), writing() as session:
        user = User(name="sam", name_key="sam", password_hash="x", role="scientist")
        session.add(user)
        session.flush()
        person = user.id
    sam: Browser = trainable.test_client().enter(person)
    answer = sam.submit("/lab/runs", {"engine": "quick", "steps": "1, 2", "several": "yes", "note": "try"})
    assert (answer.status_code, answer.location) == (303, "/lab/series/1")
    page = sam.get("/lab/series/1")
    assert 'hx-trigger="every 2s"' in page.text
    assert "waits for its turn" in page.text
    assert 'href="/lab/series/1"' in sam.fragment("/lab/progress").text
    refused = sam.submit("/lab/runs", {"engine": "slow", "steps": "3", "several": "yes"}, htmx=True)
    assert refused.status_code == 422
    assert re.search(r'id="f-several-bad">.*Nothing here has several values', refused.text, re.S)
    assert sam.submit("/lab/series/1/cancel").location == "/lab/series/1"
    assert "Cancelled by sam" in sam.get("/lab/series/1").text
    assert sam.fragment("/lab/series/1").headers["HX-Refresh"] == "true"
    assert "ended already" in sam.submit("/lab/series/1/cancel", follow_redirects=True).text
    assert sam.get("/lab/series/4711").status_code == 404


def test_series_are_for_scientists(as_viewer: Browser, as_admin: Browser) -> None:
    assert as_viewer.get("/lab/series/1").status_code == as_admin.get("/lab/series/1").status_code == 403
    assert as_viewer.submit("/lab/series/1/cancel").status_code == 403
