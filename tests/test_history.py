"""The history under double clicks, races, undo and strange input, compared with what a plain dict would do."""

from __future__ import annotations

import random
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from kit import together
from sqlalchemy import func, select, update

from movierec.extensions import db, writing
from movierec.services import history
from movierec.services.errors import NotFound, Refused
from movierec.tables import SlateRow, User, View, now

DAY = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
def ana(people, catalogue: dict[str, int]) -> int:
    return people("ana")


def version(viewer: int) -> int:
    return db.session.scalar(select(User.history_version).where(User.id == viewer))


def live(viewer: int) -> set[int]:
    rows = db.session.scalars(select(View.movie_id).where(View.user_id == viewer, View.removed_at.is_(None))).all()
    assert len(rows) == len(set(rows))
    return set(rows)


def test_marking_puts_a_film_in_and_moves_the_version(app_context: Flask, ana: int) -> None:
    marked = history.mark(ana, 1214, rating=4.5, watched_at=DAY)
    assert (marked.new, marked.rating, marked.watched_at, marked.card.title) == (True, 4.5, DAY, "Alien")
    assert marked.card.watched
    assert (live(ana), version(ana)) == ({1214}, 1)


def test_marking_again_changes_only_what_is_given(app_context: Flask, ana: int) -> None:
    first = history.mark(ana, 1214, rating=4.5, watched_at=DAY)
    again = history.mark(ana, 1214)
    assert (again.view_id, again.new, again.rating, again.watched_at) == (first.view_id, False, 4.5, DAY)
    changed = history.mark(ana, 1214, rating=None, watched_at=DAY + timedelta(days=1))
    assert (changed.rating, changed.watched_at) == (None, DAY + timedelta(days=1))
    assert live(ana) == {1214}


def test_fifty_identical_marks_at_once_leave_one_row(app: Flask, ana: int) -> None:
    def act(_: int) -> bool:
        with app.app_context():
            return history.mark(ana, 1214, watched_at=DAY).new

    results = together(50, act)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(View).where(View.user_id == ana)) == 1
        assert (results.count(True), results.count(False), version(ana)) == (1, 49, 50)


def test_unknown_films_and_other_peoples_entries_are_not_found(app_context: Flask, ana: int) -> None:
    theirs = db.session.scalar(select(View.id).where(View.user_id != ana))
    for act in (
        lambda: history.mark(ana, 424_242),
        lambda: history.remove(ana, theirs),
        lambda: history.change(ana, theirs, rating=1.0, watched_at=None),
        lambda: history.entry(ana, theirs),
    ):
        with pytest.raises(NotFound):
            act()
    assert (live(ana), version(ana)) == (set(), 0)


def test_removing_and_undoing(app_context: Flask, ana: int) -> None:
    view = history.mark(ana, 1214, rating=2.0, watched_at=DAY).view_id
    removed = history.remove(ana, view)
    assert (removed.count, live(ana), version(ana)) == (1, set(), 2)
    with pytest.raises(NotFound):
        history.remove(ana, view)
    assert history.undo(ana, removed.token) == 1
    entry = history.entry(ana, view)
    assert (entry.rating, entry.watched_at, version(ana)) == (2.0, DAY, 3)
    with pytest.raises(NotFound):
        history.undo(ana, removed.token)


def test_undo_after_marking_again_keeps_the_new_entry(app_context: Flask, ana: int) -> None:
    view = history.mark(ana, 1214, rating=2.0).view_id
    token = history.remove(ana, view).token
    history.mark(ana, 1214, rating=5.0)
    with pytest.raises(NotFound):
        history.undo(ana, token)
    assert [entry.rating for entry in history.diary(ana).entries] == [5.0]


def test_clearing_everything_and_putting_it_back(app_context: Flask, ana: int) -> None:
    for movie in (1214, 1200, 2571):
        history.mark(ana, movie)
    history.remove(ana, history.diary(ana).entries[0].view_id)
    removed = history.clear(ana)
    assert (removed.count, history.count(ana)) == (2, 0)
    assert history.clear(ana).count == 0
    assert history.undo(ana, removed.token) == 2
    assert history.count(ana) == 2


