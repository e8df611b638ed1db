"""Asks an engine for every held-out film, in batches, and keeps where each target stands and what is at the top.

Letters: U viewers asked, T targets (one or more a viewer), B viewers in a batch, N items (0 = padding), M drawn
candidates, K length of the lists. A target's `base` is the number of candidates above it that are no targets of the
same viewer, plus half of those that tie with it; `metrics.places` makes ranks of bases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, History, Ints, Targets
from movierec.engines.base import BadState, Engine, Pick, ScoringEngine, best
from movierec.evaluation import metrics

Values = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

LISTED = 100  # how far down an engine that only recommends is asked; a target beyond is a miss
BATCH, CELLS = 256, 8_000_000  # viewers and scores at once: 32 MB of float32, however many viewers there are


@dataclass(frozen=True)
class Asked:
    """Who is asked, and for what: viewer u's targets lie at offsets[u]:offsets[u + 1]."""

    viewers: Ints  # (U,) rows of the data set, ascending
    offsets: Ints  # (U + 1,)
    items: Ints  # (T,)
    rows: Ints  # (T,) places among all targets that were held back

    @classmethod
    def of(cls, targets: Targets) -> Asked:
        """Everybody who has a target."""
        viewers, starts = np.unique(targets.viewers, return_index=True)
        offsets = np.append(starts, len(targets)).astype(np.int64)
        return cls(viewers, offsets, targets.items, np.arange(len(targets)))

    def only(self, places: Ints) -> Asked:
        """Only these viewers: places in `viewers`, ascending."""
        counts = np.diff(self.offsets)[places]
        chosen = np.zeros(self.viewers.size, dtype=bool)
        chosen[places] = True
        keep = chosen[self.owners]  # (T,)
        offsets = np.append(0, np.cumsum(counts)).astype(np.int64)
        return Asked(self.viewers[places], offsets, self.items[keep], self.rows[keep])

    def sample(self, at_most: int, seed: int) -> Asked:
        """At most so many viewers, drawn by that seed; all of them where there are no more."""
        if self.viewers.size <= at_most:
            return self
        return self.only(np.sort(np.random.default_rng(seed).choice(self.viewers.size, at_most, replace=False)))

    @cached_property
    def owners(self) -> Ints:
        """(T,) place in `viewers` of each target's viewer, ascending."""
        return np.repeat(np.arange(self.viewers.size, dtype=np.int32), np.diff(self.offsets))

    def __len__(self) -> int:
        return int(self.viewers.size)


@dataclass(frozen=True)
class Question:
    """One way of asking the same viewers: with which history, among which candidates, how long a list is kept."""

    seen: Dataset  # what they had seen when the targets came: never a candidate
    asked: Asked
    kept: int | None = None  # the engine is shown only so many of the latest events; None: all
    drawn: Ints | None = None  # (T, M) candidates; None: all unseen items
    listed: int = 0  # K; 0: no lists


@dataclass(frozen=True)
class Answers:
    """Where the targets stand, and the tops of the lists."""

    bases: Values  # (T,) infinity: not in the list
    lists: Ints  # (U, K) items, best first, 0 where there are fewer


def answers(engine: Engine, question: Question, progress: Progress = lambda done, total: None) -> Answers:
    """Every base and list. `progress(done, total)` counts viewers and may raise.

    Raises BadState where the engine answers with something that is no answer.
    """
    seen, asked = question.seen, question.asked
    if engine.index is not None and engine.index.sha256 != seen.index.sha256:
        raise BadState(f"{name(engine)} knows another catalogue than the one it is judged on.")
    if question.drawn is not None and asked.items.size != len(asked):
        raise ValueError("drawn candidates need one target a viewer")
    ask = _by_score if isinstance(engine, ScoringEngine) else _by_list
    bases = np.empty(asked.items.size)
    lists = np.zeros((len(asked), question.listed), dtype=np.int32)
    for rows in _batches(len(asked), seen.n_items):
        at = slice(int(asked.offsets[rows.start]), int(asked.offsets[rows.stop]))
        histories = [seen.history(int(viewer)) for viewer in asked.viewers[rows]]
        part = _Part(
            histories,
            histories if question.kept is None else [_latest(history, question.kept) for history in histories],
            asked.items[at],
            asked.offsets[rows.start : rows.stop + 1] - at.start,
            None if question.drawn is None else question.drawn[at],
        )
        bases[at], lists[rows] = ask(engine, part, seen.n_items, question.listed)
        progress(rows.stop, len(asked))
    return Answers(bases, lists)


def name(engine: Engine) -> str:
    """The engine as errors call it."""
    return getattr(engine, "title", type(engine).__name__)


