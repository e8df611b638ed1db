"""The words of a comparison: each case of who beats whom, from verdicts put together by hand."""

from __future__ import annotations

from itertools import combinations

import pytest

from movierec.evaluation import protocol as protocols
from movierec.services import sentences
from movierec.services.comparison import Comparison, Side, Verdict

NAN = float("nan")


def put(means: list[float], clear: set[tuple[int, int]], *, n: int = 600, needed: int | None = 2400) -> Comparison:
    """Runs 0, 1, ... of engine "e" with these means; `clear` are the pairs (better, worse) with a verdict."""
    sides = [Side(run, "e", mean, mean - 0.01, mean + 0.01, n) for run, mean in enumerate(means)]
    verdicts = []
    for a, b in combinations(sides, 2):
        difference = a.mean - b.mean
        sure = (a.run, b.run) in clear or (b.run, a.run) in clear
        facts = (difference, difference - 0.005, difference + 0.005, 0.01, 0.02, n, 0.018, needed, sure, "")
        verdicts.append(Verdict(a, b, *facts))
    return Comparison("ndcg", 10, protocols.get(protocols.DEFAULT), "all", sides, verdicts)


def claims(found: Comparison) -> list[str]:
    return [claim for claim, _ in sentences.argument(found).claims]


@pytest.mark.parametrize(
    ("means", "clear", "told"),
    [
        ([0.08, 0.06], {(0, 1)}, ["e #0 beats e #1 by .020 [.015, .025]."]),
        ([0.06, 0.08], {(1, 0)}, ["e #1 beats e #0 by .020 [.015, .025]."]),
        ([0.08, 0.07], set(), ["Between e #0 and e #1 there is no clear difference."]),
        (
            [0.08, 0.07, 0.02],
            {(0, 2), (1, 2)},
            ["Between e #0 and e #1 there is no clear difference.", "Both others beat e #2."],
        ),
        (
            [0.08, 0.07, 0.06],
            {(0, 2)},
            ["e #0 beats e #2 by .020 [.015, .025].", "Between e #0 and e #1 there is no clear difference."],
        ),
        (
            [0.09, 0.08, 0.06],
            {(1, 2)},
            ["e #1 beats e #2 by .020 [.015, .025].", "e #0 is not clearly better than e #1 and e #2."],
        ),
        (
            [0.08, 0.05, 0.02],
            {(0, 1), (0, 2), (1, 2)},
            ["e #0 beats e #1 by .030 [.025, .035].", "Both others beat e #2."],
        ),
        (
            [0.08, NAN, 0.06],
            {(0, 2)},
            ["e #0 beats e #2 by .020 [.015, .025].", "e #1 was not measured here."],
        ),
        (
            [0.08, NAN],
            set(),
            [
                "Fewer than two of these runs have a number here, so there is nothing to compare.",
                "e #1 was not measured here.",
            ],
        ),
    ],
)  # fmt: skip
def test_who_beats_whom(means: list[float], clear: set[tuple[int, int]], told: list[str]) -> None:
    assert claims(put(means, clear)) == told


def test_only_what_is_sure_is_strong() -> None:
    strong = [sure for _, sure in sentences.argument(put([0.08, 0.07, 0.02], {(0, 2), (1, 2)})).claims]
    assert strong == [False, True]


def test_how_many_viewers_would_settle_it() -> None:
    pair, several = sentences.argument(put([0.08, 0.07], set())), sentences.argument(put([0.08, 0.07, 0.06], set()))
    assert pair.advice == [
        "600 viewers, each met by both runs of a pair.",
        "For e #0 and e #1 this data would show a true difference of about .018 four times in five; the one seen is "
        ".010. About 2,400 viewers would settle it.",
    ]
    assert "corrected by Holm over 3 pairs (those of this link)" in several.advice[0]
    assert sentences.argument(put([0.08, 0.06], {(0, 1)})).advice == pair.advice[:1]
    assert sentences.argument(put([0.08, 0.08], set(), needed=None)).advice[1] == "e #0 and e #1 are equal on average."
    assert "not enough viewers agree" in sentences.argument(put([0.08, 0.06], set(), needed=300)).advice[1]
    assert sentences.argument(put([NAN, NAN], set(), n=0)).advice == []
