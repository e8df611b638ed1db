"""An engine's doors to its house: facts, neighbours, and a language model that answers over a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from llm_kit import given
from llm_stub import CANARY, Stub, says
from sqlalchemy import select

from movierec.engines.base import Engine
from movierec.engines.language.choosing import choose
from movierec.engines.language.world import Ask, FilmFacts, Silence
from movierec.engines.llm import Llm
from movierec.engines.popularity import Popularity
from movierec.extensions import db
from movierec.services import accounts, content, llm, outside
from movierec.services.outside import SiteWorld
from movierec.tables import LlmCall, User

PICKS = json.dumps({"picks": [{"id": 1200, "reason": "More <b>of</b> it."}, {"id": 31337, "reason": "x"}]})


@pytest.fixture
def server() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.end()


@pytest.fixture
def app(make_app: Callable[..., Flask], server: Stub) -> Flask:
    """A site whose language model is the stub."""
    return make_app(**given(server))


@pytest.fixture
def mina(app: Flask, catalogue: dict[str, int]) -> int:
    with app.app_context():
        return db.session.scalar(select(User.id).where(User.name == "mina"))


def test_facts_are_those_of_the_catalogue(app: Flask, mina: int) -> None:
    found = SiteWorld(app).films([1214, 31337])
    assert found == {1214: FilmFacts("Alien", 1979, ["Horror", "Sci-Fi"], None, "")}
    assert SiteWorld(app).films([]) == {}


def test_neighbours_come_from_the_content_index_once_there_is_one(app: Flask, mina: int) -> None:
    world = SiteWorld(app)
    assert world.near([1214], 3) == []
    with app.app_context():
        content.shelf().looked = float("-inf")
        content.rebuild()
    assert world.near([1214], 1) == [1200]


def test_the_model_chooses_from_the_shortlist_over_a_real_socket(app: Flask, mina: int, server: Stub) -> None:
    server.play(says(PICKS))
    watched = [(1214, 4.5), (2571, None)]
    choice = choose(SiteWorld(app), [1200, 670, 1214], watched, Ask(mina, "more of that"))
    assert [(one.movie_id, one.reason) for one in choice.named] == [(1200, "More of it.")]
    assert (choice.silence, choice.demo) == ("", False)
    asked = server.calls[0].body["messages"][1]["content"]
    assert '"wish":"more of that"' in asked
    assert '"title":"Alien"' in asked
    assert "mina" not in asked
    assert CANARY not in asked
    assert choose(SiteWorld(app), [1200, 670, 1214], watched, Ask(mina, "more of that")).reply.cached
    assert len(server.calls) == 1
    with app.app_context():
        assert {call.viewer_id for call in db.session.scalars(select(LlmCall))} == {mina}


@pytest.mark.parametrize("text", ["no", '{"picks": [{"id": 31337}]}', '{"picks": [{"id": 1214}]}', ""])
def test_an_answer_without_a_film_of_the_shortlist_is_no_answer_and_is_not_kept(
    app: Flask, mina: int, server: Stub, text: str
) -> None:
    server.play(says(text))
    for _ in range(2):
        choice = choose(SiteWorld(app), [1200, 670, 1214], [(1214, None)], Ask(mina))
        assert choice.named == ()
        assert choice.silence.endswith(".")
    assert len(server.calls) >= 2


def test_a_model_that_is_gone_or_a_door_that_breaks_is_silence(
    app: Flask, mina: int, server: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.end()
    assert choose(SiteWorld(app), [1200], [], Ask(mina)).silence.endswith(".")
    monkeypatch.setattr(llm, "complete", lambda *_, **__: 1 / 0)
    with pytest.raises(Silence, match="could not be asked"):
        SiteWorld(app).chat([], viewer_id=None, cache_key="k", accept=bool)
    assert "door failed" in caplog.text


@pytest.mark.parametrize(("engine", "talks"), [(Llm(), True), (Popularity(), False)])
def test_only_an_engine_that_talks_is_given_the_doors(app: Flask, engine: Engine, talks: bool) -> None:
    assert outside.connected(engine, app) is engine
    assert isinstance(getattr(engine, "_world", None), SiteWorld) == talks


@pytest.mark.parametrize(("settings", "host"), [
    ({}, ""), ({"LLM_PROVIDER": "stub"}, ""), ({"LLM_API_KEY": CANARY, "LLM_MODEL": "m"}, "openrouter.ai"),
    ({"LLM_BASE_URL": "http://127.0.0.1:11434/v1", "LLM_MODEL": "m", "LLM_ALLOW_LOCAL": "1"}, ""),
    ({"LLM_BASE_URL": "http://10.0.0.7:8000/v1", "LLM_MODEL": "m", "LLM_ALLOW_LOCAL": "1"}, "10.0.0.7"),
])  # fmt: skip
def test_pages_say_where_a_history_may_go(make_app: Callable[..., Flask], settings: dict[str, str], host: str) -> None:
    app = make_app(**settings)
    with app.test_request_context():
        assert outside.asked_at() == host
    with app.app_context():
        person = accounts.create("ana", "correct horse battery 9").id
    text = app.test_client().enter(person).get("/").text
    assert ("Your history stays on this machine." in text) == (not host)
    assert (f"language model at <bdi>{host}</bdi>" in text) == bool(host)
