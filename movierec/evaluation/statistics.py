"""How sure a number is: bootstrap intervals, and paired comparisons of two runs or of all runs shown together.

Letters: P viewers, R resamples, D distinct values, C columns. Everything is decided by its seed. NaN (nothing to
measure for that viewer) is left out and out of n.

When is a difference called one? Where three things agree: the bootstrap interval of the mean difference lies on one
side of zero, Wilcoxon's p, corrected by Holm over all pairs that are shown together, is below 1 - LEVEL, and the
signed ranks lean to the same side as the mean. The interval says how large; the corrected p guards against finding
something because many pairs were looked at; the last guards against a few viewers who outweigh all others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Like = npt.ArrayLike

RESAMPLES = 10_000
LEVEL = 0.95
UNCLEAR = "no clear difference"
POWER = 1.959964 + 0.841621  # standard errors: 5 % of false alarms on two sides, found four times in five
CELLS = 1_000_000  # numbers drawn at once: 8 MB, whatever P and R are


class Interval(NamedTuple):
    """A mean, its bootstrap interval and the number of viewers behind it."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Verdict:
    """What one can say about a - b over the viewers both were asked about."""

    difference: float
    low: float
    high: float
    p: float  # Wilcoxon signed-rank, two-sided; of this pair alone
    n: int
    corrected: float | None = None  # p by Holm over all pairs shown; None: this pair is the only one
    spread: float = float("nan")  # standard deviation of the viewers' differences
    agrees: bool = True  # the signed ranks lean to the same side as the mean

    @property
    def words(self) -> str:
        """ "better", "worse" or "no clear difference", by the rule that the module states."""
        sure = self.agrees and (self.p if self.corrected is None else self.corrected) < 1 - LEVEL
        return "better" if sure and self.low > 0 else "worse" if sure and self.high < 0 else UNCLEAR

    @property
    def smallest(self) -> float:
        """The smallest difference that so many viewers show four times in five, in a single comparison."""
        return POWER * self.spread / math.sqrt(self.n) if self.n else float("nan")

    @property
    def needed(self) -> int | None:
        """How many viewers would show the difference seen four times in five; None where none was seen."""
        if not self.n or not self.difference or math.isnan(self.spread):
            return None
        return max(2, math.ceil((POWER * self.spread / self.difference) ** 2))

    def sentence(self, a: str, b: str) -> str:
        """ "A better by .021 [.004, .038]", whichever is the better one, or "no clear difference"."""
        if self.words == UNCLEAR:
            return UNCLEAR
        better, sign = (a, 1) if self.words == "better" else (b, -1)
        low, high = sorted((sign * self.low, sign * self.high))
        return f"{better} better by {digits(sign * self.difference)} [{digits(low)}, {digits(high)}]"


def digits(value: float) -> str:
    """Three digits, no leading zero, a real minus sign: a fourth would be noise."""
    text = f"{abs(value):.3f}"
    return ("\u2212" if value < 0 and float(text) else "") + (text[1:] if text.startswith("0.") else text)


def bootstrap_mean(values: Like, seed: int = 1, resamples: int = RESAMPLES, level: float = LEVEL) -> Interval:
    """Mean with its percentile bootstrap interval over viewers (Efron 1979). No values: NaN with n = 0."""
    known = _known(values)
    if not known.size:
        return Interval(np.nan, np.nan, np.nan, 0)
    means = np.concatenate(list(_resampled_means(known, np.random.default_rng(seed), resamples)))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    mean = float(known.mean())
    # Rounding of a resampled mean may not push the interval off the mean it belongs to.
    return Interval(mean, min(float(low), mean), max(float(high), mean), int(known.size))


def bootstrap_columns(table: Like, seed: int = 1, resamples: int = RESAMPLES, level: float = LEVEL) -> list[Interval]:
    """One interval for each column of (P, C): the same resampled viewers for all, drawn once.

    A column's NaN are viewers outside it (of another segment, say): a resample's mean is over those of its viewers
    who are inside, so that the segment's size varies as it would in another sample of viewers.
    """
    values = np.asarray(table, dtype=np.float64)
    inside = ~np.isnan(values)
    n, sums = inside.sum(axis=0), np.where(inside, values, 0).astype(np.float32)
    means = np.empty((resamples, values.shape[1]))
    start, members = 0, inside.astype(np.float32)
    for weights in _drawn_weights(values.shape[0], np.random.default_rng(seed), resamples):  # (rows, P)
        with np.errstate(invalid="ignore"):  # a resample without anybody of a segment says nothing about it
            means[start : start + len(weights)] = (weights @ sums) / (weights @ members)
        start += len(weights)
    found = []
    for column in range(values.shape[1]):
        if not n[column]:
            found.append(Interval(np.nan, np.nan, np.nan, 0))
            continue
        own = values[inside[:, column], column]
        mean = float(own.mean())
        # no mean is outside the values: what float32 rounds is put right
        resampled = _known(means[:, column]).clip(own.min(), own.max())
        low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
        found.append(Interval(mean, min(float(low), mean), max(float(high), mean), int(n[column])))
    return found


