"""`flask compare`: finished runs side by side, and which of them is better beyond doubt."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import click
from flask.cli import with_appcontext

from movierec.services import comparison
from movierec.services.comparison import Comparison, Side, Verdict

NUMBER = click.IntRange(1, 2**31 - 1)


@click.command("compare")
@click.argument("run_ids", metavar="RUN...", type=NUMBER, nargs=-1, required=True)
@click.option("--metric", default="ndcg", show_default=True, help="ndcg, hr, mrr, recall, novelty, diversity, ...")
@click.option("--k", type=click.IntRange(1, 1000), default=10, show_default=True, help="Length of the list judged.")
@click.option("--protocol", default="loo-full", show_default=True, help="How the numbers were made.")
@click.option("--segment", default="all", show_default=True, help="viewers:cold, films:tail, genre:Drama, kept:3, ...")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
@with_appcontext
def compare(run_ids: tuple[int, ...], metric: str, k: int, protocol: str, segment: str, as_json: bool) -> None:
    """Put finished runs side by side and say for each pair which is better, if that is clear."""
    found = comparison.compare(run_ids, metric=metric, k=k, protocol=protocol, segment=segment)
    if as_json:
        click.echo(json.dumps(_told(found), indent=1))
        return
    click.echo(f"{found.metric}@{found.k} under {found.protocol.id}, {found.segment}")
    for side in found.sides:
        value = "not measured" if math.isnan(side.mean) else f"{side.mean:.4f} [{side.low:.4f}, {side.high:.4f}]"
        click.echo(f"  {side.name:24} {value:26} n={side.n}")
    click.echo(f"Pairs (95 % interval of the difference and p by Holm over {len(found.verdicts)} must agree):")
    for verdict in found.verdicts:
        _say(verdict)


def _say(verdict: Verdict) -> None:
    shown = "< 0.001" if verdict.corrected < 0.001 else f"{verdict.corrected:.3f}"
    p = "" if math.isnan(verdict.corrected) else f" (p {shown}, n={verdict.n})"
    click.echo(f"  {verdict.first.name} against {verdict.second.name}: {verdict.words}{p}")
    if verdict.advice:
        click.echo(f"    {verdict.advice}")


def _told(found: Comparison) -> dict[str, Any]:
    """The same for machines; what was not measured is null."""

    def side(one: Side) -> dict[str, Any]:
        return _plain(asdict(one))

    def pair(verdict: Verdict) -> dict[str, Any]:
        sides = {"first": verdict.first.run, "second": verdict.second.run}
        return _plain(asdict(verdict)) | sides | {"advice": verdict.advice}

    return {
        "metric": found.metric,
        "k": found.k,
        "protocol": found.protocol.id,
        "segment": found.segment,
        "runs": [side(one) for one in found.sides],
        "pairs": [pair(verdict) for verdict in found.verdicts],
    }


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in told.items()
    }


commands: list[click.Command] = [compare]
