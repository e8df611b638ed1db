"""Several values at once: a list or a range for some knobs, trained one after another, the best told by validation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from math import prod
from typing import Any

from sqlalchemy import ColumnElement, select

from movierec.engines.base import Engine
from movierec.evaluation import protocol as protocols
from movierec.extensions import db, writing
from movierec.services import jobs, knobs, parts, snapshots, training
from movierec.services.attempt import CHOICE
from movierec.services.errors import Conflict, NotFound, Refused, ServiceError, Unavailable
from movierec.services.knobs import BadParams, Knob
from movierec.tables import ACTIVE_STATES, MetricRow, Run, Series, Snapshot, User, now

MOST = 12  # trainings in one series
NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
RANGE = re.compile(rf"\s*({NUMBER})\s*(?:to|\.\.)\s*({NUMBER})\s*(?:by|step)\s*({NUMBER})\s*")
HOW = "Write a list (16, 32, 64) or a range (0.1 to 0.5 by 0.1)."


@dataclass(frozen=True)
class Member:
    """One combination: its values of the varied knobs, and how far it is."""

    place: int
    values: list[Any]
    run: Run | None  # None while it waits for its turn, or was never begun
    validation: float | None  # NDCG@10 on the validation targets


@dataclass(frozen=True)
class Sheet:
    """All about one series."""

    series: Series
    by: str
    titles: list[str]  # of the varied knobs
    members: list[Member]

    @property
    def open(self) -> bool:
        """Whether something of it is still to be trained or is being trained."""
        waits = self.series.stopped_at is None and any(member.run is None for member in self.members)
        return waits or any(member.run is not None and member.run.state in ACTIVE_STATES for member in self.members)

    @property
    def done(self) -> int:
        """How many have ended."""
        return sum(member.run is not None and member.run.state not in ACTIVE_STATES for member in self.members)

    @property
    def best(self) -> Member | None:
        """The finished one with the highest validation NDCG@10, the earlier of equals; None before any has ended."""
        judged = [m for m in self.members if m.validation is not None and m.run is not None and m.run.state == "done"]
        return max(judged, key=lambda member: (member.validation or 0.0, -member.place)) if judged else None


def request(engine: str, given: Mapping[str, Any], *, split: str, by: int | None, note: str = "") -> int:
    """Order a series: number knobs of `given` may hold a list or a range. Its number; the first training is begun.

    Raises Refused (what training.request refuses, too many combinations, only one), BadParams with a sentence a knob,
    or Unavailable where the queue can't be reached.
    """
    cls = training.trainable(engine)
    if split not in protocols.SPLITS:
        raise Refused(f"There is no split {split!r}. There are: {', '.join(protocols.SPLITS)}.", field="split")
    snapshot = snapshots.current()
    if snapshot is None:
        raise Refused(training.NO_DATA)
    if len(note) > training.LONGEST_NOTE:
        raise Refused(f"Use at most {training.LONGEST_NOTE} characters.", field="note")
    varied, orders = _orders(cls, given, split, snapshot)
    if jobs.state().error:
        raise Unavailable("The queue can't be reached right now. Try again when Redis is back. Nothing was started.")
    with writing() as session:
        row = Series(engine=engine, split=split, orders=orders, varied=varied, snapshot_id=snapshot.id)
        row.views_until, row.created_by, row.note = snapshots.last_view(), by, note.strip()
        session.add(row)
        session.flush()
        number = row.id
    advance()
    return number


def advance() -> None:
    """Begin the next training of each open series whose engine is free; the worker calls this again and again.

    That each order is trained once, and one training of an engine at a time, is the database's to see to.
    """
    for number in db.session.execute(select(Series.id).where(Series.stopped_at.is_(None))).scalars().all():
        row = db.session.get(Series, number)
        begun = set(db.session.execute(select(Run.series_place).where(Run.series_id == number)).scalars())
        place = next((place for place in range(len(row.orders)) if place not in begun), None) if row else None
        if row is None or _busy(Run.engine == row.engine):
            continue
        if place is None:
            _stop(number, None)
            continue
        try:
            training.request(
                row.engine, row.orders[place], split=row.split, by=row.created_by, note=row.note, place=(row, place)
            )
        except (Conflict, Unavailable):  # somebody else's training came first, or Redis is away: later
            continue
        except ServiceError as error:
            _stop(number, f"It can't go on: {error.message}")


def cancel(number: int, *, who: str) -> None:
    """Begin nothing more of it, and stop the training that runs; what has ended stays. Raises NotFound, Conflict."""
    row = _get(number)
    if row.stopped_at is not None or not sheet(number).open:
        raise Conflict("This series has ended already.")
    _stop(number, f"Cancelled by {who}; what was finished stays.")
    active = select(Run.id).where(Run.series_id == number, Run.state.in_(ACTIVE_STATES))
    for run_id in db.session.execute(active).scalars().all():
        try:
            training.cancel(run_id, keep=False, who=who)
        except Conflict:
            continue  # it has ended in between


def sheet(number: int) -> Sheet:
    """All about one series. Raises NotFound."""
    row = _get(number)
    found = {run.series_place: run for run in db.session.scalars(select(Run).where(Run.series_id == number))}
    query = select(MetricRow.run_id, MetricRow.value).where(
        MetricRow.run_id.in_([run.id for run in found.values()]),
        MetricRow.protocol == CHOICE,
        MetricRow.metric == "ndcg",
        MetricRow.k == 10,
    )
    judged = {row.run_id: row.value for row in db.session.execute(query)}
    members = []
    for place, params in enumerate(row.orders):
        run = found.get(place)
        told = [params.get(name) for name in row.varied]
        members.append(Member(place, told, run, judged.get(run.id) if run is not None else None))
    name = db.session.scalar(select(User.name).where(User.id == row.created_by))
    return Sheet(row, name or "nobody who is still here", _titles(row), members)


def active() -> list[Sheet]:
    """Every series that is not over, the latest first."""
    rows = db.session.scalars(select(Series.id).where(Series.stopped_at.is_(None)).order_by(Series.id.desc()).limit(20))
    return [found for found in map(sheet, rows.all()) if found.open]


def values(text: str) -> list[str]:
    """The values that a field names: of a list or a range, else the text itself. Raises ValueError, in a sentence."""
    ranged = RANGE.fullmatch(text)
    if ranged is None:
        return list(dict.fromkeys(part.strip() for part in re.split(r"[,;]", text) if part.strip())) or [text]
    first, last, step = (Decimal(number) for number in ranged.groups())
    if step <= 0 or last < first:
        raise ValueError("A range goes up: 0.1 to 0.5 by 0.1.")
    count = int((last - first) / step) + 1
    if count > MOST:
        raise ValueError(f"That range has {count:,} values; a series has at most {MOST} trainings.")
    return [format(first + place * step, "f") for place in range(count)]


def _orders(
    cls: type[Engine], given: Mapping[str, Any], split: str, snapshot: Snapshot
) -> tuple[list[str], list[dict[str, Any]]]:
    """The varied knobs and the params of each combination."""
    known = {knob.name: knob for knob in knobs.knobs(cls, snapshot)}
    choices = _choices(given, known)
    varied = [name for name, several in choices.items() if len(several) > 1]
    count = prod(len(several) for several in choices.values())
    if not varied:
        raise Refused(f"Nothing here has several values. {HOW}", field="several")
    if count > MOST:
        raise Refused(
            f"These are {count:,} combinations; a series has at most {MOST}. Leave some out.", field="several"
        )
    orders: list[dict[str, Any]] = []
    for combination in product(*choices.values()):
        params = knobs.validated(cls, dict(zip(choices, combination, strict=True)), snapshot)
        parts.basis(cls(params), split)
        told = params.model_dump(mode="json")
        if told not in orders:
            orders.append(told)
    return varied, orders


def _choices(given: Mapping[str, Any], known: Mapping[str, Knob]) -> dict[str, Sequence[Any]]:
    """Knob -> its values; only numbers can have several. Raises BadParams."""
    found: dict[str, Sequence[Any]] = {}
    bad: dict[str, str] = {}
    for name, value in given.items():
        numeric = name in known and known[name].kind in ("int", "number") and isinstance(value, str)
        try:
            found[name] = values(value) if numeric else [value]
        except ValueError as error:
            bad[name] = str(error)
    if bad:
        raise BadParams(bad)
    return found


def _titles(row: Series) -> list[str]:
    try:
        known = {knob.name: knob.title for knob in knobs.knobs(training.trainable(row.engine), None)}
    except Refused:  # the engine was taken away: its knobs keep their names
        known = {}
    return [known.get(name, name) for name in row.varied]


def _get(number: int) -> Series:
    row = db.session.get(Series, number, populate_existing=True)
    if row is None:
        raise NotFound("There is no such series.")
    return row


def _busy(which: ColumnElement[bool]) -> bool:
    return db.session.scalar(select(Run.id).where(which, Run.state.in_(ACTIVE_STATES)).limit(1)) is not None


def _stop(number: int, reason: str | None) -> None:
    """Nothing more of it is begun; without a reason since all of it has ended."""
    with writing() as session:
        row = session.get(Series, number, populate_existing=True)
        row.stopped_at, row.reason = now(), reason
