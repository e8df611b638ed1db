"""Who is asked, and where several targets of a viewer stand: by score and by list."""

import numpy as np
import pytest
from evaluation_kit import Listed, Scorer, by_number, parted
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec.dataset import Targets
from movierec.engines.base import Pick
from movierec.evaluation import asking
from movierec.evaluation.asking import Asked, Question


def targets(*pairs):
    return Targets(*(np.array(column, dtype=np.int32) for column in zip(*pairs, strict=True)))


def test_targets_are_gathered_by_viewer():
    asked = Asked.of(targets((2, 7), (2, 9), (5, 1), (8, 3), (8, 2), (8, 4)))
    assert asked.viewers.tolist() == [2, 5, 8]
    assert asked.offsets.tolist() == [0, 2, 3, 6]
    assert asked.owners.tolist() == [0, 0, 1, 2, 2, 2]
    some = asked.only(np.array([0, 2]))
    assert (some.viewers.tolist(), some.offsets.tolist()) == ([2, 8], [0, 2, 5])
    assert (some.items.tolist(), some.rows.tolist()) == ([7, 9, 3, 2, 4], [0, 1, 3, 4, 5])
    assert len(asked.only(np.array([], dtype=int))) == 0


def test_a_sample_is_some_of_them_and_the_seed_decides():
    asked = Asked.of(targets(*((viewer, 1) for viewer in range(50))))
    assert asked.sample(50, 1) is asked
    first, again, other = (asked.sample(9, seed).viewers.tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert first == sorted(set(first))
    assert len(first) == 9


def test_siblings_are_not_in_each_others_way():
    # Item 1 is best; 3 was seen. Above 2 stands 1, above 5 stand 1 and 4 (2 is a sibling), above 9 also 6, 7, 8.
    held = parted([[3]], [[9, 2, 5]], 9)
    found = asking.answers(Scorer(by_number(9)), Question(held.test_history, Asked.of(held.test), listed=4))
    assert found.bases.tolist() == [5, 1, 2]
    assert found.lists.tolist() == [[1, 2, 4, 5]]  # what is wanted is in the list, what was seen is not


def test_a_list_shorter_than_wanted_is_filled_with_nothing():
    held = parted([[3]], [[9, 2, 5]], 9)
    engine = Listed(lambda history, k, out: [Pick(2, 1.0), Pick(8, 0.5), Pick(9, 0.1)])
    found = asking.answers(engine, Question(held.test_history, Asked.of(held.test), listed=4))
    assert found.bases.tolist() == [1, 0, np.inf]  # above 9: 8, for 2 is a sibling
    assert found.lists.tolist() == [[2, 8, 9, 0]]
    few = parted([range(1, 8)], [[8]], 9)
    found = asking.answers(Scorer(by_number(9)), Question(few.test_history, Asked.of(few.test), listed=4))
    assert found.lists.tolist() == [[8, 9, 0, 0]]


def test_a_shortened_history_hides_nothing_from_the_judge():
    held, heard = parted([[3, 1, 6]], [[2]], 9), []

    def answer(history, k, out):
        heard.append((history.items.tolist(), out.tolist()))
        return [Pick(2, 1.0)]

    question = Question(held.test_history, Asked.of(held.test), kept=1)
    assert asking.answers(Listed(answer), question).bases.tolist() == [0]
    assert heard == [([6], [3, 1, 6])]
    assert asking.answers(Scorer(by_number(9)), question).bases.tolist() == [0]  # 1 would be better, but was seen


@given(
    st.lists(st.lists(st.integers(1, 12), unique=True, min_size=1, max_size=11), min_size=1, max_size=5),
    st.integers(1, 9),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_every_base_is_that_of_plain_counting(histories, levels, seed):
    rng = np.random.default_rng(seed)
    cuts = [rng.integers(0, len(whole)) for whole in histories]
    known = [whole[:cut] for whole, cut in zip(histories, cuts, strict=True)]
    wanted = [whole[cut:] for whole, cut in zip(histories, cuts, strict=True)]
    kept = [viewer for viewer, seen in enumerate(known) if seen]  # a data set has no viewers without events
    if not kept:
        return
    known, wanted = [known[v] for v in kept], [wanted[v] for v in kept]
    held = parted(known, wanted, 12)
    row = rng.integers(0, levels, 13)
    bases = asking.answers(Scorer(lambda history: row), Question(held.test_history, Asked.of(held.test))).bases
    expected = []
    for seen, goals in zip(known, wanted, strict=True):
        others = set(range(1, 13)) - set(seen) - set(goals)
        expected += [sum(row[i] > row[g] for i in others) + sum(row[i] == row[g] for i in others) / 2 for g in goals]
    assert bases.tolist() == pytest.approx(expected)
