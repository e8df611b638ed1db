"""What an engine on the air may ask of its house: facts of films, content neighbours, and the language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask, current_app
from sqlalchemy import select

from movierec import config
from movierec.content import asking
from movierec.engines.base import Engine
from movierec.engines.language.world import FilmFacts, Message, Reply, Silence, TalkingEngine
from movierec.extensions import db
from movierec.services import content, llm
from movierec.services.llm import access
from movierec.tables import Movie

FAILED = "The language model could not be asked."


class SiteWorld:
    """One app's doors; from any thread, also one without an app context."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def films(self, movie_ids: Sequence[int]) -> Mapping[int, FilmFacts]:
        """Facts of those films that the catalogue has."""
        columns = (Movie.id, Movie.title, Movie.year, Movie.genres, Movie.runtime, Movie.overview)
        with self._app.app_context():
            rows = db.session.execute(select(*columns).where(Movie.id.in_(list(movie_ids)))).all()
            db.session.rollback()
        return {row.id: FilmFacts(row.title, row.year, row.genres, row.runtime, row.overview or "") for row in rows}

    def near(self, movie_ids: Sequence[int], k: int) -> list[int]:
        """At most k movies whose content is most like these; none where there is no content index yet."""
        with self._app.app_context():
            index = content.index()
            db.session.rollback()
        return [] if index is None else [hit.movie_id for hit in asking.neighbours(index, movie_ids, k)]

    def chat(
        self, messages: list[Message], *, viewer_id: int | None, cache_key: str, accept: Callable[[str], bool]
    ) -> Reply:
        """The model's answer. Raises Silence."""
        with self._app.app_context():
            try:
                answer = llm.complete(messages, viewer_id=viewer_id, cache_key=cache_key, accept=accept)
            except llm.NoAnswer as none:
                raise Silence(none.reason) from None
            except Exception as error:  # the door has failed: whatever it was, the viewer gets a list
                self._app.logger.exception("the language model's door failed")
                raise Silence(FAILED) from error
            finally:
                db.session.rollback()  # no transaction stays open
        return Reply(answer.text, answer.model, answer.demo, answer.cached, answer.cost)


def asked_at() -> str:
    """The host that films and ratings may be sent to when a list is made; empty where they stay on this machine."""
    settings = current_app.config
    try:
        host = "" if access.stub(settings) else access.read(settings).place.host
    except llm.NoAnswer:
        return ""
    return "" if config.loopback(host) else host


def connected(engine: Engine, app: Any) -> Engine:
    """The engine, with the doors where it has use for them."""
    if isinstance(engine, TalkingEngine):
        engine.connect(SiteWorld(app))
    return engine
