"""`flask compare`: what people read and what machines get."""

from __future__ import annotations

import json

import pytest
from click.testing import Result
from flask import Flask


@pytest.fixture
def flask(trainable: Flask):
    def call(*words: str) -> Result:
        return trainable.test_cli_runner().invoke(args=list(words))

    return call


def test_a_table_and_a_verdict_for_each_pair(flask) -> None:
    for words in (("quick",), ("popularity", "--set", "minimum_events=0")):
        assert flask("train", *words).exit_code == 0
    told = flask("compare", "1", "2", "--metric", "hr", "--k", "5")
    assert told.exit_code == 0, told.output
    assert "hr@5 under loo-full, all" in told.output
    assert "quick #1" in told.output
    assert "quick #1 against popularity #2: " in told.output
    assert "Holm over 1" in told.output
    assert "not measured" in flask("compare", "1", "2", "--metric", "diversity").output


def test_the_same_for_machines(flask) -> None:
    for _ in range(2):
        flask("train", "quick")
    found = json.loads(flask("compare", "2", "1", "--segment", "films:tail", "--json").stdout)
    assert {name: found[name] for name in ("metric", "k", "protocol", "segment")} == {
        "metric": "ndcg",
        "k": 10,
        "protocol": "loo-full",
        "segment": "films:tail",
    }
    assert [run["run"] for run in found["runs"]] == [2, 1]
    (pair,) = found["pairs"]
    assert (pair["first"], pair["second"], pair["difference"], pair["words"]) == (2, 1, 0, "no clear difference")
    assert "the two are equal" in pair["advice"]
    nothing = json.loads(flask("compare", "1", "2", "--metric", "diversity", "--json").stdout)
    assert nothing["runs"][0] == {"run": 1, "engine": "quick", "mean": None, "low": None, "high": None, "n": 0}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 2, "Missing argument"),
        (("1",), 1, "Name two runs or more"),
        (("1", "2"), 1, "There is no such run"),
        (("1", "2", "--protocol", "guess"), 1, "There is no protocol 'guess'"),
        (("0", "2"), 2, "is not in the range"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(flask, words: tuple[str, ...], status: int, said: str) -> None:
    done = flask("compare", *words)
    assert done.exit_code == status
    assert said in done.output
    assert "Traceback" not in done.output
