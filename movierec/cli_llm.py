"""`flask llm status | try | on | off`: the language model from the console."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import asdict

import click
from flask.cli import with_appcontext

from movierec.services import llm


@click.group("llm")
def group() -> None:
    """Look after the language model: whether it can be asked, what it costs, who may ask."""


@group.command("status")
@click.option("--days", type=click.IntRange(1, 400), default=7, show_default=True, help="How far back usage goes.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
@with_appcontext
def status(days: int, as_json: bool) -> None:
    """Say whether the model can be asked, what is left of today's budget, and what was used."""
    now, used = llm.status(), llm.usage(days)
    if as_json:
        told = asdict(now) | {"usage": [asdict(line) for line in used]}
        click.echo(json.dumps(told, indent=1, default=str))
        return
    click.echo(now.problem or f"{now.model} can be asked{f' at {now.host}' if now.host else ''}.")
    click.echo(f"breaker {now.breaker.name}, {now.breaker.failures} failures in a row, {now.spent.flying} under way")
    click.echo(
        f"today {now.spent.calls:,} of {now.caps.site_calls:,} calls, {now.spent.tokens:,} of "
        f"{now.caps.site_tokens:,} tokens; a viewer has {now.caps.viewer_calls:,} and {now.caps.viewer_tokens:,}"
    )
    for line in used:
        click.echo(
            f"{line.day} {line.model:30} {f'viewer {line.viewer_id}' if line.viewer_id else '-':12} {line.outcome:12}"
            f"{line.calls:6,} calls {line.prompt_tokens + line.completion_tokens:10,} tokens {line.cost:9.4f} $"
            f"{line.milliseconds:8,.0f} ms"
        )


@group.command("try")
@click.argument("question", default="Name one film worth watching, in one sentence.")
@with_appcontext
def try_out(question: str) -> None:
    """Ask one question, at the site's cost, and show the answer or why there is none. Exit 1 if there is none."""
    try:
        answer = llm.complete(
            [{"role": "user", "content": question}],
            viewer_id=None,
            cache_key=secrets.token_hex(8),  # asked anew each time
            max_tokens=200,
        )
    except llm.NoAnswer as no:
        click.echo(f"No answer ({no.kind}): {no.reason}", err=True)
        sys.exit(1)
    click.echo(answer.text)
    tokens = answer.prompt_tokens + answer.completion_tokens
    click.echo(f"{answer.model}: {answer.milliseconds:,.0f} ms, {tokens:,} tokens, {answer.cost:.6f} $", err=True)


@group.command("on")
@with_appcontext
def on() -> None:
    """Let viewers ask the language model again."""
    llm.switch(on=True)
    click.echo(llm.available() or "The language model can be asked.")


@group.command("off")
@with_appcontext
def off() -> None:
    """Nobody asks the language model until it is switched on again; viewers get lists made without it."""
    llm.switch(on=False)
    click.echo("The language model is switched off.")


commands = [group]
