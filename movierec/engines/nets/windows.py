"""Training batches: every viewer's events cut into windows at an offset that is new each epoch.

Letters: E events, W windows, B windows of a batch, T steps, P positions with a target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from movierec.dataset import Dataset, Ints
from movierec.engines.nets import steps


@dataclass(frozen=True)
class Batch:
    """inputs: parts (B, T, 3) left-padded with 0, several where lengths differ much; events (P,): where each real
    step lies in the data, in order; targets (P,): what follows each; all viewers are of one fold."""

    inputs: list[Ints]
    events: Ints
    targets: Ints
    fold: int


class Windows:
    """Cuts the events of `data` into windows of at most `length` inputs, about `positions` targets a batch."""

    def __init__(self, data: Dataset, length: int, positions: int, folds: int = 1) -> None:
        self._items = data.items.astype(np.int64)
        self._steps = steps.of_data(data)
        self._length = length
        counts = np.diff(data.offsets)
        self._starts = data.offsets[:-1][counts > 1]  # of viewers who have something to predict
        self._inputs = counts[counts > 1] - 1
        self._folds = (np.arange(counts.size) % folds)[counts > 1]
        fewest = -(-self._inputs // length)  # windows of each viewer when every cut falls at its best
        self._batches = [
            max(1, min(round(int(self._inputs[mine].sum()) / positions), int(fewest[mine].sum()))) if mine.any() else 0
            for mine in (self._folds == fold for fold in range(folds))
        ]

    @property
    def targets(self) -> int:
        """Positions with a target in one epoch."""
        return int(self._inputs.sum())

    @property
    def batches(self) -> int:
        """Batches of every epoch; fewer than asked for where there are fewer windows."""
        return sum(self._batches)

    def epoch(self, random: np.random.Generator) -> Iterator[Batch]:
        """One pass over all targets in random order; each target is seen exactly once."""
        first, size, folds = self._cut(random)
        order = random.permutation(first.size)
        made = [
            (fold, some)
            for fold, many in enumerate(self._batches)
            if many
            for some in np.array_split(order[folds[order] == fold], many)
        ]
        for at in random.permutation(len(made)) if len(self._batches) > 1 else range(len(made)):
            fold, some = made[at]
            yield self._batch(first[some], size[some], fold)

    def _cut(self, random: np.random.Generator) -> tuple[Ints, Ints, Ints]:
        """First event, number of inputs and fold (W,) of each window; a viewer's first window has a random size."""
        head = np.minimum(random.integers(1, self._length + 1, self._inputs.size), self._inputs)
        more = -(-(self._inputs - head) // self._length)  # full or last windows after the head
        viewer = np.repeat(np.arange(head.size), 1 + more)
        nth = np.arange(viewer.size) - np.repeat(np.cumsum(1 + more) - (1 + more), 1 + more)
        begin = np.where(nth == 0, 0, head[viewer] + (nth - 1) * self._length)
        end = np.minimum(head[viewer] + nth * self._length, self._inputs[viewer])
        return self._starts[viewer] + begin, end - begin, self._folds[viewer]

    def _batch(self, first: Ints, size: Ints, fold: int) -> Batch:
        """Windows of like sizes go together where one part would be more padding than targets."""
        alike = np.ceil(np.log2(size)) if size.size * size.max() > 2 * size.sum() else np.zeros(size.size)
        parts = [self._part(first[alike == kind], size[alike == kind]) for kind in np.unique(alike)]
        events = np.concatenate([events for _, events in parts])
        return Batch([inputs for inputs, _ in parts], events, self._items[events + 1], fold)

    def _part(self, first: Ints, size: Ints) -> tuple[Ints, Ints]:
        step = np.arange(int(size.max())) - (size.max() - size)[:, None]  # (B, T), negative = padding
        real = step >= 0
        at = np.where(real, first[:, None] + step, 0)
        return self._steps[at] * real[:, :, None], at[real]
