"""What a training says of itself while it runs: how busy its process is, and the lines of its log."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from movierec.extensions import db
from movierec.tables import LogLine, now

LINES = 500  # of one run; an engine that reports without end fills no disk
TAIL = 6  # lines that a page shows
STATM = Path("/proc/self/statm")


class Vitals:
    """CPU and memory of this process between two looks."""

    def __init__(self) -> None:
        self._busy, self._at = time.process_time(), time.monotonic()

    def look(self) -> dict[str, Any]:
        """`cpu_share`: cores kept busy since the last look, all threads together; `memory`: bytes held now."""
        busy, at = time.process_time(), time.monotonic()
        share = (busy - self._busy) / max(at - self._at, 1e-6)
        self._busy, self._at = busy, at
        return {"cpu_share": round(share, 3), "memory": held()}


def held() -> int | None:
    """Bytes that this process has in memory; None where the system does not tell."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


class Log:
    """The lines of one run that are not written yet."""

    def __init__(self, run_id: int) -> None:
        self.run_id, self.lines, self._count = run_id, list[dict[str, Any]](), 0

    def phase(self, name: str) -> None:
        """A new phase."""
        self._say(name)

    def point(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        """A point of the curves, where there is one."""
        if metrics:
            told = ", ".join(f"{_name(name)} {_number(value)}" for name, value in metrics.items())
            self._say(f"step {step:,} of {total:,}: {told}")

    def _say(self, text: str) -> None:
        self._count += 1
        if self._count <= LINES:
            self.lines.append({"run_id": self.run_id, "at": now(), "text": text[:200]})


def tail(run_id: int, count: int = TAIL) -> list[tuple[datetime, str]]:
    """The latest lines, the oldest of them first."""
    query = select(LogLine.at, LogLine.text).where(LogLine.run_id == run_id).order_by(LogLine.id.desc()).limit(count)
    return [(row.at, row.text) for row in db.session.execute(query)][::-1]


def _name(metric: str) -> str:
    word, _, k = metric.partition("@")
    return f"{word.upper()}@{k}" if k else word


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "not a number"
