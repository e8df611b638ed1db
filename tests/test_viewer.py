"""The viewer's pages with and without HTMX: what they say, where they lead, what they survive."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from kit import Browser
from sqlalchemy import update

from movierec import posters
from movierec.dataset import Dataset
from movierec.engines.base import Reason
from movierec.engines.llm import Llm
from movierec.engines.popularity import Popularity
from movierec.extensions import db, writing
from movierec.services import accounts, content, desk, drawing, history, llm, outside, search, station
from movierec.services import catalogue as catalogue_service
from movierec.tables import Movie, SlateRow, View

NAUGHTY = [
    "<script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>", "{{ 7*7 }}", "%00", "\x00", "‮right",
    "ﷺ" * 50, "Z͑ͫ̓ͪ̂ͫ̽" * 40, "👩‍👩‍👧‍👦", "1;DROP TABLE movies", "../../../etc/passwd", "${jndi:ldap://x}",
    "\r\nSet-Cookie: a=b", "𝕒", "ﬁ",
    "NaN", "-1", "1e309", "0x7f", "null", "undefined", "true", "\u2028", " ", "a" * 100_000,
]  # fmt: skip
TRAVERSAL = ["../1", "..%2f1", "%2e%2e/1", "..\\1", "1%00", "1/../../etc/passwd", "%2fetc%2fpasswd", "1?x=/../", "-1",
             "1e3", "0x1", "9" * 20, "2147483648", "1.0", " 1", "file:///etc/passwd", "..;/1"]  # fmt: skip


@pytest.fixture
def vera(as_viewer: Browser, catalogue: dict[str, int]) -> Browser:
    """A viewer with a dozen films and no history."""
    return as_viewer


def rows(app: Flask, viewer: int) -> list[View]:
    with app.app_context():
        return list(db.session.query(View).filter_by(user_id=viewer, removed_at=None))


def view_id(app: Flask, browser: Browser, movie: int) -> int:
    browser.submit(f"/movies/{movie}/watched")
    return next(row.id for row in rows(app, browser.user_id) if row.movie_id == movie)


def test_visitors_are_shown_the_door(client: Browser) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.location) == (302, "/login")


PAGES = ["/", "/search", "/search?q=alien", "/browse", "/movies/1214", "/history", "/history/clear", "/wish",
         "/wish?q=short+comedy"]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_pages_answer_whole_and_are_never_kept_by_proxies(vera: Browser, path: str) -> None:
    answer = vera.get(path)
    assert answer.status_code == 200
    assert answer.text.startswith("<!doctype html>")
    assert answer.text.count("<main") == 1
    assert "HX-Request" in answer.headers["Vary"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert not re.search(r"\son\w+=", answer.text)


@pytest.mark.parametrize(("path", "has"), [("/", "First pick|A good one"), ("/search?q=alien", "2 films for"),
                                           ("/browse?genre=Drama", "Drama"), ("/history", "Your history")])  # fmt: skip
def test_htmx_gets_the_part_alone_and_a_restored_page_the_whole(vera: Browser, path: str, has: str) -> None:
    part = vera.fragment(path)
    assert "<html" not in part.text
    assert re.search(has, part.text)
    restored = vera.get(path, headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert restored.text.startswith("<!doctype html>")


def test_home_without_a_history_teaches_the_next_step(vera: Browser) -> None:
    text = vera.get("/").text
    assert "We don’t know your taste yet" in text
    assert "No engine is trained yet" in text
    assert "<span>best known</span>" in text
    assert "popularity" not in text
    assert "The Matrix" in text


def test_home_without_films_says_who_can_help(as_viewer: Browser) -> None:
    assert "No films here yet" in as_viewer.get("/").text


def test_home_when_everything_is_seen(app: Flask, vera: Browser, catalogue: dict[str, int]) -> None:
    for movie in catalogue.values():
        vera.submit(f"/movies/{movie}/watched")
    assert "You have seen every film here" in vera.get("/").text


def test_marking_without_htmx_leads_back_and_changes_the_list_at_once(app: Flask, vera: Browser) -> None:
    answer = vera.submit("/movies/2571/watched", {"back": "home"})
    assert (answer.status_code, answer.location) == (303, "/")
    text = vera.get("/").text
    assert "The Matrix is in your history." in text
    assert 'action="/movies/2571/watched"' not in text
    assert [row.movie_id for row in rows(app, vera.user_id)] == [2571]


@pytest.mark.parametrize(("form", "location"), [({"back": "film"}, "/movies/1214"), ({"back": "card"}, "/movies/1214"),
                                                ({}, "/history"), ({"back": "//evil.test"}, "/history")])  # fmt: skip
def test_the_way_back_is_one_of_ours(vera: Browser, form: dict[str, str], location: str) -> None:
    assert vera.submit("/movies/1214/watched", form).location == location


def test_marking_with_htmx_answers_with_the_next_list_and_the_way_back(app: Flask, vera: Browser) -> None:
    answer = vera.submit("/movies/2571/watched", {"back": "home"}, htmx=True)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert 'hx-swap-oob="innerHTML:#toasts"' in answer.text
    assert "The Matrix is in your history." in answer.text
    view = rows(app, vera.user_id)[0].id
    assert f'hx-post="/history/{view}/remove"' in answer.text
    assert 'action="/movies/2571/watched"' not in answer.text
    back = vera.submit(f"/history/{view}/remove", {"back": "home"}, htmx=True)
    assert 'action="/movies/2571/watched"' in back.text
    assert 'hx-post="/history/undo"' in back.text


def test_a_card_is_answered_with_the_card(app: Flask, vera: Browser) -> None:
    answer = vera.submit("/movies/1214/watched", {"back": "card", "place": "w-3"}, htmx=True)
    assert 'id="film-w-3"' in answer.text
    assert "is-seen" in answer.text
    view = rows(app, vera.user_id)[0].id
    gone = vera.submit(f"/history/{view}/remove", {"back": "card", "place": "w-3"}, htmx=True)
    assert 'id="mark-w-3"' in gone.text
    token = re.search(r'name="token" value="(\d+)"', gone.text)
    again = vera.submit("/history/undo", {"token": token[1], "back": "card", "place": "w-3", "film": "1214"}, htmx=True)
    assert "is-seen" in again.text


def test_the_film_page_takes_rating_and_day(app: Flask, vera: Browser) -> None:
    answer = vera.submit("/movies/1214/watched", {"back": "film", "rating": "4.5", "day": "2020-05-17"}, htmx=True)
    assert "17 May 2020" in answer.text
    assert "4.5 of 5 stars" in answer.text
    row = rows(app, vera.user_id)[0]
    assert (row.rating, row.watched_at.date().isoformat()) == (4.5, "2020-05-17")
    assert "17 May 2020" in vera.get("/movies/1214").text


def test_rating_a_film_on_its_page_leaves_it_in_its_place(app: Flask, vera: Browser) -> None:
    for movie in (1214, 1200):
        vera.submit(f"/movies/{movie}/watched")
    before = {row.movie_id: row.watched_at for row in rows(app, vera.user_id)}
    shown = re.search(r'name="day" type="date" value="([\d-]+)"', vera.get("/movies/1214").text)[1]
    vera.submit("/movies/1214/watched", {"back": "film", "rating": "4", "day": shown})
    after = rows(app, vera.user_id)
    assert {row.movie_id: row.watched_at for row in after} == before
    assert {row.movie_id: row.rating for row in after} == {1214: 4.0, 1200: None}


def test_no_rating_takes_the_rating_away_and_a_form_without_one_leaves_it(app: Flask, vera: Browser) -> None:
    vera.submit("/movies/1214/watched", {"rating": "4"})
    vera.submit("/movies/1214/watched")
    assert rows(app, vera.user_id)[0].rating == 4.0
    vera.submit("/movies/1214/watched", {"rating": ""})
    assert rows(app, vera.user_id)[0].rating is None


def test_the_date_fields_reach_as_far_as_the_viewers_own_today(
    app: Flask, vera: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = view_id(app, vera, 1214)
    moment = datetime(2031, 3, 14, 11, tzinfo=UTC)
    monkeypatch.setattr(history, "now", lambda: moment)
    for path in ("/movies/1214", f"/history/{view}/edit"):
        assert 'max="2031-03-15"' in vera.get(path).text
    vera.submit("/movies/1200/watched", {"day": "2031-03-15"})
    assert moment in [row.watched_at for row in rows(app, vera.user_id)]


@pytest.mark.parametrize(("form", "message"), [({"rating": "9"}, "0.5 to 5"), ({"day": "never"}, "year-month-day"),
                                               ({"day": "2999-01-01"}, "first film show")])  # fmt: skip
def test_a_wrong_rating_or_day_is_said_beside_its_field(
    app: Flask, vera: Browser, form: dict[str, str], message: str
) -> None:
    for htmx in (False, True):
        answer = vera.submit("/movies/1214/watched", {"back": "film"} | form, htmx=htmx)
        assert answer.status_code == 422
        assert message in answer.text
    view = view_id(app, vera, 1214)
    answer = vera.submit(f"/history/{view}/edit", {"rating": "", "day": ""} | form, htmx=True)
    assert answer.status_code == 422
    assert message in answer.text


def test_editing_an_entry_without_javascript(app: Flask, vera: Browser) -> None:
    view = view_id(app, vera, 1214)
    assert "Change an entry" in vera.get(f"/history/{view}/edit").text
    answer = vera.submit(f"/history/{view}/edit", {"rating": "0.5", "day": "2001-02-03"})
    assert (answer.status_code, answer.location) == (303, "/history")
    assert "0.5 of 5 stars" in vera.get("/history").text
    moment = rows(app, vera.user_id)[0].watched_at
    vera.submit(f"/history/{view}/edit", {"rating": "", "day": "2001-02-03"})
    assert rows(app, vera.user_id)[0].watched_at == moment


def test_removing_and_putting_back_without_javascript(app: Flask, vera: Browser) -> None:
    view = view_id(app, vera, 1214)
    answer = vera.submit(f"/history/{view}/remove")
    assert answer.status_code == 303
    page = vera.get(answer.location)
    assert "Put it back" in page.text
    token = re.search(r'name="token" value="(\d+)"', page.text)
    assert vera.submit("/history/undo", {"token": token[1]}).status_code == 303
    assert len(rows(app, vera.user_id)) == 1
    assert vera.submit("/history/undo", {"token": token[1]}).status_code == 404


def test_clearing_asks_first_and_can_be_undone(app: Flask, vera: Browser) -> None:
    for movie in (1214, 1200):
        vera.submit(f"/movies/{movie}/watched")
    assert "2 films" in vera.get("/history/clear").text
    assert len(rows(app, vera.user_id)) == 2
    answer = vera.submit("/history/clear")
    assert rows(app, vera.user_id) == []
    token = re.search(r"undo=(\d+)", answer.location)
    vera.submit("/history/undo", {"token": token[1]})
    assert len(rows(app, vera.user_id)) == 2
    vera.submit("/history/clear")
    assert vera.submit("/history/clear").location == "/history"


def test_removing_the_last_entry_of_a_page_shows_the_page_before(app: Flask, vera: Browser, monkeypatch) -> None:
    monkeypatch.setattr(history.diary, "__defaults__", (1, 2))
    views = [view_id(app, vera, movie) for movie in (1214, 1200, 2571)]
    answer = vera.submit(f"/history/{views[0]}/remove", {"page": "2"}, htmx=True)
    assert answer.status_code == 200
    assert "The Matrix" in answer.text


def test_search_says_what_it_found_guessed_or_missed(vera: Browser) -> None:
    assert "2 films for “<bdi>alien</bdi>”" in vera.get("/search?q=alien").text
    assert "Did you mean" in vera.get("/search?q=matrxi").text
    assert "No film found for" in vera.get("/search?q=zzqqxx").text
    assert "11 films" in vera.get("/search").text or "films" in vera.get("/search").text


@pytest.mark.parametrize("path", ["/browse", "/search", "/search?q=alien"])
def test_a_fragment_counts_no_genres_and_decades_that_it_does_not_show(
    vera: Browser, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []
    for name in ("genres", "decades"):
        monkeypatch.setattr(catalogue_service, name, lambda name=name: counted.append(name) or [])
    assert vera.fragment(path).status_code == 200
    assert counted == []
    assert vera.get(path).status_code == 200
    assert counted == ["genres", "decades"]


def test_suggestions_are_options_with_their_address(vera: Browser) -> None:
    answer = vera.fragment("/search/suggest?q=ali")
    assert answer.text.count('role="option"') == 3  # two films and "all films for"
    assert 'data-url="/movies/1214"' in answer.text
    assert "<mark>Ali</mark>en" in answer.text
    assert vera.fragment("/search/suggest?q=").text.strip() == ""


@pytest.mark.parametrize("path", ["/browse?page=99", "/browse?page=0", "/browse?page=x", "/browse?page=-1",
                                  "/browse?page=99999999", "/browse?page=²", "/history?page=2",
                                  "/movies/999999"])  # fmt: skip
def test_pages_that_are_not_there(vera: Browser, path: str) -> None:
    assert vera.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/browse?sort=rank", "/browse?years=late"])
def test_choices_that_are_none(vera: Browser, path: str) -> None:
    assert vera.get(path).status_code == 422


def test_other_peoples_entries_are_not_found(app: Flask, vera: Browser, catalogue: dict[str, int]) -> None:
    with app.app_context():
        theirs = db.session.query(View.id).filter(View.user_id != vera.user_id).first()[0]
    assert vera.get(f"/history/{theirs}/edit").status_code == 404
    for deed in ("edit", "remove"):
        assert vera.submit(f"/history/{theirs}/{deed}").status_code == 404
    with app.app_context():
        assert db.session.get(View, theirs).removed_at is None


@pytest.mark.parametrize("text", NAUGHTY)
def test_naughty_texts_in_every_field_are_only_text(app: Flask, vera: Browser, text: str) -> None:
    view = view_id(app, vera, 1200)
    paths = ("/search", "/search/suggest", "/browse", "/history", "/wish")
    asked = [vera.get(path, query_string={name: text}) for path in paths
             for name in ("q", "genre", "years", "sort", "page", "undo")]  # fmt: skip
    form = dict.fromkeys(("rating", "day", "back", "place", "film", "token", "page", "id", "user_id"), text)
    asked += [vera.submit(path, form, htmx=htmx) for htmx in (False, True)
              for path in ("/movies/1214/watched", f"/history/{view}/edit", "/history/undo")]  # fmt: skip
    asked.append(vera.submit("/wish", {"q": text}, htmx=True))
    for answer in asked:
        assert answer.status_code < 500
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert "Set-Cookie: a=b" not in str(answer.headers)
    assert {row.user_id for row in rows(app, vera.user_id)} == {vera.user_id}


def test_bytes_that_are_no_text(app: Flask, vera: Browser) -> None:
    for raw in ("%ED%A0%80", "%FF%FE", "%C3%28", "%F0%9F%8E"):
        assert vera.get(f"/search?q={raw}").status_code == 200
        assert vera.get(f"/browse?genre={raw}").status_code == 200
        form = f"csrf_token={vera.csrf_token}&rating={raw}&back={raw}&place={raw}".encode()
        answer = vera.post("/movies/1214/watched", data=form, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 422
    assert rows(app, vera.user_id) == []


@pytest.mark.parametrize("text", [text for text in NAUGHTY if "\x00" not in text])
def test_naughty_titles_are_shown_as_they_are_stored(app: Flask, vera: Browser, text: str) -> None:
    with app.app_context(), writing() as session:
        session.add(Movie(id=1, title=text[:400], sort_title="x", rank=0, genres=["Drama"]))
        session.flush()
        search.rebuild(session)
    for path in ("/", "/movies/1", "/browse", poster_of(vera, 1)):
        answer = vera.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text


@pytest.mark.parametrize("odd", TRAVERSAL)
def test_ids_lead_nowhere_but_to_rows(app: Flask, vera: Browser, odd: str) -> None:
    for path in (f"/movies/{odd}", f"/posters/v1/{odd}.svg", f"/door/v1/{odd}.svg", f"/history/{odd}/edit",
                 f"/posters/v{odd}/1.svg"):  # fmt: skip
        answer = vera.get(path)
        assert answer.status_code in (302, 308, 404), path
        assert "root:" not in answer.text


def poster_of(browser: Browser, movie: int) -> str:
    """The address that the film's page names."""
    return re.search(rf'src="(/posters/v{posters.VERSION}/{movie}\.svg\?f=\w+)"', browser.get(f"/movies/{movie}").text)[
        1
    ]


