"""The page of a comparison: what its address asks for, what can be shown together, and the figures from stored rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import or_, select

from movierec.engines import registry
from movierec.evaluation import protocol as protocols
from movierec.evaluation.scorecard import COST, K
from movierec.evaluation.segments import ALL
from movierec.extensions import db
from movierec.services import comparison, knobs, runs, serving
from movierec.services.attempt import CURVES
from movierec.services.errors import Refused
from movierec.tables import MetricRow, Run

MOST = 8  # runs in one picture: hues and shapes tell no more apart
LESS_IS_BETTER = {
    "gini",
    "percentile",
    "latency_p50_ms",
    "latency_p95_ms",
    "fit_cpu_s",
    "peak_memory_mb",
    "artifact_mb",
}
WIDE = {"latency_p50_ms", "latency_p95_ms", "fit_cpu_s", "peak_memory_mb", "artifact_mb"}  # spread over powers of ten
ACROSS = {"steps": "steps of training", "seconds": "CPU seconds, spread evenly over the steps"}


@dataclass(frozen=True)
class Asked:
    """What the address says; the runs are the set that Holm corrects over."""

    runs: tuple[int, ...]
    metric: str = "ndcg"
    k: int = K
    protocol: str = protocols.DEFAULT
    segment: str = ALL
    x: str = "coverage"  # of the trade-off
    by: str = "usual"  # which segments the chart shows
    across: str = "steps"  # of the learning curves

    def words(self, **other: Any) -> dict[str, Any]:
        """The whole address, always with metric, k and protocol, so that it stays true when defaults change."""
        changed = asdict(replace(self, **other))
        kept = {name: changed[name] for name in ("metric", "k", "protocol")}
        rest = {name: v for name, v in changed.items() if name not in kept and v != getattr(Asked, name, None)}
        return {
            "runs": ",".join(str(run) for run in changed["runs"]),
            **kept,
            **{n: rest[n] for n in rest if n != "runs"},
        }


@dataclass(frozen=True)
class Shown:
    """The runs of a comparison with all that is stored about them."""

    asked: Asked
    protocol: protocols.Protocol
    found: list[Run]
    missing: list[str]  # a sentence for each run that can't be shown
    problem: str  # why their numbers can't stand side by side; empty where they can
    on_air: int | None
    rows: dict[int, dict[tuple[str, str, int | None], MetricRow]]  # run -> (segment, metric, k)

    @property
    def second(self) -> set[int]:
        """Runs that are not the first of their engine here: their marks are hollow."""
        seen: set[str] = set()
        return {run.id for run in self.found if run.engine in seen or seen.add(run.engine)}  # type: ignore[func-returns-value]

    @property
    def reference(self) -> Run | None:
        """The run that differences are taken to: the one on air, else the best, where there is one."""
        on_air = next((run for run in self.found if run.id == self.on_air), None)
        if on_air is not None or not self.found:
            return on_air
        known = [(self.value(run.id, self.asked.metric, self.asked.k), run) for run in self.found]
        return max(known, key=lambda pair: -math.inf if pair[0] is None else pair[0])[1]

    def value(self, run: int, metric: str, k: int | None, segment: str = ALL) -> float | None:
        """The stored number; None where it was not measured."""
        row = self.row(run, metric, k, segment)
        return row.value if row is not None else None

    def row(self, run: int, metric: str, k: int | None, segment: str = ALL) -> MetricRow | None:
        """The stored number with its interval."""
        return self.rows.get(run, {}).get((segment, metric, k))


def show(asked: Asked) -> Shown:
    """What is stored about these runs. Raises Refused for a protocol or an axis that is not there, or too many runs."""
    if len(asked.runs) > MOST:
        raise Refused(f"Compare at most {MOST} runs: more can’t be told apart. This link names {len(asked.runs)}.")
    try:
        how = protocols.get(asked.protocol)
    except protocols.UnknownProtocol as error:
        raise Refused(str(error), field="protocol") from error
    if asked.across not in ACROSS:
        raise Refused("Learning curves go over steps or seconds.", field="across")
    query = select(Run).where(Run.id.in_(asked.runs)).execution_options(populate_existing=True)
    by_id = {run.id: run for run in db.session.execute(query).scalars()}
    missing = [said for run_id in asked.runs if (said := _gone(run_id, by_id.get(run_id)))]
    found = [by_id[run_id] for run_id in asked.runs if run_id in by_id and by_id[run_id].removed_at is None]
    return Shown(asked, how, found, missing, _problem(found, how), serving.on_air().run_id, _rows(found, how))


def _gone(run_id: int, run: Run | None) -> str:
    if run is None:
        return f"Run #{run_id} is not there (any more)."
    return f"{run.engine} #{run_id} was deleted." if run.removed_at is not None else ""


def _problem(found: Sequence[Run], how: protocols.Protocol) -> str:
    """Why there is no verdict; empty where there can be one."""
    if len(found) < 2:
        return ""
    try:
        comparison.refuse_unlike(found, how)
    except Refused as error:
        return error.message
    return ""


def _rows(found: Sequence[Run], how: protocols.Protocol) -> dict[int, dict[tuple[str, str, int | None], MetricRow]]:
    """All numbers of the test split under the protocol, and the costs; a sample's are everybody's."""
    query = select(MetricRow).where(
        MetricRow.run_id.in_([run.id for run in found]),
        or_((MetricRow.protocol == how.id) & (MetricRow.split == "test"), MetricRow.protocol == COST),
    )
    rows: dict[int, dict[tuple[str, str, int | None], MetricRow]] = {}
    for row in db.session.execute(query).scalars():
        segment = ALL if row.segment.startswith("sample:") else row.segment
        rows.setdefault(row.run_id, {})[segment, row.metric, row.k] = row
    return rows


def metrics(shown: Shown) -> list[tuple[str, int | None, str]]:
    """What was measured of everybody for any of the runs: metric, cut-off and name, the most asked for first."""
    keys = {
        (row.metric, row.k): runs.label(row)
        for rows in shown.rows.values()
        for (s, _, _), row in rows.items()
        if s == ALL
    }
    order = list(runs.NAMES)
    ranked = sorted(keys, key=lambda key: (key[1] != K, order.index(key[0]) if key[0] in order else 99, key[1] or 0))
    return [(metric, k, keys[metric, k]) for metric, k in ranked]


def axes(shown: Shown) -> list[tuple[str, str]]:
    """What can go across in the trade-off: each metric once, by the name it has here."""
    return list({metric: name for metric, _, name in reversed(metrics(shown))}.items())[::-1]


@dataclass(frozen=True)
class TradeOff:
    """One metric across, the compared one up; the runs that no other beats on both."""

    x: str
    x_name: str
    y_name: str
    points: list[tuple[Run, MetricRow | None, MetricRow | None]]
    edge: set[int]
    log: bool
    better: str  # "right" or "left"


def trade_off(shown: Shown) -> TradeOff:
    """The scatter of the page. An axis that nobody measured has no points. Raises Refused for a metric that is none."""
    asked = shown.asked
    if asked.x not in runs.NAMES:
        raise Refused(f"There is no metric {asked.x[:40]!r}.", field="x")
    names = {(metric, k): name for metric, k, name in metrics(shown)}
    k = next((k for metric, k in names if metric == asked.x), None)
    points = [(run, shown.row(run.id, asked.x, k), shown.row(run.id, asked.metric, asked.k)) for run in shown.found]
    known = [
        (run.id, x.value, y.value) for run, x, y in points if x and y and x.value is not None and y.value is not None
    ]
    sign_x, sign_y = (-1 if metric in LESS_IS_BETTER else 1 for metric in (asked.x, asked.metric))

    def beaten(mine: tuple[int, float, float]) -> bool:
        across, up = sign_x * mine[1], sign_y * mine[2]
        return any(
            sign_x * x >= across and sign_y * y >= up and (sign_x * x, sign_y * y) != (across, up) for _, x, y in known
        )

    log = asked.x in WIDE and all(x > 0 for _, x, _ in known)
    return TradeOff(
        asked.x,
        names.get((asked.x, k), runs.NAMES[asked.x]),
        names.get((asked.metric, asked.k), f"{runs.NAMES.get(asked.metric, asked.metric)}@{asked.k}"),
        points,
        {each[0] for each in known if not beaten(each)},
        log,
        "left" if sign_x < 0 else "right",
    )


@dataclass(frozen=True)
class Param:
    """One knob with each run's value as text (None: that engine has no such knob)."""

    title: str
    values: list[str | None]

    @property
    def differs(self) -> bool:
        """Among the runs that have it."""
        return len({value for value in self.values if value is not None}) > 1


