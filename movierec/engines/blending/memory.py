"""A memory of hidden states: where a net once stood as it stands now, what was watched next? (kNN-LM, Khandelwal 2020.)

The states lie in clusters, and a question looks into the nearest clusters only. One byte a number: a million states of
64 channels take 72 MB. Letters: M states, C channels, K clusters, N items (0 = padding).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, History, Ints
from movierec.engines.base import BadState

Array = npt.NDArray[np.float32]
Tick = Callable[[float], None]  # hears the share that is done, 0 to 1; may raise to stop the work

FEWEST = 500_000  # views: with fewer, states repeat too seldom for a memory to help
MOST = 1_000_000  # states that are kept, of viewers drawn by chance
NEAREST = 256  # states that answer a question
WARMTH = 10 / 64  # squared distance, for each channel, at which a state counts 1 / e of one that is met exactly
LOOKED_AT = 16_384  # states that a question is compared with at least: of all, where there are fewer
CLUSTERS, TRIED, ROUNDS = 1_024, 50, 6  # at most; states a cluster that the centres are learnt from; how often
PIECE = 4  # reaches that a history is cut to: the states at its beginning see less than the others
BLOCK = 8_192  # states at once


@runtime_checkable
class HasStates(Protocol):
    """A sequence net that tells what it holds after each film."""

    @property
    def reach(self) -> int:
        """How many of the last films a state can depend on."""

    def states(self, histories: Sequence[History]) -> list[Array]:
        """(T, C) for each history: the state after each of its known films, T of them, none left out."""


@dataclass(frozen=True)
class Memory:
    """States in the order of their clusters, and what was watched after each."""

    centres: Array  # (K, C)
    starts: npt.NDArray[np.int64]  # (K + 1,) cluster k lies at starts[k]:starts[k + 1]
    codes: npt.NDArray[np.int8]  # (M, C) states in units of `units`
    units: Array  # (C,)
    norms: Array  # (M,) squared lengths of the states that the codes stand for
    nexts: npt.NDArray[np.int32]  # (M,) items

    @classmethod
    def of(cls, states: Array, nexts: Ints, seed: int, tick: Tick) -> Memory:
        """The memory of these states (M, C), M >= 1, each followed by an item of `nexts` (M,)."""
        centres = _centres(states, np.random.default_rng(seed), lambda share: tick(share / 2))
        cluster = np.empty(len(states), dtype=np.int32)
        for at in _blocks(len(states)):
            cluster[at] = _nearest(states[at], centres)
            tick(0.5 + at.stop / len(states) / 2)
        order = np.argsort(cluster, kind="stable")
        units = np.maximum(np.abs(states).max(axis=0) / 127, np.finfo(np.float32).tiny).astype(np.float32)
        codes = np.empty(states.shape, dtype=np.int8)
        norms = np.empty(len(states), dtype=np.float32)
        for at in _blocks(len(states)):
            codes[at] = np.rint(states[order[at]] / units)
            norms[at] = np.square(codes[at] * units).sum(axis=1)
        starts = np.concatenate([[0], np.cumsum(np.bincount(cluster, minlength=len(centres)))])
        return cls(centres, starts, codes, units, norms, nexts[order].astype(np.int32))

    def answer(self, state: Array) -> tuple[Ints, Array]:
        """what came next where the net stood near this state (C,): items, ascending, and shares that sum to 1."""
        distances, places = [], []
        order = np.argsort(np.square(self.centres).sum(axis=1) - 2 * (self.centres @ state), kind="stable")
        looked_at, question = 0, 2 * self.units * state
        for cluster in order:
            begin, end = self.starts[cluster], self.starts[cluster + 1]
            distances.append(self.norms[begin:end] - self.codes[begin:end].astype(np.float32) @ question)
            places.append(np.arange(begin, end))
            looked_at += end - begin
            if looked_at >= LOOKED_AT:
                break
        distance, place = np.concatenate(distances), np.concatenate(places)
        near = np.argpartition(distance, min(NEAREST, distance.size) - 1)[:NEAREST]
        weights = np.exp((distance[near].min() - distance[near]) / (WARMTH * state.size))
        items, whose = np.unique(self.nexts[place[near]], return_inverse=True)
        return items, (np.bincount(whose, weights) / weights.sum()).astype(np.float32)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `from_arrays` reads."""
        return {name: getattr(self, name).copy() for name in _SHAPES}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], n_items: int) -> Memory:
        """The memory that `arrays` gave for so many items. Raises BadState where an array does not fit."""
        found = {}
        for name, (kind, axes) in _SHAPES.items():
            array = np.asarray(arrays[name]) if name in arrays else None
            if array is None or array.dtype != kind or array.ndim != len(axes):
                raise BadState(f"The memory's {name} are not there or not {len(axes)} axes of {np.dtype(kind)}.")
            if not np.isfinite(array).all():
                raise BadState(f"One of the memory's {name} is not a finite number.")
            found[name] = array
        made = cls(**found)
        sizes = {"M": made.nexts.size, "C": made.units.size, "K": len(made.centres), "K + 1": len(made.centres) + 1}
        for name, (_, axes) in _SHAPES.items():
            if found[name].shape != tuple(sizes[axis] for axis in axes):
                raise BadState(f"The memory's {name} are of shape {found[name].shape}, which does not fit.")
        if not sizes["M"] or made.starts[0] != 0 or made.starts[-1] != sizes["M"] or (np.diff(made.starts) < 0).any():
            raise BadState("The memory's clusters do not hold its states.")
        if not 1 <= made.nexts.min() <= made.nexts.max() <= n_items:
            raise BadState(f"The memory names a film that is not in 1..{n_items}.")
        return made