def test_posters_are_immutable_and_the_same_for_ever(vera: Browser) -> None:
    address = poster_of(vera, 1214)
    answer = vera.get(address)
    assert answer.mimetype == "image/svg+xml"
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert answer.text == vera.get(address).text
    assert vera.get("/posters/v0/1214.svg").location == address
    assert vera.get(f"/posters/v{posters.VERSION}/999999.svg").status_code == 404


@pytest.mark.parametrize(
    "change", [{"title": "Alien!"}, {"year": 1980}, {"genres": ["Horror"]}, {"directors": ["R. Scott"]}]
)
def test_a_film_put_right_gets_a_poster_of_a_new_address(app: Flask, vera: Browser, change: dict[str, object]) -> None:
    before = poster_of(vera, 1214)
    with app.app_context(), writing() as session:
        session.execute(update(Movie).where(Movie.id == 1214).values(**change))
    after = poster_of(vera, 1214)
    assert after != before
    led = vera.get(before)
    assert (led.status_code, led.location, led.headers["Cache-Control"]) == (302, after, "no-store")
    assert vera.get(after).status_code == 200


def test_the_door_shows_posters_to_visitors_and_nothing_of_the_catalogue(client: Browser) -> None:
    for place in range(len(drawing.AT_THE_DOOR)):
        assert client.get(f"/door/v{posters.VERSION}/{place}.svg").mimetype == "image/svg+xml"
    assert client.get(f"/door/v{posters.VERSION}/{len(drawing.AT_THE_DOOR)}.svg").status_code == 404
    assert client.get("/door/v0/1.svg").location == f"/door/v{posters.VERSION}/1.svg"
    assert client.get(f"/posters/v{posters.VERSION}/1214.svg").status_code == 302


