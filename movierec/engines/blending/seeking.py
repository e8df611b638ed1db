"""The search for the parts' weights on validation: few, coarse and smoothed, for a few hundred viewers prove little.

Letters: B viewers, N items (0 = padding), P parts, K films on a shortlist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from movierec.dataset import History, Ints
from movierec.engines.base import Report
from movierec.engines.blending.mixing import Part, Scores

Weights = npt.NDArray[np.float64]  # (P,) in the parts' own units: a score counts weight / scale
Judge = Callable[[Weights], float]  # the higher the better; NaN where there is nothing to judge by

GRID = (0.0, 0.025, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # of a part's weight, the strongest part's being 1
START = 0.4  # of every other part's weight, until its turn comes and where nothing speaks against it
NOISE = 0.1  # of the criterion, over the square root of the viewers asked: what differs by less is alike
NEIGHBOURS = (1.0, 2.0, 3.0, 2.0, 1.0)  # how much the places beside one on a grid count for it
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # of a memory
USUAL_SHARE = 0.2  # where nothing is judged
ROUNDS = 2
SHORT = 256  # films of each part that a trial looks at: a film below that in all parts is in no blend's first twenty


def criterion(metrics: Mapping[str, float]) -> float:
    """NDCG@10 + 0.2 HR@20, which is smoother than NDCG alone; NaN where nothing was asked."""
    return metrics["ndcg@10"] + 0.2 * metrics["hr@20"]


class Trials:
    """Asks validation again and again, and tells the progress."""

    def __init__(self, validate: Callable[[], Mapping[str, float]], report: Report, most: int) -> None:
        self._validate, self._report, self._most, self._asked = validate, report, most, 0
        self.best = -np.inf

    def ask(self) -> tuple[float, bool]:
        """The criterion as things stand now, and whether it never was higher."""
        metrics = self._validate()
        self._asked += 1
        value = criterion(metrics)
        better, self.best = value > self.best, max(self.best, value)
        self._report(self._asked, self._most, **metrics)
        return value, better

    def tick(self) -> None:
        """Nothing new, but still at work."""
        self._report(self._asked, self._most)


def trials(parts: int) -> int:
    """How often `seek` asks at most."""
    return parts + ROUNDS * (parts - 1) * len(GRID)


def seek(parts: int, judge: Judge, viewers: int) -> Weights | None:
    """The weights that `judge`, who asks so many viewers, likes, by turns; None where it can't tell.

    The best part alone gets 1 throughout; each other, the better first, what is best `along` GRID, in ROUNDS.
    """
    alone = np.array([judge(np.eye(parts)[part]) for part in range(parts)])
    if not np.isfinite(alone).all():
        return None
    order = np.argsort(-alone, kind="stable")
    best = np.where(np.arange(parts) == order[0], 1.0, START)
    for _ in range(ROUNDS if parts > 1 else 0):
        before = best.copy()
        for part in order[1:]:

            def asked(weight: float, part: int = int(part)) -> float:
                best[part] = weight
                return judge(best)

            best[part] = along(GRID, asked, START, viewers)
        if np.allclose(before, best):
            break
    return best


def along(grid: Sequence[float], judge: Callable[[float], float], usual: float, viewers: int) -> float:
    """Of the places on the grid that are best, as far as so many viewers can tell, the one nearest to the usual one.

    A place counts together with its neighbours: a lone peak is luck. The first where nothing is better than that.
    """
    values, near = np.array([judge(place) for place in grid]), np.array(NEIGHBOURS)
    if not values[1:].max() > values[0]:
        return grid[0]
    sums, counts = (np.convolve(row, near, "same") for row in (values, np.ones(values.size)))
    alike = np.flatnonzero(sums / counts >= (sums / counts).max() - NOISE / np.sqrt(max(1, viewers)))
    return grid[alike[np.argmin(np.abs(alike - np.argmin(np.abs(np.array(grid) - usual))))]]


def batch(histories: Sequence[History]) -> bytes:
    """A name for these histories: validation asks for the same ones again and again."""
    return hashlib.sha256(b"".join(len(h).to_bytes(8, "little") + h.items.tobytes() for h in histories)).digest()


class Shortlists:
    """What the parts say of the films that may come first, kept for each batch that validation asks for.

    A trial then costs a weighted sum of (B, P x SHORT) numbers. Memory is that too, however many films there are.
    """

    def __init__(self, parts: Sequence[Part], n_items: int, tick: Callable[[], None]) -> None:
        self._parts, self._n_items, self._tick = parts, n_items, tick
        self._known: dict[bytes, tuple[Ints, Scores]] = {}

    def scores(self, histories: Sequence[History], weights: Weights) -> Scores:
        """(B, N + 1): the blend's scores on the shortlists, one low value elsewhere."""
        key = batch(histories)
        if key not in self._known:
            self._known[key] = self._looked_up(histories)
        films, said = self._known[key]  # (B, K), (P, B, K)
        sums = np.tensordot(weights.astype(np.float32), said, axes=1)  # (B, K)
        table = np.empty((len(histories), self._n_items + 1), dtype=np.float32)
        table[:] = sums.min(axis=1, keepdims=True) - 1
        np.put_along_axis(table, films, sums, axis=1)
        return table

    def _looked_up(self, histories: Sequence[History]) -> tuple[Ints, Scores]:
        """(B, K) films, those of each part side by side (a film may come twice), and (P, B, K) scores of all parts."""
        tables = []
        for part in self._parts:
            self._tick()
            tables.append(part.engine.scores(histories) / np.float32(part.scale))  # (B, N + 1)
        many = min(SHORT, self._n_items)
        found = []
        for table in tables:
            unseen = table.copy()
            unseen[:, 0] = -np.inf
            for row, history in enumerate(histories):
                unseen[row, history.items] = -np.inf
            found.append(np.argpartition(-unseen, many - 1, axis=1)[:, :many].astype(np.int32))
        films = np.concatenate(found, axis=1)
        return films, np.stack([np.take_along_axis(table, films, axis=1) for table in tables])
