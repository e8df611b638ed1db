"""What the lists did on this site: how many, how fast, how often something else filled in, how often one led to a film.

All of it is counted from rows: the lists that were given (slates) and what their viewers marked as watched afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import sqrt
from typing import Any

import numpy as np
from sqlalchemy import func, select, text

from movierec.extensions import db
from movierec.tables import Run, SlateRow, now

DAYS = 7
WITHIN = timedelta(hours=24)  # from the list to the film
TIMED = 20_000  # latest lists whose latency is looked at
SHOWN = 4  # runs with a line of their own, the latest
Z = 1.959964

# A list led to a film where its viewer marked one that it held as watched, soon after. Views come first: they are few.
LED = text(
    """
    SELECT slates.run_id AS run_id, date(slates.at) AS day, count(DISTINCT slates.id) AS led
    FROM views JOIN slates ON slates.user_id = views.user_id
        AND slates.at <= views.created_at AND slates.at > datetime(views.created_at, :within)
    WHERE views.removed_at IS NULL AND views.created_at >= :since AND slates.at >= :since AND slates.run_id IS NOT NULL
        AND EXISTS (SELECT 1 FROM json_each(slates.movie_ids) WHERE json_each.value = views.movie_id)
    GROUP BY 1, 2
    """
)


@dataclass(frozen=True)
class Share:
    """`count` of `n`, with its 95 % interval (Wilson 1927)."""

    count: int
    n: int

    @property
    def value(self) -> float | None:
        """None where there is nothing to count."""
        return self.count / self.n if self.n else None

    @property
    def low(self) -> float | None:
        return None if not self.n else max(0.0, self._middle - self._half)

    @property
    def high(self) -> float | None:
        return None if not self.n else min(1.0, self._middle + self._half)

    @property
    def _middle(self) -> float:
        return (self.count + Z * Z / 2) / (self.n + Z * Z)

    @property
    def _half(self) -> float:
        return Z * sqrt(self.count * (self.n - self.count) / self.n + Z * Z / 4) / (self.n + Z * Z)


@dataclass(frozen=True)
class Column:
    """One run over the days: its share on each, None where it gave no list."""

    run: int
    engine: str
    shares: list[Share | None]


@dataclass(frozen=True)
class Production:
    """The last DAYS days, today counted."""

    days: list[date]
    slates: int
    fallbacks: Share
    led: Share  # of the lists of a run; films filled up by rank are no run's merit
    p50: float | None  # milliseconds
    p95: float | None
    timed: int
    columns: list[Column] = field(default_factory=list)


def production() -> Production:
    """All of it, by three queries over the last days."""
    today = now().date()
    days = [today - timedelta(days=back) for back in range(DAYS)][::-1]
    since = datetime.combine(days[0], datetime.min.time(), tzinfo=now().tzinfo)
    counted = db.session.execute(
        select(
            SlateRow.run_id,
            func.date(SlateRow.at).label("day"),
            func.count().label("n"),
            func.count(SlateRow.fallback).label("fallbacks"),
        )
        .where(SlateRow.at >= since)
        .group_by("run_id", "day")
    ).all()
    led = _led(since)
    slates = sum(row.n for row in counted)
    of_runs = sum(row.n for row in counted if row.run_id is not None)
    p50, p95, timed = _latency(since)
    return Production(
        days,
        slates,
        Share(sum(row.fallbacks for row in counted), slates),
        Share(sum(led.values()), of_runs),
        p50,
        p95,
        timed,
        _columns(days, {(row.run_id, row.day): row.n for row in counted if row.run_id is not None}, led),
    )


def by_run(run_ids: Sequence[int]) -> dict[int, Share]:
    """How often the lists of these runs led to a film, over all that is still known of them."""
    first = now() - timedelta(days=366)
    counted = select(SlateRow.run_id, func.count().label("n")).where(SlateRow.run_id.in_(run_ids))
    told = {row.run_id: row.n for row in db.session.execute(counted.group_by(SlateRow.run_id))}
    led: dict[int, int] = {}
    for (run, _), count in _led(first).items() if told else ():
        led[run] = led.get(run, 0) + count
    return {run: Share(led.get(run, 0), n) for run, n in told.items()}


def _led(since: datetime) -> dict[tuple[int, str], int]:
    """(run, day) -> lists of that day that led to a film."""
    stored = since.replace(tzinfo=None).isoformat(" ")
    given: dict[str, Any] = {"since": stored, "within": f"-{int(WITHIN.total_seconds())} seconds"}
    return {(row.run_id, row.day): row.led for row in db.session.execute(LED, given)}


def _latency(since: datetime) -> tuple[float | None, float | None, int]:
    query = select(SlateRow.milliseconds).where(SlateRow.at >= since).order_by(SlateRow.id.desc()).limit(TIMED)
    took = np.array(db.session.execute(query).scalars().all())
    if not took.size:
        return None, None, 0
    p50, p95 = np.percentile(took, [50, 95])
    return float(p50), float(p95), int(took.size)


def _columns(
    days: Sequence[date], counted: dict[tuple[int, str], int], led: dict[tuple[int, str], int]
) -> list[Column]:
    last = {run: max(day for other, day in counted if other == run) for run, _ in counted}
    shown = sorted(last, key=lambda run: (last[run], run))[-SHOWN:]
    engines = {row.id: row.engine for row in db.session.execute(select(Run.id, Run.engine).where(Run.id.in_(shown)))}
    found = []
    for run in shown:
        keys = [(run, day.isoformat()) for day in days]
        shares = [Share(led.get(key, 0), counted[key]) if key in counted else None for key in keys]
        found.append(Column(run, engines.get(run, "gone"), shares))
    return found
