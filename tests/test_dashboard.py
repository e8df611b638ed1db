"""The laboratory's first page at a glance: what to do next in each state, the best runs, what is stale."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import update

from movierec.extensions import writing
from movierec.services import dashboard, serving, training, training_job
from movierec.services.jobs import QueueState
from movierec.tables import Run, SlateRow, Snapshot, User, now

WELL = QueueState("", workers=1)


@pytest.fixture
def site(trainable: Flask):
    with trainable.app_context():
        yield trainable


def trained(engine: str = "quick", **told: object) -> int:
    run_id = training.request(engine, {}, enqueue=False, **told)
    assert training_job.execute(run_id) == "done"
    return run_id


def test_without_data_that_comes_first(app_context: Flask) -> None:
    assert dashboard.board(WELL).next_step == dashboard.DATA


def test_each_state_has_its_next_step(site: Flask) -> None:
    assert dashboard.board(QueueState("gone")).next_step == dashboard.REDIS
    assert dashboard.board(QueueState("")).next_step == dashboard.WORKER
    assert dashboard.board(WELL).next_step == dashboard.TRAIN
    run_id = training.request("quick", {}, enqueue=False)
    assert dashboard.board(WELL).next_step is None  # it is being done
    training_job.execute(run_id)
    assert dashboard.board(WELL).next_step == dashboard.PUT
    serving.put_on_air(run_id, user_id=None, who="ana", why="x", expected_version=0)
    told = dashboard.board(WELL)
    assert told.next_step == dashboard.QUIET
    assert told.changes == [(now().date().isoformat(), run_id, "quick")]
    with writing() as session:
        user = User(name="mina", name_key="mina", password_hash="x")
        session.add(user)
        session.flush()
        session.add(SlateRow(user_id=user.id, run_id=run_id, engine="quick", movie_ids=[1], milliseconds=1.0))
    assert dashboard.board(WELL).next_step is None


def test_the_best_of_each_engine_and_of_each_protocol(site: Flask) -> None:
    by_fame, by_order = trained("popularity"), trained("transitions")
    trained("popularity", split="time")
    board = dashboard.board(WELL)
    assert [line.run.id for line in board.best] == [by_order, by_fame]
    found = {each.protocol.id: each.run.engine for each in board.others}
    assert found["loo-sampled100"] == "transitions"
    assert found["time-full"] == "popularity"
    assert "loo-full" not in found
    assert (board.stale, board.finished) == (0, 3)
    with writing() as session:
        session.execute(update(Snapshot).values(active=False))
    assert dashboard.board(WELL).stale == 3
    with writing() as session:
        session.execute(update(Run).values(removed_at=now()))
    assert dashboard.board(WELL).finished == 0
