"""Scorecards against each other: the same questions, viewer by viewer."""

import numpy as np
import pytest
from evaluation_kit import SMALL, Scorer, by_number, holdout, mixed

from movierec.evaluation import harness, pairs

MANY = holdout(*[[i, i + 1, i + 2] for i in range(1, 300, 2)], n_items=400)


def knowing(share):
    """Puts the target first for a share of the viewers; the target is always the number after the last."""

    def score(history):
        row = -np.arange(401.0)
        if history.items[-1] % 100 < share * 100:
            row[history.items[-1] + 1] = 1
        return row

    return Scorer(score)


def cards(*shares):
    return [harness.evaluate(knowing(share), MANY, timed=0) for share in shares]


def test_two_runs_are_compared_viewer_by_viewer():
    good = Scorer(lambda history: np.arange(13) == {3: 3, 1: 1, 2: 6}[len(history)])  # knows the targets
    a, b = (harness.evaluate(engine, SMALL) for engine in (good, Scorer(by_number(12))))
    verdict = harness.compare(a, b, "mrr", 10)
    assert verdict.difference == pytest.approx(((1 - 1 / 2) + 0 + (1 - 1 / 6)) / 3)
    assert verdict.n == 3
    assert harness.compare(a, a, "mrr", 10).words == "no clear difference"


def test_the_better_one_is_found_either_way_and_near_ones_are_not_told_apart():
    best, middle, near = cards(0.9, 0.5, 0.48)
    words = [pairs.compare(a, b, "hr", 10).words for a, b in ((best, middle), (middle, best), (middle, near))]
    assert words == ["better", "worse", "no clear difference"]


def test_one_segment_can_be_compared():
    a, b = cards(0.9, 0.5)
    assert pairs.compare(a, b, "hr", 10, "films:tail").n == int(a.segments["films:tail"].sum())
    with pytest.raises(ValueError, match="nothing was measured for 'genre:Drama'"):
        pairs.compare(a, b, "hr", 10, "genre:Drama")
    with pytest.raises(ValueError, match=r"hr@20 was not measured for 'films:tail'; there are: ndcg@10, hr@10, mrr@10"):
        pairs.compare(a, b, "hr", 20, "films:tail")


def test_an_engine_judged_on_a_sample_is_compared_on_that_sample():
    whole = cards(0.5)[0]
    part = harness.evaluate(knowing(0.9), MANY, sample=40, timed=0)
    verdict = pairs.compare(part, whole, "hr", 10)
    places = np.searchsorted(whole.viewer_ids, part.viewer_ids)
    assert verdict.n == 40
    assert verdict.difference == pytest.approx((part.values["hr", 10] - whole.values["hr", 10][places]).mean())


def test_unlike_scorecards_are_never_compared():
    a = harness.evaluate(Scorer(by_number(12)), SMALL)
    with pytest.raises(ValueError, match=r"loo-full .* and loo-sampled100"):
        harness.compare(a, harness.evaluate(Scorer(by_number(12)), SMALL, "loo-sampled100"), "hr", 10)
    other = holdout([4, 1, 9, 3], [2, 1], [8, 7, 5], [5], n_items=12)
    with pytest.raises(ValueError, match="different data"):
        harness.compare(a, harness.evaluate(Scorer(mixed(12)), other), "hr", 10)
