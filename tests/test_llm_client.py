"""Tries, Retry-After, the breaker and the bulkhead, through the door, against a server that misbehaves (L1, L2, L7)."""

from __future__ import annotations

import logging
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from kit import together
from llm_kit import QUESTION, QUESTION_TOKENS, ask, given, kind, person, rows
from llm_stub import Stub, chat, replies, resets, running, says, waits
from sqlalchemy import delete, text, update
from sqlalchemy.exc import OperationalError

from movierec.extensions import db, writing
from movierec.services import llm
from movierec.services.llm import NoAnswer, breaker, budget, cache, client
from movierec.tables import LlmBreaker, LlmCall, now

SHORT = 0.3


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running() as server:
        yield server


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept between tries, without sleeping; the jitter is an eighth of a second."""
    naps: list[float] = []
    monkeypatch.setattr(client, "CLOCK", client.Clock(sleep=naps.append, jitter=lambda: 0.125))
    return naps


@pytest.fixture
def site(make_app: Callable[..., Flask], stub: Stub, slept: list[float]) -> Iterator[Flask]:
    """A site whose model is the stub, with its app context open."""
    app = make_app(**given(stub))
    with app.app_context():
        yield app


def close_breaker() -> None:
    with writing() as session:
        session.execute(delete(LlmBreaker))


def state() -> str:
    db.session.rollback()
    return breaker.state(now()).name


def test_a_good_answer_and_its_row(site: Flask, stub: Stub) -> None:
    stub.play(says('{"picks": []}', usage={"prompt_tokens": 120, "completion_tokens": 30, "cost": 0.00042}))
    ana = person()
    answer = ask(ana)
    assert answer == llm.Answer('{"picks": []}', "stub-1", 120, 30, 0.00042, answer.milliseconds)
    assert stub.calls[0].body == {"model": "tiny", "messages": QUESTION, "max_tokens": llm.MAX_TOKENS, "stream": False}
    (row,) = rows(site)
    assert (row.viewer_id, row.model, row.outcome, row.counted, row.status) == (ana, "stub-1", "ok", True, 200)
    assert (row.prompt_tokens, row.completion_tokens, row.cost) == (120, 30, 0.00042)
    assert row.milliseconds == answer.milliseconds > 0
    assert llm.available() == ""


def test_prices_of_the_settings_stand_in_where_the_server_names_no_cost(make_app: Any, stub: Stub) -> None:
    with make_app(**given(stub, LLM_PRICE_IN="2", LLM_PRICE_OUT="8.5")).app_context():
        assert ask().cost == pytest.approx((11 * 2 + 7 * 8.5) / 1e6)


@pytest.mark.parametrize(
    ("act", "tries", "ended"),
    [
        (replies(500), 2, "failed"), (replies(503, b"<html>"), 2, "failed"), (replies(429), 2, "limited"),
        (resets(), 2, "failed"), (replies(302, location="http://169.254.169.254/"), 1, "failed"),
        (replies(400), 1, "refused"), (replies(401), 1, "refused"), (replies(404), 1, "refused"),
        (replies(200, chat("")), 1, "garbage"), (replies(200, b" " * 10**6), 1, "garbage"),
        (replies(200, {"error": {"code": 502, "message": "model down"}}), 2, "failed"),
        (replies(200, {"error": {"code": 429}}), 2, "limited"), (replies(200, {"error": "what?"}), 2, "failed"),
    ],
)  # fmt: skip
def test_two_tries_at_most_and_only_where_a_second_may_help(
    site: Flask, stub: Stub, slept: list[float], act: Any, tries: int, ended: str
) -> None:
    stub.play(act)
    assert kind() == ended
    assert len(stub.calls) == tries
    assert slept == [0.125] * (tries - 1)
    assert [(row.outcome, row.counted) for row in rows(site)] == [(ended, True)] * tries
    assert llm.status().spent.calls == tries, "retries count"


def test_the_second_try_may_bring_the_answer(site: Flask, stub: Stub) -> None:
    stub.play(resets(), says("there you are"))
    assert ask().text == "there you are"
    assert [row.outcome for row in rows(site)] == ["failed", "ok"]
    assert breaker.state(now()) == breaker.State("closed", 0)


def test_a_dead_server_costs_nothing_of_the_budget(make_app: Any, slept: list[float]) -> None:
    with running() as gone:
        pass
    app = make_app(**given(gone))
    with app.app_context():
        assert kind() == "unreachable"
        assert [(row.outcome, row.counted, row.prompt_tokens) for row in rows(app)] == [("unreachable", False, 0)] * 2
        assert llm.status().spent == budget.Spent(0, 0, 0)


def test_a_name_that_is_never_found_costs_nothing_either(
    site: Flask, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: wait.wait(5) or [])
    monkeypatch.setattr(client, "TOTAL", SHORT)
    assert kind() == "slow"
    wait.set()
    assert [(row.outcome, row.counted, row.prompt_tokens) for row in rows(site)] == [("slow", False, 0)]


def test_retry_after_is_obeyed_where_it_fits(site: Flask, stub: Stub, slept: list[float]) -> None:
    stub.play(replies(429, retry_after="7"), says("now"))
    assert ask().text == "now"
    assert slept == [7 + 0.125]


def test_a_longer_retry_after_binds_everybody(site: Flask, stub: Stub, slept: list[float]) -> None:
    stub.play(replies(429, retry_after="90"), says("now"))
    before = now()
    assert kind() == "limited"
    assert slept == []
    found = breaker.state(now())
    assert (found.name, found.failures) == ("open", 1)
    assert found.until is not None
    assert timedelta(seconds=89) < found.until - before < timedelta(seconds=95)
    assert kind(key="other") == "open"
    assert len(stub.calls) == 1
    close_breaker()
    stub.play(replies(503, retry_after="Sat, 01 Jun 2999 12:00:00 GMT"))
    assert kind() == "failed"
    rested = breaker.state(now()).until
    assert rested is not None
    assert rested - now() <= breaker.LONGEST, "a server can't switch itself off for years"


def test_no_second_try_without_time_for_it(
    site: Flask, stub: Stub, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LEAST", client.TOTAL)
    stub.play(replies(500))
    assert kind() == "failed"
    assert (len(stub.calls), slept) == (1, [])


def test_a_slow_server_costs_the_viewer_no_more_than_the_limit(
    site: Flask, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TOTAL", SHORT)
    stub.play(waits())
    start = time.monotonic()
    assert kind() == "slow"
    assert time.monotonic() - start < SHORT + 3
    (row,) = rows(site)
    assert (row.outcome, row.prompt_tokens + row.completion_tokens) == ("slow", QUESTION_TOKENS + llm.MAX_TOKENS), (
        "nobody knows what the server did meanwhile, so the whole reservation stays"
    )
    assert client.TOTAL == SHORT
    assert client.Clock().jitter() <= max(client.JITTER)


def test_the_breaker_opens_after_five_and_one_probe_closes_it(site: Flask, stub: Stub) -> None:
    stub.play(replies(401))
    assert [kind(key=str(n)) for n in range(8)] == ["refused"] * 5 + ["open"] * 3
    assert len(stub.calls) == 5
    assert llm.status().breaker.name == "open"
    _rested()
    assert state() == "half-open"
    stub.play(replies(401), says("well again"))
    assert [kind(key="probe"), state(), len(stub.calls)] == ["refused", "open", 6]
    _rested()
    assert [kind(key="probe"), state(), len(stub.calls)] == ["ok", "closed", 7]


def _rested() -> None:
    """As if the rest were over."""
    with writing() as session:
        session.execute(update(LlmBreaker).values(open_until=now() - timedelta(seconds=1)))


def test_only_one_probe_at_a_time(site: Flask, stub: Stub) -> None:
    stub.play(replies(500))
    for number in range(3):
        kind(key=str(number))
    _rested()
    caps = budget.Caps.of(site.config)
    probe = budget.reserve(None, "tiny", 1, 1, caps)
    with pytest.raises(NoAnswer, match="left alone"):
        budget.reserve(None, "tiny", 1, 1, caps)
    budget.settle(probe, llm.Answer("", "tiny", 1, 1, 0.0, 1.0))
    assert state() == "closed"


def test_a_question_that_the_server_will_not_take_does_not_open_the_breaker(site: Flask, stub: Stub) -> None:
    """Else one viewer's odd wish would switch the model off for everybody."""
    for status in (400, 403, 413, 422):
        stub.play(replies(status))
        assert {kind(key=f"{status} {n}") for n in range(3)} == {"refused"}
    stub.play(says("no JSON at all"))
    assert {kind(key=str(n), accept=lambda _: False) for n in range(6)} == {"garbage"}
    assert breaker.state(now()) == breaker.State("closed", 0)


