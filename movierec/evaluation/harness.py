"""The judge: asks an engine for every held-out film in batches and keeps one value a viewer and metric.

Letters: P targets (one a viewer), B viewers in a batch, N items (0 = padding), M drawn candidates.
Stability: `validator`, `evaluate`, `Scorecard` and `Measure` are public.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, History, Holdout, Ints, Targets
from movierec.engines.base import BadState, Engine, Pick, ScoringEngine, Validate
from movierec.evaluation import metrics
from movierec.evaluation import protocol as protocols
from movierec.evaluation.scorecard import Measure, Scorecard, compare

Values = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

__all__ = ["Measure", "Scorecard", "compare", "evaluate", "fingerprint", "validator"]

CUTOFFS = (5, 10, 20)
LISTED = 100  # how far down an engine that only recommends is asked; a target beyond is a miss
BATCH, CELLS = 256, 8_000_000  # viewers and scores at once: 32 MB of float32, however many viewers there are
LATENCY_K = 10


def validator(holdout: Holdout, *, at_most: int = 10_000, seed: int = 1) -> Validate:
    """What `fit` is handed: judges an engine in its current state on the validation targets, all items as candidates.

    Above `at_most` targets a fixed sample is asked. Without any target each metric is NaN.
    """
    targets = holdout.validation
    if len(targets) > at_most:
        kept = np.sort(np.random.default_rng(seed).choice(len(targets), at_most, replace=False))
        targets = Targets(targets.viewers[kept], targets.items[kept])
    _one_target_each(targets)

    def validate(engine: Engine) -> dict[str, float]:
        ranks = _ranks(engine, holdout.train, targets, None, None)
        if not ranks.size:
            return {"ndcg@10": np.nan, "hr@10": np.nan, "hr@20": np.nan}
        return {
            "ndcg@10": float(metrics.ndcg(ranks, 10).mean()),
            "hr@10": float(metrics.hit_rate(ranks, 10).mean()),
            "hr@20": float(metrics.hit_rate(ranks, 20).mean()),
        }

    return validate


def evaluate(
    engine: Engine,
    holdout: Holdout,
    protocol: str = protocols.DEFAULT,
    *,
    seed: int = 1,
    progress: Progress | None = None,
    timed: int = 100,
) -> Scorecard:
    """Judge a fitted engine on the test targets. `progress(done, total)` counts viewers and may raise.

    `seed` decides the bootstrap and which `timed` viewers the latency is measured on; what is asked is the protocol's.
    Raises BadState where the engine answers with something that is no answer.
    """
    how = _protocol(protocol, holdout)
    _one_target_each(holdout.test)
    ranks = _ranks(engine, holdout.test_history, holdout.test, how.candidates(holdout), progress)
    return Scorecard(
        how.id,
        fingerprint(holdout),
        holdout.train.viewer_ids[holdout.test.viewers],
        {(name, k): metric(ranks, k) for name, metric in metrics.METRICS.items() for k in CUTOFFS},
        _latencies(engine, holdout, timed, seed),
        seed,
    )


def fingerprint(holdout: Holdout) -> str:
    """Equal if and only if the same viewers, with the same histories, are asked for the same films."""
    digest = hashlib.sha256(f"{holdout.split} {holdout.test_history.sha256}".encode())
    for row in (holdout.test.viewers, holdout.test.items):
        digest.update(np.ascontiguousarray(row, dtype="<i8").tobytes())
    return digest.hexdigest()


def _protocol(name: str, holdout: Holdout) -> protocols.Protocol:
    how = protocols.get(name)
    if how.split != holdout.split:
        raise ValueError(f"{how.id} needs the split {how.split!r}, this holdout is {holdout.split!r}")
    return how


def _one_target_each(targets: Targets) -> None:
    if np.unique(targets.viewers).size != len(targets):
        raise ValueError("several targets a viewer: no metric here is defined for that")


def _batches(targets: int, n_items: int) -> Iterator[slice]:
    size = max(1, min(BATCH, CELLS // (n_items + 1)))
    return (slice(start, min(start + size, targets)) for start in range(0, targets, size))


def _ranks(
    engine: Engine, seen: Dataset, targets: Targets, candidates: Ints | None, progress: Progress | None
) -> Values:
    """(P,) rank of each target among its candidates: drawn ones, or all items the viewer has not seen."""
    if engine.index is not None and engine.index.sha256 != seen.index.sha256:
        raise BadState(f"{_name(engine)} knows another catalogue than the one it is judged on.")
    rank = _ranks_by_score if isinstance(engine, ScoringEngine) else _ranks_by_list
    ranks = np.empty(len(targets))
    for rows in _batches(len(targets), seen.n_items):
        histories = [seen.history(int(viewer)) for viewer in targets.viewers[rows]]
        drawn = None if candidates is None else candidates[rows]
        ranks[rows] = rank(engine, histories, targets.items[rows], drawn, seen.n_items)
        if progress is not None:
            progress(rows.stop, len(targets))
    return ranks


def _ranks_by_score(
    engine: Any, histories: Sequence[History], wanted: Ints, drawn: Ints | None, n_items: int
) -> Values:
    table = np.asarray(engine.scores(histories))  # (B, N + 1)
    if table.shape != (len(histories), n_items + 1):
        expected = (len(histories), n_items + 1)
        raise BadState(f"{_name(engine)} gave scores of shape {table.shape}, not {expected}.")
    if not np.isfinite(table[:, 1:]).all():
        raise BadState(f"{_name(engine)} gave a score that is not a finite number.")
    rows = np.arange(len(histories))
    goal = table[rows, wanted][:, None]  # (B, 1)
    if drawn is not None:
        given = np.take_along_axis(table, drawn, axis=1)  # (B, M)
        real = drawn > 0
        return metrics.rank(((given > goal) & real).sum(1), ((given == goal) & real).sum(1))
    higher, tied = table > goal, table == goal  # (B, N + 1)
    out = (
        np.concatenate([rows, np.repeat(rows, [len(history) for history in histories]), rows]),
        np.concatenate([np.zeros_like(rows), *(history.items for history in histories), wanted]),
    )
    higher[out] = tied[out] = False  # padding, what was seen, the target itself
    return metrics.rank(np.count_nonzero(higher, axis=1), np.count_nonzero(tied, axis=1))


def _ranks_by_list(engine: Any, histories: Sequence[History], wanted: Ints, drawn: Ints | None, n_items: int) -> Values:
    """Rank = place in the engine's own list; drawn candidates are asked for by excluding all other items."""
    exclude = None
    if drawn is not None:
        asked = np.column_stack([drawn, wanted])
        exclude = [np.setdiff1d(np.arange(1, n_items + 1), row) for row in asked]
    lists = engine.recommend(histories, LISTED, exclude)
    if len(lists) != len(histories):
        raise BadState(f"{_name(engine)} gave {len(lists)} lists for {len(histories)} viewers.")
    ranks = np.full(len(histories), np.inf)
    for row, picks in enumerate(lists):
        barred = histories[row].items if exclude is None else np.union1d(histories[row].items, exclude[row])
        items = _checked(engine, picks, barred, n_items)
        ranks[row] = next(iter(np.flatnonzero(items == wanted[row])), np.inf)
    return ranks