@dataclass(frozen=True)
class _Part:
    """One batch: whole and shown histories (B), the viewers' targets, and where each viewer's begin."""

    histories: Sequence[History]
    shown: Sequence[History]
    wanted: Ints  # (targets of the batch,)
    offsets: Ints  # (B + 1,)
    drawn: Ints | None  # (targets of the batch, M)

    def targets(self) -> Iterator[tuple[int, slice]]:
        """Row in the batch and where its targets lie."""
        return ((row, slice(int(self.offsets[row]), int(self.offsets[row + 1]))) for row in range(len(self.histories)))


def _latest(history: History, kept: int) -> History:
    at = slice(max(0, len(history) - kept), None)
    return History(history.items[at], history.times[at], history.ratings[at])


def _batches(viewers: int, n_items: int) -> Iterator[slice]:
    size = max(1, min(BATCH, CELLS // (n_items + 1)))
    return (slice(start, min(start + size, viewers)) for start in range(0, viewers, size))


def _by_score(engine: Any, part: _Part, n_items: int, listed: int) -> tuple[Values, Ints]:
    table = np.array(engine.scores(part.shown))  # (B, N + 1), ours to change
    if table.shape != (len(part.shown), n_items + 1):
        expected = (len(part.shown), n_items + 1)
        raise BadState(f"{name(engine)} gave scores of shape {table.shape}, not {expected}.")
    if not np.isfinite(table[:, 1:]).all():
        raise BadState(f"{name(engine)} gave a score that is not a finite number.")
    owners = np.repeat(np.arange(len(part.shown)), np.diff(part.offsets))
    goals = table[owners, part.wanted]  # (targets,)
    if part.drawn is not None:
        given = np.where(part.drawn > 0, table[owners[:, None], part.drawn], -np.inf)  # (targets, M)
        bases = metrics.rank((given > goals[:, None]).sum(1), (given == goals[:, None]).sum(1))
        return bases, np.zeros((len(part.shown), listed), dtype=np.int32)
    table[:, 0] = -np.inf
    for row, history in enumerate(part.histories):
        table[row, history.items] = -np.inf
    lists = np.zeros((len(part.shown), listed), dtype=np.int32)
    for row in range(len(part.shown) if listed else 0):
        top = best(table[row], listed)
        lists[row, : top.size] = top
    table[owners, part.wanted] = -np.inf
    table.sort(axis=1)  # then each target's place is a search: many targets a viewer cost no more than one
    bases = np.empty(part.wanted.size)
    for row, at in part.targets():
        below, up_to = (np.searchsorted(table[row], goals[at], side) for side in ("left", "right"))
        bases[at] = metrics.rank(n_items + 1 - up_to, up_to - below)
    return bases, lists


def _by_list(engine: Any, part: _Part, n_items: int, listed: int) -> tuple[Values, Ints]:
    """Base = place in the engine's own list; what is no candidate is excluded when it is asked."""
    exclude = None
    if part.drawn is not None:
        asked = np.column_stack([part.drawn, part.wanted])
        exclude = [np.setdiff1d(np.arange(1, n_items + 1), row) for row in asked]
    elif part.shown is not part.histories:
        exclude = [np.asarray(history.items) for history in part.histories]
    lists = engine.recommend(part.shown, LISTED, exclude)
    if len(lists) != len(part.shown):
        raise BadState(f"{name(engine)} gave {len(lists)} lists for {len(part.shown)} viewers.")
    bases, tops = np.empty(part.wanted.size), np.zeros((len(part.shown), listed), dtype=np.int32)
    for row, at in part.targets():
        barred = part.histories[row].items if exclude is None else np.union1d(part.histories[row].items, exclude[row])
        items = _checked(engine, lists[row], barred, n_items)
        tops[row, : min(listed, items.size)] = items[:listed]
        place = np.full(n_items + 1, np.inf)
        place[items] = np.arange(items.size)
        places = place[part.wanted[at]]
        above = np.argsort(np.argsort(places, kind="stable"), kind="stable")  # own targets before it
        bases[at] = places - above
    return bases, tops


def _checked(engine: Engine, picks: Sequence[Pick], barred: Ints, n_items: int) -> Ints:
    """Items of one list. What the contract forbids is refused: forgiving it would pay for a fault."""
    items = np.array([pick.item for pick in picks], dtype=np.int64)
    if not np.isfinite([pick.score for pick in picks]).all():
        raise BadState(f"{name(engine)} gave a score that is not a finite number.")
    if items.size > LISTED or np.unique(items).size != items.size:
        raise BadState(f"{name(engine)} gave a list with repeats or more films than asked for.")
    if ((items < 1) | (items > n_items)).any() or np.isin(items, barred).any():
        raise BadState(f"{name(engine)} recommended a film that is unknown, seen or excluded.")
    return items