@pytest.mark.parametrize("hours", [-48, 48])
def test_a_jump_of_the_clock_neither_opens_nor_blocks(site: Flask, hours: int) -> None:
    moment = now()
    with writing() as session:
        breaker.note(session, moment + timedelta(hours=hours), alive=False, retry_after=30)
        session.add(LlmCall(model="tiny", at=moment + timedelta(hours=hours)))
    assert breaker.state(moment).name == "half-open"
    assert budget.spent(moment).flying == 0
    assert kind() == "ok"


def test_a_probe_whose_process_died_is_made_again(site: Flask) -> None:
    start = datetime(2024, 6, 1, 12, tzinfo=UTC)
    with writing() as session:
        for _ in range(5):
            breaker.note(session, start, alive=False)
        assert breaker.state(start).name == "open"
        probe = start + breaker.REST
        breaker.pass_through(session, probe)
        with pytest.raises(NoAnswer):
            breaker.pass_through(session, probe + timedelta(seconds=1))
        breaker.pass_through(session, probe + breaker.PROBE)


def test_fifty_slow_calls_at_once_hold_two_threads_and_the_rest_go_on_at_once(site: Flask, stub: Stub) -> None:
    refused: list[str] = []
    all_refused = threading.Event()
    answer = says("at last")

    def slow(line: Any, asked: Any, over: threading.Event) -> None:
        assert all_refused.wait(15), "whoever finds no seat does not wait for one"
        answer(line, asked, over)

    def act(number: int) -> str:
        with site.app_context():
            got = kind(key=str(number))
        if got == "busy":
            refused.append(got)
        if len(refused) == 50 - client.SEATS:
            all_refused.set()
        return got

    stub.play(slow)
    assert Counter(together(50, act)) == {"ok": client.SEATS, "busy": 50 - client.SEATS}
    assert len(stub.calls) == client.SEATS
    assert kind(key="later") == "ok", "every seat was given back"


