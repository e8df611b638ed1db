"""Two counting engines as features of a net: transitions and EASE over the last films, in numpy, as they serve.

mk = log sum_{j<10} .8^j M[x_{t-j}] with M the smoothed transitions, and ez = s / rms with s = sum_{j<50} e^(-j/10)
B[x_{t-j}], B of EASE. rms is over all films; where training sees only drawn ones, it is estimated as if the rows of B
were unrelated.
Letters: N items (0 = padding), T films of a history, oldest first, K films asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Ints
from movierec.engines.base import BadState
from movierec.engines.item_to_item.rows import Rows, checked

Array = npt.NDArray[np.float32]

WINDOW, DECAY = 10, 0.8  # of the transitions: pairs counted, and films of a history looked at
DEPTH, FADE = 50, 10.0  # of EASE: films of a history looked at, and the age at which one counts 1 / e
RECENT = np.append(DECAY ** np.arange(DEPTH) * (np.arange(DEPTH) < WINDOW), 0).astype(np.float32)  # by age; last: none
FADING = np.append(np.exp(-np.arange(DEPTH) / FADE), 0).astype(np.float32)
LEAST = 1e-12  # below any probability that occurs


@dataclass(frozen=True)
class Features:
    """The tables of both, as they serve: the strongest weights of each row, in half precision."""

    transitions: Rows
    shares: Array  # (N + 1,) of popularity in each row of M
    popularity: Array  # (N + 1,)
    ease: Rows
    norms: Array  # (N + 1,) sum of squares of each row of B
    exact: bool  # whether rms is over all films

    @classmethod
    def of(cls, transitions: Rows, shares: Array, popularity: Array, ease: Rows, exact: bool) -> Features:
        """The tables, rounded to what `arrays` keeps, so that a restored engine scores alike."""
        transitions, ease = _halved(transitions), _halved(ease)
        row = np.repeat(np.arange(ease.n_items + 1), np.diff(ease.indptr))
        norms = np.bincount(row, ease.weights.astype(np.float64) ** 2, ease.n_items + 1)
        return cls(transitions, shares, popularity, ease, norms.astype(np.float32), exact)

    @property
    def n_items(self) -> int:
        return self.ease.n_items

    def rows(self, items: Ints) -> tuple[Array, Array]:
        """(N + 1,) mk and ez after these known films (T,), T >= 1."""
        newest = items[::-1][:DEPTH]
        near = newest[:WINDOW]
        recent, fading = RECENT[: near.size], FADING[: newest.size]
        mk = self.transitions.mix(near, recent)
        mk += (recent @ self.shares[near]) * self.popularity
        ez = self.ease.mix(newest, fading)
        squares = ez @ ez if self.exact else fading**2 @ self.norms[newest]
        return np.log(np.maximum(mk, LEAST)), ez * scale(squares, self.n_items)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `from_arrays` reads."""
        made: dict[str, npt.NDArray[Any]] = {"shares": self.shares.copy(), "popularity": self.popularity.copy()}
        for name, table in (("transitions", self.transitions), ("ease", self.ease)):
            made |= {f"{name}_{key}": array for key, array in table.arrays().items()}
            made[f"{name}_weights"] = made[f"{name}_weights"].astype(np.float16)
        return made

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], n_items: int, exact: bool) -> Features:
        """The features that `arrays` gave. Raises BadState where an array does not fit."""
        shares, popularity = (checked(arrays, name, "f", (n_items + 1,)) for name in ("shares", "popularity"))
        if (shares < 0).any() or (popularity < 0).any():
            raise BadState("A share of popularity is below zero.")
        tables = []
        for name in ("transitions", "ease"):
            own = {key.removeprefix(f"{name}_"): array for key, array in arrays.items() if key.startswith(f"{name}_")}
            tables.append(Rows.from_arrays(own, n_items))
        return cls.of(tables[0], shares.astype(np.float32), popularity.astype(np.float32), tables[1], exact)


_OF_ROWS = ("indptr", "columns", "weights")
NAMES = ("shares", "popularity", *(f"{table}_{name}" for table in ("transitions", "ease") for name in _OF_ROWS))


def scale(squares: Any, n_items: int) -> Any:
    """1 / rms where the squares sum to this; 0 where nothing is known."""
    rms = np.sqrt(squares / max(1, n_items))
    return np.where(rms > 0, 1 / np.maximum(rms, LEAST), 0).astype(np.float32)


def _halved(table: Rows) -> Rows:
    return Rows(table.indptr, table.columns, table.weights.astype(np.float16).astype(np.float32))
