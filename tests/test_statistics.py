"""Intervals, paired verdicts and Holm: hand-made cases, scipy as the second opinion, and bounds on memory."""

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from movierec.evaluation import statistics


def test_a_constant_has_no_width():
    assert statistics.bootstrap_mean([0.25] * 7) == (0.25, 0.25, 0.25, 7)


def test_nothing_measured_is_nan_and_n_0():
    for empty in ([], [np.nan, np.nan]):
        mean, low, high, n = statistics.bootstrap_mean(empty)
        assert all(math.isnan(x) for x in (mean, low, high))
        assert n == 0


def test_nan_is_left_out_of_mean_and_n():
    mean, low, high, n = statistics.bootstrap_mean([1, np.nan, 0, np.nan])
    assert (mean, n) == ((1 + 0) / 2, 2)
    assert (low, high) == (0, 1)  # of two viewers, a quarter of the resamples is all 0 and a quarter all 1


def test_the_seed_decides_all():
    values = np.random.default_rng(1).random(50)
    assert statistics.bootstrap_mean(values, seed=3) == statistics.bootstrap_mean(values, seed=3)
    assert statistics.bootstrap_mean(values, seed=3) != statistics.bootstrap_mean(values, seed=4)


@pytest.mark.parametrize("distinct", [2, 10, 2000])  # the first two are drawn by counts, the last by viewers
def test_the_interval_is_that_of_the_normal_law_for_many_viewers(distinct):
    values = np.random.default_rng(distinct).integers(0, distinct, 2000) / (distinct - 1)
    mean, low, high, n = statistics.bootstrap_mean(values)
    half = 1.96 * values.std() / math.sqrt(2000)
    assert n == 2000
    np.testing.assert_allclose([mean, low, high], [values.mean(), mean - half, mean + half], atol=0.05 * half)


def test_both_ways_of_drawing_say_the_same():
    values = np.repeat([0.0, 0.5, 1.0], [600, 300, 100])
    apart = values + np.arange(values.size) * 1e-9  # the same values to nine digits, but all distinct
    width = np.subtract(*statistics.bootstrap_mean(values)[2:0:-1])
    np.testing.assert_allclose(
        statistics.bootstrap_mean(values)[:3], statistics.bootstrap_mean(apart)[:3], atol=width / 20
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 5))
@settings(max_examples=40)
def test_the_interval_holds_its_mean_and_stays_within_the_values(values, seed):
    mean, low, high, n = statistics.bootstrap_mean(values, seed, resamples=200)
    assert low <= mean <= high
    assert min(values) - 1e-12 <= low
    assert high <= max(values) + 1e-12
    assert n == len(values)