def test_the_limit_over_all_processes(make_app: Any, stub: Stub) -> None:
    """Calls of other processes are rows that are under way."""
    app = make_app(**given(stub, LLM_CONCURRENT="3"))
    with app.app_context():
        ana = person()
        with writing() as session:
            session.add_all(LlmCall(model="tiny") for _ in range(2))
            session.add(LlmCall(model="tiny", at=now() - budget.FLIGHT))  # died with its process
        assert kind(key="1") == "ok"
        with writing() as session:
            session.add(LlmCall(model="tiny"))
        assert kind(key="2") == "busy"
        with writing() as session:
            session.execute(update(LlmCall).values(outcome="ok"))
            session.add(LlmCall(model="tiny", viewer_id=ana))
        assert (kind(ana, "3"), kind(None, "3")) == ("busy", "ok"), "a viewer waits for one answer at a time"


def test_an_answer_that_its_asker_can_not_use_is_paid_but_not_kept(site: Flask, stub: Stub) -> None:
    stub.play(says("nonsense"), says("sense"))
    assert kind(accept=lambda said: said == "sense") == "garbage"
    assert ask(accept=lambda said: said == "sense").text == "sense"
    assert [(row.outcome, row.prompt_tokens) for row in rows(site)] == [("garbage", 11), ("ok", 11)]


def test_switched_off_by_an_administrator(site: Flask, stub: Stub) -> None:
    ask(key="kept")
    llm.switch(on=False)
    assert {kind(key="kept"), kind(key="new")} == {"off"}
    assert "switched" in llm.available()
    llm.switch(on=True)
    assert (kind(key="new"), llm.available(), len(stub.calls)) == ("ok", "", 2)


def test_closed_and_demo_accounts_get_nothing(site: Flask, stub: Stub) -> None:
    assert kind(person("demo", demo=True)) == "demo"
    assert kind(person("ben", active=False)) == "off"
    assert kind(987_654) == "off", "an account that was removed while its page was being made"
    assert stub.calls == []


def test_without_settings_it_says_what_to_set(make_app: Any) -> None:
    with make_app().app_context():
        assert kind() == "absent"
        assert "LLM_API_KEY" in llm.available()
        assert llm.status().model == llm.status().host == ""


def test_a_write_lock_held_by_others_means_busy(site: Flask, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    db.session.rollback()
    monkeypatch.setattr(budget, "writing", lambda: writing(wait=False))
    file = Path(site.config["INSTANCE_DIR"]) / "movierec.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert kind() == "busy"
        other.execute("ROLLBACK")
    assert stub.calls == []


def test_a_database_that_can_not_be_written_afterwards_does_not_cost_the_answer(
    site: Flask, stub: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The lock is taken while the question is on its way."""
    file = Path(site.config["INSTANCE_DIR"]) / "movierec.sqlite3"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    good = says("still here")

    def locks(line: Any, asked: Any, over: threading.Event) -> None:
        other.execute("BEGIN IMMEDIATE")
        good(line, asked, over)

    stub.play(locks, says("never"))
    real = writing
    for module in (budget, cache):
        monkeypatch.setattr(module, "writing", lambda: real(wait=False))
    with caplog.at_level(logging.WARNING, "movierec.services.llm"):
        assert ask().text == "still here"
    other.execute("ROLLBACK")
    other.close()
    assert "its reservation stands" in caplog.text
    assert "an answer is not kept" in caplog.text
    (row,) = rows(site)
    assert (row.outcome, row.counted, row.completion_tokens) == ("sent", True, llm.MAX_TOKENS)


def test_another_fault_of_the_database_is_not_swallowed(site: Flask, stub: Stub) -> None:
    with writing() as session:
        session.execute(text("ALTER TABLE llm_answers RENAME TO elsewhere"))
        session.execute(text("CREATE VIEW llm_answers AS SELECT * FROM elsewhere"))
    with pytest.raises(OperationalError, match="llm_answers"):
        ask()
    with writing() as session:
        session.execute(text("DROP VIEW llm_answers"))
        session.execute(text("ALTER TABLE elsewhere RENAME TO llm_answers"))
        session.execute(text("ALTER TABLE llm_calls RENAME TO elsewhere"))
        session.execute(text("CREATE VIEW llm_calls AS SELECT * FROM elsewhere"))
    with pytest.raises(OperationalError, match="llm_calls"):
        ask()
    assert len(stub.calls) == 1
