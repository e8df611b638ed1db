"""The list of runs: filtered, searched and sorted, with the columns that a person chose; one query for its numbers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import or_, select

from movierec.evaluation import protocol as protocols
from movierec.evaluation.scorecard import COST
from movierec.extensions import db
from movierec.services import judging, runs, serving, settings
from movierec.services.errors import Refused
from movierec.tables import ACTIVE_STATES, MetricRow, Run, Snapshot, User

SIZE = 50  # runs on a page
HASH = 6  # letters of a data set's hash that people compare by eye


@dataclass(frozen=True)
class Column:
    """One column that can be chosen: a metric (with its cut-off; under the protocol chosen, or a cost), or a fact."""

    key: str
    title: str
    metric: str = ""
    k: int | None = None
    cost: bool = False

    @property
    def number(self) -> bool:
        """Whether it holds numbers, which stand to the right."""
        return bool(self.metric) or self.key == "size"


COLUMNS: dict[str, Column] = {
    column.key: column
    for column in (
        *(
            Column(f"{metric}{k}", f"{runs.NAMES[metric]}@{k}", metric, k)
            for metric, k in (
                ("ndcg", 10), ("hr", 10), ("mrr", 10), ("ndcg", 5), ("ndcg", 20), ("hr", 5), ("hr", 20), ("recall", 10),
            )
        ),
        Column("interval", "95 % interval", "ndcg", 10),
        Column("coverage", "Coverage", "coverage", 10),
        Column("novelty", "Novelty, bits", "novelty", 10),
        Column("diversity", "Variety of genres", "diversity", 10),
        Column("gini", "Gini over films", "gini", 10),
        Column("percentile", "Popularity percentile", "percentile", 10),
        Column("cpu", "CPU time, s", "fit_cpu_s", None, True),
        Column("p95", "Latency p95, ms", "latency_p95_ms", None, True),
        Column("memory", "Memory, MB", "peak_memory_mb", None, True),
        Column("size", "Files, MB"),
        Column("data", "Data"),
        Column("by", "By"),
        Column("when", "When"),
        Column("state", "State"),
    )
}  # fmt: skip
USUAL = ("ndcg10", "interval", "hr10", "cpu", "data", "when", "state")
STATES = {
    "": "not archived", "on air": "on air", "active": "waiting or training", "done": "done",
    "stopped": "cancelled", "failed": "failed or lost", "archived": "archived",
}  # fmt: skip
WITHIN: dict[str, Collection[str]] = {
    "active": ACTIVE_STATES, "done": ("done",), "stopped": ("cancelled",), "failed": ("failed", "lost"),
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What of the list somebody wants to see; every field as it stands in the address."""

    q: str = ""
    engine: str = ""
    state: str = ""
    tag: str = ""
    data: str = ""  # the first letters of a data set's hash
    protocol: str = protocols.DEFAULT
    sort: str = "run"
    down: bool = True
    page: int = 1

    def __post_init__(self) -> None:
        """Raises Refused for what is not there to choose."""
        if self.protocol not in protocols.PROTOCOLS:
            raise Refused(f"There is no protocol {self.protocol[:40]!r}.", field="protocol")
        if self.state not in STATES:
            raise Refused(f"There is no state {self.state[:40]!r} to choose.", field="state")
        if self.sort != "run" and self.sort not in COLUMNS:
            raise Refused(f"There is no column {self.sort[:40]!r} to sort by.", field="sort")

    def words(self, **other: Any) -> dict[str, Any]:
        """The fields that differ from the usual, for an address; `other` ones in place of these."""
        changed = replace(self, **other)
        return {name: value for name, value in asdict(changed).items() if value != getattr(Asked, name)}

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out beside what is archived."""
        return any((self.q, self.engine, self.state, self.tag, self.data))


@dataclass(frozen=True)
class Entry:
    """A run with the numbers of the columns chosen, by column."""

    run: Run
    by: str
    numbers: Mapping[str, MetricRow] = field(default_factory=dict)

    def number(self, key: str) -> float | None:
        """The value in that column; None: not measured."""
        if key == "size":
            return self.run.artifact_bytes / 1e6 if self.run.artifact_bytes is not None else None
        row = self.numbers.get(key)
        return row.value if row is not None else None


@dataclass(frozen=True)
class Shelf:
    """One page of the list."""

    asked: Asked
    columns: list[Column]
    entries: list[Entry]
    found: int
    there: int  # all that are not archived
    pages: int
    on_air: int | None
    engines: list[str]
    tags: list[str]
    data: list[tuple[str, str]]  # the hash's first letters, the source's name
    scale: float  # where the column of intervals ends
    reference: float | None  # what is on air, in that column


def shelf(asked: Asked, person: int) -> Shelf:
    """The runs that were asked for. A page past the last one is the last one."""
    known = _known()
    columns = chosen(person)
    on_air = serving.on_air().run_id
    fitting = [entry for entry in known if _fits(entry.run, asked, on_air)]
    wanted = {column.key: column for column in columns if column.metric}
    if asked.sort in COLUMNS and COLUMNS[asked.sort].metric:
        wanted[asked.sort] = COLUMNS[asked.sort]
    fitting = _with_numbers(fitting, wanted, asked.protocol)
    ordered = _ordered(fitting, asked)
    pages = max(1, -(-len(ordered) // SIZE))
    page = min(max(1, asked.page), pages)
    shown = ordered[(page - 1) * SIZE : page * SIZE]
    highs = [row.high for entry in ordered if (row := entry.numbers.get("interval")) and row.high is not None]
    there = next((e.numbers.get("interval") for e in ordered if e.run.id == on_air), None)
    return Shelf(
        replace(asked, page=page),
        columns,
        shown,
        len(ordered),
        sum(entry.run.archived_at is None for entry in known),
        pages,
        on_air,
        sorted({entry.run.engine for entry in known}),
        sorted({tag for entry in known for tag in entry.run.tags}),
        _data_sets([entry.run for entry in known]),
        max(highs, default=1.0),
        there.value if there is not None else None,
    )


def filters(found: Shelf) -> dict[str, list[tuple[str, str]]]:
    """What each filter offers: value and word."""
    named = [(key, f"{source} {key}") for key, source in found.data]
    return {
        "engine": [("", "all engines"), *((engine, engine) for engine in found.engines)],
        "state": list(STATES.items()),
        "tag": [("", "all tags"), *((tag, tag) for tag in found.tags)],
        "data": [("", "all data sets"), *named],
        "protocol": protocol_choices(),
    }


def protocol_choices() -> list[tuple[str, str]]:
    """The protocols to choose from, the easier ones marked."""
    return [(how.id, f"{how.id}{' (easier)' if how.easier else ''}") for how in protocols.PROTOCOLS.values()]


def protocol(asked: Asked) -> protocols.Protocol:
    """How the numbers of the list were made."""
    return protocols.get(asked.protocol)


def chosen(person: int) -> list[Column]:
    """The columns this person wants, in their order."""
    kept = settings.get(_key(person), USUAL)
    return [COLUMNS[key] for key in kept if key in COLUMNS]


def choose(person: int, keys: Sequence[str]) -> None:
    """Keep these columns for this person. Raises Refused for one that is not there, and for none at all."""
    if not keys:
        raise Refused("Choose at least one column.", field="columns")
    for key in keys:
        if key not in COLUMNS:
            raise Refused(f"There is no column {key[:40]!r}.", field="columns")
    settings.put(_key(person), [key for key in COLUMNS if key in keys])


def _key(person: int) -> str:
    return f"run-columns:{person}"


def _known() -> list[Entry]:
    query = select(Run, User.name).outerjoin(User, User.id == Run.created_by).where(Run.removed_at.is_(None))
    found = db.session.execute(query.order_by(Run.id.desc()).execution_options(populate_existing=True)).all()
    return [Entry(run, name or ("movierec" if run.origin == "first" else "")) for run, name in found]


def _fits(run: Run, asked: Asked, on_air: int | None) -> bool:
    if (asked.state == "archived") != (run.archived_at is not None):
        return False
    if asked.state == "on air" and run.id != on_air:
        return False
    if asked.state in WITHIN and run.state not in WITHIN[asked.state]:
        return False
    if asked.engine and run.engine != asked.engine:
        return False
    if asked.tag and asked.tag not in run.tags:
        return False
    if asked.data and not (run.dataset_sha256 or "").startswith(asked.data):
        return False
    text = f"{run.engine} #{run.id} {run.note} {' '.join(run.tags)} {json.dumps(run.params)} {run.reason or ''}".lower()
    return all(word in text for word in asked.q.lower().split())


def _with_numbers(entries: list[Entry], wanted: Mapping[str, Column], protocol: str) -> list[Entry]:
    """The same entries, each with its numbers; one query, of everybody, under the protocol; and the costs."""
    if not wanted or not entries:
        return entries
    measured = {column.metric for column in wanted.values() if not column.cost}
    costs = {column.metric for column in wanted.values() if column.cost}
    rows = select(MetricRow).where(
        MetricRow.run_id.in_([entry.run.id for entry in entries]),
        or_(
            (MetricRow.protocol == protocol)
            & (MetricRow.split == "test")
            & MetricRow.metric.in_(measured)
            & judging.of_everybody(),
            (MetricRow.protocol == COST) & MetricRow.metric.in_(costs),
        ),
    )
    found: dict[int, dict[tuple[str, int | None], MetricRow]] = {}
    for row in db.session.execute(rows).scalars():
        found.setdefault(row.run_id, {})[row.metric, row.k] = row
    return [
        replace(
            entry,
            numbers={
                key: number
                for key, column in wanted.items()
                if (number := found.get(entry.run.id, {}).get((column.metric, column.k))) is not None
            },
        )
        for entry in entries
    ]


def _ordered(entries: list[Entry], asked: Asked) -> list[Entry]:
    """By the column asked for; what has nothing in it comes last either way, the newest first."""
    column = COLUMNS.get(asked.sort)
    if column is None:
        return entries if asked.down else entries[::-1]

    def value(entry: Entry) -> Any:
        if column.number:
            return entry.number(column.key)
        facts = {
            "data": entry.run.dataset_sha256,
            "by": entry.by,
            "when": entry.run.created_at,
            "state": entry.run.state,
        }
        return facts[column.key]

    known = [entry for entry in entries if value(entry) is not None]
    known.sort(key=value, reverse=asked.down)
    return known + [entry for entry in entries if value(entry) is None]


def _data_sets(found: Sequence[Run]) -> list[tuple[str, str]]:
    """What the runs learnt from, the latest first."""
    sources = {row.id: row.source for row in db.session.execute(select(Snapshot.id, Snapshot.source))}
    told = {run.dataset_sha256[:HASH]: sources.get(run.snapshot_id, "gone") for run in found if run.dataset_sha256}
    return list(told.items())
