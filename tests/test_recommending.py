"""Whatever the engine does, a viewer gets films: never watched ones, never unknown ones, and is told who chose them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
from flask import Flask, current_app
from kit import NOON
from sqlalchemy import delete, select, update

from movierec import artifacts
from movierec.dataset import Dataset, History, ItemIndex
from movierec.engines.base import Engine, EngineError, Pick, Reason, ScoringEngine
from movierec.engines.language.world import Ask, Talked, TalkingEngine
from movierec.engines.popularity import Popularity
from movierec.extensions import PATIENCE, db, writing
from movierec.services import answering, desk, history, llm, programme, recommending, slates, station
from movierec.services.station import Facts, OnAir
from movierec.tables import MetricRow, Movie, Run, Serving, SlateRow, Snapshot, User, now


class Scripted(ScoringEngine):
    """Answers with what a test wrote for it."""

    slug = "scripted"

    def __init__(self, movie_ids: list[int], answer: Callable[[History, int], list[int]]) -> None:
        super().__init__()
        self.index, self.answer = ItemIndex(np.array(sorted(movie_ids))), answer

    def recommend(self, histories: Any, k: int, exclude: Any = None) -> list[list[Pick]]:
        wanted = self.answer(histories[0], k)
        return [[Pick(int(item), 1.0, self.why(histories[0])) for item in self.index.items(wanted) if item]]

    def why(self, history: History) -> str:
        return "follows the script" if len(history) else "the script's opening"

    def scores(self, histories: Any) -> Any: ...
    def fit(self, *_: Any) -> None: ...
    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, *_: Any) -> None: ...


@pytest.fixture
def mina(app_context: Flask, catalogue: dict[str, int]) -> int:
    """Has watched 1214, 1200 and 2571."""
    return db.session.scalar(select(User.id).where(User.name == "mina"))


def play(engine: Engine | None, version: int = 0) -> None:
    station.station().current = OnAir(version, engine, Facts("scripted" if engine else "popularity", 7))


def ids(slate: slates.Slate) -> list[int]:
    return [film.id for film in slate.films]


def test_with_no_run_at_all_the_best_known_unseen_films_are_given_and_it_is_said(mina: int) -> None:
    slate = recommending.slate_for(mina, 3)
    assert ids(slate) == [5952, 4973, 2324]
    assert slate.cold
    assert "No engine is trained yet" in (slate.fallback or "")
    assert (slate.origin, slate.own) == (Facts("rank"), 3)
    assert slate.why == "What most viewers of this site's data watched, without the films you have seen."


@pytest.mark.parametrize(
    ("state", "said"), [("running", "is being trained right now"), ("done", "No engine is on air"), ("failed", "yet")]
)
def test_while_nothing_is_on_air_the_list_says_why(mina: int, state: str, said: str) -> None:
    with writing() as session:
        session.add(Run(engine="nextitnet", params={}, state=state, code_version="1"))
    assert said in (recommending.slate_for(mina, 3).fallback or "")


def test_the_engines_order_is_kept_and_no_watched_or_unknown_film_comes(mina: int, catalogue: dict[str, int]) -> None:
    play(Scripted([*catalogue.values(), 31337], lambda _, k: [1212, 31337, 1214, 670, 1212]))
    slate = recommending.slate_for(mina, 2)
    assert ids(slate) == [1212, 670]
    assert (slate.fallback, slate.notice, slate.cold, slate.origin.run) == (None, None, False, 7)
    assert slate.why == "Follows the script: The Matrix, Aliens, Alien."


def test_the_engine_sees_the_history_oldest_first_with_times_and_ratings(mina: int, catalogue: dict[str, int]) -> None:
    seen: list[History] = []
    engine = Scripted(list(catalogue.values()), lambda given, k: seen.append(given) or [670])
    play(engine)
    recommending.slate_for(mina, 1)
    assert [engine.index.movie_id(item) for item in seen[0].items] == [1214, 1200, 2571]
    assert seen[0].times.tolist() == [int(NOON.timestamp()) + day * 86400 for day in range(3)]
    assert np.isnan(seen[0].ratings[0])
    assert seen[0].ratings[1:].tolist() == [4.5, 3.0]


def test_too_few_are_filled_up_and_it_is_said(mina: int, catalogue: dict[str, int]) -> None:
    play(Scripted(list(catalogue.values()), lambda _, k: [670]))
    slate = recommending.slate_for(mina, 3)
    assert ids(slate) == [670, 5952, 4973]
    assert slate.notice == "The list ends with best known films: scripted has no more for you."
    assert (slate.own, slate.fallback) == (1, None)


def test_an_engine_whose_films_are_all_seen_has_made_nothing_of_the_list(mina: int, catalogue: dict[str, int]) -> None:
    play(Scripted(list(catalogue.values()), lambda _, k: [1214]))
    slate = recommending.slate_for(mina, 2)
    assert (ids(slate), slate.origin, slate.own) == ([5952, 4973], slates.RANK, 2)
    assert slate.fallback == "scripted has no film left for you, so this list shows the best known films."


def test_a_cold_viewer_asks_the_engine_on_air_and_is_told(mina: int, people, catalogue: dict[str, int]) -> None:
    seen: list[int] = []
    play(Scripted(list(catalogue.values()), lambda given, k: seen.append(len(given)) or [670, 8367]))
    slate = recommending.slate_for(people("new"), 2)
    assert (ids(slate), slate.cold, slate.own, seen) == ([670, 8367], True, 2, [0])
    assert (slate.origin.engine, slate.origin.run, slate.fallback) == ("scripted", 7, None)
    assert slate.why == "The script's opening."
    assert slate.notice == (
        "You have not marked a film yet, so this is what scripted shows a viewer it knows nothing about."
    )
    assert programme.arrange(slate).reels[0].title == "To start with"


def test_a_reason_that_everybody_is_told_names_no_films(mina: int, put: Callable[..., int]) -> None:
    put()  # popularity
    assert recommending.slate_for(mina, 2).why == "Popular with everyone."


@pytest.mark.parametrize(("phrase", "said"), [("as you like it.", "As you like it."), ("", "In plain's own order.")])
def test_an_engine_may_say_what_it_likes_or_nothing(
    mina: int, catalogue: dict[str, int], phrase: str, said: str
) -> None:
    class Plain(Engine):
        fit = state = restore = None  # type: ignore[assignment]

        def recommend(self, histories: Any, k: int, exclude: Any = None) -> list[list[Pick]]:
            return [[Pick(1, 1.0, phrase)]]

    engine = Plain()
    engine.index = ItemIndex(np.array([670]))
    station.station().current = OnAir(0, engine, Facts("plain", 7))
    assert recommending.slate_for(mina, 1).why == said


def test_films_that_the_run_does_not_know_are_skipped_and_counted(mina: int, catalogue: dict[str, int]) -> None:
    play(Scripted([1214, 670], lambda given, k: [670] if len(given) == 1 else []))
    slate = recommending.slate_for(mina, 1)
    assert ids(slate) == [670]
    assert slate.notice == "2 films of your history are new to this run and were skipped."
    assert slate.why == "Follows the script: Alien."


def test_a_history_of_unknown_films_only_is_cold(mina: int) -> None:
    play(Scripted([670, 8367], lambda _, k: [670]))
    slate = recommending.slate_for(mina, 1)
    assert (ids(slate), slate.cold, slate.origin.engine, slate.fallback) == ([670], True, "scripted", None)
    assert "None of your films is known to this run" in (slate.notice or "")


@pytest.mark.parametrize("error", [EngineError("no"), ValueError("x"), MemoryError()])
def test_an_engine_that_fails_is_replaced_for_this_answer_only(
    mina: int, catalogue: dict[str, int], error: Exception
) -> None:
    def broken(_: History, k: int) -> list[int]:
        raise error

    engine = Scripted(list(catalogue.values()), broken)
    play(engine)
    slate = recommending.slate_for(mina, 2)
    assert (ids(slate), slate.origin) == ([5952, 4973], slates.RANK)
    assert slate.fallback == "scripted ran into a fault, so this list shows the best known films."
    assert programme.arrange(slate).reels[0].title == "Best known here"
    engine.answer = lambda _, k: [670, 8367]
    assert ids(recommending.slate_for(mina, 2)) == [670, 8367]  # the same question: the fault was not kept


def test_an_engine_that_hangs_is_replaced_in_time_and_cannot_take_all_threads(
    mina: int, catalogue: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "PATIENCE", 0.05)
    asleep = threading.Event()
    play(Scripted(list(catalogue.values()), lambda _, k: asleep.wait(20) and []))
    for _ in range(desk.AT_ONCE + 2):  # the last two find no thread and are answered at once
        slate = recommending.slate_for(mina, 2)
        assert "did not answer in time" in (slate.fallback or "")
        assert len(slate.films) == 2
    asleep.set()


def test_a_slate_is_made_once_for_a_version_of_history_and_serving(mina: int, catalogue: dict[str, int]) -> None:
    asked: list[int] = []
    play(Scripted(list(catalogue.values()), lambda _, k: asked.append(k) or [670, 8367]))
    first, again = recommending.slate_for(mina, 1), recommending.slate_for(mina, 1)
    assert (len(asked), first.fresh, again.fresh) == (1, True, False)
    history.mark(mina, 670)
    assert ids(recommending.slate_for(mina, 1)) == [8367]
    play(station.station().current.engine, version=1)
    with writing() as session:
        session.add(Serving(id=1, run_id=None, version=1))
    recommending.slate_for(mina, 1)
    assert len(asked) == 3


def test_no_transaction_stays_open_while_an_engine_loads_or_thinks(
    mina: int, catalogue: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, open_then = db.session(), []
    play(Scripted(list(catalogue.values()), lambda _, k: open_then.append(session.in_transaction()) or [670]))
    tune = station.station().tune
    monkeypatch.setattr(
        station.station(), "tune", lambda version: open_then.append(session.in_transaction()) or tune(version)
    )
    recommending.slate_for(mina, 1)
    assert open_then == [False, False]


def test_a_kept_slate_shows_the_films_as_they_are_now(mina: int, catalogue: dict[str, int]) -> None:
    asked: list[int] = []
    play(Scripted(list(catalogue.values()), lambda _, k: asked.append(k) or [670, 8367]))
    recommending.slate_for(mina, 2)
    with writing() as session:  # an import of the same views with a title put right
        session.execute(update(Movie).where(Movie.id == 670).values(title="The World of Apu"))
    assert [film.title for film in recommending.slate_for(mina, 2).films] == ["The World of Apu", "Nuit et brouillard"]
    assert len(asked) == 1
    with writing() as session:  # and one that takes a film away
        session.execute(delete(Movie).where(Movie.id == 8367))
    assert ids(recommending.slate_for(mina, 2)) == [670, 5952]
    assert len(asked) == 2


def test_a_new_snapshot_is_a_new_slate(mina: int, catalogue: dict[str, int]) -> None:
    asked: list[int] = []
    play(Scripted(list(catalogue.values()), lambda _, k: asked.append(k) or [670]))
    recommending.slate_for(mina, 1)
    with writing() as session:
        session.add(Snapshot(source="s", folder="f", sha256="0" * 64, events=1, viewers=1, movies=1))
    recommending.slate_for(mina, 1)
    assert len(asked) == 2


def test_slates_are_kept_for_a_while_and_not_without_end(
    mina: int, catalogue: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    play(Scripted(list(catalogue.values()), lambda _, k: asked.append(k) or [670]))
    monkeypatch.setattr(desk, "KEPT", 1)
    for k in (1, 2, 1):
        recommending.slate_for(mina, k)
    monkeypatch.setattr(desk, "KEPT_FOR", -1.0)
    recommending.slate_for(mina, 3)
    recommending.slate_for(mina, 3)
    assert len(asked) == 5


def test_logging_keeps_what_was_shown_once(mina: int, catalogue: dict[str, int]) -> None:
    play(Scripted(list(catalogue.values()), lambda _, k: [670, 8367]))
    station.station().current = OnAir(0, station.station().current.engine, Facts("scripted"))
    slates.log(recommending.slate_for(mina, 2))
    slates.log(recommending.slate_for(mina, 2))
    rows = db.session.scalars(select(SlateRow)).all()
    kept = [(row.user_id, row.engine, row.movie_ids, row.fallback) for row in rows]
    assert kept == [(mina, "scripted", [670, 8367], None)]
    assert rows[0].milliseconds > 0


def test_films_filled_up_are_not_logged_as_the_engines(mina: int, catalogue: dict[str, int]) -> None:
    play(Scripted(list(catalogue.values()), lambda _, k: [670]))
    station.station().current = OnAir(0, station.station().current.engine, Facts("scripted"))
    slate = recommending.slate_for(mina, 2)
    assert ids(slate) == [670, 5952]
    slates.log(slate)
    assert [(row.engine, row.movie_ids) for row in db.session.scalars(select(SlateRow))] == [("scripted", [670])]
    for movie in (670, 5952):
        history.mark(mina, movie)
    found = {entry.card.id: entry.found_by for entry in history.latest(mina, 2)}
    assert found == {670: "scripted", 5952: None}


def test_logging_never_waits_for_another_writer(mina: int, caplog: pytest.LogCaptureFixture) -> None:
    slate = recommending.slate_for(mina, 2)
    db.session.rollback()
    begun = monotonic()
    with db.engine.connect().execution_options(immediate=True) as other:
        other.exec_driver_sql("SELECT 1")  # begins, with the lock
        slates.log(slate)
        assert monotonic() - begun < PATIENCE / 2000  # half of what a patient writer waits
    assert "was not logged" in caplog.text
    assert db.session.scalar(select(SlateRow.id)) is None


def test_slates_of_long_ago_are_purged_in_parts(mina: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slates, "PURGED_AT_ONCE", 2)
    with writing() as session:
        for days in (1, 89, 91, 92, 93):
            at = now() - timedelta(days=days)
            session.add(SlateRow(user_id=mina, engine="e", movie_ids=[days], milliseconds=1.0, at=at))
    assert slates.purge() == 3
    assert [row.movie_ids for row in db.session.scalars(select(SlateRow).order_by(SlateRow.id))] == [[1], [89]]
    assert (slates.purge(timedelta(days=30)), slates.purge()) == (1, 0)


def test_a_slate_that_cannot_be_logged_is_only_warned_about(mina: int, caplog: pytest.LogCaptureFixture) -> None:
    slate = recommending.slate_for(mina, 2)
    slates.log(replace(slate, viewer_id=10**6))  # nobody: the foreign key refuses it
    assert "was not logged" in caplog.text


# --- loading what is on air ---


@pytest.fixture
def put(app_context: Flask, catalogue: dict[str, int]) -> Callable[..., int]:
    """`put()` trains popularity on the catalogue's films, saves it and puts it on air; the run's id."""

    def act(**changes: Any) -> int:
        movies = np.array(sorted(catalogue.values()))
        data = Dataset.from_events(np.repeat([1, 2], movies.size), np.tile(movies, 2), np.arange(2 * movies.size) + 1)
        engine = Popularity()
        engine.fit(data, lambda step, total, **metrics: None)
        saved = artifacts.save(Path(current_app.config["MODELS_DIR"]), engine, facts={})
        with writing() as session:
            row = session.get(Serving, 1) or Serving(id=1, version=0)
            session.add(row)
            snapshot = Snapshot(
                source="s", simulated=True, folder=saved.folder, sha256="0" * 64,
                events=24, viewers=2, movies=12, active=False,
            )  # fmt: skip
            session.add(snapshot)
            session.flush()
            run = Run(
                engine="popularity", params={}, state="done", code_version="t", artifact=saved.folder,
                artifact_sha256=saved.sha256, events=24, ended_at=NOON, snapshot_id=snapshot.id,
            )  # fmt: skip
            for name, value in changes.items():
                setattr(run, name, value)
            session.add(run)
            session.flush()
            number = {"metric": "hr", "k": 10, "protocol": "loo-full", "split": "test", "n": 8}
            session.add(MetricRow(run_id=run.id, value=0.25, low=0.2, high=0.3, **number))
            row.run_id, row.version = run.id, row.version + 1
        return run.id

    return act


def heard(viewer: int) -> slates.Slate:
    """The slate once the loading that the first question began has ended."""
    recommending.slate_for(viewer, 2)
    for thread in [thread for thread in threading.enumerate() if thread.name == "on-air"]:
        thread.join(20)
    return recommending.slate_for(viewer, 2)


def test_the_first_question_of_a_process_waits_for_the_engine_and_tells_its_facts(mina: int, put) -> None:
    run = put()
    slate = recommending.slate_for(mina, 2)
    assert slate.origin == Facts("popularity", run, NOON, 24, True, 0.25, 0.2, 0.3, 8, "loo-full")
    assert slate.fallback is None


def test_a_new_version_is_loaded_beside_the_old_one(mina: int, put, monkeypatch: pytest.MonkeyPatch) -> None:
    first = put()
    assert heard(mina).origin.run == first
    second = put()
    loading = threading.Event()
    original = station._facts
    monkeypatch.setattr(station, "_facts", lambda run: loading.wait(20) and original(run))
    assert recommending.slate_for(mina, 2).origin.run == first  # the second can't be there before it is let
    loading.set()
    assert heard(mina).origin.run == second


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_playing(mina: int, put) -> None:
    first = put()
    assert heard(mina).origin.run == first
    second = put()
    models = Path(current_app.config["MODELS_DIR"])
    shutil.rmtree(models / "popularity" / db.session.get(Run, second).artifact)
    slate = heard(mina)
    assert slate.origin.run == first
    assert (slate.notice or "").startswith(f"popularity #{second} is on air but can't be loaded")
    assert station.station().trouble(2)
    assert station.station().trouble(1) is None


@pytest.mark.parametrize("changes", [{"artifact": None}, {"artifact_sha256": "f" * 64}, {"engine": "nothing-like-it"}])
def test_where_nothing_can_be_loaded_the_list_is_popular_and_says_why(mina: int, put, changes: dict[str, Any]) -> None:
    put(**changes)
    slate = heard(mina)
    assert len(slate.films) == 2
    assert "can't be loaded" in (slate.fallback or "")


def test_a_loading_that_fails_oddly_is_told_like_any_other(mina: int, put, monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    monkeypatch.setattr(station, "_facts", lambda run: 1 / 0)
    assert "can't be loaded" in (heard(mina).fallback or "")
    assert station.station().trouble(1) == "ZeroDivisionError: division by zero"


def test_while_the_first_load_takes_too_long_the_list_says_so(mina: int, put, monkeypatch: pytest.MonkeyPatch) -> None:
    put()
    slow = threading.Event()
    monkeypatch.setattr(station, "FIRST_WAIT", 0.01)
    original = station._facts
    monkeypatch.setattr(station, "_facts", lambda run: slow.wait(20) and original(run))
    assert "still loading" in (recommending.slate_for(mina, 2).fallback or "")
    slow.set()
    assert heard(mina).fallback is None


# --- how the home page arranges it ---


def test_each_film_stands_on_the_page_once(mina: int, catalogue: dict[str, int]) -> None:
    play(Scripted(list(catalogue.values()), lambda _, k: list(catalogue.values())))
    slate = recommending.slate_for(mina, 20)
    shown = programme.arrange(slate)
    assert shown.first == slate.films[0]
    listed = [film.id for reel in shown.reels for film in reel.films]
    assert listed == ids(slate)[1:]
    assert programme.arrange(replace(slate, films=[])).first is None


def test_what_is_left_is_listed_by_its_largest_genres(mina: int, catalogue: dict[str, int]) -> None:
    slate = recommending.slate_for(mina, 3)
    film = slate.films[0]
    many = [replace(film, id=film.id, genres=["Drama"] if at % 3 else ["War"]) for at in range(31)]
    many = [replace(one, id=film.id if at == 0 else 10_000 + at) for at, one in enumerate(many)]
    reels = programme.arrange(replace(slate, films=many)).reels
    assert [(reel.genre, len(reel.films)) for reel in reels] == [(None, 12), ("Drama", 6), ("War", 6)]


# --- why each film is on the list ---


class Explaining(Scripted):
    """Gives the reasons that a test wrote: movie id -> [(movie id, effect)]."""

    def __init__(self, movie_ids: list[int], wanted: list[int], reasons: Any) -> None:
        super().__init__(movie_ids, lambda _, k: wanted)
        self.reasons = reasons

    def explain(self, history: History, items: Any) -> list[Reason]:
        if callable(self.reasons):
            return self.reasons(items)
        index = self.index
        return [
            Reason(
                "", tuple((int(index.items([film])[0]), effect) for film, effect in self.reasons[index.movie_id(item)])
            )
            for item in items
        ]


def test_reasons_name_the_films_that_a_pick_rests_on(mina: int, catalogue: dict[str, int]) -> None:
    rests = {670: [(1214, 0.5), (2571, 0.2), (1200, 0.1), (6016, 0.05)], 8367: [(2571, 0.3)], 1212: []}
    play(Explaining(list(catalogue.values()), [670, 8367, 1212], rests))
    slate = recommending.slate_for(mina, 3)
    assert slate.because[670].films == ((1214, "Alien", 0.5), (2571, "The Matrix", 0.2), (1200, "Aliens", 0.1))
    assert slate.because[670].line == "Because you watched Alien and The Matrix"
    assert slate.because[8367].line == "Because you watched The Matrix"
    assert 1212 not in slate.because
    assert recommending.slate_for(mina, 3).because == slate.because  # kept with the slate
    found, of = recommending.because(mina, 670, 3)
    assert (found, of.origin.engine) == (slate.because[670], "scripted")
    assert recommending.because(mina, 1212, 3) is None
    history.mark(mina, 6016)
    assert recommending.because(mina, 670, 3) is None  # the list is another one now


@pytest.mark.parametrize("reasons", [lambda items: 1 / 0, lambda items: [], lambda items: [Reason()] * 99])
def test_reasons_that_fail_leave_the_list_as_it_is(
    mina: int, catalogue: dict[str, int], reasons: Any, caplog: pytest.LogCaptureFixture
) -> None:
    play(Explaining(list(catalogue.values()), [670, 8367], reasons))
    slate = recommending.slate_for(mina, 2)
    assert (ids(slate), slate.because, slate.fallback) == ([670, 8367], {}, None)
    assert "gave no reasons" in caplog.text


def test_reasons_count_inside_the_engines_time(
    mina: int, catalogue: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "PATIENCE", 0.2)
    asleep = threading.Event()
    play(Explaining(list(catalogue.values()), [670, 8367], lambda items: asleep.wait(20) and []))
    begun = monotonic()
    slate = recommending.slate_for(mina, 2)
    asleep.set()
    assert monotonic() - begun < 5
    assert (ids(slate), slate.because, slate.origin.engine) == ([670, 8367], {}, "scripted")


# --- an engine that talks to a language model ---


class Talker(TalkingEngine):
    """Its own list is 670, 8367, 1212; its model chooses what a test wrote."""

    slug, patience = "talker", 0.3
    fit = state = restore = recommend = None  # type: ignore[assignment]

    def __init__(self, movie_ids: list[int], talked: Callable[[Ask], Any]) -> None:
        super().__init__()
        self.index, self.talked = ItemIndex(np.array(sorted(movie_ids))), talked

    def connect(self, world: Any) -> None: ...

    def picks(self, movie_ids: list[int], why: str) -> list[Pick]:
        return [Pick(int(item), 1.0, why) for item in self.index.items(movie_ids)]

    def quick(self, history: History, k: int) -> list[Pick]:
        return self.picks([670, 8367, 1212], "goes with what you watched")

    def talk(self, history: History, k: int, ask: Ask) -> Talked:
        return self.talked(ask)

    def explain(self, history: History, items: Any) -> list[Reason]:
        return [Reason("", ((int(self.index.items([1214])[0]), 0.5),)) for _ in items]


@pytest.fixture
def model_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "available", lambda: "")


@pytest.mark.usefixtures("model_there")
def test_a_language_model_is_waited_for_only_where_that_is_asked(mina: int, catalogue: dict[str, int]) -> None:
    asked: list[Ask] = []

    def talk(ask: Ask) -> Talked:
        asked.append(ask)
        picks = engine.picks([1212], "A dark one.") + engine.picks([670], "filled in")
        return Talked(picks, chosen=1, model="tiny", demo=True)

    engine = Talker(list(catalogue.values()), talk)
    play(engine)
    quick = recommending.slate_for(mina, 2)
    assert (ids(quick), quick.pending, quick.fallback, asked) == ([670, 8367], True, None, [])
    assert quick.why == "Goes with what you watched: The Matrix, Aliens, Alien."
    slate = recommending.slate_for(mina, 2, wait=True)
    assert (ids(slate), slate.pending, slate.model, slate.demo) == ([1212, 670], False, "tiny", True)
    assert [one.viewer_id for one in asked] == [mina]
    assert slate.because[1212].line == "A dark one."
    assert (slate.because[670].filled, slate.because[670].line) == (True, "Because you watched Alien")
    assert slate.why.startswith("The first film was chosen by tiny from a shortlist")
    assert "demo model" in (slate.notice or "")
    assert recommending.slate_for(mina, 2) == replace(slate, fresh=False)  # from now on at once
    assert len(asked) == 1


@pytest.mark.usefixtures("model_there")
def test_a_silent_language_model_is_told_and_left_alone_for_a_while(
    mina: int, catalogue: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Talker(
        list(catalogue.values()), lambda ask: Talked(engine.quick(None, 2), silence="The budget is used up.")
    )
    play(engine)
    slate = recommending.slate_for(mina, 2, wait=True)
    assert (ids(slate), slate.origin.engine, slate.own) == ([670, 8367], "scripted", 2)
    assert slate.fallback == "The budget is used up. This is scripted's list without it."
    assert not recommending.slate_for(mina, 2).pending
    monkeypatch.setattr(desk, "monotonic", lambda: monotonic() + answering.SILENT_FOR + 1)
    assert recommending.slate_for(mina, 2).pending


@pytest.mark.usefixtures("model_there")
@pytest.mark.parametrize("fault", ["slow", "broken"])
def test_a_language_model_that_hangs_or_breaks_leaves_the_engines_own_list(
    mina: int, catalogue: dict[str, int], fault: str
) -> None:
    asleep = threading.Event()
    play(Talker(list(catalogue.values()), lambda ask: asleep.wait(20) if fault == "slow" else 1 / 0))
    begun = monotonic()
    slate = recommending.slate_for(mina, 2, wait=True)
    asleep.set()
    assert monotonic() - begun < 5
    assert ids(slate) == [670, 8367]
    assert slate.fallback == "The language model did not answer. This is scripted's list without it."


@pytest.mark.usefixtures("model_there")
def test_waiting_for_models_takes_no_thread_from_others(mina: int, catalogue: dict[str, int]) -> None:
    asleep = threading.Event()
    play(Talker(list(catalogue.values()), lambda ask: asleep.wait(20)))
    for _ in range(desk.SLOW_AT_ONCE + 1):
        desk.desk().slates.clear()
        recommending.slate_for(mina, 2, wait=True)
    assert desk.desk().free.acquire(blocking=False)
    assert not desk.desk().slow.acquire(blocking=False)
    desk.desk().free.release()
    asleep.set()


def test_where_no_model_is_set_up_nothing_is_pending_and_it_is_said(mina: int, catalogue: dict[str, int]) -> None:
    play(Talker(list(catalogue.values()), lambda ask: 1 / 0))
    for wait in (False, True):
        slate = recommending.slate_for(mina, 2, wait=wait)
        assert (ids(slate), slate.pending) == ([670, 8367], False)
        assert (slate.fallback or "").endswith("This is scripted's list without it.")
        assert "set LLM_" in (slate.fallback or "")


def test_a_loaded_engine_gets_the_doors(mina: int, put: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(station.outside, "connected", lambda engine, app: given.append(app) or engine)
    put()
    heard(mina)
    assert given == [current_app._get_current_object()]
