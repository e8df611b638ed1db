"""Training batches: every viewer's events cut into windows at an offset that is new each epoch.

Letters: E events, W windows, B windows of a batch, T steps, P positions with a target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from movierec.dataset import Dataset, Ints


@dataclass(frozen=True)
class Batch:
    """inputs: parts (B, T) left-padded with 0, several where lengths differ much; targets (P,): what follows each
    real step, in order."""

    inputs: list[Ints]
    targets: Ints


class Windows:
    """Cuts the events of `data` into windows of at most `length` inputs, about `positions` targets a batch."""

    def __init__(self, data: Dataset, length: int, positions: int) -> None:
        self._items = data.items.astype(np.int64)
        self._length = length
        self._positions = positions
        counts = np.diff(data.offsets)
        self._starts = data.offsets[:-1][counts > 1]  # of viewers who have something to predict
        self._inputs = counts[counts > 1] - 1

    @property
    def targets(self) -> int:
        """Positions with a target in one epoch."""
        return int(self._inputs.sum())

    @property
    def batches(self) -> int:
        """Batches of every epoch; fewer than asked for where there are fewer windows."""
        fewest = int((-(-self._inputs // self._length)).sum())  # windows when every cut falls at its best
        return max(1, min(round(self.targets / self._positions), fewest))

    def epoch(self, random: np.random.Generator) -> Iterator[Batch]:
        """One pass over all targets in random order; each target is seen exactly once."""
        first, size = self._cut(random)
        for some in np.array_split(random.permutation(first.size), self.batches):
            yield self._batch(first[some], size[some])

    def _cut(self, random: np.random.Generator) -> tuple[Ints, Ints]:
        """First event and number of inputs (W,) of each window; the first window of a viewer has a random size."""
        head = np.minimum(random.integers(1, self._length + 1, self._inputs.size), self._inputs)
        more = -(-(self._inputs - head) // self._length)  # full or last windows after the head
        viewer = np.repeat(np.arange(head.size), 1 + more)
        nth = np.arange(viewer.size) - np.repeat(np.cumsum(1 + more) - (1 + more), 1 + more)
        begin = np.where(nth == 0, 0, head[viewer] + (nth - 1) * self._length)
        end = np.minimum(head[viewer] + nth * self._length, self._inputs[viewer])
        return self._starts[viewer] + begin, end - begin

    def _batch(self, first: Ints, size: Ints) -> Batch:
        """Windows of like sizes go together where one part would be more padding than targets."""
        alike = np.ceil(np.log2(size)) if size.size * size.max() > 2 * size.sum() else np.zeros(size.size)
        parts = [self._part(first[alike == kind], size[alike == kind]) for kind in np.unique(alike)]
        return Batch([inputs for inputs, _ in parts], np.concatenate([targets for _, targets in parts]))

    def _part(self, first: Ints, size: Ints) -> tuple[Ints, Ints]:
        step = np.arange(int(size.max())) - (size.max() - size)[:, None]  # (B, T), negative = padding
        real = step >= 0
        at = np.where(real, first[:, None] + step, 0)
        return self._items[at] * real, self._items[at[real] + 1]
