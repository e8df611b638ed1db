"""How numbers are made: the splits, the candidates, and the registry of protocols that name both.

A new protocol is one entry in `PROTOCOLS` and, where its split is new, one function in `SPLITS`; callers don't change.
Letters: U viewers, P targets, M drawn candidates, E events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, Holdout, Ints, Targets


@dataclass(frozen=True)
class Protocol:
    """One way of making numbers. Numbers of two protocols are never put side by side."""

    id: str
    split: str  # key of SPLITS
    sentence: str  # for people: how these numbers are made
    easier: bool = False  # figures look far better than under full ranking; always labelled so
    drawn: int = 0  # candidates drawn beside the target; 0: all unseen items
    seed: int = 0  # of the draw; part of the protocol, so every engine meets the same candidates

    def candidates(self, holdout: Holdout) -> Ints | None:
        """(P, M) items to rank each test target among, 0 where fewer are left; None: all unseen items."""
        return draw_unseen(holdout, self.drawn, self.seed) if self.drawn else None


class UnknownProtocol(ValueError):
    """No protocol of that id is in the house."""


def split_loo(data: Dataset) -> Holdout:
    """Leave one out: each viewer's last event is test, the one before validation, the rest train.

    Two events: one train, one test. One event: train only. Time order is the data set's own (stable).
    """
    counts = np.diff(data.offsets)
    last = data.offsets[1:] - 1
    tested, validated = np.flatnonzero(counts >= 2), np.flatnonzero(counts >= 3)
    seen_at_test = np.ones(data.n_events, dtype=bool)  # (E,)
    seen_at_test[last[tested]] = False
    trained = seen_at_test.copy()
    trained[last[validated] - 1] = False
    return Holdout(
        split="loo",
        train=data.select(trained),
        validation=_targets(validated, data.items[last[validated] - 1]),
        test_history=data.select(seen_at_test),
        test=_targets(tested, data.items[last[tested]]),
    )


def draw_unseen(holdout: Holdout, drawn: int, seed: int) -> Ints:
    """(P, drawn) distinct uniform items that the viewer never saw in the whole history; 0 where fewer are left.

    Draws ranks among the unseen items and shifts each past the seen ones below it, so no (P, N) table is made.
    """
    generator = np.random.default_rng(seed)
    table = np.zeros((len(holdout.test), drawn), dtype=np.int32)
    whole = _targets_by_viewer(holdout.test)
    for row, viewer in enumerate(holdout.test.viewers):
        seen = np.union1d(holdout.test_history.history(int(viewer)).items, whole[int(viewer)])  # ascending
        unseen = holdout.train.n_items - seen.size
        places = generator.choice(unseen, min(drawn, unseen), replace=False, shuffle=False)
        below = np.searchsorted(seen - np.arange(seen.size) - 1, places, side="right")
        table[row, : places.size] = places + below + 1
    return table


def _targets(viewers: Ints, items: Ints) -> Targets:
    return Targets(viewers.astype(np.int32), items.astype(np.int32))


def _targets_by_viewer(targets: Targets) -> dict[int, npt.NDArray[np.integer]]:
    """Viewer row -> the items held back for them."""
    viewers, starts = np.unique(targets.viewers, return_index=True)
    return dict(zip(viewers.tolist(), np.split(targets.items, starts[1:]), strict=True)) if viewers.size else {}


SPLITS: dict[str, Callable[[Dataset], Holdout]] = {"loo": split_loo}

PROTOCOLS: dict[str, Protocol] = {
    entry.id: entry
    for entry in (
        Protocol(
            "loo-full",
            "loo",
            "The last film of each viewer is held out and ranked among all films they had not seen.",
        ),
        Protocol(
            "loo-sampled100",
            "loo",
            "The last film of each viewer is held out and ranked among 100 films drawn by chance from those "
            "they never saw. Easier protocol: only for comparison with figures published this way.",
            easier=True,
            drawn=100,
            seed=100,
        ),
    )
}

DEFAULT = "loo-full"


def get(protocol: str) -> Protocol:
    """The protocol of that id. Raises UnknownProtocol, which names those there are."""
    if protocol not in PROTOCOLS:
        raise UnknownProtocol(f"There is no protocol {protocol!r}. There are: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[protocol]


def split(data: Dataset, protocol: str = DEFAULT) -> Holdout:
    """`data` split as that protocol wants it."""
    return SPLITS[get(protocol).split](data)