def params(shown: Shown) -> list[Param]:
    """The knobs of all runs, those that differ first; then what else they were made of."""
    titles = {name: knob for run in shown.found for name, knob in _titles(run.engine).items()}
    names = dict.fromkeys(name for run in shown.found for name in run.params)
    table = [
        Param(titles.get(name, name), [_told(run.params[name]) if name in run.params else None for run in shown.found])
        for name in names
    ]
    facts = {"Split": "split", "Data": "dataset_sha256", "Version": "code_version"}
    table += [Param(title, [_told(getattr(run, name))[:12] for run in shown.found]) for title, name in facts.items()]
    return sorted(table, key=lambda param: not param.differs)


def _titles(engine: str) -> dict[str, str]:
    try:
        return {knob.name: knob.title for knob in knobs.knobs(registry.get(engine), None)}
    except registry.UnknownEngine:  # its file was taken away
        return {}


def _told(value: Any) -> str:
    return "" if value is None else ("on" if value else "off") if isinstance(value, bool) else str(value)


BY = {
    "usual": ("viewers", "films"), "genre": ("genre",), "decade": ("decade",),
}  # fmt: skip
BY_WORDS = {"usual": "viewers and films", "genre": "genres", "decade": "decades"}


def segments(shown: Shown) -> list[tuple[str, int | None, list[MetricRow | None]]]:
    """Name, viewers and each run's number by segment, of the kinds asked for. Refused: there is no such kind."""
    if shown.asked.by not in BY:
        raise Refused("Segments are by viewers and films, by genre or by decade.", field="by")
    kinds = BY[shown.asked.by]
    found = dict.fromkeys(s for rows in shown.rows.values() for s, _, _ in rows if s.partition(":")[0] in kinds)
    order = {name: place for place, name in enumerate(("cold", "warm", "hot", "head", "mid", "tail"))}
    names = sorted(
        found, key=lambda name: (kinds.index(name.partition(":")[0]), order.get(name.partition(":")[2], 9), name)
    )
    table = []
    for name in names:
        cells = [shown.row(run.id, shown.asked.metric, K, name) for run in shown.found]
        kind, _, rest = name.partition(":")
        n = next((cell.n for cell in cells if cell is not None and cell.n), None)
        if any(cells):
            table.append((f"{rest} {kind}" if kind in ("viewers", "films") else rest, n, cells))
    return table


