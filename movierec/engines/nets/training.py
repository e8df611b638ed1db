"""The fit loop of NextItNet: all positions, full softmax, AdamW with warm-up and cosine, the best epoch kept.

Letters: B viewers, T steps, P positions with a target, C channels, N items (0 = padding).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from movierec.dataset import Dataset, Ints
from movierec.engines.base import Diverged, Report
from movierec.engines.nets import start
from movierec.engines.nets.export import checked_onnx
from movierec.engines.nets.loss import Buffers, Smoothing, cross_entropy
from movierec.engines.nets.nextitnet import NextItNet
from movierec.engines.nets.windows import Batch, Windows

Judge = Callable[[], Mapping[str, float]]


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


class Training:
    """One training of one net; afterwards `export` gives the graph that serves."""

    def __init__(self, data: Dataset, params: Any) -> None:
        self._params = params
        self._random = np.random.default_rng(params.seed)
        generator = torch.Generator().manual_seed(params.seed)
        self.dtype = torch.bfloat16 if torch.cpu.get_capabilities().get("avx512_bf16") else torch.float32
        table = torch.from_numpy(start.item_vectors(data, params.channels, self._random))
        self.prior = start.log_popularity(data)
        self.net = NextItNet(table, torch.tensor(self.prior), params.dilations(), generator)
        self.average = copy.deepcopy(self.net)  # moving average of the weights: what is judged, kept and served
        self._windows = Windows(data, params.length, params.batch)
        self._buffers = Buffers(data.n_items, self.dtype)
        self._smooth = Smoothing(params.smoothing, torch.from_numpy(start.usual(data)))
        self._drop = DropPool(generator, self._random)
        self.total = params.epochs * self._windows.batches
        self._optimiser = torch.optim.AdamW(self._groups(), lr=params.learning_rate, betas=(0.9, 0.98), fused=True)
        self.note = ""
        self._best: dict[str, Tensor] | None = None
        self._best_value = -math.inf

    def _groups(self) -> list[dict[str, Any]]:
        """Weight decay for matrices only: not for biases, norms and residual scales."""
        weights = list(self.net.parameters())
        return [
            {"params": [w for w in weights if w.dim() > 1], "weight_decay": self._params.weight_decay},
            {"params": [w for w in weights if w.dim() <= 1], "weight_decay": 0.0},
        ]

    def run(self, report: Report, judge: Judge | None) -> None:
        """Train until the epochs are through, validation stopped improving, or the loss is no number any more.

        Raises Diverged for the last where no epoch was good; whatever `report` and `judge` raise passes through.
        """
        step, waited = 0, 0
        for epoch in range(1, self._params.epochs + 1):
            losses = []
            for batch in self._windows.epoch(self._random):
                losses.append(self._step(batch, step))
                if not math.isfinite(losses[-1]):
                    return self._diverged(epoch)
                step += 1
                report(step, self.total)
            if not all(bool(weight.isfinite().all()) for weight in self.net.parameters()):
                return self._diverged(epoch)
            metrics = dict(judge()) if judge else {}
            waited = 0 if self._keep_if_better(metrics, epoch) else waited + 1
            report(step, self.total, loss=float(np.mean(losses)), **metrics)
            if waited > self._params.patience:
                self.note = f"Stopped after epoch {epoch}: validation was best in epoch {epoch - waited}."
                return None
        return None

    def _keep_if_better(self, metrics: Mapping[str, float], epoch: int) -> bool:
        """NDCG@10 + 0.2 HR@20, which is smoother than NDCG alone; without a judge the later epoch is the better."""
        value = metrics.get("ndcg@10", math.nan) + 0.2 * metrics.get("hr@20", 0)
        value = float(epoch) if math.isnan(value) else value
        if value <= self._best_value:
            return False
        self._best_value = value
        self._best = {name: weight.clone() for name, weight in self.average.state_dict().items()}
        return True

    def _diverged(self, epoch: int) -> None:
        if self._best is None:
            raise Diverged("The loss stopped being a number; try a lower learning rate.")
        self.note = f"The loss stopped being a number in epoch {epoch}; the best epoch before it is kept."

    def keep_best(self) -> bool:
        """Go back to the weights of the best epoch; whether there was one."""
        if self._best is None:
            return False
        self.average.load_state_dict(self._best)
        return True

    def export(self, batches: list[Ints]) -> bytes:
        """The net as an ONNX graph that scores these items (B, T) as the net does."""
        return checked_onnx(self.average, batches)

    def _step(self, batch: Batch, step: int) -> float:
        for group in self._optimiser.param_groups:
            group["lr"] = self._params.learning_rate * self._pace(step)
        net, parts = self.net, [torch.from_numpy(part) for part in batch.inputs]  # (B, T) each
        rates = (self._params.embedding_dropout, self._params.block_dropout, self._params.head_dropout)
        hidden = torch.cat([net(part, self.dtype, rates, self._drop)[part > 0] for part in parts])  # (P, C)
        targets = torch.from_numpy(batch.targets)
        loss = cross_entropy(hidden, net.table, net.bias, targets, self._buffers, self._smooth)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        with torch.no_grad():
            net.table[0] = 0
            torch._foreach_lerp_([*self.average.parameters()], [*net.parameters()], 1 - _memory(step))
        return loss.item()

    def _pace(self, step: int) -> float:
        """Share of the learning rate: linear warm-up over 50 steps, then a cosine down to 2 %."""
        warm = min(50, max(1, self.total // 10))
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, self.total - warm)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    @torch.no_grad()
    def score(self, items: Ints) -> npt.NDArray[np.float32]:
        """(B, N + 1) scores after items (B, T), left-padded."""
        table: npt.NDArray[np.float32] = self.average.last(torch.from_numpy(items)).numpy()
        return table


def _memory(step: int) -> float:
    """How much of the moving average stays at this step: .99 once some hundred steps are behind it."""
    return min(0.99, (1 + step) / (10 + step))