def test_a_slate_is_logged_after_the_answer_and_the_film_remembers_it(app: Flask, vera: Browser) -> None:
    with vera.get("/"):
        pass
    with app.app_context():
        logged = db.session.query(SlateRow).one()
        assert logged.engine == "rank"
        assert logged.movie_ids[:2] == [2571, 5952]
    vera.submit("/movies/5952/watched")
    assert rows(app, vera.user_id)[0].found_by == "rank"
    assert re.search(r"found by <span class=\"engine\">.*<span>best known</span>", vera.get("/history").text)


def test_the_masthead_grows_with_the_role(as_viewer: Browser, as_admin: Browser, as_scientist: Browser) -> None:
    def words(browser: Browser) -> list[str]:
        return re.findall(r'class="mast-link"[^>]*>([^<]+)<', browser.get("/history").text)

    assert words(as_viewer) == ["Home", "Search", "History"]
    assert words(as_scientist) == ["Home", "Search", "History", "Lab"]
    assert words(as_admin) == ["Home", "Search", "History", "Admin"]


def test_names_of_people_are_only_text(app: Flask, catalogue: dict[str, int]) -> None:
    with app.app_context():
        person = accounts.create("<b>ana", "correct horse battery 9").id
    text = app.test_client().enter(person).get("/").text
    assert "<b>ana" not in text
    assert "&lt;b&gt;ana" in text


