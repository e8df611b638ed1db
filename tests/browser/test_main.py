"""The main job as a person does it: set up, find films by keyboard, watch, be recommended, train, put on air."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable

import pytest
from house_kit import PASSWORD, House, check, sign_in, titles, wait_for
from playwright.sync_api import Page, expect

Window = Callable[..., Page]


def test_the_whole_way_from_setup_to_a_run_on_air(window: Window, house: House) -> None:
    page = window()
    page.goto("/login")  # nobody can sign in yet: the page says how the site gets its administrator
    expect(page.get_by_role("heading", level=1)).to_contain_text("not set up yet")
    check(page)
    page.goto(house.setup_link())
    check(page)
    page.get_by_label("Name").fill("ana")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
    assert "setup-link" not in page.content()

    # The house trains its first engine by itself and puts it on air, since the order of the chain can be learned.
    runs = wait_for(lambda: [run for run in json.loads(house.flask("runs", "--json")) if run["state"] == "done"])
    assert runs[0]["engine"] == "nextitnet"
    wait_for(lambda: page.goto("/") and "nextitnet" in page.locator(".provenance").first.inner_text())
    expect(page.locator("#slate")).to_contain_text("You have not marked a film yet")

    # Search by keyboard alone, and mark the film.
    page.keyboard.press("/")
    page.keyboard.type("godfath")
    option = page.get_by_role("option").first
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("combobox").first).to_have_attribute("aria-activedescendant", re.compile(".+"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/movies/\d+"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Godfather")
    page.get_by_role("button", name="Mark as watched").first.click()
    expect(page.locator("#mark-film")).to_have_count(0)  # it is kept: the button has given way to the entry

    # The list follows at once, without the film just seen, and another film leaves it when marked.
    page.goto("/")
    expect(page.locator("#slate")).to_contain_text("Your last films")
    expect(page.locator("#slate")).not_to_contain_text("You have not marked a film yet")
    before = titles(page)
    assert before
    assert "The Godfather" not in before
    first = page.locator("#first").inner_text()
    page.locator("#mark-first").click()
    expect(page.locator("#first")).not_to_have_text(first)
    assert first not in titles(page)
    expect(page.locator(".provenance").first).to_contain_text("nextitnet")
    page.goto("/history")
    expect(page.locator("main")).to_contain_text(first)
    assert PASSWORD not in house.console.read_text()


def test_a_scientist_trains_an_engine_and_puts_it_on_air_and_back(window: Window, house: House) -> None:
    house.flask("users", "create", "sam", "--role", "scientist", "--password-stdin", stdin=PASSWORD)
    page = sign_in(window(), "sam")
    page.goto("/lab")
    page.locator("#pick-popularity").click()
    page.get_by_role("button", name=re.compile("^Train")).click()
    page.wait_for_url(re.compile(r"/lab/runs/\d+"))
    run = re.search(r"/lab/runs/(\d+)", page.url)[1]  # type: ignore[index]
    expect(page.locator("main")).to_contain_text("done", timeout=60_000)
    page.reload()
    page.get_by_role("link", name=re.compile("^Put on air")).click()
    page.get_by_label("Why put it on air all the same?").fill("to see it on air")
    page.get_by_role("button", name=re.compile("^Put on air")).click()
    expect(page.locator(".onair").first).to_be_visible()
    page.goto("/")
    wait_for(lambda: page.goto("/") and f"run {run}" in page.locator(".provenance").first.inner_text())
    page.goto("/lab/on-air")
    expect(page.locator("main")).to_contain_text("to see it on air")
    page.get_by_role("button", name=re.compile("Roll back")).click()
    expect(page.locator("tr.on")).to_contain_text("nextitnet")
    wait_for(lambda: page.goto("/") and "nextitnet" in page.locator(".provenance").first.inner_text())


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_breaks_a_rule_of_accessibility(window: Window, house: House, dark: bool, width: int) -> None:
    page = window(dark=dark, width=width)
    page.goto("/login")
    check(page)
    sign_in(page, "ana")
    film = page.locator("a[href*='/movies/']").first.get_attribute("href")
    for path in [
        "/",
        "/search?q=god",
        "/search?q=zzzz",
        "/browse?genre=Drama",
        "/history",
        "/account",
        film,
        "/admin/people",
    ]:
        page.goto(path)
        check(page)
    other = sign_in(window(dark=dark, width=width), "sam")
    for path in ["/lab", "/lab/runs", "/lab/runs/1", "/lab/on-air"]:
        other.goto(path)
        check(other)


def test_the_main_job_works_without_a_script(window: Window, house: House) -> None:
    page = sign_in(window(script=False), "ana")
    first = page.locator("#first").inner_text()
    page.locator("#mark-first").click()
    page.wait_for_url("**/")
    assert page.locator("#first").inner_text() != first
    page.goto("/search?q=godfater")  # a slip of the finger
    expect(page.locator("main")).to_contain_text("The Godfather")
    page.goto("/history")
    expect(page.locator("main")).to_contain_text(first)
    page.get_by_role("button", name=re.compile("Remove")).first.click()
    expect(page.locator("main, [role=status]").first).to_be_visible()


def test_the_console_link_is_gone_once_somebody_administers(house: House) -> None:
    assert "already" in house.flask("setup-link") or "administrator" in house.flask("setup-link")
    with urllib.request.urlopen(f"{house.address}/health/live") as answer:
        assert answer.status == 200
