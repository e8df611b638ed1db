"""Sampled softmax for large catalogues: the target against films drawn once a step, with the log-q correction.

Jean et al. 2015 (arXiv 1412.2007): each logit is lowered by the log of its film's chance to be drawn, so that the
expected gradient is near that of the full softmax. Letters: P positions, R rows of a chunk, S drawn films, N items.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from movierec.dataset import Dataset, Ints
from movierec.engines.nets.body import SequenceNet
from movierec.engines.nets.context import BLOCK, HIDDEN, BatchContext, Columns

DRAWN = 512
POWER = 0.5  # of popularity, in the chance to be drawn


class Sampler:
    """Draws films without repeats, the popular ones more often. Never padding."""

    def __init__(self, data: Dataset, random: np.random.Generator) -> None:
        weight = (data.popularity[1:] + 0.5) ** POWER
        self._chance = weight / weight.sum()  # (N,)
        self._many = min(DRAWN, data.n_items)
        self._random = random
        self.n_items = data.n_items
        drawn = -np.expm1(self._many * np.log1p(-np.minimum(self._chance, 1 - 1e-12)))  # (N,) at least once in a step
        self.log_chance = np.append(0, np.log(drawn)).astype(np.float32)  # (N + 1,)

    def draw(self) -> Ints:
        """(S,) distinct items, the S highest of log chance plus Gumbel noise."""
        noise = self._random.gumbel(size=self.n_items)
        keys = np.log(self._chance) + noise
        return np.sort(np.argpartition(-keys, self._many - 1)[: self._many]) + 1


def cross_entropy(
    net: SequenceNet,
    hidden: Tensor,
    gates: Tensor,
    targets: Ints,
    context: BatchContext | None,
    sampler: Sampler,
    dtype: torch.dtype,
    tick: Callable[[], None],
) -> Tensor:
    """Mean over positions of -log p(target) among the target and the drawn films that are neither it nor seen yet."""
    drawn = sampler.draw()
    columns = Columns(sampler.n_items, drawn)
    items, wanted = torch.from_numpy(drawn), torch.from_numpy(targets)
    correction = torch.from_numpy(sampler.log_chance)
    more = -len(targets) % BLOCK  # products of few shapes, as oneDNN keeps memory for each
    low = F.pad(hidden, (0, 0, 0, more)).to(dtype)  # (P', C)
    logits = (low @ net.table[items].to(dtype).t())[: len(targets)].float()  # (P, S)
    logits = logits + (net.bias[items] - correction[items])
    own = (hidden * F.embedding(wanted, net.table)).sum(1) + net.bias[wanted] - correction[wanted]  # (P,)
    if gates.shape[1]:
        assert context is not None
        (mk, ez), (own_mk, own_ez) = _features(context, drawn, targets, dtype, tick)
        logits = logits + gates[:, :1] * mk + gates[:, 1:] * ez
        own = own + gates[:, 0] * own_mk + gates[:, 1] * own_ez
    hidden_ones = torch.zeros(len(targets), drawn.size)
    if context is not None:
        context.hide(0, hidden_ones, columns)
    place = columns.place[targets]
    clash = np.flatnonzero(place >= 0)
    hidden_ones[torch.from_numpy(clash), torch.from_numpy(place[clash])] = HIDDEN
    logits = logits + hidden_ones
    return (torch.logsumexp(torch.cat([own[:, None], logits], 1), 1) - own).mean()


def _features(
    context: BatchContext, drawn: Ints, targets: Ints, dtype: torch.dtype, tick: Callable[[], None]
) -> tuple[list[Tensor], list[Tensor]]:
    """mk and ez of the drawn films, (P, S) each, and of the targets, (P,) each."""
    others = [torch.empty(len(targets), drawn.size, dtype=dtype) for _ in range(2)]
    own = [torch.empty(len(targets)) for _ in range(2)]
    for low in range(0, len(targets), BLOCK):
        tick()
        wanted = targets[low : low + BLOCK]
        both = np.union1d(drawn, wanted)
        columns = Columns(context.n_items, np.append(both, np.full(-both.size % BLOCK, both[-1])))  # of few widths
        made = [torch.empty(wanted.size, columns.width, dtype=dtype) for _ in range(2)]
        context.fill(low, made[0], made[1], columns)
        place, row = torch.from_numpy(columns.place[drawn]), torch.arange(wanted.size)
        for into, target, feature in zip(others, own, made, strict=True):
            torch.index_select(feature, 1, place, out=into[low : low + BLOCK])
            target[low : low + BLOCK] = feature[row, torch.from_numpy(columns.place[wanted])].float()
    return others, own