def test_every_icon_and_static_file_that_a_template_names_is_there(app: Flask) -> None:
    package = Path(app.root_path)
    sprite = set(re.findall(r'id="i-([\w-]+)"', (package / "static" / "icons.svg").read_text()))
    for template in package.glob("templates/**/*.html"):
        text = template.read_text()
        named = set(re.findall(r"""\bicon\(\s*["']([\w-]+)["']""", text))
        assert named <= sprite, f"{template.name}: {named - sprite} not in icons.svg: add to tools/vendor_frontend.py"
        for name in re.findall(r"""asset\(["']([^"']+)["']\)""", text):
            assert (package / "static" / name).is_file(), f"{template.name} names {name}"
        assert "|safe" not in text.replace(" ", ""), f"{template.name}: nothing is safe"
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), (
            f"{template.name}: no inline script, the policy forbids it"
        )


# --- wishes, likeness, reasons ---


@pytest.fixture
def indexed(app: Flask, vera: Browser) -> Browser:
    """Vera on a site whose films are read."""
    with app.app_context():
        content.rebuild()
    return vera


def test_home_asks_what_one_is_in_the_mood_for(vera: Browser) -> None:
    text = vera.get("/").text
    assert 'action="/wish"' in text
    assert 'maxlength="300"' in text


