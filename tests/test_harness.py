"""The judge against a slow, plain judge, and every way in which an engine can give what is no answer."""

import math
import time

import numpy as np
import pytest
from evaluation_kit import SMALL, Listed, Scorer, by_number, dataset, holdout, mixed, parted
from hypothesis import given, settings
from hypothesis import strategies as st

from movierec.dataset import Holdout, ItemIndex, Targets
from movierec.engines.base import BadState, Cancelled, Pick
from movierec.evaluation import asking, harness, metrics, protocol


def plain_rank(scores, target, among):
    others = [item for item in among if item != target]
    return sum(scores[i] > scores[target] for i in others) + sum(scores[i] == scores[target] for i in others) / 2


def test_ranks_by_hand():
    # Item 1 is best. Viewer 0 saw 4, 1, 9: before target 3 stands only 2 -> rank 1. Viewer 1 saw 2: target 1 -> rank 0.
    # Viewer 2 saw 8, 7: before target 6 stand 1..5 -> rank 5. Viewer 3 has one event and is not asked.
    card = harness.evaluate(Scorer(by_number(12)), SMALL)
    assert card.viewer_ids.tolist() == [5, 15, 25]
    np.testing.assert_allclose(card.values["ndcg", 10], [1 / math.log2(3), 1, 1 / math.log2(7)])
    np.testing.assert_allclose(card.values["mrr", 10], [1 / 2, 1, 1 / 6])
    assert card.values["hr", 5].tolist() == [1, 1, 0]
    assert card.values["hr", 10].tolist() == [1, 1, 1]
    assert card.protocol == "loo-full"


def test_a_constant_engine_gets_the_middle_of_what_is_left():
    card = harness.evaluate(Scorer(lambda history: np.zeros(13)), SMALL)
    # 12 items less 3, 1 and 2 seen leave 9, 11, 10 candidates; the target ties with 8, 10, 9 others.
    np.testing.assert_allclose(card.values["mrr", 20], [1 / (1 + 8 / 2), 1 / (1 + 10 / 2), 1 / (1 + 9 / 2)])


HISTORIES = st.lists(st.lists(st.integers(1, 12), unique=True, min_size=2, max_size=10), min_size=1, max_size=6)


