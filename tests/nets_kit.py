"""Nets, batches and small engines for the tests of everything under `engines/nets`."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from movierec.dataset import Dataset
from movierec.engines.nets import nextitnet, sasrec, windows
from movierec.engines.nets.body import SequenceNet, Start

QUICK = {"channels": 16, "length": 16, "batch": 128, "epochs": 2, "learning_rate": 4e-3}
SHAPES = {"nextitnet": {"cycles": 1}, "sasrec": {"layers": 1}}


def start(n_items: int = 40, channels: int = 16, told: bool = True) -> Start:
    """A random start; `told`: with features, gaps and ratings."""
    generator = torch.Generator().manual_seed(5)
    table = torch.randn(n_items + 1, channels, generator=generator)
    table[0] = 0
    return Start(table, torch.randn(n_items + 1, generator=generator), told, told, told, generator)


def net(kind: str, told: bool = True, **sizes: int) -> SequenceNet:
    """A small net whose every weight is random: a zero would hide a leak."""
    given = start(told=told, **sizes)
    made = nextitnet.make(given, (1, 2, 4)) if kind == "nextitnet" else sasrec.make(given, 2, 4, 250)
    for name, weight in made.named_parameters():
        if name not in ("table", "bias") and not weight.detach().any():
            weight.data.normal_(0, 0.5, generator=given.generator)
    return made


def steps(*shape: int, n_items: int = 40, seed: int = 1) -> np.ndarray:
    """Random steps (B, T, 3) without padding."""
    random = np.random.default_rng(seed)
    return np.stack(
        [random.integers(1, n_items + 1, shape), random.integers(0, 24, shape), random.integers(0, 11, shape)], -1
    )


def pairs(batches: list[windows.Batch]) -> list[tuple[int, int]]:
    """Each input and what is to follow it."""
    return [
        (int(a), int(b))
        for batch in batches
        for a, b in zip(np.concatenate([p[:, :, 0][p[:, :, 0] > 0] for p in batch.inputs]), batch.targets, strict=True)
    ]


def followers(data: Dataset) -> list[tuple[int, int]]:
    """Each event and the next one of the same viewer."""
    return sorted((a, b) for h in data.histories() for a, b in pairwise(h.items.tolist()))
