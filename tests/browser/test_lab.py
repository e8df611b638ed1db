"""The laboratory's tables in a real browser: open a row, compare runs, read figures as tables, look at one viewer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from house_kit import PASSWORD, House, check, sign_in, wait_for
from playwright.sync_api import Page, expect

Window = Callable[..., Page]
SIZES = pytest.mark.parametrize(("dark", "width"), [(True, 1280), (False, 360)], ids=["dark-1280", "light-360"])


@pytest.fixture(scope="module")
def scientist(house: House) -> str:
    """The name of a scientist of a house whose newest runs are one of popularity and one of transitions."""
    house.flask("users", "create", "lab-olga", "--role", "admin", "--password-stdin", stdin=PASSWORD)
    house.flask("users", "create", "lab-ada", "--role", "scientist", "--password-stdin", stdin=PASSWORD)
    wait_for(lambda: [run for run in json.loads(house.flask("runs", "--json")) if run["state"] == "done"])
    for engine in ("popularity", "transitions"):
        house.flask("train", engine)
    return "lab-ada"


@SIZES
def test_a_row_opens_is_tagged_and_put_aside(window: Window, scientist: str, dark: bool, width: int) -> None:
    page = sign_in(window(dark=dark, width=width), scientist)
    page.goto("/lab/runs")
    check(page)
    name = page.locator("input[name=run][data-name^=popularity]").first.get_attribute("data-name") or ""
    details = page.get_by_role("link", name=f"Details of {name}", exact=True)
    details.press("Enter")
    expect(page.get_by_role("heading", name="Measured, by protocol")).to_be_visible()
    check(page)
    tag = f"{'dark' if dark else 'light'}-{width}"  # each time another: one that is there already tells nothing
    page.get_by_label("Tags, with commas between").fill(tag)
    page.get_by_role("button", name="Keep note and tags").press("Enter")
    expect(page.locator("a.tag", has_text=tag)).to_be_visible()
    details.press("Enter")
    page.get_by_role("button", name="Delete").press("Enter")
    expect(details).to_have_count(0)
    page.locator("#undo").press("Enter")
    expect(details).to_have_count(1)


@SIZES
def test_runs_are_compared_and_figures_are_read_as_tables(
    window: Window, scientist: str, dark: bool, width: int
) -> None:
    page = sign_in(window(dark=dark, width=width), scientist)
    page.goto("/lab/runs")
    for name in ("popularity", "transitions"):
        page.get_by_role("checkbox", name=re.compile(name)).first.check()
    expect(page.locator("[data-chosen]")).to_contain_text("2 chosen")
    page.get_by_role("button", name="Compare 2 runs").press("Enter")
    page.wait_for_url(re.compile(r"/lab/compare\?runs=\d+,\d+&metric=ndcg&k=10&protocol=loo-full"))
    expect(page.locator(".verdict")).not_to_contain_text("Working out")
    expect(page.locator("figure.drawn canvas").first).to_be_visible()
    check(page)
    figure = page.locator("figure", has_text="NDCG@10 of each run").first
    figure.get_by_role("button", name="Show as table").press("Enter")
    expect(figure.locator("table")).to_be_visible()
    expect(figure.locator("canvas")).to_be_hidden()
    with page.expect_download() as saved:
        page.locator("figure", has_text="Difference to").get_by_role("button", name=re.compile("PNG")).click()
    assert saved.value.suggested_filename.endswith(".png")
    page.locator("#most-different").press("Enter")
    expect(page.locator("#case .films")).to_have_count(2)
    check(page)


@SIZES
def test_the_data_is_drawn(window: Window, scientist: str, dark: bool, width: int) -> None:
    page = sign_in(window(dark=dark, width=width), scientist)
    page.goto("/lab/data")
    expect(page.locator("figure.drawn canvas")).to_have_count(3)
    check(page)
