"""Answers kept for the viewer who got them: whose they are, what they depend on, how long and how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from llm_kit import ask, given, person, rows
from llm_stub import Stub, running, says
from sqlalchemy import delete, update

from movierec.extensions import db, writing
from movierec.services import llm
from movierec.services.llm import cache
from movierec.tables import LlmAnswer, User, now


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running() as server:
        yield server


@pytest.fixture
def site(make_app: Callable[..., Flask], stub: Stub) -> Iterator[Flask]:
    """A site whose model is the stub, with its app context open."""
    app = make_app(**given(stub))
    with app.app_context():
        yield app


def test_the_cache_is_the_viewers_own(site: Flask, stub: Stub) -> None:
    stub.play(says("for ana"), says("for ben"), says("for nobody"), says("longer"))
    ana, ben = person("ana"), person("ben")
    first, again = ask(ana), ask(ana)
    assert (first.text, first.cached) == ("for ana", False)
    assert (again.text, again.cached, again.cost, again.model) == ("for ana", True, 0.0, "stub-1")
    assert (ask(ben).text, ask(None).text, ask(None).cached) == ("for ben", "for nobody", True)
    assert ask(ana, max_tokens=2000).text == "longer"
    assert (len(stub.calls), llm.status().spent.calls) == (4, 4)
    hits = [(row.viewer_id, row.counted) for row in rows(site) if row.outcome == "cached"]
    assert hits == [(ana, False), (None, False)]
    with writing() as session:
        session.execute(delete(User).where(User.id == ana))
    assert {row.viewer_id for row in db.session.query(LlmAnswer)} == {ben, None}, "what was theirs goes with them"
    assert {row.viewer_id for row in rows(site)} == {ben, None}, "what they used stays counted"


def test_another_model_or_server_is_another_answer(site: Flask, stub: Stub) -> None:
    ask()
    site.config["LLM_MODEL"] = "other"
    assert not ask().cached
    site.config["LLM_BASE_URL"] = stub.url + "/more"
    assert not ask().cached
    site.config |= {"LLM_MODEL": "tiny", "LLM_BASE_URL": stub.url}
    assert ask().cached


def test_answers_expire_and_the_oldest_go_first(site: Flask, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 250)
    stub.play(says("x" * 100))
    for number in range(4):
        ask(key=str(number))
    assert [ask(key=str(number)).cached for number in (3, 2)] == [True, True]
    assert not ask(key="1").cached
    with writing() as session:
        session.execute(update(LlmAnswer).values(at=now() - cache.EXPIRY))
    assert not ask(key="3").cached
    assert db.session.query(LlmAnswer).count() == 1


def test_an_account_that_went_meanwhile_keeps_nothing(site: Flask) -> None:
    cache.put("digest", 987_654, llm.Answer("late", "tiny", 1, 1, 0.0, 1.0))
    assert db.session.query(LlmAnswer).count() == 0


def test_somebody_elses_digest_opens_nothing(site: Flask) -> None:
    ana, ben = person("ana"), person("ben")
    cache.put("digest", ana, llm.Answer("hers", "tiny", 1, 1, 0.0, 1.0))
    assert [cache.get("digest", viewer) is None for viewer in (ana, ben, None)] == [False, True, True]
