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

ROOT = Path(__file__).resolve().parent.parent
READ_BY_PEOPLE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
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
