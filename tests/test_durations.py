"""How long a training is likely to take, from rows of earlier ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from movierec.extensions import writing
from movierec.services import durations
from movierec.services.durations import Expected
from movierec.tables import Run, now


def finished(seconds: float, events: int = 100, state: str = "done", engine: str = "ease") -> None:
    end = now()
    begun = end - timedelta(seconds=seconds)
    with writing() as session:
        session.add(
            Run(engine=engine, params={}, state=state, events=events, code_version="1", started_at=begun, ended_at=end)
        )


def test_the_median_of_earlier_trainings_on_such_data(app_context: Flask) -> None:
    assert durations.expected("ease", 100) is None
    for seconds in (10, 30, 20):
        finished(seconds)
    finished(500, state="failed")
    finished(500, engine="blend")
    finished(500, events=151)  # half as much again: other data
    assert durations.expected("ease", 100) == Expected(20, 10, 30, 3)
    assert durations.expected("ease", 100, split="time") is None
    assert durations.expected("ease", None) is None


def test_what_is_left_and_when_the_next_begins(app_context: Flask) -> None:
    finished(60)
    expects = durations.expected("ease", 100)
    running = Run(engine="ease", params={}, state="running", events=100, started_at=now() - timedelta(seconds=20))
    waits = Run(engine="ease", params={}, state="queued")
    assert durations.left(running, expects) == pytest.approx(40, abs=1)
    assert durations.left(running, None) is None
    assert durations.left(waits, expects) is None
    late = Run(engine="ease", params={}, state="running", events=100, started_at=now() - timedelta(seconds=90))
    assert durations.left(late, expects) == 0
    assert durations.until_start([running, waits], 100) == pytest.approx(40 + 60, abs=1)
    assert durations.until_start([Run(engine="blend", params={}, state="queued")], 100) is None
    assert durations.until_start([], 100) == 0
