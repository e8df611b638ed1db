"""Any history folded into the factors with numpy alone: the user encoder's mean, times the factors of the films.

The encoder is Cornac's, tanh between its layers. Letters: B viewers, T distinct films of a history, H hidden,
k factors, N items (0 = padding), Q asked films.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from movierec.dataset import Ints

Floats = npt.NDArray[np.float32]


def log_odds(counts: Ints, viewers: int) -> Floats:
    """(N + 1,) log odds that a viewer watched each film, from its number of views; smoothed by half a view.

    BiVAE's own score, theta * beta, is in the same unit: its sigmoid is the rate of a view.
    """
    odds: Floats = np.log((counts + 0.5) / (np.maximum(viewers - counts, 0) + 0.5)).astype(np.float32)
    return odds


@dataclass(frozen=True)
class Folding:
    """A trained BiVAE as far as scoring needs it. Films never seen in training have rows of zeros."""

    first: Floats  # (N + 1, H) the encoder's first layer, a row a film
    weights: tuple[Floats, ...]  # (in, out) of each layer after it; the last gives the factors
    biases: tuple[Floats, ...]  # (out,) of each layer, the first too
    films: Floats  # (N + 1, k) mu_beta
    prior: Floats  # (N + 1,) what a viewer of whom nothing is known gets: log odds of a view

    def scores(self, histories: Sequence[Ints]) -> Floats:
        """(B, N + 1) for histories of items: theta * beta; films never seen in training come last."""
        table = np.empty((len(histories), self.prior.size), dtype=np.float32)  # (B, N + 1)
        table[:] = self.prior
        seen = [self.trained(items) for items in histories]
        rows = [row for row, items in enumerate(seen) if items.size]
        if rows:
            sums = np.stack([self.first[seen[row]].sum(axis=0) for row in rows])  # (B, H)
            found = self._factors(sums) @ self.films.T  # (B, N + 1)
            never = self._never()
            if never.size:
                found[:, never] = found.min(axis=1, keepdims=True) - 1
            table[rows] = found
        return table

    def falls(self, items: Ints, asked: Ints, at_most: int) -> tuple[Ints, Floats]:
        """By how much the score of each asked film falls when one film of the history is left out of it.

        Gives those films (T,) and the falls (T, Q). Of a history of more than `at_most` only those are tried whose
        factors are nearest to those of an asked film.
        """
        seen, asked = self.trained(items), np.asarray(asked, dtype=np.int64)
        tried, films = seen, self.films[asked]  # (Q, k)
        if seen.size > at_most:
            near = (self.films[seen] @ films.T).max(axis=1, initial=-np.inf)
            tried = seen[np.argsort(-near, kind="stable")[:at_most]]
        if not seen.size:
            return tried, np.zeros((0, asked.size), dtype=np.float32)
        whole = self.first[seen].sum(axis=0)  # (H,)
        score = self._factors(whole[None]) @ films.T  # (1, Q)
        if seen.size == 1:
            without = self.prior[asked][None]
        else:
            without = self._factors(whole - self.first[tried]) @ films.T  # (T, Q)
        return tried, np.where(self.prior[asked] > self.prior[0], score - without, 0)

    def trained(self, items: Ints) -> Ints:
        """(T,) the distinct films of a history that training knew, ascending."""
        known = np.unique(items)
        return known[self.prior[known] > self.prior[0]]

    def _never(self) -> Ints:
        """Films without a view in training."""
        return np.flatnonzero(self.prior[1:] <= self.prior[0]) + 1

    def _factors(self, sums: Floats) -> Floats:
        """(B, k) mu_theta from (B, H) sums of first-layer rows."""
        x = sums + self.biases[0]
        for weight, bias in zip(self.weights, self.biases[1:], strict=True):
            x = np.tanh(x) @ weight + bias
        return x

    def arrays(self) -> dict[str, Floats]:
        """Its arrays by name, as `from_arrays` takes them."""
        layers = {f"weight{at}": weight for at, weight in enumerate(self.weights, 1)}
        biases = {f"bias{at}": bias for at, bias in enumerate(self.biases)}
        return {"first": self.first, "films": self.films, "prior": self.prior, **layers, **biases}


def shapes(n_items: int, hidden: Sequence[int], factors: int) -> dict[str, tuple[int, ...]]:
    """The shape of each array of a Folding with these hidden layers."""
    sizes = [*hidden, factors]
    return {
        "first": (n_items + 1, hidden[0]),
        "films": (n_items + 1, factors),
        "prior": (n_items + 1,),
        **{f"weight{at}": pair for at, pair in enumerate(pairwise(sizes), 1)},
        **{f"bias{at}": (size,) for at, size in enumerate(sizes)},
    }


def from_arrays(arrays: dict[str, Floats], layers: int) -> Folding:
    """The Folding whose `arrays` these are; `layers` is its number of hidden layers."""
    return Folding(
        arrays["first"],
        tuple(arrays[f"weight{at}"] for at in range(1, layers + 1)),
        tuple(arrays[f"bias{at}"] for at in range(layers + 1)),
        arrays["films"],
        arrays["prior"],
    )
