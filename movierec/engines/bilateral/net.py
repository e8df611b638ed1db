"""Cornac's BiVAE module with its wasted work left out: a sparse first layer, one likelihood, a cheap refresh.

BiVAE: Truong, Salah, Lauw, "Bilateral Variational Autoencoder for Collaborative Filtering", WSDM 2021.
Letters: R rows of a batch, C columns (the other side), H hidden, k factors, Z views in a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from cornac.models.bivaecf.bivae import EPS, BiVAE
from torch import Tensor, nn

from movierec.engines.bilateral.views import Batch, Given

CELLS = 1 << 21  # cells of the table at once: 8 MB, however many films and viewers there are


@contextmanager
def quiet_torch(seed: int) -> Iterator[None]:
    """torch on one thread and its own generator (which Cornac draws from) seeded inside, both as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def bivae(viewers: int, films: int, hidden: Sequence[int], factors: int) -> BiVAE:
    """Cornac's module with fresh weights; both encoders have the same hidden layers."""
    return BiVAE(
        k=factors,
        user_encoder_structure=[films, *hidden],
        item_encoder_structure=[viewers, *hidden],
        act_fn="tanh",
        likelihood="pois",
        cap_priors={},
        feature_dim={},
        batch_size=0,  # Cornac never reads it
    )


def poisson(own: Tensor, other: Tensor, batch: Batch, buffer: Tensor) -> tuple[Tensor, Tensor]:
    """Minus the log likelihood of the views, summed: sum of s over all cells - sum of log(s + EPS) over the views.

    s = sigmoid(own @ other.T) is Cornac's rate, own (R, k), other (C, k). Gives it with its gradient for `own`, (R, k),
    found on the way: some rows at a time in one reused buffer, the log taken of the views alone.
    """
    size = buffer.numel() // len(other)
    total, gradient = own.new_zeros(()), torch.empty_like(own)
    for start in range(0, len(own), size):
        part = own[start : start + size]
        low, high = np.searchsorted(batch.rows.numpy(), (start, start + len(part)))
        cells = batch.rows[low:high] - start, batch.columns[low:high]
        rate = torch.mm(part, other.T, out=buffer[: len(part) * len(other)].view(len(part), -1)).sigmoid_()
        seen = rate[cells]  # (Z,)
        total += rate.sum() - (seen + EPS).log().sum()
        slope = rate.addcmul_(rate, rate, value=-1)  # s (1 - s), of the sum
        slope[cells] -= seen * (1 - seen) / (seen + EPS)
        torch.mm(slope, other, out=gradient[start : start + size])
    return total, gradient


