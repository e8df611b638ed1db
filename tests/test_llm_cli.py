"""`flask llm` and its line in `flask doctor`: what an administrator at the console sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from llm_kit import ask, given, kind
from llm_stub import CANARY, Stub, replies, running, says

from movierec.services import doctor, llm


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running() as server:
        yield server


@pytest.fixture
def site(make_app: Callable[..., Flask], stub: Stub) -> Flask:
    return make_app(**given(stub))


def run(app: Flask, *args: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["llm", *args])
    assert CANARY not in result.output
    return result.exit_code, result.output


def line(app: Flask) -> tuple[str, str]:
    with app.app_context():
        check = doctor._language_model()
        return check.state, check.message


def test_try_asks_anew_each_time_and_shows_what_it_cost(site: Flask, stub: Stub) -> None:
    stub.play(says("Watch Alien.", usage={"prompt_tokens": 1000, "completion_tokens": 234, "cost": 0.00125}))
    for _ in range(2):
        status, output = run(site, "try")
        assert status == 0
        assert "Watch Alien." in output
        assert "1,234 tokens, 0.001250 $" in output
    assert run(site, "try", "And then?")[0] == 0
    assert [asked.body["messages"][0]["content"][:8] for asked in stub.calls] == ["Name one", "Name one", "And then"]


def test_try_says_why_there_is_no_answer(site: Flask, stub: Stub, make_app: Callable[..., Flask]) -> None:
    stub.play(replies(401))
    status, output = run(site, "try")
    assert (status, "No answer (refused)" in output, "HTTP 401" in output) == (1, True, True)
    status, output = run(make_app(), "try")
    assert (status, "No answer (absent)" in output, "LLM_API_KEY" in output) == (1, True, True)


def test_status(site: Flask, stub: Stub, make_app: Callable[..., Flask]) -> None:
    with site.app_context():
        ask()
        ask()
    status, output = run(site, "status")
    assert status == 0
    assert f"tiny can be asked at 127.0.0.1:{stub.port}." in output
    assert "breaker closed, 0 failures in a row, 0 under way" in output
    assert "today 1 of 500 calls, 18 of 3,000,000 tokens; a viewer has 20 and 200,000" in output
    assert "cached" in output
    told = json.loads(run(site, "status", "--json", "--days", "1")[1])
    assert (told["problem"], told["model"], told["breaker"]["name"]) == ("", "tiny", "closed")
    assert {each["outcome"]: each["calls"] for each in told["usage"]} == {"ok": 1, "cached": 1}
    assert "no key" in run(make_app(), "status")[1]
    assert "demo model can be asked." in run(make_app(LLM_PROVIDER="stub"), "status")[1]


def test_off_and_on(site: Flask) -> None:
    assert "switched off" in run(site, "off")[1]
    assert "switched" in run(site, "status")[1]
    assert run(site, "try")[0] == 1
    assert line(site)[0] == "ok"
    assert "can be asked" in run(site, "on")[1]
    assert run(site, "try")[0] == 0


def test_the_doctor(make_app: Callable[..., Flask], site: Flask, stub: Stub) -> None:
    assert line(make_app())[0] == "ok", "a site without a language model is well"
    half = line(make_app(LLM_MODEL="tiny"))
    assert (half[0], "LLM_API_KEY" in half[1]) == ("warn", True)
    assert line(make_app(LLM_PROVIDER="stub")) == ("warn", "Its answers are a demo's: LLM_PROVIDER=stub is set.")
    assert line(make_app(**given(stub, LLM_SITE_CALLS="0")))[0] == "warn"
    assert line(site) == ("ok", f"tiny at 127.0.0.1:{stub.port}; `flask llm try` asks it.")
    stub.play(replies(401))
    with site.app_context():
        assert [kind(key=str(n)) for n in range(6)][-1] == "open"
    assert line(site)[0] == "warn"
    with site.app_context():
        llm.switch(on=False)
    assert "llm on" in line(site)[1]
