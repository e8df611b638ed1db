"""The judge: asks an engine for every held-out film, with whole and with shortened histories, and keeps the answers.

Letters: U viewers asked, T targets (one or more a viewer), N items (0 = padding).
Stability: `validator`, `evaluate`, `compare`, `Films`, `Scorecard` and `Measure` are public.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Holdout, Ints
from movierec.engines.base import Engine, Validate
from movierec.evaluation import beyond, metrics
from movierec.evaluation import protocol as protocols
from movierec.evaluation.asking import Answers, Asked, Progress, Question, answers
from movierec.evaluation.beyond import Films
from movierec.evaluation.pairs import compare
from movierec.evaluation.scorecard import K, Measure, Scorecard
from movierec.evaluation.segments import segments

Values = npt.NDArray[np.float64]

__all__ = ["Films", "Measure", "Scorecard", "compare", "evaluate", "fingerprint", "validator"]

COLD_START = (0, 1, 3, 5, 10)  # events kept of a history
COLD_VIEWERS = 5_000  # at most so many are asked again, drawn by the seed
SAMPLE_SEED = 1  # of the viewers that a costly engine is judged on: the same for every such engine
TIMED_COSTLY = 10  # lists that are timed of an engine that is judged on a sample


def validator(holdout: Holdout, *, at_most: int = 10_000, seed: int = 1) -> Validate:
    """What `fit` is handed: judges an engine in its current state on the validation targets, all items as candidates.

    Above `at_most` viewers a fixed sample is asked. Without any target each metric is NaN. With several targets a
    viewer HR is any of them, and "recall@10" is told too.
    """
    asked = Asked.of(holdout.validation).sample(at_most, seed)
    wanted = [("ndcg", 10), ("hr", 10), ("hr", 20)]
    if any(protocol.several for protocol in protocols.of_split(holdout.split)):
        wanted.append(("recall", 10))

    def validate(engine: Engine) -> Mapping[str, float]:
        chosen = asked if engine.judged_on is None else asked.sample(engine.judged_on, SAMPLE_SEED)
        if not len(chosen):
            return {f"{name}@{k}": np.nan for name, k in wanted}
        ranks = metrics.places(chosen.owners, answers(engine, Question(holdout.train, chosen)).bases)
        return {
            f"{name}@{k}": float(metrics.SEVERAL[name](chosen.owners, ranks, len(chosen), k).mean())
            for name, k in wanted
        }

    return validate


def evaluate(
    engine: Engine,
    holdout: Holdout,
    protocol: str = protocols.DEFAULT,
    *,
    films: Films | None = None,
    sample: int | None = None,
    seed: int = 1,
    progress: Progress = lambda done, total: None,
    timed: int = 100,
) -> Scorecard:
    """Judge a fitted engine on the test targets. `progress(done, total)` counts questions and may raise.

    `sample` viewers are asked instead of all (default: what the engine says, `judged_on`); segments and the
    cold-start curve, which asks everybody five times more, are then left out. `seed` decides the bootstrap and which
    `timed` viewers the latency is measured on: of a costly engine viewers who were not asked before, for it may keep
    what it was told. What is asked is the protocol's. Raises BadState where the engine answers with something that is
    no answer.
    """
    how, known = _protocol(protocol, holdout), films or Films()
    everybody = Asked.of(holdout.test)
    sample = engine.judged_on if sample is None else sample
    asked = everybody if sample is None else everybody.sample(sample, SAMPLE_SEED)
    drawn = how.candidates(holdout)
    question = Question(
        holdout.test_history,
        asked,
        drawn=None if drawn is None else drawn[asked.rows],
        listed=0 if how.drawn else K,
    )
    curve = _shortened(holdout, asked) if sample is None and not how.drawn else asked.only(np.zeros(0, dtype=int))
    told = _Told(progress, len(asked) + len(COLD_START) * len(curve))
    given = answers(engine, question, told.more)
    return Scorecard(
        how.id,
        fingerprint(holdout),
        holdout.train.viewer_ids[asked.viewers],
        asked.owners,
        given.bases,
        segments=segments(holdout, asked, known) if sample is None else {},
        kept=_cold_start(engine, holdout, asked, curve, told.more),
        **({} if how.drawn else _beyond(given, holdout, known)),
        latency_ms=_latencies(engine, holdout, *_timed(everybody, asked, sample is None, timed, seed)),
        sample=len(asked) if len(asked) < len(everybody) else 0,
        seed=seed,
    )


def fingerprint(holdout: Holdout) -> str:
    """Equal if and only if the same viewers, with the same histories, are asked for the same films."""
    digest = hashlib.sha256(f"{holdout.split} {holdout.test_history.sha256}".encode())
    for row in (holdout.test.viewers, holdout.test.items):
        digest.update(np.ascontiguousarray(row, dtype="<i8").tobytes())
    return digest.hexdigest()


class _Told:
    """The progress over several rounds of questions."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress, self.total, self.before = progress, total, 0

    def more(self, done: int, of: int) -> None:
        self.progress(self.before + done, self.total)
        self.before += of if done == of else 0


