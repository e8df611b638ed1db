"""Rows, segments and npz of scorecards."""

import io
import math

import numpy as np
import pytest
from artifact_kit import Hostile
from evaluation_kit import SMALL, Scorer, by_number, holdout, mixed, parted

from movierec.artifact_files import refuse_unstorable
from movierec.evaluation import harness
from movierec.evaluation.scorecard import COST, Scorecard

FILMS = harness.Films({3: ("Drama",), 1: ("Drama", "Sci-Fi"), 6: ("War",)}, {3: 1991, 1: 1999, 6: 1950})


def by_key(card):
    return {(row.metric, row.k, row.segment): row for row in card.measures()}


def test_rows_of_a_scorecard():
    card = harness.evaluate(Scorer(by_number(12)), SMALL, timed=2)
    rows = by_key(card)
    hr = rows["hr", 5, "all"]
    assert (hr.protocol, hr.split, hr.n) == ("loo-full", "test", 3)
    assert hr.value == pytest.approx((1 + 1 + 0) / 3)
    assert (hr.low, hr.high) == (0, 1)  # all three resampled alike: 1/27 on the low side, 8/27 on the high side
    half, most = (rows[f"latency_p{share}_ms", 0, "all"] for share in (50, 95))
    assert (half.protocol, half.n, half.split) == (COST, 2, "test")
    assert 0 < half.value <= most.value
    assert math.isnan(half.low)


def test_rows_beyond_accuracy():
    rows = by_key(harness.evaluate(Scorer(by_number(12)), SMALL, films=FILMS, timed=0))
    # Ten of the unseen each; viewer 0 saw 4, 1, 9 of 12, so has nine; viewer 1 all but 2 and 12; viewer 2 1..6, 9..12.
    assert rows["coverage", 10, "all"].value == pytest.approx(12 / 12)
    assert math.isnan(rows["coverage", 10, "all"].low)
    assert rows["diversity", 10, "all"].n == 3
    unknown = by_key(harness.evaluate(Scorer(by_number(12)), SMALL, timed=0))["diversity", 10, "all"]
    assert math.isnan(unknown.value)  # nobody said which genres there are: not measured, never 0
    assert unknown.n == 0
    sampled = by_key(harness.evaluate(Scorer(by_number(12)), SMALL, "loo-sampled100", timed=0))
    assert not {metric for metric, _, _ in sampled} & {"coverage", "gini", "novelty", "percentile", "diversity"}


def test_rows_by_segment():
    rows = by_key(harness.evaluate(Scorer(by_number(12)), SMALL, films=FILMS, timed=0))
    # Targets 3, 1, 6 of viewers 0, 1, 2 stand at ranks 1, 0, 5.
    assert (rows["mrr", 10, "genre:Drama"].value, rows["mrr", 10, "genre:Drama"].n) == ((1 / 2 + 1) / 2, 2)
    assert (rows["mrr", 10, "genre:War"].value, rows["mrr", 10, "genre:War"].n) == (pytest.approx(1 / 6), 1)
    assert rows["mrr", 10, "decade:1990"].n == 2
    assert rows["mrr", 10, "viewers:cold"].value == rows["mrr", 10, "all"].value
    assert {k for _, k, segment in rows if segment != "all"} == {10}


def test_targets_outside_a_segment_are_neither_wanted_nor_in_the_way():
    # Item 1 is best; wanted are 2 (Drama), 3 (War) and 5 (War): in the whole list at places 1, 2 and 4.
    held = parted([[9]], [[2, 3, 5]], 12)
    films = harness.Films({2: ("Drama",), 3: ("War",), 5: ("War",)})
    card = harness.evaluate(Scorer(by_number(12)), held, "ratio-full", films=films, timed=0)
    third, half, fifth = 1 / math.log2(3), 1 / 2, 1 / math.log2(5)
    ideal = 1 + third
    assert card.values["ndcg", 10] == pytest.approx((third + half + 1 / math.log2(6)) / (ideal + half))
    assert card.of("genre:War")["ndcg", 10] == pytest.approx((third + fifth) / ideal)  # 1, 3, 4, 5: places 1 and 3
    assert card.of("genre:War")["recall", 10].tolist() == [1]


def test_a_segment_that_was_not_measured():
    card = harness.evaluate(Scorer(by_number(12)), SMALL, films=FILMS, timed=0)
    for unknown in ("genre:Comedy", "kept:3", "kept:many", "sample:4", ""):
        with pytest.raises(ValueError, match=r"nothing was measured for .*; there are: all, viewers:cold"):
            card.of(unknown)


def test_nobody_to_ask():
    card = harness.evaluate(Scorer(by_number(3)), holdout([1], n_items=3))
    assert {row.n for row in card.measures()} == {0}
    assert all(math.isnan(row.value) for row in card.measures())
    assert repr(Scorecard.from_npz(card.to_npz()).measures()) == repr(card.measures())


@pytest.mark.parametrize("sample", [None, 2])
def test_a_scorecard_survives_its_npz(sample):
    held = holdout(range(1, 13), [20, *range(1, 8)], [3, 2, 9, 4], n_items=30)
    films = harness.Films({12: ("Drama",), 7: ("War", "(no genres listed)")}, {12: 1991})
    card = harness.evaluate(Scorer(mixed(30)), held, films=films, seed=4, sample=sample)
    again = Scorecard.from_npz(card.to_npz())
    assert repr(again.measures()) == repr(card.measures())  # repr: a latency's interval is NaN
    assert (again.holdout, again.seed, again.split, again.sample) == (card.holdout, 4, "test", card.sample)
    assert again.viewer_ids.tolist() == card.viewer_ids.tolist()
    assert again.names() == card.names()
    for name in card.names():
        for key, values in card.of(name).items():
            np.testing.assert_array_equal(again.of(name)[key], values)
    refuse_unstorable("loo-full.npz", card.arrays())


def test_bytes_that_are_no_scorecard(tmp_path):
    card = harness.evaluate(Scorer(by_number(12)), SMALL, timed=0)
    arrays, hostile, single = card.arrays(), io.BytesIO(), io.BytesIO()
    np.savez(hostile, **{**arrays, "seed": np.array(Hostile(tmp_path / "marker"), dtype=object)})
    np.save(single, arrays["seed"])
    for content in (b"", b"nonsense", card.to_npz()[:-30], hostile.getvalue(), single.getvalue()):
        with pytest.raises(ValueError, match=r"not a scorecard|pickle"):
            Scorecard.from_npz(content)
    assert not (tmp_path / "marker").exists()
    hostile.seek(0)
    np.load(hostile, allow_pickle=True)["seed"]  # it would have been, had a pickle been read
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": None}, "'seed' is missing"),
        ({"segment_bits": np.zeros((0, 1))}, "not a scorecard: .*unsigned byte"),
        ({"seed": np.zeros(2)}, "not a scorecard: "),
        ({"bases": np.zeros(2)}, "one place a target"),
        ({"beyond.novelty": np.zeros(2)}, "one value a viewer"),
        ({"owners": np.array([0, 1, 3])}, "a target is nobody's"),
    ],
)
def test_arrays_that_are_no_scorecard(change, said):
    arrays = harness.evaluate(Scorer(by_number(12)), SMALL, timed=0).arrays() | change
    with pytest.raises(ValueError, match=said):
        Scorecard.from_arrays({name: array for name, array in arrays.items() if array is not None})
