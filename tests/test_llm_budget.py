"""Budgets by viewer and site, calls and tokens, exact across processes; what is on record of them (L7)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from kit import together
from llm_kit import QUESTION_TOKENS, ask, given, kind, rows
from llm_stub import Stub, replies, running, says
from sqlalchemy import update

from movierec.extensions import writing
from movierec.services import llm
from movierec.services.llm import NoAnswer, budget, client
from movierec.tables import LlmCall, User, now

TESTS = Path(__file__).parent


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running() as server:
        yield server


@pytest.fixture
def make_site(make_app: Callable[..., Flask], stub: Stub) -> Callable[..., Flask]:
    """`make_site(LLM_SITE_CALLS="5")`: a site with four viewers, 1 to 4, whose model is the stub."""

    def make(**overrides: str) -> Flask:
        app = make_app(**given(stub, **overrides))
        with app.app_context(), writing() as session:
            session.add_all(User(name=f"v{n}", name_key=f"v{n}", password_hash="x") for n in range(1, 5))
        return app

    return make


def processes(app: Flask, stub: Stub, questions: int, **budgets: str) -> Counter[str]:
    """What eight processes got together."""
    command = [sys.executable, str(TESTS / "llm_askers.py"), str(app.config["INSTANCE_DIR"].parent), stub.url]
    command += [str(questions), *(f"{key}={value}" for key, value in budgets.items())]
    path = {"PYTHONPATH": os.pathsep.join((str(TESTS.parent), str(TESTS)))}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | path)
    assert done.returncode == 0, done.stderr
    return sum((Counter(json.loads(line)) for line in done.stdout.splitlines()), Counter())


def test_eight_processes_never_go_over_a_viewers_or_the_sites_calls(
    make_site: Callable[..., Flask], stub: Stub
) -> None:
    app = make_site()
    found = processes(app, stub, 20, LLM_VIEWER_CALLS="7", LLM_SITE_CALLS="26")
    assert len(stub.calls) == 26 < 4 * 7
    assert (found["ok"], found["budget"]) == (26, 8 * 20 - 26)
    with app.app_context():
        each = Counter(row.viewer_id for row in rows(app) if row.counted)
        assert (max(each.values()), sum(each.values())) == (7, 26)


def test_ten_thousand_questions_of_an_eager_viewer_cost_twenty_calls(
    make_site: Callable[..., Flask], stub: Stub
) -> None:
    """The short form: 300 questions, of which a third repeat what was asked before."""
    app = make_site()
    with app.app_context():
        found = Counter(kind(1, str(number % 200)) for number in range(300))
    assert len(stub.calls) == found["ok"] - 20 == 20, "twenty were paid, and the same twenty came again from the cache"
    assert found["budget"] == 300 - 40


@pytest.fixture
def many_seats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of this process stand for processes."""
    monkeypatch.setattr(client, "_seats", threading.BoundedSemaphore(64))


@pytest.mark.usefixtures("many_seats")
def test_threads_never_go_over_it_either(make_site: Callable[..., Flask], stub: Stub) -> None:
    app = make_site(LLM_SITE_CALLS="10", LLM_CONCURRENT="64")

    def act(number: int) -> str:
        with app.app_context():
            return kind(key=str(number))

    assert Counter(together(30, act)) == {"ok": 10, "budget": 20}
    assert len(stub.calls) == 10


@pytest.mark.usefixtures("many_seats")
def test_tokens_are_never_exceeded_because_each_call_is_reserved_at_its_most(
    make_site: Callable[..., Flask], stub: Stub
) -> None:
    reservation = QUESTION_TOKENS + 100
    app = make_site(LLM_SITE_TOKENS=str(6 * reservation + 5), LLM_CONCURRENT="64")
    most = {"prompt_tokens": QUESTION_TOKENS, "completion_tokens": 100}  # the server uses all that it may
    stub.play(says("much", usage=most))

    def act(number: int) -> str:
        with app.app_context():
            return kind(key=str(number), max_tokens=100)

    assert Counter(together(20, act)) == {"ok": 6, "budget": 14}
    with app.app_context():
        assert llm.status().spent == budget.Spent(6, 6 * reservation, 0)


