"""What static/page.js promises: a form is sent once, the focus stays near, a server that is gone is said."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from house_kit import PASSWORD, House, sign_in
from playwright.sync_api import Page, expect
from sqlalchemy import delete
from traffic_kit import app_of

from movierec.extensions import db, writing
from movierec.tables import Run, now

Window = Callable[..., Page]


@pytest.fixture(scope="module", autouse=True)
def ana(house: House) -> None:
    """The administrator of this file's house, with a first run to recommend from."""
    house.flask("users", "create", "ana", "--role", "admin", "--password-stdin", stdin=PASSWORD)


def test_a_double_click_sends_one_form_and_shows_a_password_that_works(window: Window, house: House) -> None:
    page, sent = sign_in(window(), "ana"), []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto("/admin/people")
    page.get_by_label("Name").fill("twice")
    page.get_by_role("button", name="Make the account").dblclick()
    expect(page.locator("#told")).to_contain_text("twice")
    assert sent == [f"{house.address}/admin/people"]
    word = page.locator("code.select-all").inner_text()
    visitor = window()
    visitor.goto("/login")
    visitor.get_by_label("Name").fill("twice")
    visitor.get_by_label("Password", exact=True).fill(word)
    visitor.keyboard.press("Enter")
    visitor.wait_for_url("**/")


def test_after_marking_on_the_film_page_the_focus_is_in_its_entry(window: Window, house: House) -> None:
    page = sign_in(window(), "ana")
    page.locator("#slate .film a").last.click()
    page.wait_for_url(re.compile(r"/movies/\d+"))
    page.locator("#mark-film").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#mark-film")).to_have_count(0)
    expect(page.locator("#entry summary").first).to_be_focused()


def test_a_server_that_is_gone_is_said_once_and_taken_back(window: Window, house: House, complaints: list[str]) -> None:
    page = sign_in(window(), "ana")
    page.route("**/watched", lambda route: route.abort())
    page.locator("#mark-first").click()
    expect(page.locator("#gone")).to_contain_text("Nothing was changed; try again.")
    page.unroute("**/watched")
    page.locator("#mark-first").click()
    expect(page.locator("#gone")).to_have_count(0)
    complaints.clear()  # the browser's own line about the request that failed


def test_a_live_page_stands_still_while_the_server_is_gone_and_goes_on(
    window: Window, house: House, complaints: list[str]
) -> None:
    house.flask("users", "create", "lea", "--role", "scientist", "--password-stdin", stdin=PASSWORD)
    app = app_of(house)
    with app.app_context(), writing() as session:  # a run that waits and is too young to be missed in the queue
        waiting = Run(engine="popularity", params={}, code_version="0", created_at=now() + timedelta(days=1))
        session.add(waiting)
    page = sign_in(window(), "lea")
    page.goto(f"/lab/runs/{waiting.id}")
    expect(page.locator("#live")).to_contain_text("aits for the worker.")
    page.route("**/lab/runs/*", lambda route: route.fulfill(status=502, body="bad gateway"))
    expect(page.locator("#gone")).to_contain_text("stands still")
    for _ in range(2):  # it goes on asking, and says no more than once that nobody answers
        with page.expect_response("**/lab/runs/*"):
            pass
    expect(page.locator("#gone")).to_have_count(1)
    expect(page.locator("#live")).to_contain_text("aits for the worker.")
    page.unroute("**/lab/runs/*")
    expect(page.locator("#gone")).to_have_count(0)
    with app.app_context():
        with writing() as session:
            session.execute(delete(Run).where(Run.id == waiting.id))
        db.session.remove()
        db.engine.dispose()
    complaints.clear()