def test_undo_when_an_import_has_made_one_film_of_two(app_context: Flask, ana: int) -> None:
    """Both entries then name the same film, which can be in a history once: the newer one comes back."""
    history.mark(ana, 1214, rating=3.0)
    history.mark(ana, 1200, rating=4.0)
    removed = history.clear(ana)
    with writing() as session:
        session.execute(update(View).where(View.user_id == ana, View.movie_id == 1200).values(movie_id=1214))
    assert history.undo(ana, removed.token) == 1
    kept = select(View.rating).where(View.user_id == ana, View.removed_at.is_(None))
    assert db.session.scalars(kept).all() == [4.0]


def test_nobody_else_can_undo(app_context: Flask, ana: int, people) -> None:
    token = history.remove(ana, history.mark(ana, 1214).view_id).token
    with pytest.raises(NotFound):
        history.undo(people("ben"), token)


@pytest.mark.parametrize("token", ["", "x", "0", "-5", "9" * 40, "\x00", "1e9", "²", "../../etc/passwd"])
def test_tokens_that_are_none(app_context: Flask, ana: int, token: str) -> None:
    history.mark(ana, 1214)
    with pytest.raises(NotFound):
        history.undo(ana, token)


def test_two_removals_never_share_a_token(app_context: Flask, ana: int) -> None:
    ahead = now() + timedelta(seconds=5)  # a clock that was set back since
    first = history.mark(ana, 1214).view_id
    second = history.mark(ana, 1200).view_id
    history.remove(ana, first)
    with writing() as session:
        session.execute(update(View).where(View.id == first).values(removed_at=ahead))
    history.undo(ana, history.remove(ana, second).token)
    assert live(ana) == {1200}