@given(HISTORIES, st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_every_rank_is_that_of_the_plain_judge(histories, levels):
    data = dataset(*histories, n_items=12)
    held, engine = protocol.split_loo(data), Scorer(mixed(12, levels))
    card = harness.evaluate(engine, held)
    for row, whole in enumerate(histories):
        history = held.test_history.history(row)
        unseen = set(range(1, 13)) - set(whole[:-1])
        rank = plain_rank(engine.score(history), whole[-1], unseen)
        assert card.values["mrr", 20][row] == pytest.approx(1 / (rank + 1))


def test_sampled_candidates_only():
    many = holdout(*[[i, i + 1, i + 2] for i in range(1, 300, 7)], n_items=400)
    engine = Scorer(mixed(400, 50))
    card = harness.evaluate(engine, many, "loo-sampled100")
    drawn = protocol.get("loo-sampled100").candidates(many)
    ranks = [
        plain_rank(engine.score(many.test_history.history(int(viewer))), target, row)
        for row, viewer, target in zip(drawn, many.test.viewers, many.test.items, strict=True)
    ]
    np.testing.assert_allclose(card.values["mrr", 20], [1 / (r + 1) if r < 20 else 0 for r in ranks])
    assert np.mean(card.values["hr", 10]) > np.mean(harness.evaluate(engine, many).values["hr", 10])  # it is easier


def test_sampled_from_a_small_catalogue_is_the_full_ranking():
    full, sampled = (harness.evaluate(Scorer(mixed(12)), SMALL, how.id) for how in protocol.of_split("loo"))
    np.testing.assert_array_equal(full.values["ndcg", 20], sampled.values["ndcg", 20])


@pytest.mark.parametrize("name", protocol.PROTOCOLS)
def test_a_list_ranks_as_its_scores_do(name):
    data = dataset(*[range(i, i + 17) for i in range(1, 100, 7)], n_items=250)
    many = protocol.split(data, name)
    if many.split == "time":  # all in one second: there is no cut
        many = parted(
            [range(i, i + 9) for i in range(1, 100, 7)], [(i + 9, i + 80) for i in range(1, 100, 7)], 250, "time"
        )
    score = Scorer(lambda history: (np.arange(251) * 89 + len(history)) % 251)  # 89 and 251 are primes: no ties
    listed = Listed(lambda history, k, out: score.recommend([history], k, None if out is None else [out])[0])
    cards = [harness.evaluate(engine, many, name) for engine in (score, listed)]
    assert cards[0].names() == cards[1].names()
    for segment in cards[0].names():
        for key, values in cards[0].of(segment).items():
            np.testing.assert_array_equal(values, cards[1].of(segment)[key], err_msg=f"{segment} {key}")
    assert cards[0].overall == cards[1].overall


def test_beyond_the_list_is_a_miss():
    card = harness.evaluate(Listed(lambda history, k, out: [Pick(12, 1.0)]), SMALL)
    accuracy = [values.tolist() for (name, _), values in card.values.items() if name in metrics.METRICS]
    assert accuracy == [[0, 0, 0]] * 9


def test_batches_are_bounded_and_change_nothing(monkeypatch):
    many = holdout(*[[i % 12 + 1, (i + 1) % 12 + 1, (i + 5) % 12 + 1] for i in range(30)], n_items=12)
    whole = harness.evaluate(Scorer(mixed(12)), many, timed=0)
    monkeypatch.setattr(asking, "CELLS", 5 * 13 + 4)  # five viewers' scores and a bit
    engine, heard = Scorer(mixed(12)), []
    parts = harness.evaluate(engine, many, timed=0, progress=lambda done, total: heard.append((done, total)))
    assert engine.asked == [5] * 6
    assert heard == [(done, 30) for done in (5, 10, 15, 20, 25, 30)]
    np.testing.assert_array_equal(whole.values["ndcg", 10], parts.values["ndcg", 10])


def test_a_person_can_stop_it():
    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        harness.evaluate(Scorer(by_number(12)), SMALL, progress=stop)


def with_bad(value):
    def score(history):
        row = np.zeros(13)
        row[7] = value
        return row

    return score


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("ask", [harness.evaluate, lambda engine, held: harness.validator(held)(engine)])
def test_a_score_that_is_no_number_is_an_error_and_no_zero(value, ask):
    with pytest.raises(BadState, match="Scorer gave a score that is not a finite number"):
        ask(Scorer(with_bad(value)), SMALL)


def test_padding_may_score_anything():
    harness.evaluate(Scorer(lambda history: np.append(np.nan, np.zeros(12))), SMALL, timed=0)


def test_scores_of_another_shape_are_refused():
    with pytest.raises(BadState, match=r"shape \(3, 12\), not \(3, 13\)"):
        harness.evaluate(Scorer(lambda history: np.zeros(12)), SMALL)


def test_an_engine_of_another_catalogue_is_refused():
    with pytest.raises(BadState, match="another catalogue"):
        harness.evaluate(Scorer(by_number(12), ItemIndex(np.arange(2, 14))), SMALL)


@pytest.mark.parametrize(
    ("items", "score", "match"),
    [
        ([1, 1], 0.5, "repeats"),
        (range(1, 102), 0.5, "more films than asked"),
        ([0], 0.5, "unknown, seen or excluded"),
        ([201], 0.5, "unknown, seen or excluded"),
        ([4], 0.5, "unknown, seen or excluded"),
        ([5], np.nan, "finite"),
    ],
)
def test_a_list_against_the_contract_is_refused(items, score, match):
    held = holdout([4, 150, 151], n_items=200)
    with pytest.raises(BadState, match=match):
        harness.evaluate(Listed(lambda history, k, out: [Pick(item, score) for item in items]), held)


def test_a_list_with_what_was_excluded_is_refused():
    held = holdout([4, 150, 151], n_items=200)
    drawn = protocol.get("loo-sampled100").candidates(held)
    other = next(item for item in range(1, 150) if item not in drawn and item != 4)
    with pytest.raises(BadState, match="excluded"):
        harness.evaluate(Listed(lambda history, k, out: [Pick(other, 1.0)]), held, "loo-sampled100")


def test_too_few_lists_are_refused():
    engine = Listed(None)
    engine.recommend = lambda histories, k, exclude=None: []
    with pytest.raises(BadState, match="0 lists for 3 viewers"):
        harness.evaluate(engine, SMALL)


def test_what_the_protocol_cannot_judge_is_refused():
    with pytest.raises(protocol.UnknownProtocol):
        harness.evaluate(Scorer(by_number(12)), SMALL, "loo-tiny")
    other = Holdout("time", SMALL.train, SMALL.validation, SMALL.test_history, SMALL.test)
    with pytest.raises(ValueError, match="loo-full needs the split 'loo', this holdout is 'time'"):
        harness.evaluate(Scorer(by_number(12)), other)
    several = Targets(np.array([0, 0], dtype=np.int32), np.array([3, 2], dtype=np.int32))
    with pytest.raises(ValueError, match="one target a viewer"):
        harness.evaluate(
            Scorer(by_number(12)),
            Holdout("loo", SMALL.train, SMALL.validation, SMALL.test_history, several),
            "loo-sampled100",
        )


def test_the_validator_asks_validation_targets_with_the_train_history():
    # Viewer 0 saw 4, 1: before target 9 stand 2, 3, 5, 6, 7, 8 -> rank 6. Viewer 2 saw 8: before 7 stand 1..6 -> 6.
    measured = harness.validator(SMALL)(Scorer(by_number(12)))
    assert measured == {"ndcg@10": pytest.approx(1 / math.log2(8)), "hr@10": 1.0, "hr@20": 1.0}


def test_nobody_sees_the_future():
    engine, heard = Scorer(by_number(12)), []
    engine.score = lambda history: heard.append(history.items.tolist()) or np.zeros(13)
    harness.validator(SMALL)(engine)
    assert heard == [[4, 1], [8]]  # train only: neither the validation target nor what came after it
    heard.clear()
    harness.evaluate(engine, SMALL, timed=0)
    assert heard == [[4, 1, 9], [2], [8, 7]]  # train and validation


def test_the_validator_bounds_what_it_asks():
    many = holdout(*[[i % 12 + 1, (i + 1) % 12 + 1, (i + 5) % 12 + 1] for i in range(30)], n_items=12)
    engine = Scorer(by_number(12))
    validate = harness.validator(many, at_most=7)
    assert validate(engine) == validate(engine)
    assert engine.asked == [7, 7]


def test_the_validator_without_targets_is_nan():
    measured = harness.validator(holdout([1, 2], n_items=3))(Scorer(by_number(3)))
    assert all(math.isnan(value) for value in measured.values())
    assert list(measured) == ["ndcg@10", "hr@10", "hr@20"]


def test_several_targets_by_hand():
    # Item 1 is best. Viewer 0 saw 1 and wants 2, 3, 9: unseen in order 2, 3, 4, ... so places 0, 1, 7.
    # Viewer 1 saw 2 and 4 and wants 12: before it stand 1, 3, 5..11, nine films.
    held = parted([[1], [2, 4]], [[2, 3, 9], [12]], 12)
    card = harness.evaluate(Scorer(by_number(12)), held, "ratio-full", timed=0)
    best = 1 + 1 / math.log2(3)
    np.testing.assert_allclose(card.values["ndcg", 5], [best / (best + 1 / 2), 0])
    np.testing.assert_allclose(card.values["ndcg", 10], [(best + 1 / math.log2(9)) / (best + 1 / 2), 1 / math.log2(11)])
    np.testing.assert_allclose(card.values["recall", 5], [2 / 3, 0])
    np.testing.assert_allclose(card.values["recall", 10], [1, 1])
    np.testing.assert_allclose(card.values["mrr", 10], [1, 1 / 10])
    assert card.values["hr", 5].tolist() == [1, 0]


def test_recall_is_measured_where_there_may_be_several():
    names = {how.id: {name for name, _ in card_of(how)} & set(metrics.SEVERAL) for how in protocol.PROTOCOLS.values()}
    assert {name for name, found in names.items() if "recall" in found} == {"time-full", "ratio-full"}


def card_of(how):
    held = Holdout(how.split, SMALL.train, SMALL.validation, SMALL.test_history, SMALL.test)
    return harness.evaluate(Scorer(by_number(12)), held, how.id, timed=0).values


def test_the_validator_with_several_targets():
    # Viewer 0 saw 4 and wants 1 and 8: places 0 and 6. Viewer 1 saw 5 and wants 2: place 1.
    held = parted([[4], [5]], [[9], [9]], 12, validation=[(0, 8), (0, 1), (1, 2)])
    measured = harness.validator(held)(Scorer(by_number(12)))
    third = 1 / math.log2(3)
    assert measured == {
        "ndcg@10": pytest.approx(((1 + 1 / math.log2(8)) / (1 + third) + third) / 2),
        "hr@10": 1.0,
        "hr@20": 1.0,
        "recall@10": 1.0,
    }


LONG = holdout(range(1, 13), [20, *range(1, 8)], n_items=30)


def test_histories_are_cut_short_for_those_who_have_enough():
    heard = []
    engine = Scorer(lambda history: heard.append(history.items.tolist()) or -np.arange(31))
    card = harness.evaluate(engine, LONG, timed=0)
    assert heard[2:] == [[], [11], [9, 10, 11], [7, 8, 9, 10, 11], [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]
    for kept in (0, 1, 3, 5, 10):  # what was seen stays out of the way, however little of it is shown
        first, second = card.of(f"kept:{kept}")["ndcg", 10]
        assert (first, math.isnan(second)) == (1, True)


def test_each_question_is_told_and_the_progress_ends_at_its_end():
    heard = []
    harness.evaluate(Scorer(by_number(30)), LONG, timed=0, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(2, 7), (3, 7), (4, 7), (5, 7), (6, 7), (7, 7)]  # two viewers, then the long one five times


class Costly(Scorer):
    judged_on = 4


def test_a_costly_engine_is_judged_on_a_sample_that_says_so():
    many = holdout(*[[i % 12 + 1, (i + 1) % 12 + 1, (i + 5) % 12 + 1] for i in range(30)], n_items=12)
    engine = Costly(by_number(12))
    card = harness.evaluate(engine, many)
    assert engine.asked[0] == 4
    assert sum(engine.asked) == 4 + 1 + 10  # asked once; timed: one to warm up, then ten
    assert (card.sample, card.whole, card.names()) == (4, "sample:4", ["sample:4"])
    rows = card.measures()
    assert {row.segment for row in rows if row.protocol == "loo-full"} == {"sample:4"}
    assert {row.n for row in rows if row.metric == "ndcg"} == {4}
    again = harness.evaluate(Scorer(by_number(12)), many, sample=4, seed=7)
    assert again.viewer_ids.tolist() == card.viewer_ids.tolist()  # the same sample for every such engine
    assert harness.evaluate(Costly(by_number(12)), SMALL).whole == "all"  # three viewers are no more than four
    engine.asked.clear()
    harness.validator(many)(engine)
    assert engine.asked == [4]


def test_a_costly_engine_is_not_timed_on_answers_that_it_may_have_kept():
    heard = []
    many = holdout(*[[i + 1, i + 2, i + 3] for i in range(30)], n_items=40)
    engine = Costly(lambda history: heard.append(history.items.tolist()) or np.zeros(41))
    assert harness.evaluate(engine, many).latency_ms.size == 10
    assert len({tuple(items) for items in heard}) == len(heard) == 4 + 1 + 10  # nobody twice, the warming up included
    few = harness.evaluate(Costly(by_number(12)), SMALL)
    assert few.latency_ms.size == 0  # everybody was asked already


def test_a_sample_meets_the_candidates_of_the_whole():
    many = holdout(*[[i, i + 1, i + 2] for i in range(1, 300, 7)], n_items=400)
    engine = Scorer(mixed(400, 50))
    whole, part = (harness.evaluate(engine, many, "loo-sampled100", sample=n, timed=0) for n in (None, 9))
    places = np.searchsorted(whole.viewer_ids, part.viewer_ids)
    np.testing.assert_array_equal(part.bases, whole.bases[places])


def test_as_many_viewers_and_films_as_ml_latest_small_take_under_three_seconds():
    rng, n_items, viewers = np.random.default_rng(1), 9724, 610
    data = dataset(*[rng.choice(n_items, 165, replace=False) + 1 for _ in range(viewers)], n_items=n_items)
    names = [f"genre {number}" for number in range(19)]
    films = harness.Films(
        {item: names[item % 19 : item % 19 + 2] for item in range(1, n_items + 1)},
        {item: 1920 + item % 100 for item in range(1, n_items + 1)},
    )
    table = rng.random(n_items + 1, dtype=np.float32)
    engine = Scorer(lambda history: table)
    for name in ("loo-full", "loo-sampled100", "ratio-full"):
        start = time.process_time()
        rows = harness.evaluate(engine, protocol.split(data, name), name, films=films).measures()
        assert time.process_time() - start < 3
        kinds = {row.segment.partition(":")[0] for row in rows}
        assert kinds == {"all", "viewers", "films", "genre", "decade"} | (
            {"kept"} if name != "loo-sampled100" else set()
        )
