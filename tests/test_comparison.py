"""Finished runs against each other: what is shown, and each reason for which two are not put side by side."""

from __future__ import annotations

import shutil

import pytest
from flask import Flask
from sqlalchemy import update
from training_kit import VIEWERS

from movierec.extensions import writing
from movierec.services import comparison, training, training_job
from movierec.services.comparison import Side, Verdict
from movierec.services.errors import NotFound, Refused
from movierec.services.runs import metric_rows
from movierec.tables import Run

SHOWN = ("loo-full", "all", "ndcg", 10)


def trained(app: Flask, engine: str = "quick", split: str = "loo", **given: object) -> int:
    with app.app_context():
        run_id = training.request(engine, given, split=split, enqueue=False)
        training_job.execute(run_id)
    return run_id


def compared(app: Flask, *run_ids: int, **how: object) -> comparison.Comparison:
    with app.app_context():
        return comparison.compare(run_ids, **how)


def test_each_run_with_its_interval_and_each_pair_with_its_verdict(trainable: Flask) -> None:
    runs = [trained(trainable, "quick"), trained(trainable, "transitions"), trained(trainable)]
    found = compared(trainable, *runs, runs[0])  # named twice, shown once
    assert [side.run for side in found.sides] == runs
    assert [side.name for side in found.sides] == ["quick #1", "transitions #2", "quick #3"]
    assert all(side.n == VIEWERS and side.low <= side.mean <= side.high for side in found.sides)
    with trainable.app_context():
        stored = [row for row in metric_rows(1) if (row.protocol, row.segment, row.metric, row.k) == SHOWN]
    assert [(row.value, row.low, row.high) for row in stored] == [
        pytest.approx((found.sides[0].mean, found.sides[0].low, found.sides[0].high), rel=1e-6)
    ]
    assert [(v.first.run, v.second.run) for v in found.verdicts] == [(1, 2), (1, 3), (2, 3)]
    same = found.between(3, 1)
    assert (same.difference, same.words, same.clear, same.needed) == (0, "no clear difference", False, None)
    assert same.advice == f"On average over {VIEWERS} viewers the two are equal."
    assert found.between(1, 4711) is None
    # the twins tie at p = 1, the other two pairs mirror each other: p, p and 1 are 3 p, 3 p and 1 by Holm
    other = found.between(1, 2)
    assert other.difference == pytest.approx(found.sides[0].mean - found.sides[1].mean)
    assert other.p < 1
    assert [v.corrected for v in found.verdicts] == pytest.approx([min(1, 3 * other.p), 1, min(1, 3 * other.p)])


@pytest.mark.parametrize(
    ("split", "protocol"), [("loo", "loo-sampled100"), ("time", "time-full"), ("ratio", "ratio-full")]
)
def test_every_protocol_can_be_compared(trainable: Flask, split: str, protocol: str) -> None:
    runs = [trained(trainable, split=split), trained(trainable, "popularity", split, minimum_events=0)]
    found = compared(trainable, *runs, protocol=protocol, metric="hr", k=5)
    assert (found.protocol.id, found.metric, found.k) == (protocol, "hr", 5)
    assert {side.n for side in found.sides} == {VIEWERS}


def test_a_segment_and_what_was_not_measured(trainable: Flask) -> None:
    runs = [trained(trainable), trained(trainable, "popularity", minimum_events=0)]
    tail = compared(trainable, *runs, segment="films:tail")
    assert 0 < tail.verdicts[0].n < VIEWERS
    assert {side.n for side in tail.sides} == {tail.verdicts[0].n}
    nothing = compared(trainable, *runs, metric="diversity")  # the catalogue knows no genres here
    assert {side.n for side in nothing.sides} == {0}
    assert (nothing.verdicts[0].words, nothing.verdicts[0].advice) == ("no clear difference", "")
    for how, said in (
        ({"segment": "genre:Drama"}, r"Nothing was measured for 'genre:Drama'; there are: all, .*films:tail"),
        ({"metric": "auc"}, "Auc@10 was not measured for 'all'; there are: ndcg@5, "),
        ({"protocol": "guess"}, "There is no protocol 'guess'"),
    ):
        with pytest.raises(Refused, match=said):
            compared(trainable, *runs, **how)


def test_how_many_are_compared(trainable: Flask) -> None:
    for runs in ((), (1,), (1, 1), tuple(range(1, 14))):
        with pytest.raises(Refused, match="Name two runs or more, at most 12"):
            compared(trainable, *runs)
    with pytest.raises(NotFound):
        compared(trainable, 1, 2)


def test_runs_of_unlike_splits_or_data_are_refused_with_what_to_do(trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable, split="ratio")
    with pytest.raises(Refused, match=r"quick #2 was trained under the split 'ratio'.*flask train quick --split loo"):
        compared(trainable, first, second)
    third = trained(trainable)
    with trainable.app_context(), writing() as session:
        session.execute(update(Run).where(Run.id == third).values(dataset_sha256="another"))
    with pytest.raises(Refused, match="quick #1 and quick #3 learnt from different data"):
        compared(trainable, first, third)


def test_runs_that_keep_nothing_to_compare_are_refused(trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = trained(trainable), trained(trainable)
    with trainable.app_context():
        waiting = training.request("slow", {}, enqueue=False)
    with pytest.raises(Refused, match="slow #3 has nothing to compare: it is queued"):
        compared(trainable, first, waiting)
    with monkeypatch.context() as patch:
        patch.setattr(comparison.Scorecard, "from_arrays", lambda arrays: (_ for _ in ()).throw(ValueError("old")))
        with pytest.raises(Refused, match=r"judged by another version of movierec \(old\)"):
            compared(trainable, first, second)
    folders = sorted((trainable.config["MODELS_DIR"] / "quick").iterdir())
    kept = next(folders[0].glob("loo-full.npz"))
    content = kept.read_bytes()
    kept.write_bytes(content[:-1] + b"?")
    with pytest.raises(Refused, match=r"can't be used: loo-full\.npz"):
        compared(trainable, first, second)
    kept.write_bytes(content)
    shutil.rmtree(folders[0])
    with pytest.raises(Refused, match="the folder is missing"):
        compared(trainable, first, second)


def test_a_run_that_was_stopped_before_it_was_judged_is_refused(trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)

    def stop(phase: str, *_: object) -> None:
        if phase == "evaluating":
            from movierec.engines.base import Cancelled

            raise Cancelled(keep=True)

    with trainable.app_context():
        third = training.request("quick", {}, enqueue=False)
        assert training_job.execute(third, listen=stop) == "cancelled"
    with pytest.raises(Refused, match=r"quick #3 keeps no values.*before it was judged.*flask train quick --split loo"):
        compared(trainable, first, second, third)


SIDES = Side(1, "a", 0.5, 0.4, 0.6, 100), Side(2, "b", 0.4, 0.3, 0.5, 100)


@pytest.mark.parametrize(
    ("needed", "clear", "said"),
    [
        (1210, False, "100 viewers show differences from .050 on; about 1,210 would settle this one."),
        (90, False, "By its size it would show, but not enough viewers agree"),
        (90, True, ""),
    ],
)
def test_what_would_settle_it(needed: int, clear: bool, said: str) -> None:
    verdict = Verdict(*SIDES, 0.02, -0.01, 0.05, 0.2, 0.4, 100, 0.05, needed, clear, "no clear difference")
    assert verdict.advice.startswith(said)
    assert bool(verdict.advice) == bool(said)