def test_what_was_removed_more_than_a_day_ago_stays_removed_and_is_purged(
    app_context: Flask, ana: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PURGED_AT_ONCE", 1)
    for movie in (1214, 1200):
        history.mark(ana, movie)
    old = history.clear(ana)
    recent = history.remove(ana, history.mark(ana, 2571).view_id)
    assert history.purge_removed() == 0
    later = now() + history.UNDO_FOR
    monkeypatch.setattr(history, "now", lambda: later)
    with writing() as session:
        session.execute(
            update(View).where(View.movie_id == 2571, View.user_id == ana).values(removed_at=later - timedelta(hours=1))
        )
    with pytest.raises(NotFound):
        history.undo(ana, old.token)
    assert history.purge_removed() == 2
    assert db.session.scalars(select(View.movie_id).where(View.user_id == ana)).all() == [2571]
    assert recent.count == 1


def test_five_hundred_races_of_two_tabs_end_in_one_of_the_two_serial_orders(app: Flask, ana: int) -> None:
    rng = random.Random(3)
    films = (1214, 1200, 2571)
    deeds = [tuple((rng.choice(("add", "remove", "clear")), rng.choice(films)) for _ in "ab") for _ in range(500)]
    gate = threading.Barrier(2)
    wrong = []

    def after(held: set[int], deed: tuple[str, int]) -> set[int]:
        kind, movie = deed
        return held | {movie} if kind == "add" else held - {movie} if kind == "remove" else set()

    def act(deed: tuple[str, int], views: dict[int, int]) -> None:
        kind, movie = deed
        try:
            if kind == "add":
                history.mark(ana, movie)
            elif kind == "clear":
                history.clear(ana)
            elif movie in views:
                history.remove(ana, views[movie])
        except NotFound:  # the other tab took it out first
            assert kind == "remove"

    def tab(number: int) -> None:
        with app.app_context():
            for one, two in deeds:
                db.session.rollback()  # as a new request: what the last one read is old
                views = {entry.card.id: entry.view_id for entry in history.latest(ana)}
                gate.wait()
                act((one, two)[number], views)
                gate.wait()
                db.session.rollback()
                held = set(views)
                if number == 0:
                    allowed = after(after(held, one), two), after(after(held, two), one)
                    if "remove" in (one[0], two[0]):  # it removes what it saw: what is added meanwhile stays
                        allowed += (after(held, one) | after(held, two),)
                    if live(ana) not in allowed:
                        wrong.append((held, one, two, live(ana)))
                gate.wait()

    assert together(2, tab) == [None, None]
    assert wrong == []


def test_the_diary_is_newest_first_in_pages(app_context: Flask, ana: int) -> None:
    for day, movie in enumerate((1214, 1200, 2571)):
        history.mark(ana, movie, watched_at=DAY + timedelta(days=day))
    page = history.diary(ana, 1, size=2)
    assert ([entry.card.id for entry in page.entries], page.pages, page.total) == ([2571, 1200], 2, 3)
    assert [entry.card.id for entry in history.diary(ana, 2, size=2).entries] == [1214]
    with pytest.raises(NotFound):
        history.diary(ana, 3, size=2)


def test_changing_an_entry(app_context: Flask, ana: int) -> None:
    view = history.mark(ana, 1214, rating=2.0, watched_at=DAY).view_id
    history.change(ana, view, rating=None, watched_at=None)
    assert (history.entry(ana, view).rating, history.entry(ana, view).watched_at) == (None, DAY)


def test_a_film_found_on_a_list_names_its_engine(app_context: Flask, ana: int) -> None:
    with writing() as session:
        session.add(SlateRow(user_id=ana, engine="nextitnet", movie_ids=[1214], milliseconds=1.0))
    history.mark(ana, 1214)
    history.mark(ana, 1200)
    assert {entry.card.id: entry.found_by for entry in history.diary(ana).entries} == {1214: "nextitnet", 1200: None}


def test_numbers(app_context: Flask, ana: int) -> None:
    assert history.numbers(ana) == history.Numbers(0, None, None, [])
    history.mark(ana, 1214, rating=4.0)
    history.mark(ana, 1200, rating=2.0, watched_at=now() - timedelta(days=800))
    assert history.numbers(ana) == history.Numbers(1, 3.0, 0.0, [("1970s", 1), ("1980s", 1)])


@pytest.mark.parametrize(
    ("text", "rating"), [(None, None), ("", None), (" ", None), ("3", 3.0), ("4.5", 4.5), ("5.0", 5.0)]
)
def test_ratings(text: str | None, rating: float | None) -> None:
    assert history.parse_rating(text) == rating


@pytest.mark.parametrize("text", ["0", "5.5", "3.3", "nan", "inf", "-1", "five", "1e400", "\x00", "٣x", "9" * 1000])
def test_ratings_that_are_none(text: str) -> None:
    with pytest.raises(Refused) as refusal:
        history.parse_rating(text)
    assert refusal.value.field == "rating"


def test_days() -> None:
    today = now().date()
    assert history.parse_day(None) is None
    assert history.parse_day(" ") is None
    assert history.parse_day("2020-02-29") == datetime(2020, 2, 29, 12, tzinfo=UTC)
    assert abs((history.parse_day(today.isoformat()) - now()).total_seconds()) < 60


def test_where_it_is_tomorrow_already_that_day_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2026, 3, 14, 11, tzinfo=UTC)  # midnight has passed at UTC+13
    monkeypatch.setattr(history, "now", lambda: moment)
    assert history.latest_day() == date(2026, 3, 15)
    assert history.parse_day("2026-03-15") == moment
    assert history.parse_day("2026-03-13") == datetime(2026, 3, 13, 12, tzinfo=UTC)
    with pytest.raises(Refused):
        history.parse_day("2026-03-16")
    monkeypatch.setattr(history, "now", lambda: moment.replace(hour=9))  # tomorrow nowhere yet
    with pytest.raises(Refused):
        history.parse_day("2026-03-15")


@pytest.mark.parametrize(
    "text", ["2021-02-29", "yesterday", "1800-01-01", "2999-01-01", "0000-00-00", "\ud800", "9" * 99]
)
def test_days_that_are_none(text: str) -> None:
    with pytest.raises(Refused) as refusal:
        history.parse_day(text)
    assert refusal.value.field == "day"