def cold_start(shown: Shown) -> list[tuple[str, list[MetricRow | None]]]:
    """The compared metric when only the last few films of each viewer are known: films, each run's number."""
    kept = {int(s.partition(":")[2]) for rows in shown.rows.values() for s, _, _ in rows if s.startswith("kept:")}
    table = [
        (str(many), [shown.row(run.id, shown.asked.metric, K, f"kept:{many}") for run in shown.found])
        for many in sorted(kept)
    ]
    return [line for line in table if any(line[1])]


def learning(shown: Shown) -> tuple[list[Run], list[tuple[float, list[float | None]]]]:
    """Runs that reported validation NDCG@10 more than once, and their points over steps or over CPU seconds."""
    query = select(MetricRow.run_id, MetricRow.step, MetricRow.value).where(
        MetricRow.run_id.in_([run.id for run in shown.found]),
        MetricRow.protocol == CURVES,
        MetricRow.metric == "ndcg",
        MetricRow.k == K,
        MetricRow.value.is_not(None),
    )
    points: dict[int, dict[float, float]] = {}
    for run_id, step, value in db.session.execute(query):
        points.setdefault(run_id, {})[float(step or 0)] = float(value or 0.0)
    told = [run for run in shown.found if len(points.get(run.id, {})) > 1]
    if shown.asked.across == "seconds":
        for run in told:
            each = (run.fit_seconds or 0.0) / max(points[run.id])
            points[run.id] = {round(step * each, 2): value for step, value in points[run.id].items()}
    places = sorted({place for run in told for place in points[run.id]})
    return told, [(place, [points[run.id].get(place) for run in told]) for place in places]
