"""What movierec imports stands in requirements.txt with its version, and nothing stands there that nobody imports."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STARTED = {"gunicorn"}  # by its name, as a process of its own


def pinned() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def imported() -> set[str]:
    """Distributions that the site's own code imports, inside functions too."""
    found = set()
    for path in (*(ROOT / "movierec").rglob("*.py"), *(ROOT / "migrations").rglob("*.py"), ROOT / "wsgi.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    by_package = packages_distributions()
    ours = found - set(sys.stdlib_module_names) - {"movierec"}
    return {re.sub("[-_.]+", "-", by_package[name][0]).lower() for name in ours}


def test_every_import_is_pinned_and_every_pin_is_imported() -> None:
    assert imported() | STARTED == set(pinned())


def test_the_pins_are_what_is_tested() -> None:
    assert {name: version(name).partition("+")[0] for name in pinned()} == pinned()