_SHAPES: dict[str, tuple[type, tuple[str, ...]]] = {
    "centres": (np.float32, ("K", "C")),
    "starts": (np.int64, ("K + 1",)),
    "codes": (np.int8, ("M", "C")),
    "units": (np.float32, ("C",)),
    "norms": (np.float32, ("M",)),
    "nexts": (np.int32, ("M",)),
}


def learnt(net: HasStates, data: Dataset, seed: int, tick: Tick) -> Memory | None:
    """The memory of all of the viewers' films but their first ones, up to MOST; None where nobody watched two."""
    states, nexts, many = [], [], 0
    pieces = _pieces(data, PIECE * net.reach, np.random.default_rng(seed))
    wanted = min(MOST, data.n_events)
    while many < wanted and (some := [piece for _, piece in zip(range(32), pieces, strict=False)]):
        for piece, held in zip(some, net.states(some), strict=True):
            states.append(held[:-1])
            nexts.append(piece.items[1:])
            many += len(piece) - 1
        tick(0.7 * min(1.0, many / wanted))
    if not many:
        return None
    return Memory.of(np.concatenate(states), np.concatenate(nexts), seed, lambda share: tick(0.7 + 0.3 * share))


def _pieces(data: Dataset, length: int, random: np.random.Generator) -> Iterator[History]:
    """The histories of viewers in random order, cut to `length` films; each piece begins with the last film before."""
    for row in random.permutation(data.n_viewers):
        history = data.history(int(row))
        for begin in range(0, len(history) - 1, length - 1):
            at = slice(begin, begin + length)
            yield History(history.items[at], history.times[at], history.ratings[at])


def _centres(states: Array, random: np.random.Generator, tick: Tick) -> Array:
    """K means (Lloyd) of a sample of the states (M, C): (K, C). A cluster that empties keeps its centre."""
    many = min(CLUSTERS, max(1, round(float(np.sqrt(len(states))))))
    sample = states[random.choice(len(states), min(len(states), TRIED * many), replace=False)]
    centres = sample[:many].copy()
    for round_ in range(ROUNDS):
        sums, counts = np.zeros_like(centres, dtype=np.float64), np.zeros(many)
        for at in _blocks(len(sample)):
            cluster = _nearest(sample[at], centres)
            np.add.at(sums, cluster, sample[at])
            counts += np.bincount(cluster, minlength=many)
            tick((round_ + at.stop / len(sample)) / ROUNDS)
        full = counts > 0
        centres[full] = sums[full] / counts[full, None]
    return centres


def _nearest(states: Array, centres: Array) -> Ints:
    """(B,) the cluster of each state (B, C)."""
    return np.argmin(np.square(centres).sum(axis=1) - 2 * (states @ centres.T), axis=1)


def _blocks(many: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, many)) for start in range(0, many, BLOCK))
