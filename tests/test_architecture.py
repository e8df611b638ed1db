"""The house's rules as checks: floors, cycles, sizes, first lines. Each failure says why the rule exists."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Imports run downward only. A room may import itself; rooms of one floor never import each other.
FLOORS = {
    "wsgi": 7, "worker": 7, "supervisor": 7,
    "movierec": 6,
    "cli": 5, "blueprints": 5,
    "services": 4,
    "evaluation": 3, "artifacts": 3, "content": 3,
    "engines": 2, "tables": 2, "sources": 2,
    "dataset": 1, "config": 1, "extensions": 1, "posters": 1,
}  # fmt: skip
LONGEST_FILE, LONGEST_FUNCTION = 300, 50


def modules() -> dict[str, Path]:
    """Every module of the house by dotted name."""
    found = {"wsgi": ROOT / "wsgi.py"}
    for path in (ROOT / "movierec").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str:
    """The room of a module: its folder, or its own name on the ground of the package."""
    parts = module.split(".")
    name = parts[1] if len(parts) > 1 else parts[0]
    return {"artifact_files": "artifacts"}.get(name, "cli" if name.startswith("cli") else name)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(module: str, path: Path) -> set[str]:
    """Modules of the house that this one imports, the imports hidden in functions too (not those for types only)."""
    known, found = modules(), set()
    skipped = {
        id(inner)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree(path)):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
    return found - {module}


def test_imports_run_downward_only() -> None:
    wrong = []
    for module, path in modules().items():
        for target in imports(module, path):
            here, there = room(module), room(target)
            assert here in FLOORS, f"{module} has no floor: put it into a room of shared design, or name a new one here"
            if here != there and FLOORS[there] >= FLOORS[here]:
                wrong.append(f"{module} (floor {FLOORS[here]}) imports {target} (floor {FLOORS[there]})")
    assert not wrong, "Imports go down only, so that a lower floor can be read and tested alone:\n" + "\n".join(wrong)


def test_no_import_cycles() -> None:
    graph = {module: imports(module, path) for module, path in modules().items()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, "A cycle means neither can be understood without the other: " + " -> ".join(
            (*trail[trail.index(module) :], module)
        )
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_file_can_be_read_at_one_sitting(module: str) -> None:
    path = modules()[module]
    lines = path.read_text().count("\n")
    assert lines <= LONGEST_FILE, f"{path.name} has {lines} lines: one purpose a file; split it by meaning"
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            size = (node.end_lineno or 0) - node.lineno + 1
            assert size <= LONGEST_FUNCTION, f"{path.name}:{node.name} has {size} lines: name its steps"


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_file_says_its_purpose_in_its_first_line(module: str) -> None:
    path = modules()[module]
    assert path.read_text().startswith('"""'), f"{path.name}: line 1 says what the file is for, so nobody has to guess"
    assert ast.get_docstring(tree(path)), f"{path.name}: the first line is a docstring"


@pytest.mark.parametrize("package", ["engines", "evaluation", "content", "dataset", "posters", "sources"])
def test_pure_rooms_know_no_web_and_no_database(package: str) -> None:
    for module, path in modules().items():
        if room(module) != package:
            continue
        for node in ast.walk(tree(path)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            bad = [
                name
                for name in names
                if name.split(".")[0] in ("flask", "sqlalchemy", "flask_sqlalchemy", "redis", "rq")
            ]
            assert not bad, f"{module} imports {bad}: this room must run in a notebook without the site"


def test_blueprints_hold_no_query_and_no_numbers() -> None:
    for module, path in modules().items():
        if room(module) == "blueprints":
            text = path.read_text()
            for word in ("db.session.execute", "select(", "import numpy", "movierec.tables"):
                assert word not in text, f"{module} says {word!r}: ask a service, so that CLI and API can ask it too"


def test_nothing_is_unpickled() -> None:
    for module, path in modules().items():
        text = path.read_text()
        for word in ("import pickle", "joblib", "allow_pickle=True", "torch.load("):
            assert word not in text, f"{module} says {word!r}: a file must never be able to run code"


def test_no_engine_is_named_outside_its_own_file() -> None:
    import re

    for module, path in modules().items():
        if room(module) != "engines":
            found = re.search(r"(slug|engine) ==? ?[\"'](nextitnet|popularity|bivae|llm)", path.read_text())
            assert not found, f"{module}: `{found and found[0]}`: what differs by engine belongs into the engine's file"
