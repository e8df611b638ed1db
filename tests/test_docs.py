"""The docs name everything there is: a new engine, command, setting or metric without a word fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from movierec import config
from movierec.engines import registry
from movierec.evaluation.protocol import PROTOCOLS
from tools import engine_docs

ROOT = Path(__file__).resolve().parent.parent
READ_BY_PEOPLE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SECTION = ("What it is", "Paper", "When to use it", "How it explains", "Nothing watched")  # of each engine, in order
FOREIGN = {"db", "routes", "run", "shell"}  # flask's own and flask-migrate's commands


def said() -> str:
    return "\n".join(path.read_text() for path in READ_BY_PEOPLE)


def commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name))


@pytest.mark.parametrize("slug", [listing.slug for listing in registry.listings()])
def test_readme_names_the_engine(slug: str) -> None:
    assert f"`{slug}`" in (ROOT / "README.md").read_text(), "a newcomer chooses an engine from README's table"


@pytest.mark.parametrize("slug", sorted(engine_docs.engines()))
def test_the_engine_has_its_section(slug: str) -> None:
    text = (ROOT / "docs" / "engines.md").read_text()
    title = engine_docs.engines()[slug].title
    own = re.search(rf"^## {re.escape(title)} \(`{slug}`\)$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert own, f"docs/engines.md has no section '## {title} (`{slug}`)': a scientist chooses an engine there"
    told = re.findall(r"^\*\*(.+?)\.\*\* \S", own[1], re.MULTILINE)
    assert tuple(told) == SECTION, f"the section of {slug} does not say {', '.join(SECTION)}"
    assert f"<!-- generated: {slug} -->" in own[1], "its settings and figures are written by `make docs`"


@pytest.mark.parametrize("path", engine_docs.PAGES, ids=lambda path: path.name)
def test_settings_and_figures_are_up_to_date(path: Path) -> None:
    page = path.read_text()
    assert engine_docs.renewed(page, engine_docs.RESULTS.read_text()) == page, "run `make docs`"


def test_figures_come_from_the_section_of_the_engines() -> None:
    results = """## Speed

### loo-full

| engine | NDCG@10 |
|---|---|
| ease | .9 |

## The engines

| engine | CPU s | time-full HR@10 | loo-full NDCG@10 |
|---|---|---|---|
| nextitnet, features | 3.5 | .2 | .3 |

### loo-full, once more

| engine | seeds | NDCG@10 | against popularity |
|---|---|---|---|
| popularity | 1 | .015 [.01, .02] | |
| **ease** | 1 | .065 [.05, .08] | better |
| ease, NDCG@10 by seed | .065 | | |
| ease | 3 | .1 | |

### a picture

| engine | NDCG@10 |
|---|---|
| itemknn | .8 |
"""
    found = engine_docs.measured(results)
    ease = {"engine": "**ease**", "seeds": "1", "NDCG@10": ".065 [.05, .08]", "against popularity": "better"}
    assert found["loo-full", "ease"] == ease
    assert found["loo-full", "popularity"]["against popularity"] == ""
    assert found["time-full", "nextitnet"]["HR@10"] == ".2"
    net = {name: found["loo-full", "nextitnet"].get(name) for name in ("CPU s", "NDCG@10", "HR@10")}
    assert net == {"CPU s": "3.5", "NDCG@10": ".3", "HR@10": None}
    assert {engine for _, engine in found} & {"itemknn"} == set()
    page = engine_docs.renewed("<!-- generated: engines -->\nstale\n<!-- end -->\n", results)
    assert page.index("`popularity`") < page.index("`ease`") < page.index("`itemknn`"), "the floor, then best first"
    assert "| .065 |" in page
    assert "stale" not in page
    assert engine_docs.measured("") == {}


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_a_benchmark_says_its_command(path: Path) -> None:
    said = path.read_text().split('"""')[1]
    assert f"python benchmarks/{path.name}" in said, "`make bench` lists what the first lines say"


@pytest.mark.parametrize("key", sorted(config.KEYS))
def test_operations_explain_the_setting(key: str) -> None:
    assert f"`{key}`" in (ROOT / "docs" / "operations.md").read_text(), (
        "who runs it must find every setting in one table"
    )


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_the_protocol_is_named(protocol: str) -> None:
    assert protocol in said()


def test_every_command_is_named(app: Flask) -> None:
    text = said()
    ours = [words for words in commands(app.cli) if words.split()[0] not in FOREIGN]
    missing = []
    for words in ours:
        *group, last = words.split()
        known = f"flask {words}" in text or (group and re.search(rf"flask {group[0]} .*{re.escape(last)}", text))
        if not known:
            missing.append(words)
    assert len(ours) > 15
    assert not missing, f"neither README nor docs say what these are for: {missing}"


@pytest.mark.parametrize("path", READ_BY_PEOPLE, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"
