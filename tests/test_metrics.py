"""Metrics against arithmetic done by hand, and laws that hold for every rank."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.evaluation import metrics

RANKS = np.array([0, 1, 2, 9, 9.5, 10, np.inf, np.nan])
ONE_EACH = np.arange(RANKS.size)
HALF_NINE = 1 / math.log2(11.5)


def gain(rank):
    return 1 / math.log2(rank + 2)


@pytest.mark.parametrize(("higher", "tied", "expected"), [(0, 0, 0), (3, 0, 3), (3, 4, 3 + 4 / 2), (0, 99, 99 / 2)])
def test_a_rank_counts_what_is_higher_and_half_of_the_ties(higher, tied, expected):
    assert metrics.rank(np.array([higher]), np.array([tied])).tolist() == [expected]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (metrics.hit_rate, [1, 1, 1, 1, 1, 0, 0, np.nan]),
        (metrics.recall, [1, 1, 1, 1, 1, 0, 0, np.nan]),  # of one target: the same
        (metrics.ndcg, [1, 1 / math.log2(3), 1 / 2, 1 / math.log2(11), HALF_NINE, 0, 0, np.nan]),
        (metrics.mrr, [1, 1 / 2, 1 / 3, 1 / 10, 1 / 10.5, 0, 0, np.nan]),
    ],
)
def test_each_metric_at_ten_with_one_target(metric, expected):
    np.testing.assert_allclose(metric(ONE_EACH, RANKS, RANKS.size, 10), expected, rtol=1e-12)
    np.testing.assert_array_equal(metrics.places(ONE_EACH, RANKS), RANKS)  # with one target nothing is moved


def test_several_targets_stand_in_one_list():
    # Viewer 0's targets have 0, 0 and 2 other films above them: places 1, 2 and 5 of the list (0-based 0, 1, 4).
    # Viewer 1 has none. Viewer 2's two tie with each other and with one other film: bases .5 and .5, ranks .5, 1.5.
    owners, bases = np.array([0, 0, 0, 2, 2]), np.array([2, 0, 0, 0.5, 0.5])
    ranks = metrics.places(owners, bases)
    assert ranks.tolist() == [2 + 2, 0, 1, 0.5, 1.5]
    expected = {
        ("hr", 2): [1, np.nan, 1],
        ("mrr", 2): [1, np.nan, 1 / 1.5],
        ("recall", 2): [2 / 3, np.nan, 2 / 2],
        ("recall", 5): [3 / 3, np.nan, 2 / 2],
        ("ndcg", 2): [1, np.nan, (gain(0.5) + gain(1.5)) / (gain(0) + gain(1))],  # three wanted: the ideal ends at 2
        ("ndcg", 5): [
            (gain(0) + gain(1) + gain(4)) / (gain(0) + gain(1) + gain(2)),
            np.nan,
            (gain(0.5) + gain(1.5)) / (gain(0) + gain(1)),
        ],
    }
    for (name, k), values in expected.items():
        np.testing.assert_allclose(metrics.SEVERAL[name](owners, ranks, 3, k), values, rtol=1e-12, err_msg=name)


def test_targets_that_tie_only_with_each_other_are_a_perfect_list():
    owners, bases = np.zeros(3, dtype=int), np.zeros(3)
    ranks = metrics.places(owners, bases)
    assert sorted(ranks) == [0, 1, 2]
    assert metrics.ndcg(owners, ranks, 1, 10).tolist() == [1]


@pytest.mark.parametrize("metric", metrics.SEVERAL.values())
def test_each_metric_says_what_it_refuses(metric):
    none = np.array([], dtype=int)
    assert metric(none, np.array([]), 0, 10).size == 0
    assert np.isnan(metric(none, np.array([]), 2, 10)).all()
    with pytest.raises(ValueError, match="at least 1"):
        metric(ONE_EACH, RANKS, RANKS.size, 0)
    with pytest.raises(ValueError, match="never negative"):
        metric(np.array([0]), np.array([-0.5]), 1, 10)


@given(st.integers(0, 400), st.integers(1, 100))
def test_laws_of_one_target(half_steps, k):
    owners, ranks = np.arange(2), np.array([half_steps / 2, half_steps / 2 + 0.5])
    values = {name: metric(owners, ranks, 2, k) for name, metric in metrics.METRICS.items()}
    for name, metric in metrics.METRICS.items():
        assert ((values[name] >= 0) & (values[name] <= 1)).all()
        assert values[name][0] >= values[name][1]  # a worse rank is never worth more
        assert (metric(owners, ranks, 2, k + 1) >= values[name]).all()  # a longer list never loses
    assert (values["mrr"] <= values["ndcg"]).all()
    assert (values["ndcg"] <= values["hr"]).all()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(1, 30))
def test_laws_of_several_targets(half_steps, k):
    owners, bases = np.zeros(len(half_steps), dtype=int), np.array(half_steps) / 2
    ranks = metrics.places(owners, bases)
    better = metrics.places(owners, bases - np.where(bases == bases.max(), bases.max() / 2, 0))
    assert len(set(ranks.tolist())) == ranks.size  # no two targets share a place
    for metric in metrics.SEVERAL.values():
        (value,) = metric(owners, ranks, 1, k)
        assert 0 <= value <= 1
        assert metric(owners, better, 1, k)[0] >= value - 1e-12
    assert metrics.ndcg(owners, metrics.places(owners, bases * 0), 1, k).tolist() == pytest.approx([1])
