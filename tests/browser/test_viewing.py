"""The viewer's side by hand and by keyboard: mark, undo, search, rate, edit, remove; each of its states by axe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache

import pytest
from house_kit import PASSWORD, House, check, sign_in, titles, wait_for
from playwright.sync_api import Page, expect

Window = Callable[..., Page]
SIZES = pytest.mark.parametrize(("dark", "width"), [(True, 1280), (False, 360)], ids=["dark-1280", "light-360"])


@pytest.fixture(scope="module")
def person(house: House) -> Callable[[str], str]:
    """`person("vera")`: the name of a viewer of an open house whose first engine is trained; new at its first use."""
    house.flask("users", "create", "olga", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    wait_for(lambda: [run for run in json.loads(house.flask("runs", "--json")) if run["state"] == "done"])

    @cache
    def create(name: str) -> str:
        house.flask("users", "create", name, "--password-stdin", stdin=PASSWORD)
        return name

    return create


def focus(page: Page) -> str:
    """The id of the element that has the focus."""
    return page.evaluate("document.activeElement.id")


def forgive(complaints: list[str], status: int) -> None:
    """The console repeats each refusal of the server; this test asked for them, and for no other."""
    assert complaints
    assert all(f"status of {status}" in complaint for complaint in complaints), complaints
    complaints.clear()


def film_of(page: Page, words: str) -> str:
    """The address of the film that these words find first."""
    page.goto(f"/search?q={words}")
    return page.locator("#to-w-0").get_attribute("href") or ""


def test_the_first_pick_is_marked_and_taken_back_without_a_mouse(window: Window, person: Callable[[str], str]) -> None:
    page = sign_in(window(), person("vera"))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    assert focus(page) == "main"
    first = page.locator("#first").inner_text()
    page.keyboard.press("Tab")  # its poster
    page.keyboard.press("Tab")
    assert focus(page) == "mark-first"
    page.keyboard.press("Enter")
    expect(page.locator("#first")).not_to_have_text(first)
    assert focus(page) == "mark-first"  # where the reader was, now for the next film
    said = page.get_by_role("region", name="Just done")
    expect(said).to_contain_text(f"{first} is in your history.")
    assert said.get_attribute("aria-live") == "polite"
    page.locator("#undo").press("Enter")
    expect(page.locator("#first")).to_have_text(first)
    expect(said).to_contain_text(f"{first} left your history.")
    assert focus(page)


def test_a_card_leaves_the_list_and_the_next_film_in_its_place_has_the_focus(
    window: Window, person: Callable[[str], str]
) -> None:
    page = sign_in(window(), person("wim"))
    page.locator("#mark-first").click()  # from here on the list is his own
    expect(page.locator("#slate")).to_contain_text("Your last films")
    expect(page.locator("#film-s0-2")).to_be_visible()
    title = page.locator("#film-s0-2 .film-name").inner_text()
    page.locator("#mark-s0-2").press("Enter")
    expect(page.get_by_role("region", name="Just done")).to_contain_text(title)
    expect(page.locator("#film-s0-2 .film-name")).not_to_have_text(title)
    assert focus(page) == "mark-s0-2"
    assert title not in titles(page)
    page.locator("#undo").press("Enter")
    expect(page.locator("#slate .caption .film-name", has_text=re.compile(f"^{re.escape(title)}$"))).to_have_count(1)


def test_films_are_found_while_one_types(window: Window, person: Callable[[str], str]) -> None:
    page = sign_in(window(), person("vera"))
    page.keyboard.press("/")
    field = page.get_by_role("combobox")
    expect(field).to_be_focused()
    page.keyboard.type("the")
    expect(page.get_by_role("option").first).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#said")).to_have_text(re.compile(r"^\d films?$"))
    check(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    chosen = page.locator("[role=option][aria-selected=true]")
    expect(chosen).to_have_count(1)
    expect(field).to_have_attribute("aria-activedescendant", chosen.get_attribute("id") or "none")
    title = chosen.locator(".film-name").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/movies/\d+"))
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.keyboard.press("/")
    page.keyboard.type("the")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(field).to_have_attribute("aria-expanded", "false")
    expect(field).to_have_value("the")  # once more empties it
    page.keyboard.press("Escape")
    expect(field).to_have_value("")


def test_a_card_of_the_search_says_that_its_film_is_watched(window: Window, person: Callable[[str], str]) -> None:
    page = sign_in(window(), person("yann"))
    page.goto("/search?q=the")
    page.locator("#mark-w-1").press("Enter")
    expect(page.locator("#film-w-1.is-seen a .sr-only")).to_contain_text("watched")
    assert focus(page) == "to-w-1"  # the button is gone, its film is not
    page.locator("#undo").press("Enter")
    expect(page.locator("#mark-w-1")).to_be_visible()
    expect(page.locator("#undo")).to_be_focused()  # which now takes back what it took back
    page.goto("/browse")
    page.get_by_role("radio", name="Crime").check()
    expect(page.locator("#results-head")).to_have_text("Crime")
    assert "genre=Crime" in page.url


@SIZES
def test_a_film_is_rated_changed_and_removed_on_its_page(
    window: Window, person: Callable[[str], str], dark: bool, width: int
) -> None:
    page = sign_in(window(dark=dark, width=width), person("zoe"))
    page.goto(film_of(page, "the"))
    entry = page.locator("#entry")
    entry.locator("summary").press("Enter")
    expect(entry.get_by_label("Watched on")).to_be_visible()
    check(page)
    entry.get_by_role("radio", name="4 of 5 stars").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    expect(entry.get_by_role("radio", name="4.5 of 5 stars")).to_be_checked()
    entry.get_by_label("Watched on").fill("2020-02-29")
    entry.get_by_role("button", name="Add it to my history").press("Enter")
    expect(entry.get_by_role("img", name="4.5 of 5 stars")).to_be_visible()
    expect(entry).to_contain_text("29 Feb 2020")
    check(page)  # with the toast in view
    entry.locator("summary").press("Enter")
    check(page)
    entry.get_by_role("button", name="Remove from my history").press("Enter")
    expect(page.locator("#mark-film")).to_be_visible()
    expect(page.get_by_role("region", name="Just done")).to_contain_text("left your history")


@SIZES
def test_an_entry_of_the_diary_is_changed_removed_and_put_back(
    window: Window, person: Callable[[str], str], complaints: list[str], dark: bool, width: int
) -> None:
    page = sign_in(window(dark=dark, width=width), person(f"una{width}"))
    for place in (0, 1):
        page.goto("/search?q=the")
        page.locator(f"#mark-w-{place}").click()
        expect(page.locator(f"#film-w-{place}.is-seen")).to_be_visible()
    page.goto("/history")
    diary = page.locator("#diary")
    title = diary.locator(".entry .film-name").first.inner_text()
    diary.get_by_role("link", name=f"Change the entry for {title}", exact=True).press("Enter")
    expect(page.locator("[data-land]")).to_be_focused()
    day = diary.get_by_label("Watched on")
    day.evaluate("field => field.removeAttribute('max')")  # as a browser without date fields sends it
    day.fill("2199-01-01")
    diary.get_by_role("button", name="Save the change").press("Enter")
    expect(day).to_have_attribute("aria-invalid", "true")
    expect(diary.locator(".bad")).to_contain_text("between the first film show and today")
    check(page)
    forgive(complaints, 422)
    day.fill("2020-02-29")
    diary.get_by_role("button", name="Save the change").press("Enter")
    expect(diary).to_contain_text("February 2020")
    said = page.get_by_role("region", name="Just done")
    expect(said).to_contain_text(f"{title}: entry changed.")
    assert focus(page)
    page.locator("#remove-1").press("Enter")
    expect(diary.locator(".entry")).to_have_count(1)
    expect(said).to_contain_text(f"{title} left your history.")
    check(page)
    page.locator("#undo").press("Enter")
    expect(diary.locator(".entry")).to_have_count(2)
    page.get_by_role("link", name="Clear my history").click()
    check(page)
    page.get_by_role("button", name="Clear it").click()
    expect(diary).to_contain_text("No films yet")
    check(page)
    page.get_by_role("button", name="Put it back").click()
    expect(diary.locator(".entry")).to_have_count(2)


@SIZES
def test_refusals_are_pages_that_say_what_to_do(
    window: Window, person: Callable[[str], str], complaints: list[str], dark: bool, width: int
) -> None:
    page = window(dark=dark, width=width)
    name = person("vera")
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password", exact=True).fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    check(page)
    forgive(complaints, 422)
    sign_in(page, name)
    for path, status in (("/nowhere", 404), ("/admin/people", 403), ("/lab", 403)):
        page.goto(path)
        expect(page.get_by_role("alert").get_by_role("link", name="Go home")).to_be_visible()
        check(page)
        forgive(complaints, status)
    for path in ("/account/prove", "/history", "/history/clear"):
        page.goto(path)
        check(page)


@SIZES
def test_a_wish_finds_films_and_a_film_finds_films_like_it(
    window: Window, person: Callable[[str], str], dark: bool, width: int
) -> None:
    page = sign_in(window(dark=dark, width=width), person(f"wanda{width}"))
    field = page.get_by_label("A wish in your own words")
    field.fill("a drama from before 1960, no horror, zorglub")
    check(page)
    field.press("Enter")
    page.wait_for_url("**/wish?q=*")
    for _ in range(50):  # the films are read in the background
        if page.get_by_text("still being read").count() == 0:
            break
        page.reload()
    expect(page.get_by_role("heading", name="Films for this wish")).to_be_visible()
    expect(page.locator(".understood")).to_contain_text("until 1959")
    expect(page.get_by_text("Not understood: zorglub")).to_be_visible()
    assert titles(page, "#wished")
    check(page)
    page.locator("#to-w-0").click()
    expect(page.get_by_role("heading", name="Similar films")).to_be_visible()
    check(page)


def test_a_wish_works_without_a_script(window: Window, person: Callable[[str], str]) -> None:
    page = sign_in(window(script=False), person("willem"))
    page.goto("/wish")
    page.get_by_role("link", name="an old film noir").click()
    assert page.url.endswith("/wish?q=an+old+film+noir")
    expect(page.get_by_role("heading", level=1)).to_have_text("What are you in the mood for?")
