"""A memory beside the weighted sum: p = (1 - share) softmax(sum) + share memory, over the films that are left to see.

Letters: B viewers, N items (0 = padding), K films.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import History, Ints
from movierec.engines.base import BadState, ScoringEngine
from movierec.engines.blending import seeking
from movierec.engines.blending.memory import HasStates, Memory
from movierec.engines.blending.mixing import Part, Scores, mixed

PREFIX = "memory."


@dataclass(frozen=True)
class Recall:
    """A memory of one part's states and how much it counts."""

    memory: Memory
    place: int  # of the part whose states it holds
    share: float

    def heat(self, parts: Sequence[Part]) -> np.float32:
        """What the sum is multiplied with, so that the part's own scores are in it as they were trained: as logits."""
        return np.float32(1 / parts[self.place].factor)

    def mix(self, sums: Scores, parts: Sequence[Part], histories: Sequence[History]) -> Scores:
        """(B, N + 1) log-shares from the parts' sums (B, N + 1), which are overwritten."""
        sums *= self.heat(parts)
        for row, (items, said) in enumerate(self.answers(parts, histories)):
            log_shares(sums[row], histories[row])
            told = pooled(sums[row, items], said, self.share)
            sums[row] += np.float32(np.log1p(-self.share))
            sums[row, items] = told
        return sums

    def answers(self, parts: Sequence[Part], histories: Sequence[History]) -> list[tuple[Ints, Scores]]:
        """For each history what the memory says: unseen items, ascending, and their shares; nothing for no films."""
        net = parts[self.place].engine
        assert isinstance(net, HasStates)
        none: tuple[Ints, Scores] = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
        found = [none] * len(histories)
        known = [row for row, history in enumerate(histories) if (history.items > 0).any()]
        tails = [_tail(histories[row].known(), net.reach) for row in known]
        for row, states in zip(known, net.states(tails) if tails else [], strict=True):
            items, shares = self.memory.answer(states[-1])
            unseen = ~np.isin(items, histories[row].items)
            if unseen.any():
                found[row] = (items[unseen], shares[unseen] / shares[unseen].sum())
        return found

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `from_arrays` reads."""
        own = {"share": np.array([self.share], dtype=np.float64), "place": np.array([self.place], dtype=np.int64)}
        return {PREFIX + name: array for name, array in (own | self.memory.arrays()).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], parts: Sequence[Part], n_items: int) -> Recall | None:
        """The recall of a blend of these parts; None where the state has none. Raises BadState."""
        mine = {name[len(PREFIX) :]: array for name, array in arrays.items() if name.startswith(PREFIX)}
        if not mine:
            return None
        share, place = (np.asarray(mine.pop(name, None)) for name in ("share", "place"))
        if share.shape != (1,) or share.dtype.kind != "f" or not 0 < share[0] < 1:
            raise BadState("The memory's share is not one number between 0 and 1.")
        if place.shape != (1,) or place.dtype.kind != "i" or not 0 <= place[0] < len(parts):
            raise BadState("The memory does not say whose states it holds.")
        made = cls(Memory.from_arrays(mine, n_items), int(place[0]), float(share[0]))
        net: ScoringEngine = parts[made.place].engine
        if not isinstance(net, HasStates):
            raise BadState("The memory is of a part that has no states.")
        if net.states([History.of([1])])[0].shape != (1, made.memory.units.size):
            raise BadState("The memory's states are not such as its part has.")
        return made


class Answers:
    """What sum and memory say of the films that may come first, kept for each batch that validation asks for."""

    def __init__(self, recall: Recall, parts: Sequence[Part], n_items: int, tick: Callable[[], None]) -> None:
        self._recall, self._parts, self._n_items, self._tick = recall, parts, n_items, tick
        self._known: dict[bytes, list[tuple[Ints, Scores, Scores]]] = {}

    def scores(self, histories: Sequence[History], share: float) -> Scores:
        """(B, N + 1): the blend's scores where the memory counts so much, one low value where nobody comes first."""
        key = seeking.batch(histories)
        if key not in self._known:
            self._known[key] = list(self._looked_up(histories))
        table = np.empty((len(histories), self._n_items + 1), dtype=np.float32)
        for row, (films, logs, said) in enumerate(self._known[key]):
            found = pooled(logs, said, share)
            table[row] = found.min() - 1
            table[row, films] = found
        return table

    def _looked_up(self, histories: Sequence[History]) -> Iterator[tuple[Ints, Scores, Scores]]:
        """For each history: films (K,), the logarithms of their shares by the sum, their shares by the memory."""
        self._tick()
        sums = mixed(self._parts, histories, self._n_items) * self._recall.heat(self._parts)
        self._tick()
        for row, (items, said) in enumerate(self._recall.answers(self._parts, histories)):
            log_shares(sums[row], histories[row])
            first = np.argpartition(-sums[row], min(seeking.SHORT, self._n_items))[: seeking.SHORT]
            films = np.union1d(first, items)
            told = np.zeros(films.size, dtype=np.float32)
            told[np.searchsorted(films, items)] = said
            yield films, sums[row, films], told


def log_shares(sums: Scores, history: History) -> None:
    """Turn a row of sums (N + 1,) into the logarithms of shares of the films that are left, in place.

    What was seen, and padding, is as low as the lowest. A row without films left stays as it is.
    """
    seen = np.append(history.items, 0)
    left = np.ones(sums.size, dtype=bool)
    left[seen] = False
    if left.any():
        found = sums[left]
        most = found.max()
        sums -= most + np.log(np.exp(found - most).sum())
        sums[seen] = sums[left].min()


def pooled(log_shares: Scores, said: Scores, share: float) -> Scores:
    """log((1 - share) exp(log_shares) + share said)."""
    with np.errstate(divide="ignore"):
        return np.logaddexp(log_shares + np.log1p(-share), np.log(share * said)).astype(np.float32)


def _tail(history: History, films: int) -> History:
    return History(history.items[-films:], history.times[-films:], history.ratings[-films:])
