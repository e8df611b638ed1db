"""Metrics against arithmetic done by hand, and laws that hold for every rank."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.evaluation import metrics

RANKS = np.array([0, 1, 2, 9, 9.5, 10, np.inf, np.nan])
HALF_NINE = 1 / math.log2(11.5)


@pytest.mark.parametrize(("higher", "tied", "expected"), [(0, 0, 0), (3, 0, 3), (3, 4, 3 + 4 / 2), (0, 99, 99 / 2)])
def test_a_rank_counts_what_is_higher_and_half_of_the_ties(higher, tied, expected):
    assert metrics.rank(np.array([higher]), np.array([tied])).tolist() == [expected]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (metrics.hit_rate, [1, 1, 1, 1, 1, 0, 0, np.nan]),
        (metrics.ndcg, [1, 1 / math.log2(3), 1 / 2, 1 / math.log2(11), HALF_NINE, 0, 0, np.nan]),
        (metrics.mrr, [1, 1 / 2, 1 / 3, 1 / 10, 1 / 10.5, 0, 0, np.nan]),
    ],
)
def test_each_metric_at_ten(metric, expected):
    np.testing.assert_allclose(metric(RANKS, 10), expected, rtol=1e-12)


@pytest.mark.parametrize("metric", metrics.METRICS.values())
def test_each_metric_says_what_it_refuses(metric):
    assert metric(np.array([]), 10).size == 0
    with pytest.raises(ValueError, match="at least 1"):
        metric(RANKS, 0)
    with pytest.raises(ValueError, match="never negative"):
        metric(np.array([-0.5]), 10)


@given(st.integers(0, 400), st.integers(1, 100))
def test_laws(half_steps, k):
    ranks = np.array([half_steps / 2, half_steps / 2 + 0.5])
    values = {name: metric(ranks, k) for name, metric in metrics.METRICS.items()}
    for name, metric in metrics.METRICS.items():
        assert ((values[name] >= 0) & (values[name] <= 1)).all()
        assert values[name][0] >= values[name][1]  # a worse rank is never worth more
        assert (metric(ranks, k + 1) >= values[name]).all()  # a longer list never loses
    assert (values["mrr"] <= values["ndcg"]).all()
    assert (values["ndcg"] <= values["hr"]).all()
