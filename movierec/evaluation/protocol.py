"""How numbers are made: the candidates, and the registry of protocols that name split and candidates.

A new protocol is one entry in `PROTOCOLS` and, where its split is new, one function in `SPLITS`; callers don't change.
Letters: U viewers, P targets, M drawn candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, Holdout, Ints, Targets
from movierec.evaluation.splits import split_loo, split_ratio, split_time

__all__ = [
    "DEFAULT", "PROTOCOLS", "SPLITS", "Protocol", "UnknownProtocol", "UnknownSplit",
    "draw_unseen", "get", "of_split", "split", "split_as", "split_loo", "split_ratio", "split_time",
]  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """One way of making numbers. Numbers of two protocols are never put side by side."""

    id: str
    split: str  # key of SPLITS
    sentence: str  # for people: how these numbers are made
    easier: bool = False  # figures look far better than under full ranking; always labelled so
    drawn: int = 0  # candidates drawn beside the target; 0: all unseen items
    seed: int = 0  # of the draw; part of the protocol, so every engine meets the same candidates
    several: bool = False  # a viewer may have several targets; recall is measured then

    def candidates(self, holdout: Holdout) -> Ints | None:
        """(P, M) items to rank each test target among, 0 where fewer are left; None: all unseen items."""
        return draw_unseen(holdout, self.drawn, self.seed) if self.drawn else None


class UnknownProtocol(ValueError):
    """No protocol of that id is in the house."""


class UnknownSplit(ValueError):
    """No split of that name is in the house."""


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


def _targets_by_viewer(targets: Targets) -> dict[int, npt.NDArray[np.integer]]:
    """Viewer row -> the items held back for them."""
    viewers, starts = np.unique(targets.viewers, return_index=True)
    return dict(zip(viewers.tolist(), np.split(targets.items, starts[1:]), strict=True)) if viewers.size else {}


SPLITS: dict[str, Callable[[Dataset], Holdout]] = {"loo": split_loo, "time": split_time, "ratio": split_ratio}

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
        Protocol(
            "time-full",
            "time",
            "All that was watched after one date is held out, the last tenth of all views, and ranked among all films "
            "the viewer had not seen by then. The only one in which nobody's future is known.",
            several=True,
        ),
        Protocol(
            "ratio-full",
            "ratio",
            "A tenth of each viewer's films, drawn by chance, is held out and ranked among all films they had not "
            "seen. For comparison with tables of collaborative filtering; the order of watching is lost.",
            several=True,
        ),
    )
}

DEFAULT = "loo-full"


def get(protocol: str) -> Protocol:
    """The protocol of that id. Raises UnknownProtocol, which names those there are."""
    if protocol not in PROTOCOLS:
        raise UnknownProtocol(f"There is no protocol {protocol!r}. There are: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[protocol]


def of_split(split: str) -> list[Protocol]:
    """The protocols that judge a training on that split; the full ranking first."""
    return [protocol for protocol in PROTOCOLS.values() if protocol.split == split]


def split(data: Dataset, protocol: str = DEFAULT) -> Holdout:
    """`data` split as that protocol wants it."""
    return split_as(data, get(protocol).split)


def split_as(data: Dataset, name: str) -> Holdout:
    """`data` split in the way of that name. Raises UnknownSplit, which names those there are."""
    if name not in SPLITS:
        raise UnknownSplit(f"There is no split {name!r}. There are: {', '.join(SPLITS)}.")
    return SPLITS[name](data)
