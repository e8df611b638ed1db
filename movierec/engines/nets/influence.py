"""Which of the last films a score rests on: each is left out in turn, all in one batch through the graph.

Letters: V variants (the history as it is, then without its newest film, its second newest, ...), T steps, K items asked
about and compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from movierec.dataset import History, Ints
from movierec.engines.nets import steps
from movierec.engines.nets.features import DEPTH, FADING, LEAST, RECENT, WINDOW, Features, scale
from movierec.engines.nets.serving import Scorer, Table

SPAN = 16  # films of a history that are looked at
LEFT_OUT = 8  # of them, the newest, each in its turn
PEERS = 100  # popular films that an item is compared with, so that effects on different items are alike


@dataclass(frozen=True)
class Scoring:
    """What an engine scores with: its graph, its features if any, and the scores (N + 1,) where nothing is known."""

    score: Scorer
    features: Features | None
    prior: Table


def effects(scoring: Scoring, history: History, items: Sequence[int]) -> tuple[Ints, Table]:
    """The last known films (M,), newest first, and by how much each item's score falls without each, (M, K).

    It is the fall of the log-probability among `items` and popular films, so that an effect means the same for each
    item; 0 where that or the score itself does not fall.
    """
    known = history.known()
    many = min(LEFT_OUT, len(known))
    famous = min(PEERS, scoring.prior.size - 1)
    peers = np.argpartition(-scoring.prior[1:], famous - 1)[:famous] + 1
    wanted, place = np.unique(np.concatenate([np.asarray(items, dtype=np.int64), peers]), return_inverse=True)
    logits, gates = scoring.score(_variants(known, many))
    table = logits[:, wanted]  # (V, K) of both
    if scoring.features is not None:
        mk, ez = _features(scoring.features, known.items[::-1][: SPAN + 1], wanted, many)
        table = table + gates[:, :1] * mk + gates[:, 1:] * ez
    if len(known) == 1:
        table[1] = scoring.prior[wanted]
    highest = table.max(axis=1, keepdims=True)
    chance = table - highest - np.log(np.exp(table - highest).sum(axis=1, keepdims=True))
    fallen = (table[0] > table[1:]) | (len(known) == 1)  # what an unknown viewer gets is scored on another scale
    falls = np.where(fallen, chance[0] - chance[1:], 0)[:, place[: len(items)]]
    return known.items[::-1][:many].astype(np.int64), np.maximum(falls, 0).astype(np.float32)


def _variants(known: History, many: int) -> Ints:
    """(V, T, 3) steps of the last films: all of them, then without the newest, without the second newest, ..."""
    cut = len(known) > SPAN  # then one film more than is looked at, which moves in where one is left out
    n = min(len(known), SPAN + 1)
    place = np.tile(np.arange(n), (many + 1, 1))  # (V, n)
    for gone in range(1, many + 1):  # what is older than the gone-th newest moves one step up
        place[gone, 1 : n - gone + 1] = np.arange(n - gone)
    first = np.zeros(place.shape, dtype=bool)
    first[:, 0] = first[1:, 1:2] = True  # in the variants the first step is padding
    at = (place + len(known) - n).ravel()
    told = steps.encode(known.items[at], known.times[at], known.ratings[at], first.ravel())
    table = told.reshape(many + 1, n, steps.WIDTH)
    table[1:, 0] = 0
    return table[:, int(cut) :]


def _features(features: Features, newest: Ints, wanted: Ints, many: int) -> tuple[Table, Table]:
    """(V, K) mk and ez of each variant. With one film only, the second variant knows nothing."""
    ages = np.tile(np.arange(newest.size), (many + 1, 1))  # (V, T) age of each film
    for gone in range(1, many + 1):
        ages[gone, gone:] -= 1
        ages[gone, gone - 1] = DEPTH
    ages[0, SPAN:] = DEPTH
    near = newest[: WINDOW + 1]
    recent, fading = RECENT[ages[:, : near.size]], FADING[ages]
    mk = recent @ features.transitions.entries(near, wanted)
    mk += (recent @ features.shares[near])[:, None] * features.popularity[wanted]
    squares = fading**2 @ features.norms[newest]
    if features.exact:  # what relates the rows of the whole history is taken to relate those of each variant
        whole = features.ease.mix(newest, fading[0])
        squares *= (whole @ whole) / max(float(squares[0]), LEAST)
    fading = fading * scale(squares, features.n_items)[:, None]
    return np.log(np.maximum(mk, LEAST)), fading @ features.ease.entries(newest, wanted)
