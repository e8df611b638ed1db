"""How sure a number is: bootstrap intervals, and paired comparisons of two runs.

Letters: P viewers, R resamples, D distinct values. Everything is decided by its seed. NaN (nothing to measure for
that viewer) is left out and out of n.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Like = npt.ArrayLike

RESAMPLES = 10_000
LEVEL = 0.95
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

    @property
    def words(self) -> str:
        """ "better" or "worse" where the whole interval lies on that side of zero, else "no clear difference"."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "no clear difference"


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


def paired(a: Like, b: Like, seed: int = 1, resamples: int = RESAMPLES, level: float = LEVEL) -> Verdict:
    """a against b, one value a viewer in the same order; viewers that either lacks (NaN) are left out.

    The interval is a bootstrap of the viewers' own differences, so what is hard for both cancels out.
    """
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape or left.ndim != 1:
        raise ValueError(f"a pair needs two rows of equal length, not {left.shape} and {right.shape}")
    differences = _known(left - right)
    mean, low, high, n = bootstrap_mean(differences, seed, resamples, level)
    return Verdict(mean, low, high, wilcoxon(differences), n)


def wilcoxon(differences: Like) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, zeros dropped. 1 where all are zero, NaN where there is none.

    Exact up to 50 differences without ties, else by the normal law with the variance corrected for ties. Differences
    are rounded to 12 digits first: ties must not be broken by the last bit of a logarithm.
    (Equal to scipy.stats.wilcoxon, which the tests check; importing scipy.stats costs each web process 73 MB.)
    """
    rounded = np.round(_known(differences), 12)
    moved = rounded[rounded != 0]
    n = moved.size
    if not n:
        return 1.0 if rounded.size else float("nan")
    _, group, ties = np.unique(np.abs(moved), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[group]  # ties share their mean rank, from 1
    rise = float(ranks[moved > 0].sum())
    if n <= 50 and ties.size == n:
        return _exact_p(int(rise), n)
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((ties.astype(np.float64) ** 3 - ties).sum()) / 48
    return math.erfc(abs(rise - n * (n + 1) / 4) / math.sqrt(2 * variance))


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
