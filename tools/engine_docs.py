"""Writes what the docs say of each engine: its settings from its Params, its figures from benchmarks/RESULTS.md.

python tools/engine_docs.py           rewrites what stands between the markers in README.md and docs/engines.md
python tools/engine_docs.py --check   changes nothing, says which page is out of date, ends with 1 if one is

A block stands between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is `engines` (all of them in one table) or an
engine's slug (its settings and figures). All around the blocks is written by hand.

Figures are taken from the section "The engines" of RESULTS.md: tables as benchmarks/quality.py prints them, each under
a heading that begins with its protocol, or with the protocol before the metric in the head of a column. What stands
after a comma in the name of an engine is a remark. Of several rows of one engine under one protocol the first counts.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from movierec.engines import registry
from movierec.engines.base import Engine
from movierec.evaluation.protocol import PROTOCOLS
from movierec.services import knobs
from movierec.tables import Snapshot

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "engines.md")
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
SMALL, LARGE = (610, 9_724, 100_000), (6_040, 3_706, 1_000_000)  # viewers, films, views that defaults are shown for
OVERVIEW = ("HR@10", "NDCG@10", "CPU s")  # under loo-full
FIGURES = ("seeds", "HR@10", "NDCG@10", "recall@10", "coverage", "CPU s", "p50 ms", "peak MB", "against popularity")

Figures = dict[tuple[str, str], dict[str, str]]  # (protocol, engine) -> column -> cell


def measured(results: str) -> Figures:
    """The rows of the tables in the section "The engines"."""
    section = re.search(r"^## The engines$(.*?)(?=^## |\Z)", results, re.DOTALL | re.MULTILINE)
    found: Figures = {}
    for part in re.split(r"^### ", section[1] if section else "", flags=re.MULTILINE):
        heading = re.split(r"[^\w-]", part.strip("`"), maxsplit=1)[0]
        heads: list[str] = []
        for line in _tables(part):
            row = [cell.strip() for cell in line.strip()[1:-1].split("|")]
            if row[0] == "engine":
                heads = row
                continue
            slug, told = row[0].strip("`*").split(",")[0], dict(zip(heads, row, strict=False))
            for name in PROTOCOLS:
                own = told if name == heading else _under(name, told)
                if own:
                    found.setdefault((name, slug), own)
    return found


def _under(protocol: str, told: dict[str, str]) -> dict[str, str]:
    """What a row says under this protocol, with what it says under none; empty where it says nothing under this one."""
    own = {head.removeprefix(f"{protocol} "): cell for head, cell in told.items() if head.startswith(f"{protocol} ")}
    common = {head: cell for head, cell in told.items() if head.split(" ")[0] not in PROTOCOLS}
    return common | own if own else {}


def _tables(text: str) -> list[str]:
    """Lines of markdown tables, without those that only rule off the head."""
    return [line for line in text.splitlines() if line.startswith("|") and not re.fullmatch(r"[|\-: ]+", line)]


def engines() -> dict[str, type[Engine]]:
    """The house's own engines by slug."""
    found = {listing.slug: listing.engine for listing in registry.listings()}
    return {slug: engine for slug, engine in found.items() if engine.__module__ == f"movierec.engines.{slug}"}


def overview(figures: Figures) -> str:
    """All engines in one table, popularity first, then by NDCG@10 under loo-full; those without figures last."""

    def place(slug: str) -> tuple[bool, float, str]:
        told = figures.get(("loo-full", slug), {}).get("NDCG@10", "").split(" ")[0]
        return slug != "popularity", -float(told) if told else 1.0, slug

    lines = ["| engine | is | " + " | ".join(OVERVIEW) + " |", "|---" * (2 + len(OVERVIEW)) + "|"]
    for slug, engine in sorted(engines().items(), key=lambda pair: place(pair[0])):
        row = figures.get(("loo-full", slug), {})
        values = [row.get(name, "").split(" ")[0] for name in OVERVIEW]
        lines.append(f"| `{slug}` | {engine.summary} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def section(slug: str, figures: Figures) -> str:
    """One engine's settings, then its figures."""
    told = [settings(engines()[slug])]
    rows = {protocol: figures[protocol, slug] for protocol in PROTOCOLS if (protocol, slug) in figures}
    if rows:
        shown = [name for name in FIGURES if any(row.get(name) for row in rows.values())]
        told += ["", "| protocol | " + " | ".join(shown) + " |", "|---" * (1 + len(shown)) + "|"]
        told += [f"| {name} | " + " | ".join(row.get(head, "") for head in shown) + " |" for name, row in rows.items()]
    else:
        told += ["", "No figures in benchmarks/RESULTS.md yet."]
    return "\n".join(told)


def settings(engine: type[Engine]) -> str:
    """The knobs as a table; a default that depends on the size of the data is told for two sizes."""
    small, large = (_knobs(engine, size) for size in (SMALL, LARGE))
    lines = ["| setting | in the form | default | may be | |", "|---|---|---|---|---|"]
    for name, knob in small.items():
        default = _said(knob.default)
        if large[name].default != knob.default:
            default += f" ({_said(large[name].default)})"
        bounds = ", ".join(map(str, knob.choices)) or ("on, off" if knob.kind == "bool" else knob.bounds)
        lines.append(f"| `{name}` | {knob.title} | {default} | {bounds} | {knob.description} |")
    return "\n".join(lines) if small else "No settings but the seed."


def _knobs(engine: type[Engine], size: tuple[int, int, int]) -> dict[str, knobs.Knob]:
    viewers, movies, events = size
    snapshot = Snapshot(viewers=viewers, movies=movies, events=events)
    return {knob.name: knob for knob in knobs.knobs(engine, snapshot) if knob.name != "seed"}


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def renewed(page: str, results: str) -> str:
    """The page with every block written anew. Raises KeyError for a block of an engine that is not there."""
    figures = measured(results)

    def write(block: re.Match[str]) -> str:
        made = overview(figures) if block[2] == "engines" else section(block[2], figures)
        return f"{block[1]}{made}\n{block[3]}"

    return BLOCK.sub(write, page)


def main() -> int:
    """Rewrite the pages, or say which are out of date."""
    old = []
    for path in PAGES:
        page = path.read_text()
        made = renewed(page, RESULTS.read_text())
        if made != page:
            old.append(path.relative_to(ROOT))
            if "--check" not in sys.argv:
                path.write_text(made)
    for path in old:
        print(f"{path} {'is out of date' if '--check' in sys.argv else 'is written anew'}")
    return int(bool(old) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
