"""The evidence before a run goes on air: for, against, unclear, missing; and which segments lose."""

from __future__ import annotations

import math

import pytest
from flask import Flask
from sqlalchemy import update

from movierec.evaluation.statistics import Verdict
from movierec.extensions import writing
from movierec.services import gate, runs, serving, training, training_job
from movierec.services.errors import Conflict, NotFound, Refused
from movierec.tables import MetricRow, Run


@pytest.fixture
def site(trainable: Flask):
    with trainable.app_context():
        yield trainable


def trained(engine: str) -> int:
    run_id = training.request(engine, {}, enqueue=False)
    assert training_job.execute(run_id) == "done"
    return run_id


def put(run_id: int, version: int, *, knowing: bool = False) -> int:
    told = {"user_id": None, "who": "ana", "why": "because", "expected_version": version, "knowing": knowing}
    return gate.put_on_air(run_id, **told).version


def test_on_a_chain_order_beats_fame_and_the_gate_knows(site: Flask) -> None:
    by_order, by_fame = trained("transitions"), trained("popularity")
    alone = gate.evidence(by_order)
    assert (alone.stance, alone.against, alone.current) == (gate.FIRST, False, None)
    put(by_order, 0)
    known = gate.evidence(by_fame)
    assert (known.stance, known.against, known.version) == (gate.AGAINST, True, 1)
    assert known.sentence.startswith(f"popularity #{by_fame} does worse than transitions #{by_order} by .")
    ndcg, hit_rate = known.figures[:2]
    assert (ndcg.label, hit_rate.label) == ("NDCG@10", "Hit rate@10")
    assert ndcg.difference == pytest.approx(ndcg.mine - ndcg.theirs)
    assert ndcg.low <= ndcg.difference <= ndcg.high < 0
    assert {figure.kind for figure in known.figures} >= {"metric", "points", "ms"}
    assert known.losing
    assert not known.gaining
    assert all(verdict.high < 0 and verdict.n >= gate.SMALLEST_SEGMENT for _, verdict in known.losing)
    with pytest.raises(gate.AgainstTheEvidence, match="does worse than"):
        put(by_fame, 1)
    assert serving.on_air().run_id == by_order
    assert put(by_fame, 1, knowing=True) == 2
    assert serving.changes()[0].known == known.sentence
    back = gate.evidence(by_order)
    assert (back.stance, back.against) == (gate.FOR, False)
    assert "does better than" in back.sentence
    offered = gate.candidates()
    assert [(each.line.run.id, each.words) for each in offered] == [(by_order, "better")]
    assert offered[0].verdict.difference == pytest.approx(-ndcg.difference)
    gate.roll_back(user_id=None, who="ana", why="back", expected_version=2)
    assert "does better than" in serving.changes()[0].known


def test_who_saw_another_state_hears_of_the_change_first(site: Flask) -> None:
    by_order, by_fame = trained("transitions"), trained("popularity")
    put(by_order, 0)
    with pytest.raises(Conflict, match="meanwhile"):
        put(by_fame, 0)


def test_what_was_never_judged_has_no_evidence(site: Flask) -> None:
    run_id, other = trained("popularity"), trained("transitions")
    with writing() as session:
        session.execute(update(MetricRow).where(MetricRow.run_id == run_id).values(value=None))
    known = gate.evidence(run_id)
    assert (known.stance, known.against) == (gate.MISSING, True)
    assert "was never judged" in known.sentence
    put(other, 0)
    with writing() as session:
        session.execute(update(Run).where(Run.id == run_id).values(split="time"))
    missing = gate.evidence(run_id)
    assert missing.stance == gate.MISSING
    assert "There is no verdict against transitions" in missing.sentence
    with writing() as session:
        session.execute(update(Run).where(Run.id == run_id).values(artifact=None))
    with pytest.raises(Refused, match="no artefact"):
        gate.evidence(run_id)
    with pytest.raises(NotFound):
        gate.evidence(4711)
    with pytest.raises(Conflict, match="nothing to go back to"):
        gate.roll_back(user_id=None, who="ana", why="x", expected_version=1)


def test_a_damaged_artefact_is_a_missing_verdict(site: Flask) -> None:
    by_order, by_fame = trained("transitions"), trained("popularity")
    put(by_order, 0)
    run = runs.get(by_fame)
    scorecard = site.config["MODELS_DIR"] / run.engine / run.artifact / "loo-full.npz"
    scorecard.write_bytes(scorecard.read_bytes()[:-10])
    known = gate.evidence(by_fame)
    assert known.stance == gate.MISSING
    assert "can't be used" in known.sentence


@pytest.mark.parametrize(
    ("low", "high", "p", "corrected", "stance"),
    [
        (-0.03, -0.01, 0.01, 0.2, gate.AGAINST),  # a warning needs no correction
        (0.01, 0.03, 0.01, 0.2, gate.UNCLEAR),  # a promise does
        (0.01, 0.03, 0.01, 0.04, gate.FOR),
        (-0.01, 0.03, 0.01, None, gate.UNCLEAR),
        (math.nan, math.nan, math.nan, None, gate.UNCLEAR),
    ],
)
def test_a_warning_is_cheap_and_a_promise_is_not(low, high, p, corrected, stance) -> None:
    verdict = Verdict((low + high) / 2, low, high, p, 100, corrected)
    found, sentence = gate._stance(verdict, "a #1", "b #2")
    assert found == stance
    if stance == gate.AGAINST:
        assert sentence == "a #1 does worse than b #2 by .020 [.010, .030]."
    if stance == gate.UNCLEAR and low == -0.01:
        assert sentence == "No clear difference between a #1 and b #2: +.010 [\u2212.010, +.030]."


def test_segments_have_plain_names() -> None:
    assert [gate.segment_words(name) for name in ("films:head", "viewers:cold", "genre:Drama")] == [
        "head films",
        "cold viewers",
        "Drama",
    ]
