"""The fit loop of all sequence nets: all positions, softmax, AdamW with warm-up and cosine, the best epoch kept.

Letters: B viewers, T steps, P positions with a target, C channels, N items (0 = padding).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from movierec.dataset import Dataset, Ints
from movierec.engines.base import Diverged, Report
from movierec.engines.nets import crossfit, loss, sampled, start
from movierec.engines.nets.body import MakeNet, Start
from movierec.engines.nets.context import Context
from movierec.engines.nets.drop import DropPool
from movierec.engines.nets.export import checked_onnx
from movierec.engines.nets.features import Features
from movierec.engines.nets.serving import Table
from movierec.engines.nets.windows import Batch, Windows

Judge = Callable[[], Mapping[str, float]]
MORE_TRUST = (0.0, 0.15, 0.3, 0.5)  # tried on top of the learnt gate of the transitions


class Training:
    """One training of one net; afterwards `export` gives the graph that serves."""

    def __init__(self, data: Dataset, params: Any, make: MakeNet, report: Report) -> None:
        self._params, self._report = params, report
        self._random = np.random.default_rng(params.seed)
        generator = torch.Generator().manual_seed(params.seed)
        self.dtype = torch.bfloat16 if torch.cpu.get_capabilities().get("avx512_bf16") else torch.float32
        self.folds, self.sampled = params.folds_for(data), params.sampled_for(data.n_items)
        self._windows = Windows(data, params.length, params.batch, max(1, self.folds))
        self._epochs = params.epochs_for(data)
        self._step, self.total = 0, self._epochs * self._windows.batches
        self.prior = start.log_popularity(data)
        table = start.item_vectors(data, params.channels, self._random, tick=self.tick)
        made = Start(
            torch.from_numpy(table),
            torch.from_numpy(self.prior),
            features=self.folds > 0,
            gaps=params.gaps,
            ratings=params.ratings,
            generator=generator,
        )
        self.net = make(made)
        self.average = copy.deepcopy(self.net)  # moving average of the weights: what is judged, kept and served
        self.features: Features | None = None
        self._context: Context | None = None
        if self.folds:
            how = (params.ease_regularisation, not self.sampled, self.tick)
            tables = crossfit.cross_fitted(data, self.folds, *how)
            self._context = Context(data, tables, self.folds, self.dtype)
            self.features = crossfit.table(data, *how)
        if self.sampled:
            self._sampler = sampled.Sampler(data, self._random)
        else:
            self._buffers = loss.Buffers(data.n_items, self.dtype, bool(self.folds))
            share = 0.0 if self.folds else params.smoothing
            self._smooth = loss.Smoothing(share, torch.from_numpy(start.usual(data)))
        self._drop = DropPool(generator, self._random)
        self._optimiser = torch.optim.AdamW(self._groups(), lr=params.learning_rate, betas=(0.9, 0.98), fused=True)
        self.note = self._first_note()
        self._best: dict[str, Tensor] | None = None
        self._best_value = -math.inf

    def _groups(self) -> list[dict[str, Any]]:
        """Weight decay for matrices only: not for biases, norms and residual scales."""
        weights = list(self.net.parameters())
        return [
            {"params": [w for w in weights if w.dim() > 1], "weight_decay": self._params.weight_decay},
            {"params": [w for w in weights if w.dim() <= 1], "weight_decay": 0.0},
        ]

    def _first_note(self) -> str:
        """What a person should know that the knobs don't say."""
        told = []
        if self._params.features and not self.folds:
            told.append("There are too few viewers to cross-fit features: it learns without them.")
        if self.sampled:
            told.append(f"It learns against {sampled.DRAWN} films drawn at each step, not against all.")
        return " ".join(told)

    def tick(self, share: float = 0.0) -> None:
        """A word between two steps, so that a wish to stop is heard."""
        self._report(self._step, self.total)

    def run(self, judge: Judge | None) -> None:
        """Train, then settle how far the transitions are to be trusted. What report and `judge` raise passes through.

        Raises Diverged where no epoch was good.
        """
        self._train(judge)
        if judge is not None and self.features is not None:
            self._trust(judge)

    def _trust(self, judge: Judge) -> None:
        """Raise the first gate by what suits validation best: the whole table, which serves, knows more than those of
        the other folds, from which the gate was learnt."""
        self.keep_best()
        gates, learnt = self.average.gate_bias.data, float(self.average.gate_bias.data[0])
        found: list[tuple[float, float, dict[str, float]]] = []
        for more in MORE_TRUST:
            gates[0] = learnt + more
            metrics = dict(judge())
            found.append((_value(metrics), -more, metrics))
        _, less, metrics = max(found, key=lambda one: one[:2])
        gates[0] = learnt - less
        self._best = {name: weight.clone() for name, weight in self.average.state_dict().items()}
        self._report(self._step, self.total, **metrics)

    def _train(self, judge: Judge | None) -> None:
        """Train until the epochs are through, validation stopped improving, or the loss is no number any more."""
        waited = 0
        for epoch in range(1, self._epochs + 1):
            losses = []
            for batch in self._windows.epoch(self._random):
                losses.append(self._learn(batch, self._step))
                if not math.isfinite(losses[-1]):
                    return self._diverged(epoch)
                self._step += 1
                self.tick()
            if not all(bool(weight.isfinite().all()) for weight in self.net.parameters()):
                return self._diverged(epoch)
            metrics = dict(judge()) if judge else {}
            waited = 0 if self._keep_if_better(metrics, epoch) else waited + 1
            self._report(self._step, self.total, loss=float(np.mean(losses)), **metrics)
            if waited > self._params.patience:
                self._tell(f"Stopped after epoch {epoch}: validation was best in epoch {epoch - waited}.")
                return None
        return None

    def _keep_if_better(self, metrics: Mapping[str, float], epoch: int) -> bool:
        """Without a judge the later epoch is the better."""
        value = _value(metrics)
        value = float(epoch) if math.isnan(value) else value
        if value <= self._best_value:
            return False
        self._best_value = value
        self._best = {name: weight.clone() for name, weight in self.average.state_dict().items()}
        return True

    def _diverged(self, epoch: int) -> None:
        if self._best is None:
            raise Diverged("The loss stopped being a number; try a lower learning rate.")
        self._tell(f"The loss stopped being a number in epoch {epoch}; the best epoch before it is kept.")

    def _tell(self, sentence: str) -> None:
        self.note = f"{self.note} {sentence}".strip()

    def keep_best(self) -> bool:
        """Go back to the weights of the best epoch; whether there was one."""
        if self._best is None:
            return False
        self.average.load_state_dict(self._best)
        return True

    def export(self, batches: list[Ints]) -> bytes:
        """The net as an ONNX graph that scores these steps (B, T, 3) as the net does."""
        return checked_onnx(self.average, batches)

    def _learn(self, batch: Batch, step: int) -> float:
        for group in self._optimiser.param_groups:
            group["lr"] = self._params.learning_rate * self._pace(step)
        loss = self._loss(batch)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        with torch.no_grad():
            self.net.table[0] = 0
            torch._foreach_lerp_([*self.average.parameters()], [*self.net.parameters()], 1 - _memory(step))
        return loss.item()

    def _loss(self, batch: Batch) -> Tensor:
        net, params = self.net, self._params
        rates = (params.embedding_dropout, params.block_dropout, params.head_dropout)
        parts = [torch.from_numpy(part) for part in batch.inputs]  # (B, T, 3) each
        hidden = torch.cat([net(part, self.dtype, rates, self._drop)[part[:, :, 0] > 0] for part in parts])  # (P, C)
        gates = net.gates(hidden)  # (P, 2 or 0)
        context = None if self._context is None else self._context.at(batch.events, batch.fold)
        if self.sampled:
            return sampled.cross_entropy(
                net, hidden, gates, batch.targets, context, self._sampler, self.dtype, self.tick
            )
        task = loss.Task(torch.from_numpy(batch.targets), context, self._buffers, self._smooth, self.tick)
        return loss.cross_entropy(hidden, net.table, net.bias, gates, task)

    def _pace(self, step: int) -> float:
        """Share of the learning rate: linear warm-up over 50 steps, then a cosine down to 2 %."""
        warm = min(50, max(1, self.total // 10))
        if step < warm:
            return (step + 1) / warm
        done = (step - warm) / max(1, self.total - warm)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    @torch.no_grad()
    def score(self, steps: Ints) -> tuple[Table, Table]:
        """(B, N + 1) scores and (B, 2 or 0) gates after steps (B, T, 3), left-padded."""
        scores, gates = self.average.last(torch.from_numpy(steps))
        return scores.numpy(), gates.numpy()


def _value(metrics: Mapping[str, float]) -> float:
    """NDCG@10 + 0.2 HR@20, which is smoother than NDCG alone; NaN where there is none."""
    return metrics.get("ndcg@10", math.nan) + 0.2 * metrics.get("hr@20", 0)


def _memory(step: int) -> float:
    """How much of the moving average stays at this step: .99 once some hundred steps are behind it."""
    return min(0.99, (1 + step) / (10 + step))