class Side:
    """One encoder of the module with its optimiser. Its first layer is kept a row a column of the table.

    So the product with the views touches whole rows, and its gradient fills one buffer that is never made anew.
    """

    def __init__(self, encoder: nn.Sequential, mu: nn.Linear, std: nn.Linear, learning_rate: float) -> None:
        self._linear: list[nn.Linear] = [layer for layer in encoder if isinstance(layer, nn.Linear)]
        self._mu, self._std = mu, std
        self.first = nn.Parameter(self._linear[0].weight.detach().T.contiguous())  # (C, H)
        self._gradient = torch.zeros_like(self.first)
        self.first.grad = self._gradient
        self.average = Average(self.weights())
        self.start_anew(learning_rate)

    @property
    def bias(self) -> nn.Parameter:
        """(H,) of the first layer."""
        return self._linear[0].bias

    @property
    def later(self) -> list[nn.Linear]:
        """The layers after the first that lead to the mean."""
        return [*self._linear[1:], self._mu]

    def weights(self) -> list[nn.Parameter]:
        """Everything that is learned, in a fixed order."""
        small = [weight for layer in (*self._linear[1:], self._mu, self._std) for weight in layer.parameters()]
        return [self.first, self.bias, *small]

    def start_anew(self, learning_rate: float) -> None:
        """Forget what the optimiser remembers."""
        self._optimiser = torch.optim.Adam(self.weights(), lr=learning_rate, fused=True)

    def pace(self, learning_rate: float) -> None:
        """Go on with another learning rate."""
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate

    def sums(self, given: Given) -> Tensor:
        """(R, H) first-layer rows of the given views, added up; the zeros are never made."""
        return torch.from_numpy(given.rows @ self.first.detach().numpy())

    @torch.no_grad()
    def factors(self, given: Given) -> tuple[Tensor, Tensor]:
        """(R, k) mean and standard deviation, without decoder and without gradients."""
        _, mu, std = self._forward(given)
        return mu, std

    @torch.no_grad()
    def learn(self, batch: Batch, other: Tensor, beta_kl: float, buffer: Tensor) -> float:
        """One step of Adam on Cornac's loss, mean of beta_kl KL - log likelihood over the rows; gives the loss.

        The gradients are written out: on batches this small autograd costs as much as the arithmetic.
        """
        hidden, mu, std = self._forward(batch.given)
        noise, rows = torch.randn_like(mu), len(mu)
        missed, slope = poisson(mu + noise * std, other, batch, buffer)
        at_mu = (slope + beta_kl * mu) / rows
        at_std = (slope * noise + beta_kl * (std - 1 / std)) * std * (1 - std) / rows  # before its sigmoid
        self._backward(batch.given, hidden, at_mu, at_std)
        self._optimiser.step()
        return float(((beta_kl * divergence(mu, std) + missed) / rows).item())

    def _forward(self, given: Given) -> tuple[list[Tensor], Tensor, Tensor]:
        """(R, H) of each hidden layer, (R, k) mean and standard deviation of the factors."""
        hidden = [torch.tanh(self.sums(given) + self.bias)]
        for layer in self._linear[1:]:
            hidden.append(torch.tanh(layer(hidden[-1])))
        return hidden, self._mu(hidden[-1]), torch.sigmoid(self._std(hidden[-1]))

    def _backward(self, given: Given, hidden: list[Tensor], at_mu: Tensor, at_std: Tensor) -> None:
        """The gradient of every weight from those at the two heads, (R, k) each."""
        slope = _through(self._mu, hidden[-1], at_mu) + _through(self._std, hidden[-1], at_std)  # (R, H)
        for at in range(len(hidden) - 1, 0, -1):
            slope = _through(self._linear[at], hidden[at - 1], slope * (1 - hidden[at] ** 2))
        slope = slope * (1 - hidden[0] ** 2)
        self.bias.grad = slope.sum(0)
        self._gradient.zero_()
        self._gradient[given.used] = torch.from_numpy(given.back @ slope.numpy())


def _through(layer: nn.Linear, given: Tensor, slope: Tensor) -> Tensor:
    """Leaves the gradients of a layer in it; gives that of what it was given."""
    layer.weight.grad, layer.bias.grad = slope.T @ given, slope.sum(0)
    return slope @ layer.weight


class Average:
    """A moving average of weights, which judges and serves better than the weights of any one step."""

    def __init__(self, weights: list[nn.Parameter]) -> None:
        self._weights, self._mean, self._steps = weights, [weight.detach().clone() for weight in weights], 0

    def follow(self) -> None:
        """Move a little towards the weights of now: by a twentieth, by more in the first steps."""
        self._steps += 1
        memory = min(0.95, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self._mean, [weight.detach() for weight in self._weights], 1 - memory)

    @contextmanager
    def instead(self) -> Iterator[None]:
        """The weights are their average inside."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for weight, mean in zip(self._weights, self._mean, strict=True):
            weight.data, mean.data = mean.data, weight.data


def drawn(mu: Tensor, std: Tensor) -> Tensor:
    """A sample of the factors; draws noise exactly as Cornac's `reparameterize`."""
    return mu + torch.randn_like(mu) * std


def divergence(mu: Tensor, std: Tensor) -> Tensor:
    """KL(N(mu, std) || N(0, 1)), summed."""
    return -0.5 * (1 + 2 * torch.log(std) - mu.pow(2) - std.pow(2)).sum()
