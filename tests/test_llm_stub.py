"""The stub provider: the same films each time, from the shortlist alone, and nothing of it is saved or sent."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from llm_kit import rows

from movierec.services import llm
from movierec.services.llm import stub

FILMS = [{"id": number, "title": f"Film {number}"} for number in range(101, 121)]


def messages(content: Any, role: str = "user") -> list[dict[str, str]]:
    text = content if isinstance(content, str) else json.dumps(content)
    return [{"role": "system", "content": 'Answer with {"picks": [...]}'}, {"role": role, "content": text}]


def picks(content: Any, **kwargs: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stub.answer(messages(content, **kwargs)).text)["picks"]
    return found


def test_the_first_of_the_shortlist_with_reasons() -> None:
    asked = {"shortlist": FILMS, "k": 3}
    assert [pick["id"] for pick in picks(asked)] == [101, 102, 103]
    assert picks(asked)[0]["reason"] == "Demo model: Film 101 is close to what you watched."
    assert "wish" in picks(asked | {"wish": "something short"})[0]["reason"]
    assert all(len(pick["reason"]) <= 200 for pick in picks({"shortlist": [{"id": 1, "title": "x" * 500}]}))
    assert stub.answer(messages(asked)) == stub.answer(messages(asked))


def test_what_stands_around_the_data_does_not_matter() -> None:
    assert picks(f"<data>\n{json.dumps({'shortlist': FILMS, 'k': 2})}\n</data> thanks")[1]["id"] == 102
    assert len(picks({"shortlist": FILMS})) == len(picks({"shortlist": FILMS, "k": "many"})) == 10
    assert len(picks({"shortlist": FILMS, "k": 99})) == 20
    assert picks({"shortlist": [{"id": 7}, "x", {"title": "no id"}, {"id": 8, "title": None}]})[-1]["id"] == 8


@pytest.mark.parametrize("content", ["hello", "{", '{"shortlist": 5}', "[1]", '{"k": 3}', '{"a":' * 50_000, ""])
def test_without_a_shortlist_it_picks_nothing(content: str) -> None:
    assert picks(content) == []


def test_what_only_the_system_says_is_no_question() -> None:
    assert picks({"shortlist": FILMS}, role="system") == []


def test_it_answers_through_the_door_without_network_key_or_row(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", None)
    app = make_app(LLM_PROVIDER="stub")
    with app.app_context():
        asked = messages({"shortlist": FILMS, "k": 1})
        answer = llm.complete(asked, viewer_id=None, cache_key="k")
        assert (answer.model, answer.demo, answer.cached, answer.cost) == ("demo model", True, False, 0.0)
        assert llm.complete(asked, viewer_id=None, cache_key="k") == answer
        assert (llm.available(), llm.model(), rows(app)) == ("", "demo model", [])
        status = llm.status()
        assert (status.demo, status.model, status.host, status.problem) == (True, "demo model", "", "")
        llm.switch(on=False)
        with pytest.raises(llm.NoAnswer):
            llm.complete(asked, viewer_id=None, cache_key="k")