def _drawn_weights(viewers: int, generator: np.random.Generator, resamples: int) -> Iterator[npt.NDArray[np.float32]]:
    """How often each viewer occurs in a resample: (rows, P) float32, at most CELLS numbers at once."""
    chunk = max(1, CELLS // max(1, viewers))
    for start in range(0, resamples if viewers else 0, chunk):
        rows = min(chunk, resamples - start)
        drawn = generator.integers(0, viewers, size=(rows, viewers), dtype=np.int64)
        drawn += np.arange(rows)[:, None] * viewers
        yield np.bincount(drawn.ravel(), minlength=rows * viewers).reshape(rows, viewers).astype(np.float32)


def paired(a: Like, b: Like, seed: int = 1, resamples: int = RESAMPLES, level: float = LEVEL) -> Verdict:
    """a against b, one value a viewer in the same order; viewers that either lacks (NaN) are left out.

    The interval is a bootstrap of the viewers' own differences, so what is hard for both cancels out.
    """
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape or left.ndim != 1:
        raise ValueError(f"a pair needs two rows of equal length, not {left.shape} and {right.shape}")
    differences = _known(left - right)
    mean, low, high, n = bootstrap_mean(differences, seed, resamples, level)
    p, lean = signed_ranks(differences)
    spread = float(differences.std(ddof=1)) if n > 1 else float("nan")
    return Verdict(mean, low, high, p, n, spread=spread, agrees=lean * mean >= 0)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for looking at all of them (Holm 1979), in the same order; NaN stays and doesn't count."""
    corrected = [float("nan")] * len(p_values)
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        corrected[place] = highest
    return corrected


def wilcoxon(differences: Like) -> float:
    """The p of `signed_ranks`."""
    return signed_ranks(differences)[0]


def signed_ranks(differences: Like) -> tuple[float, float]:
    """Two-sided p of Wilcoxon's signed-rank test, zeros dropped, and which way the ranks lean (its sign).

    p is 1 where all are zero, NaN where there is none; nothing leans then.

    Exact up to 50 differences without ties, else by the normal law with the variance corrected for ties. Differences
    are rounded to 12 digits first: ties must not be broken by the last bit of a logarithm.
    (Equal to scipy.stats.wilcoxon, which the tests check; importing scipy.stats costs each web process 73 MB.)
    """
    rounded = np.round(_known(differences), 12)
    moved = rounded[rounded != 0]
    n = moved.size
    if not n:
        return (1.0 if rounded.size else float("nan")), 0.0
    _, group, ties = np.unique(np.abs(moved), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[group]  # ties share their mean rank, from 1
    rise = float(ranks[moved > 0].sum())
    lean = rise - n * (n + 1) / 4
    if n <= 50 and ties.size == n:
        return _exact_p(int(rise), n), lean
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((ties.astype(np.float64) ** 3 - ties).sum()) / 48
    return math.erfc(abs(lean) / math.sqrt(2 * variance)), lean


def _exact_p(rise: int, n: int) -> float:
    """Share of the 2^n sign patterns whose rank sum lies as far out as `rise`."""
    ways = np.ones(1)
    for rank in range(1, n + 1):
        ways = np.append(ways, np.zeros(rank)) + np.append(np.zeros(rank), ways)
    return min(1.0, 2 * float(min(ways[: rise + 1].sum(), ways[rise:].sum())) / 2.0**n)


def _known(values: Like) -> Values:
    row = np.asarray(values, dtype=np.float64).ravel()
    return row[~np.isnan(row)]


def _resampled_means(values: Values, generator: np.random.Generator, resamples: int) -> Iterator[Values]:
    """Means of `resamples` draws with replacement, in chunks of at most CELLS numbers.

    Few distinct values (every one-target metric): drawing how often each occurs is the same distribution and costs
    D instead of P a resample. Else the viewers themselves are drawn.
    """
    distinct, counts = np.unique(values, return_counts=True)
    counted = distinct.size * 4 <= values.size
    if counted:  # most frequent first: the multinomial's chain of binomials then ends early
        order = np.argsort(-counts, kind="stable")
        distinct, counts = distinct[order], counts[order]
    width = distinct.size if counted else values.size
    chunk = max(1, CELLS // width)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        if counted:
            drawn = generator.multinomial(values.size, counts / values.size, size=rows)  # (rows, D)
            yield drawn @ distinct / values.size
        else:
            drawn = generator.integers(0, values.size, size=(rows, values.size), dtype=np.int32)  # (rows, P)
            yield values[drawn].mean(axis=1)
