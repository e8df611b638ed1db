"""How a BiVAE is trained: epochs over films and viewers until validation stops improving, then on short histories.

The loop is Cornac's `learn` (films first, each batch's factors drawn anew after its step), with a batch size for each
side. Letters: U viewers, M films with a view, N items, k factors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from movierec.dataset import Dataset
from movierec.engines.base import Diverged, Report
from movierec.engines.bilateral import views
from movierec.engines.bilateral.folding import Floats, Folding, log_odds
from movierec.engines.bilateral.net import CELLS, Side, bivae, drawn
from movierec.engines.bilateral.views import Batch, Given

Judge = Callable[[Folding], Mapping[str, float]]
WHOLE = 0.3  # share of histories that stay whole while it learns short ones


@dataclass(frozen=True)
class Snapshot:
    """One state of a training: what scores, and what the short-history passes go on from."""

    folding: Folding
    encoder: list[Tensor]  # the user encoder's weights
    mu: Tensor  # (M, k) of the films' factors
    std: Tensor  # (M, k)


class Training:
    """One training of one BiVAE. Made and used inside `quiet_torch`: Cornac draws from torch's own generator."""

    def __init__(self, data: Dataset, params: Any) -> None:
        self._params, self._random = params, np.random.default_rng(params.seed)
        self._views, self._items = views.table(data)
        self._prior = log_odds(data.popularity, data.n_viewers)
        viewers, films = self._views.shape
        self.net = net = bivae(viewers, films, [params.hidden] * params.layers, params.factors)
        self.viewers = Side(net.user_encoder, net.user_mu, net.user_std, params.learning_rate)
        self.films = Side(net.item_encoder, net.item_mu, net.item_std, params.learning_rate)
        order = self._random.permutation
        self.viewer_batches = views.batches(self._views, params.viewer_batch, order(viewers))
        self.film_batches = views.batches(self._views.T.tocsr(), params.film_batch, order(films))
        self._buffer = torch.empty(max(CELLS, viewers, films))
        self._done, self._first_passes = 0, params.epochs * (len(self.viewer_batches) + len(self.film_batches))
        self.total = self._first_passes + params.passes * len(self.viewer_batches)
        self.note = ""
        self._best: Snapshot | None = None
        self._best_value = -math.inf

    @property
    def best(self) -> Folding | None:
        """What scores best so far, if anything was good yet."""
        return None if self._best is None else self._best.folding

    def run(self, report: Report, judge: Judge | None) -> None:
        """Train until the epochs are through or validation stopped improving, then on shortened histories.

        Raises Diverged where the loss is no number before any state was good; what `report` and `judge` raise
        passes through.
        """
        best = waited = 0
        for epoch in range(1, self._params.epochs + 1):
            loss = self.epoch(report)
            metrics: dict[str, float] = {}
            if epoch % self._params.judged_every == 0 or epoch == self._params.epochs:
                now = self._snapshot()
                if not _finite(now.folding):
                    loss = math.nan
                elif self._keep_if_better(now, metrics := dict(judge(now.folding)) if judge else {}, epoch):
                    best, waited = epoch, 0
                else:
                    waited += 1
            if not math.isfinite(loss):
                self._diverged(f"in epoch {epoch}; epoch {best}, the best before it, is kept")
                return
            report(self._done, self.total, loss=loss, **metrics)
            if waited > self._params.patience:
                self.note = f"Stopped after epoch {epoch}: validation was best in epoch {best}."
                break
        self._learn_short_histories(report, judge)

    def epoch(self, report: Report) -> float:
        """One pass over the films, then one over the viewers; gives the mean loss of its steps."""
        net = self.net
        losses = [self._step(self.films, batch, net.theta, net.beta, report) for batch in self.film_batches]
        losses += [self._step(self.viewers, batch, net.beta, net.theta, report) for batch in self.viewer_batches]
        return float(np.mean(losses))

    def _step(self, side: Side, batch: Batch, other: Tensor, own: Tensor, report: Report) -> float:
        """Learn from a batch, then draw its rows of `own` anew."""
        loss = side.learn(batch, other, self._params.beta_kl, self._buffer)
        own[batch.ids] = drawn(*side.factors(batch.given))
        side.average.follow()
        self._done += 1
        report(self._done, self.total)
        return loss

    def _learn_short_histories(self, report: Report, judge: Judge | None) -> None:
        """More passes of the user encoder: from a part of a history it has to explain the whole.

        Trained on whole histories only it is worse than popularity below about ten films. The films' factors stay,
        drawn anew in each pass as in training: against their means the encoder forgets what it knew of long ones.
        """
        start, passes = self._best, self._params.passes
        if start is None or not passes:
            return
        with torch.no_grad():
            for weight, kept in zip(self.viewers.weights(), start.encoder, strict=True):
                weight.copy_(kept)
        self.viewers.start_anew(self._params.learning_rate)
        self._done = self._first_passes
        for number in range(passes):
            self.viewers.pace(self._params.learning_rate * (0.02 + 0.49 * (1 + math.cos(math.pi * number / passes))))
            loss = self._short_pass(drawn(start.mu, start.std), report)
            if not math.isfinite(loss):
                self._diverged("while it learned short histories; the state before that is kept")
                return
        folding = self.folding(start.mu)
        metrics = dict(judge(folding)) if judge else {}
        self._best = replace(start, folding=folding)
        report(self._done, self.total, **metrics)

    def _short_pass(self, beta: Tensor, report: Report) -> float:
        losses = []
        for batch in self.viewer_batches:
            part = replace(batch, given=Given.of(views.shortened(batch.given.rows, WHOLE, self._random)))
            losses.append(self.viewers.learn(part, beta, self._params.beta_kl, self._buffer))
            self._done += 1
            report(self._done, self.total)
        return float(np.mean(losses))

    def _keep_if_better(self, now: Snapshot, metrics: Mapping[str, float], epoch: int) -> bool:
        """By validation NDCG@10; without a judge, or with one that has nothing to ask, the later is the better."""
        value = metrics.get("ndcg@10", math.nan)
        value = float(epoch) if math.isnan(value) else value
        if value <= self._best_value:
            return False
        self._best, self._best_value = now, value
        return True

    def _diverged(self, when: str) -> None:
        if self._best is None:
            raise Diverged("The loss stopped being a number; try a lower learning rate.")
        self.note = f"The loss stopped being a number {when}."

    def _snapshot(self) -> Snapshot:
        """The averaged weights as they are now."""
        with self.viewers.average.instead(), self.films.average.instead():
            mu, std = torch.empty_like(self.net.mu_beta), torch.empty_like(self.net.mu_beta)
            for batch in self.film_batches:
                mu[batch.ids], std[batch.ids] = self.films.factors(batch.given)
            return Snapshot(self.folding(mu), [weight.detach().clone() for weight in self.viewers.weights()], mu, std)

    def folding(self, mu: Tensor) -> Folding:
        """The user encoder's mean and these film factors (M, k) as arrays of their own."""
        layers = self.viewers.later
        return Folding(
            first=self._by_item(self.viewers.first),
            weights=tuple(_array(layer.weight.T) for layer in layers),
            biases=tuple(_array(bias) for bias in (self.viewers.bias, *(layer.bias for layer in layers))),
            films=self._by_item(mu),
            prior=self._prior,
        )

    def _by_item(self, rows: Tensor) -> Floats:
        """(M, ...) rows of the films with a view -> (N + 1, ...) with zeros for all others."""
        table = np.zeros((self._prior.size, rows.shape[1]), dtype=np.float32)
        table[self._items] = rows.detach().numpy()
        return table


def _array(tensor: Tensor) -> Floats:
    return np.array(tensor.detach().numpy(), order="C")


def _finite(folding: Folding) -> bool:
    return all(bool(np.isfinite(array).all()) for array in folding.arrays().values())
