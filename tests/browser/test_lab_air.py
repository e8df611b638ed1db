"""The laboratory in a real browser: train, watch, try several values, and go on air through the gate by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable

from house_kit import PASSWORD, House, check, sign_in, wait_for
from playwright.sync_api import Page, expect

Window = Callable[..., Page]


def ready(house: House, window: Window, name: str) -> Page:
    """A scientist in a site with an administrator and a first run on air."""
    if "boss" not in house.flask("users", "list"):
        house.flask("users", "create", "boss", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    house.flask("users", "create", name, "--role", "scientist", "--password-stdin", stdin=PASSWORD)
    wait_for(lambda: '"done"' in house.flask("runs", "--json"))
    return sign_in(window(), name)


def test_through_the_gate_by_keyboard_and_back(window: Window, house: House) -> None:
    page = ready(house, window, "gail")
    house.flask("train", "popularity")
    page.goto("/lab/on-air")
    offer = page.get_by_role("link", name=re.compile("Put on air: popularity"))
    offer.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The evidence is against it")
    expect(page.get_by_role("button", name=re.compile("^Keep"))).to_be_focused()
    check(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(offer).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_label("Why put it on air all the same?").fill("to see the gate")
    page.get_by_role("button", name="Put on air against the evidence").click()
    expect(page.locator(".onair").first).to_be_visible()
    expect(page.locator("#changes")).to_contain_text("does worse than")
    page.get_by_role("button", name=re.compile("Roll back")).click()
    expect(page.locator("#changes")).to_contain_text("Rolled back with one click")
    check(page)


def test_several_values_are_trained_and_the_best_is_told(window: Window, house: House) -> None:
    page = ready(house, window, "tara")
    page.goto("/lab/form/ease")
    page.get_by_label(re.compile("egulari")).first.fill("50, 500")
    page.get_by_text("Try several values at once").click()
    check(page)
    page.get_by_role("button", name="Train each combination").click()
    page.wait_for_url(re.compile(r"/lab/series/\d+"))
    other = sign_in(window(width=360, dark=False), "tara")  # somebody else looks on
    other.goto(page.url)
    for each in (page, other):
        expect(each.locator("main")).to_contain_text("2 of 2 ended", timeout=90_000)
        expect(each.locator("main")).to_contain_text("on validation")
        check(each)
    other.goto("/lab")
    check(other)