def test_tokens_of_a_viewer(make_site: Callable[..., Flask], stub: Stub) -> None:
    """Reserved at their most, settled at what the server counted."""
    reservation = QUESTION_TOKENS + 100
    app = make_site(LLM_VIEWER_TOKENS=str(reservation + 40))
    stub.play(says("one", usage={"prompt_tokens": 30, "completion_tokens": 10}), says("two", usage=None), says("three"))
    with app.app_context():
        assert kind(1, "1", max_tokens=100) == "ok"
        assert kind(1, "2", max_tokens=100) == "ok", "40 used, and the reservation still fits"
        used = budget.spent(now(), 1).tokens
        assert used == 40 + reservation, "the second server counted nothing, so the reservation stays"
        assert kind(1, "3", max_tokens=100) == "budget"
        assert kind(2, "3", max_tokens=100) == "ok"


def test_nothing_at_all_may_be_asked(make_site: Callable[..., Flask], stub: Stub) -> None:
    for key in ("LLM_VIEWER_CALLS", "LLM_SITE_CALLS", "LLM_VIEWER_TOKENS", "LLM_SITE_TOKENS"):
        with make_site(**{key: "0"}).app_context():
            assert kind(1) == "budget"
    assert stub.lines == 0


def test_it_says_whose_budget_is_used_up(make_site: Callable[..., Flask], stub: Stub) -> None:
    with make_site(LLM_VIEWER_CALLS="1", LLM_SITE_CALLS="2").app_context():
        ask(1)
        with pytest.raises(NoAnswer, match="you get new ones at midnight UTC"):
            ask(1, "again")
        ask(2)
        with pytest.raises(NoAnswer, match="everybody on this site"):
            ask(3)


def test_the_day_begins_at_midnight_utc(make_site: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    evening = datetime(2024, 6, 1, 23, 59, 59, tzinfo=UTC)
    with make_site(LLM_VIEWER_CALLS="1").app_context():
        monkeypatch.setattr(budget, "now", lambda: evening)
        assert (kind(1, "1"), kind(1, "2")) == ("ok", "budget")
        monkeypatch.setattr(budget, "now", lambda: evening + timedelta(seconds=1))
        assert (kind(1, "3"), kind(1, "4")) == ("ok", "budget")
        monkeypatch.setattr(budget, "now", lambda: evening)  # the clock goes back: what was used then stays used
        assert kind(1, "5") == "budget"


def test_a_second_try_that_is_not_paid_for_is_not_made(make_site: Callable[..., Flask], stub: Stub) -> None:
    stub.play(replies(500))
    with make_site(LLM_SITE_CALLS="1").app_context():
        assert kind(1) == "failed"
    assert len(stub.calls) == 1


def test_usage_by_day_model_viewer_and_outcome(make_site: Callable[..., Flask], stub: Stub) -> None:
    stub.play(says("a", usage={"prompt_tokens": 100, "completion_tokens": 20, "cost": 0.5}), replies(400))
    app = make_site()
    with app.app_context():
        ask(1), ask(1), kind(2)
        for day, outcome in ((0, "ok"), (1, "ok"), (6, "ok"), (7, "ok")):
            with writing() as session:
                session.add(LlmCall(model="old", outcome=outcome, at=now() - timedelta(days=day), cost=0.25))
        week = llm.usage(7)
        today = now().date().isoformat()
        told = {(line.day, line.model, line.viewer_id, line.outcome): line for line in week}
        assert [line.day for line in week] == sorted((line.day for line in week), reverse=True)
        assert len(week) == 6
        paid = told[today, "stub-1", 1, "ok"]
        assert (paid.calls, paid.prompt_tokens, paid.completion_tokens, paid.cost) == (1, 100, 20, 0.5)
        assert paid.milliseconds > 0
        assert told[today, "stub-1", 1, "cached"].cost == 0
        refused = told[today, "tiny", 2, "refused"]
        assert (refused.calls, refused.prompt_tokens, refused.completion_tokens) == (1, 0, 0)
        assert sum(line.cost for line in week) == 0.5 + 3 * 0.25


def test_what_is_older_than_a_year_goes(make_site: Callable[..., Flask], stub: Stub) -> None:
    app = make_site()
    with app.app_context():
        ask(1)
        with writing() as session:
            session.execute(update(LlmCall).values(at=now() - budget.KEPT - timedelta(seconds=1)))
        ask(1, "another")
        assert len(rows(app)) == 1


def test_caps_come_from_the_settings(make_site: Callable[..., Flask]) -> None:
    config: dict[str, Any] = make_site().config
    assert budget.Caps.of(config) == budget.Caps(4, 20, 500, 200_000, 3_000_000)
