"""Rows, segments, npz and comparisons of scorecards."""

import io
import math

import numpy as np
import pytest
from artifact_kit import Hostile
from evaluation_kit import SMALL, Scorer, by_number, holdout, mixed

from movierec.evaluation import harness
from movierec.evaluation.scorecard import COST


def test_rows_of_a_scorecard():
    card = harness.evaluate(Scorer(by_number(12)), SMALL, timed=2)
    rows = {(row.metric, row.k, row.segment): row for row in card.measures()}
    hr = rows["hr", 5, "all"]
    assert (hr.protocol, hr.split, hr.n) == ("loo-full", "test", 3)
    assert hr.value == pytest.approx((1 + 1 + 0) / 3)
    assert (hr.low, hr.high) == (0, 1)  # all three resampled alike: 1/27 on the low side, 8/27 on the high side
    half, most = (rows[f"latency_p{share}_ms", 0, "all"] for share in (50, 95))
    assert (half.protocol, half.n, half.split) == (COST, 2, "test")
    assert 0 < half.value <= most.value
    assert math.isnan(half.low)


def test_rows_by_segment_and_an_empty_one():
    card = harness.evaluate(Scorer(by_number(12)), SMALL, timed=0)
    masks = {"cold": np.array([False, True, False]), "none": np.zeros(3, dtype=bool)}
    rows = {(row.metric, row.k, row.segment): row for row in card.measures(masks)}
    assert (rows["mrr", 10, "cold"].value, rows["mrr", 10, "cold"].n) == (1.0, 1)
    assert math.isnan(rows["mrr", 10, "none"].value)
    assert rows["mrr", 10, "none"].n == 0
    assert not any(row.protocol == COST for row in card.measures(masks))  # nothing was timed


def test_nobody_to_ask():
    card = harness.evaluate(Scorer(by_number(3)), holdout([1], n_items=3))
    assert {row.n for row in card.measures()} == {0}


def test_a_scorecard_survives_its_npz():
    card = harness.evaluate(Scorer(mixed(12)), SMALL, seed=4)
    again = harness.Scorecard.from_npz(card.to_npz())
    assert repr(again.measures()) == repr(card.measures())  # repr: a latency's interval is NaN
    assert (again.holdout, again.seed, again.split) == (card.holdout, 4, "test")
    assert again.viewer_ids.tolist() == card.viewer_ids.tolist()


def test_bytes_that_are_no_scorecard(tmp_path):
    card = harness.evaluate(Scorer(by_number(12)), SMALL, timed=0)
    arrays, hostile, single = card.arrays(), io.BytesIO(), io.BytesIO()
    np.savez(hostile, **{**arrays, "seed": np.array(Hostile(tmp_path / "marker"), dtype=object)})
    np.save(single, arrays["seed"])
    short = harness.Scorecard(card.protocol, card.holdout, card.viewer_ids[:2], card.values, card.latency_ms).to_npz()
    for content in (b"", b"nonsense", card.to_npz()[:-30], hostile.getvalue(), short, single.getvalue()):
        with pytest.raises(ValueError, match=r"not a scorecard|pickle"):
            harness.Scorecard.from_npz(content)
    with pytest.raises(ValueError, match="'seed' is missing"):
        harness.Scorecard.from_arrays({name: array for name, array in arrays.items() if name != "seed"})
    assert not (tmp_path / "marker").exists()
    hostile.seek(0)
    np.load(hostile, allow_pickle=True)["seed"]  # it would have been, had a pickle been read
    assert (tmp_path / "marker").exists()


def test_two_runs_are_compared_viewer_by_viewer():
    good = Scorer(lambda history: np.arange(13) == {3: 3, 1: 1, 2: 6}[len(history)])  # knows the targets
    a, b = (harness.evaluate(engine, SMALL) for engine in (good, Scorer(by_number(12))))
    verdict = harness.compare(a, b, "mrr", 10)
    assert verdict.difference == pytest.approx(((1 - 1 / 2) + 0 + (1 - 1 / 6)) / 3)
    assert verdict.n == 3
    assert harness.compare(a, a, "mrr", 10).words == "no clear difference"


def test_unlike_scorecards_are_never_compared():
    a = harness.evaluate(Scorer(by_number(12)), SMALL)
    with pytest.raises(ValueError, match=r"loo-full .* and loo-sampled100"):
        harness.compare(a, harness.evaluate(Scorer(by_number(12)), SMALL, "loo-sampled100"), "hr", 10)
    other = holdout([4, 1, 9, 3], [2, 1], [8, 7, 5], [5], n_items=12)
    with pytest.raises(ValueError, match="different data"):
        harness.compare(a, harness.evaluate(Scorer(by_number(12)), other), "hr", 10)