def _checked(engine: Engine, picks: Sequence[Pick], barred: Ints, n_items: int) -> Ints:
    """Items of one list. What the contract forbids is refused: forgiving it would pay for a fault."""
    items = np.array([pick.item for pick in picks], dtype=np.int64)
    if not np.isfinite([pick.score for pick in picks]).all():
        raise BadState(f"{_name(engine)} gave a score that is not a finite number.")
    if items.size > LISTED or np.unique(items).size != items.size:
        raise BadState(f"{_name(engine)} gave a list with repeats or more films than asked for.")
    if ((items < 1) | (items > n_items)).any() or np.isin(items, barred).any():
        raise BadState(f"{_name(engine)} recommended a film that is unknown, seen or excluded.")
    return items


def _latencies(engine: Engine, holdout: Holdout, timed: int, seed: int) -> Values:
    """Milliseconds of one recommendation for one viewer, over a sample of test viewers, after one unmeasured call."""
    viewers, many = holdout.test.viewers, min(timed, len(holdout.test))
    sample = np.random.default_rng(seed).choice(viewers, many, replace=False) if many else viewers[:0]
    histories = [holdout.test_history.history(int(viewer)) for viewer in sample]
    for history in histories[:1]:
        engine.recommend([history], LATENCY_K)
    took = []
    for history in histories:
        start = time.perf_counter()
        engine.recommend([history], LATENCY_K)
        took.append((time.perf_counter() - start) * 1000)
    return np.array(took, dtype=np.float64)


def _name(engine: Engine) -> str:
    return getattr(engine, "title", type(engine).__name__)
