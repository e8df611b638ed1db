"""Dropout for training on a CPU, and the one thread it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


@contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread inside, as it was afterwards (more threads cost more CPU than they save here)."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class DropPool:
    """Dropout whose masks are cut at random offsets from one drawn pool: drawing anew took most of its time."""

    def __init__(self, generator: torch.Generator, random: np.random.Generator) -> None:
        self._noise = torch.rand(1 << 20, generator=generator)
        self._pools: dict[float, Tensor] = {}
        self._generator, self._random = generator, random

    def __call__(self, x: Tensor, rate: float) -> Tensor:
        """x with a share `rate` of its elements zeroed and the rest scaled up."""
        if rate <= 0:
            return x
        if self._noise.numel() < 4 * x.numel():
            self._noise, self._pools = torch.rand(8 * x.numel(), generator=self._generator), {}
        if rate not in self._pools:
            self._pools[rate] = (self._noise >= rate).to(x.dtype) / (1 - rate)
        pool = self._pools[rate]
        at = int(self._random.integers(0, pool.numel() - x.numel() + 1))
        return x * pool[at : at + x.numel()].view(x.shape)