def test_a_wish_needs_no_history_no_engine_and_no_script(indexed: Browser) -> None:
    text = indexed.get("/wish", query_string={"q": "something like Alien, no fantasy, zorglub"}).text
    assert "<bdi>like Alien</bdi>" in text
    assert "<bdi>fantasy</bdi>" in text
    assert "Not understood: <bdi>zorglub</bdi>" in text
    assert "The Lord of the Rings" not in text
    assert "<span>by content</span>" in text
    assert "best fit first" in text
    assert "language model" not in text
    found = indexed.get("/wish?q=a+horror+film").text
    assert re.findall(r'id="to-w-\d+">.*?<span class="sr-only">([^<]+)<', found) == ["Alien, 1979", "Aliens, 1986"]
    assert '<p class="because" dir="auto">Horror</p>' in found


@pytest.mark.parametrize(("wish", "said"), [
    ("zorglub", "None of these words says something"), ("horror before 1950", "No film here fits all of that"),
])  # fmt: skip
def test_a_wish_without_an_answer_says_why_and_leads_on(indexed: Browser, wish: str, said: str) -> None:
    text = indexed.get("/wish", query_string={"q": wish}).text
    assert said in text
    assert 'href="/search?q=' in text


def test_before_the_films_are_read_a_wish_is_told_so(vera: Browser) -> None:
    assert "still being read" in vera.get("/wish?q=comedy").text