def test_ten_thousand_viewers_need_little_memory():
    values = np.random.default_rng(1).random(10_000)
    tracemalloc.start()
    statistics.bootstrap_mean(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6  # 10,000 x 10,000 in one piece: 800 MB


def test_a_clear_difference_and_its_mirror():
    b = np.random.default_rng(1).random(400)
    verdict = statistics.paired(b + 0.1 + 0.01 * np.sin(np.arange(400)), b)
    assert verdict.words == "better"
    assert verdict.difference == pytest.approx(0.1, abs=0.001)
    assert 0.09 < verdict.low < verdict.difference < verdict.high < 0.11
    assert (verdict.n, verdict.p < 1e-12) == (400, True)
    assert statistics.paired(b, b + 0.1).words == "worse"


def test_a_run_against_itself_is_no_clear_difference():
    values = np.random.default_rng(1).random(100)
    verdict = statistics.paired(values, values)
    assert (verdict.difference, verdict.low, verdict.high, verdict.p, verdict.n) == (0, 0, 0, 1.0, 100)
    assert verdict.words == "no clear difference"


def test_pairing_counts_only_common_viewers():
    verdict = statistics.paired([1, np.nan, 0.5, 1], [0, 1, np.nan, 0.5])
    assert (verdict.difference, verdict.n) == ((1 + 0.5) / 2, 2)


def test_no_common_viewer_is_no_clear_difference():
    verdict = statistics.paired([np.nan, 1], [1, np.nan])
    assert (verdict.n, math.isnan(verdict.p), verdict.words) == (0, True, "no clear difference")


@pytest.mark.parametrize(("a", "b"), [([1, 2], [1]), ([[1, 2]], [[1, 2]])])
def test_rows_that_are_no_pair_are_refused(a, b):
    with pytest.raises(ValueError, match="equal length"):
        statistics.paired(a, b)


def test_noise_is_rarely_called_a_difference():
    rng = np.random.default_rng(1)
    pairs = [rng.random((2, 200)) for _ in range(100)]
    called = sum(statistics.paired(*pair, resamples=500).words != "no clear difference" for pair in pairs)
    assert called <= 11  # 5 of 100 expected; 12 or more has probability 0.4 %


def test_wilcoxon_by_hand():
    # Ranks 1, 2, 3; the negative one is the smallest: 2 of the 8 sign patterns lie as low, times two sides.
    assert statistics.wilcoxon([-1, 2, 3]) == 2 * 2 / 8
    assert statistics.wilcoxon([5]) == 1.0
    assert statistics.wilcoxon([0, 0]) == 1.0
    assert math.isnan(statistics.wilcoxon([np.nan]))


@given(st.lists(st.integers(-60, 60), min_size=2, max_size=80))
@settings(max_examples=80, deadline=None)
def test_wilcoxon_agrees_with_scipy(differences):
    moved = np.array([d for d in differences if d], dtype=float)
    assume(moved.size > 1)
    exact = moved.size <= 50 and np.unique(np.abs(moved)).size == moved.size
    expected = stats.wilcoxon(moved, method="exact" if exact else "approx").pvalue
    assert statistics.wilcoxon(differences) == pytest.approx(expected, rel=1e-9)


def test_wilcoxon_does_not_let_the_last_bit_break_a_tie():
    third = 0.1 + 0.2  # 0.30000000000000004
    assert statistics.wilcoxon([0.3, -third, 0.3]) == statistics.wilcoxon([0.3, -0.3, 0.3])


def test_columns_share_their_resamples_and_know_their_own_viewers():
    rng = np.random.default_rng(1)
    values = rng.random(300)
    table = np.column_stack([values, values, np.where(np.arange(300) < 100, values, np.nan), np.full(300, np.nan)])
    whole, same, part, nobody = statistics.bootstrap_columns(table)
    assert whole == same
    assert whole.n == 300
    half = 1.96 * values.std() / math.sqrt(300)
    np.testing.assert_allclose(whole[:3], [values.mean(), values.mean() - half, values.mean() + half], atol=0.05 * half)
    assert part.n == 100
    np.testing.assert_allclose(part[:3], statistics.bootstrap_mean(values[:100])[:3], atol=0.02)
    assert nobody.n == 0
    assert all(math.isnan(x) for x in nobody[:3])
    assert [row.n for row in statistics.bootstrap_columns(np.zeros((0, 2)))] == [0, 0]


def test_a_column_with_one_viewer_has_no_width_and_a_constant_neither():
    table = np.full((50, 2), np.nan)
    table[7, 0], table[:, 1] = 0.3, 0.25
    assert statistics.bootstrap_columns(table) == [(0.3, 0.3, 0.3, 1), (0.25, 0.25, 0.25, 50)]


def test_columns_need_little_memory():
    table = np.random.default_rng(1).random((5_000, 20))
    tracemalloc.start()
    statistics.bootstrap_columns(table, resamples=2_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # 2,000 x 5,000 weights in one piece: 40 MB, and 80 MB of draws


def test_holm_by_hand():
    # The smallest of four times 4, the next times 3, ... and never below one before: .005, .01, .03, .04.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([3 * 0.01, 2 * 0.03, 2 * 0.03, 4 * 0.005])
    assert statistics.holm([0.6, 0.9]) == [1.0, 1.0]
    assert statistics.holm([]) == []
    corrected = statistics.holm([0.01, math.nan, 0.02])  # what could not be tested is no test
    assert corrected[0] == pytest.approx(2 * 0.01)
    assert corrected[2] == pytest.approx(0.02)
    assert math.isnan(corrected[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_keeps_the_order_and_never_lowers(p_values):
    corrected = statistics.holm(p_values)
    assert all(0 <= own <= after <= 1 for own, after in zip(p_values, corrected, strict=True))
    assert all(
        corrected[i] <= corrected[j]
        for i in range(len(p_values))
        for j in range(len(p_values))
        if p_values[i] < p_values[j]
    )


def test_a_difference_must_pass_all_three():
    clear = statistics.Verdict(0.02, 0.01, 0.03, 0.001, 100)
    assert clear.words == "better"
    assert replace(clear, difference=-0.02, low=-0.03, high=-0.01).words == "worse"
    for doubt in ({"low": -0.001}, {"p": 0.06}, {"corrected": 0.06}, {"agrees": False}, {"p": math.nan}):
        assert replace(clear, **doubt).words == "no clear difference"
    assert replace(clear, p=0.06, corrected=0.01).words == "better"  # by the corrected p, where there is one


def test_few_who_outweigh_all_others_are_no_verdict():
    differences = np.concatenate([np.full(90, -0.01), np.full(20, 0.5)])  # the mean rises, most viewers lose
    verdict = statistics.paired(differences, np.zeros(110))
    assert verdict.low > 0
    assert verdict.p < 0.05
    assert verdict.words == "no clear difference"


def test_a_verdict_in_words():
    better = statistics.Verdict(0.0213, 0.0042, 0.0384, 0.001, 100)
    assert better.sentence("A", "B") == "A better by .021 [.004, .038]"
    assert replace(better, difference=-0.0213, low=-0.0384, high=-0.0042).sentence("A", "B") == (
        "B better by .021 [.004, .038]"
    )
    assert replace(better, p=0.2).sentence("A", "B") == "no clear difference"
    assert [statistics.digits(x) for x in (0.0213, -0.5, 1.25, -0.0001)] == [".021", "\u2212.500", "1.250", ".000"]


def test_how_many_would_settle_it():
    # Differences +-1, so their spread is 1: 1.96 + .84 standard errors must fit into the difference.
    values = np.tile([1.0, -1.0], 50) + 0.1
    verdict = statistics.paired(values, np.zeros(100))
    spread = math.sqrt(100 / 99)
    assert verdict.smallest == pytest.approx(2.801585 * spread / 10)
    assert verdict.needed == math.ceil((2.801585 * spread / 0.1) ** 2)
    assert statistics.paired(values - 0.1, np.zeros(100)).needed is None  # no difference: nothing to settle
    assert statistics.paired([], []).needed is None
    assert math.isnan(statistics.paired([], []).smallest)


def test_as_many_as_would_settle_it_settle_it_four_times_in_five():
    rng = np.random.default_rng(1)
    needed = statistics.Verdict(0.2, 0, 0, 1, 10, spread=1.0).needed
    assert needed == 197  # (2.8016 / .2)^2 = 196.2
    shown = sum(
        statistics.paired(rng.normal(0.2, 1, needed), np.zeros(needed), resamples=400).words == "better"
        for _ in range(200)
    )
    assert 0.70 < shown / 200 < 0.88