def _protocol(name: str, holdout: Holdout) -> protocols.Protocol:
    how = protocols.get(name)
    if how.split != holdout.split:
        raise ValueError(f"{how.id} needs the split {how.split!r}, this holdout is {holdout.split!r}")
    return how


def _shortened(holdout: Holdout, asked: Asked) -> Asked:
    """Whose histories are cut short: viewers long enough for every point, so that the curve compares like with like."""
    lengths = np.diff(holdout.test_history.offsets)[asked.viewers]
    return asked.only(np.flatnonzero(lengths >= max(COLD_START))).sample(COLD_VIEWERS, SAMPLE_SEED)


def _cold_start(engine: Engine, holdout: Holdout, asked: Asked, curve: Asked, progress: Progress) -> dict[int, Values]:
    """Events kept -> (T,) bases; NaN where the viewer is not asked again. What was seen is still no candidate."""
    found = {}
    for kept in COLD_START if len(curve) else ():
        question = Question(holdout.test_history, curve, kept=kept)
        bases = np.full(len(holdout.test), np.nan)
        bases[curve.rows] = answers(engine, question, progress).bases
        found[kept] = bases[asked.rows]
    return found


def _beyond(given: Answers, holdout: Holdout, films: Films) -> dict[str, Any]:
    """What the lists are like, as a Scorecard's `beyond` and `overall`."""
    lists, n_items, popularity = given.lists, holdout.train.n_items, holdout.train.popularity
    return {
        "beyond": {
            "novelty": beyond.novelty(lists, popularity),
            "percentile": beyond.percentile(lists, popularity),
            "diversity": beyond.diversity(lists, films.genre_table(n_items)[1]),
        },
        "overall": {"coverage": beyond.coverage(lists, n_items), "gini": beyond.gini(lists, n_items)},
    }


def _timed(everybody: Asked, asked: Asked, cheap: bool, timed: int, seed: int) -> tuple[Ints, Ints]:
    """One viewer for an unmeasured call, and those who are timed; only a cheap engine may be asked the same twice."""
    viewers = asked.viewers if cheap else np.setdiff1d(everybody.viewers, asked.viewers)
    wanted = timed if cheap else min(timed, TIMED_COSTLY)
    order = np.random.default_rng(seed).permutation(viewers)[: wanted + 1] if wanted else viewers[:0]
    return order[-1:], order[:wanted] if cheap else order[:-1]


def _latencies(engine: Engine, holdout: Holdout, warm: Ints, timed: Ints) -> Values:
    """Milliseconds of one recommendation for each of the `timed` viewers, after one that is not measured."""
    took = []
    for viewer in (*warm, *timed):
        history = holdout.test_history.history(int(viewer))
        start = time.perf_counter()
        engine.recommend([history], K)
        took.append((time.perf_counter() - start) * 1000)
    return np.array(took[len(warm) :], dtype=np.float64)