def test_an_empty_wish_shows_what_works_and_its_examples_do(indexed: Browser) -> None:
    text = indexed.get("/wish?q=++").text
    assert "These work" in text
    assert text.count('class="pill"') == 5


def test_watched_films_are_not_wished_for_again(indexed: Browser) -> None:
    indexed.submit("/movies/1214/watched")
    text = indexed.get("/wish?q=horror").text
    assert "Aliens, 1986" in text
    assert "Alien, 1979" not in text


def test_a_wish_is_logged_under_content(app: Flask, indexed: Browser) -> None:
    with indexed.get("/wish?q=horror"):
        pass
    with app.app_context():
        logged = db.session.query(SlateRow).one()
        assert (logged.engine, logged.movie_ids, logged.run_id) == ("content", [1214, 1200], None)


class Model:
    """Stands where the language model's door is; says what a test wrote."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, say: object) -> None:
        self.say, self.asked = say, 0
        monkeypatch.setattr(llm, "available", lambda: "")
        monkeypatch.setattr(llm, "complete", self.complete)

    def complete(self, messages: object, **how: object) -> llm.Answer:
        self.asked += 1
        self.messages = messages
        if isinstance(self.say, Exception):
            raise self.say
        return llm.Answer(str(self.say), "tiny", 1, 1, 0.0, 1.0)


PICKS = '{"picks": [{"id": 1200, "reason": "%s"}, {"id": 31337, "reason": "%s"}]}'


def test_a_language_model_puts_a_wish_in_order(indexed: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(monkeypatch, PICKS % (("More of it.",) * 2))
    page = indexed.get("/wish?q=horror").text
    assert 'hx-post="/wish"' in page
    assert 'hx-trigger="load, submit"' in page
    assert "<noscript>" in page
    assert model.asked == 0  # opening an address never costs
    part = indexed.submit("/wish", {"q": "horror"}, htmx=True)
    assert part.status_code == 200
    assert "<html" not in part.text
    assert re.findall(r'<span class="sr-only">([^<]+)<', part.text)[:2] == ["Aliens, 1986", "Alien, 1979"]
    assert "More of it." in part.text
    assert "Filled in" in part.text
    assert "put in order by tiny" in part.text
    assert 'hx-post="/wish"' not in part.text
    answer = indexed.submit("/wish", {"q": "horror"})
    assert (answer.status_code, answer.location) == (303, "/wish?q=horror")
    assert "More of it." in indexed.get(answer.location).text
    assert model.asked == 1


@pytest.mark.parametrize(("site", "at_once"), [("none", True), ("same-origin", True), ("cross-site", False)])
def test_a_link_of_another_site_does_not_spend_a_viewers_questions(
    indexed: Browser, monkeypatch: pytest.MonkeyPatch, site: str, at_once: bool
) -> None:
    Model(monkeypatch, PICKS % (("More of it.",) * 2))
    page = indexed.get("/wish?q=horror", headers={"Sec-Fetch-Site": site}).text
    assert ('hx-trigger="load, submit"' in page) is at_once
    assert ('hx-trigger="submit"' in page) is not at_once
    assert "Ask the language model" in page


def test_the_model_is_offered_nothing_that_the_wish_speaks_against(
    indexed: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(monkeypatch, PICKS % (("Why not.",) * 2))
    indexed.submit("/movies/1200/watched")
    indexed.submit("/wish", {"q": "science fiction, no horror"}, htmx=True)
    sent = model.messages[1]["content"].removeprefix("<data>").removesuffix("</data>")
    offered = json.loads(sent)["shortlist"]
    assert offered
    assert not [film["title"] for film in offered if "Horror" in film.get("genres", ())]


def test_another_rating_asks_the_model_anew(indexed: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(monkeypatch, PICKS % (("Why not.",) * 2))
    for rating, asked in (("4", 1), (None, 1), ("2", 2)):
        if rating is not None:
            indexed.submit("/movies/1214/watched", {"rating": rating})
        indexed.submit("/wish", {"q": "horror"}, htmx=True)
        assert model.asked == asked


def test_where_the_model_fails_the_wish_is_answered_by_content(
    indexed: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    Model(monkeypatch, llm.NoAnswer("budget", "Today's questions are used up."))
    text = indexed.submit("/wish", {"q": "horror"}, htmx=True).text
    assert "Today&#39;s questions are used up. This is the list by content alone." in text
    assert "Alien, 1979" in text
    monkeypatch.setattr(llm, "complete", lambda *_, **__: 1 / 0)
    text = indexed.submit("/wish", {"q": "comedy"}, htmx=True).text
    assert "could not be asked" in text
    assert "Amélie, 2001" in text


def test_while_others_wait_for_the_model_a_wish_is_answered_by_content(
    app: Flask, indexed: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(monkeypatch, PICKS)
    with app.app_context():
        for _ in range(desk.SLOW_AT_ONCE):
            assert desk.desk().slow.acquire(blocking=False)
    assert "busy with other wishes" in indexed.submit("/wish", {"q": "horror"}, htmx=True).text
    assert model.asked == 0


def test_a_wish_that_content_does_not_understand_goes_to_the_model_with_ones_own_list(
    indexed: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    Model(monkeypatch, PICKS % (("Why not.",) * 2))
    assert 'hx-post="/wish"' in indexed.get("/wish?q=zorglub").text
    text = indexed.submit("/wish", {"q": "zorglub"}, htmx=True).text
    assert "Why not." in text
    assert "Films of your own list, put in order by tiny" in text


@pytest.mark.parametrize("text", [text for text in NAUGHTY if len(text) < 300])
def test_whatever_a_model_says_is_shown_as_words(indexed: Browser, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = json.dumps({"picks": [{"id": 1200, "reason": text}, {"id": 1214, "reason": f"Good. {text}"}]})
    Model(monkeypatch, said)
    answer = indexed.submit("/wish", {"q": f"horror {text}"}, htmx=True)
    assert answer.status_code == 200
    for word in ("<script>alert", "<img src=x", "javascript:", "Set-Cookie: a=b\n"):
        assert word not in answer.text


def test_the_film_page_shows_films_like_it_without_any_engine(indexed: Browser) -> None:
    text = indexed.get("/movies/1214").text
    similar = text[text.index("Similar films") :]
    assert "Aliens, 1986" in similar
    assert "Horror, Sci-Fi, Sigourney Weaver" in similar
    assert "Similar films" not in indexed.get("/movies/9000").text  # nothing is known of it


def test_without_an_index_the_film_page_does_without(vera: Browser) -> None:
    assert "Similar films" not in vera.get("/movies/1214").text


def test_a_film_says_why_it_is_on_ones_list(app: Flask, vera: Browser) -> None:
    vera.submit("/movies/1214/watched")

    class Sure(Popularity):
        slug = "sure"

        def explain(self, history, items):  # type: ignore[no-untyped-def]
            alien = int(self.index.items([1214])[0])
            return [Reason("", ((alien, 0.5),)) for _ in items]

    engine = Sure()
    movies = np.array([670, 1200, 1214])
    engine.fit(Dataset.from_events(np.ones(3), movies, np.arange(3)), lambda *_, **__: None)
    with app.app_context():
        station.station().current = station.OnAir(0, engine, station.Facts("sure", 7))
    assert vera.get("/").text.count("Because you watched Alien") == 2
    page = vera.get("/movies/1200").text
    assert "On your list:" in page
    assert "Because you watched Alien" in page
    assert "On your list:" not in vera.get("/movies/6016").text


def test_where_a_language_model_is_on_air_home_comes_at_once_and_its_list_by_itself(
    app: Flask, indexed: Browser, catalogue: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(monkeypatch, PICKS % (("It is <b>colder</b>.",) * 2))
    indexed.submit("/movies/1214/watched")
    movies = np.array(sorted(catalogue.values()))
    engine = Llm()
    engine.fit(Dataset.from_events(np.repeat([1, 2], 12), np.tile(movies, 2), np.arange(24)), lambda *_, **__: None)
    with app.app_context():
        outside.connected(engine, app)
        station.station().current = station.OnAir(0, engine, station.Facts("llm", 7))
    text = indexed.get("/").text
    assert 'hx-get="/?wait=1"' in text
    assert '<a class="quiet-link" href="/?wait=1">Wait for it</a>' in text  # without a script
    assert (model.asked, "It is colder." in text) == (0, False)
    part = indexed.fragment("/?wait=1")
    assert "<html" not in part.text
    assert "It is colder." in part.text
    assert "Filled in" in part.text
    assert 'hx-get="/?wait=1"' not in part.text
    assert "It is colder." in indexed.get("/").text
    assert "It is colder." in indexed.get("/movies/1200").text
    assert model.asked == 1
