"""What a training says of itself: how busy it is, and the lines of its log."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from flask import Flask
from training_kit import row_of, until

from movierec.services import attempt, training, training_job, vitals


def test_a_busy_process_shows_and_an_idle_one_does_not() -> None:
    watch = vitals.Vitals()
    until = time.process_time() + 0.1
    while time.process_time() < until:
        sum(range(1000))
    busy = watch.look()
    assert busy["cpu_share"] > 0.05
    assert busy["memory"] > 10_000_000


def test_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(vitals, "STATM", tmp_path / "none")
    assert vitals.held() is None
    (tmp_path / "none").write_text("odd")
    assert vitals.held() is None


def test_lines_say_phase_and_points_and_have_an_end() -> None:
    log = vitals.Log(1)
    log.phase("training")
    log.point(1, 4, {})
    log.point(2_000, 4_000, {"loss": 6.57249, "ndcg@10": 0.0751, "odd": math.nan})
    said = [line["text"] for line in log.lines]
    assert said == ["training", "step 2,000 of 4,000: loss 6.572, NDCG@10 0.0751, odd not a number"]
    for step in range(vitals.LINES):
        log.point(step, 9, {"loss": 1.0})
    assert len(log.lines) == vitals.LINES


def test_a_training_leaves_its_log(trainable: Flask) -> None:
    with trainable.app_context():
        run_id = training.request("quick", {"steps": 2}, enqueue=False)
        training_job.execute(run_id)
        said = [text for _, text in vitals.tail(run_id, 20)]
        assert said[0] == "training"
        assert said[1] == "step 1 of 2: loss 0.5"
        assert said[-2:] == ["evaluating", "saving"]
        assert [text for _, text in vitals.tail(run_id, 1)] == ["saving"]


def test_signs_of_life_carry_what_the_process_needs(trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(attempt, "BEAT_EVERY", 0.02)
    with trainable.app_context():
        run_id = training.request("quick", {}, enqueue=False)
        held = attempt.claim(trainable, run_id, "a")
    with held:
        run = until(lambda: (row := row_of(trainable, run_id)).cpu_share is not None and row, 20, "a sign of life")
    assert run.memory > 10_000_000
