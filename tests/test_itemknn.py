"""Item neighbours: the similarity, who counts as a neighbour, and how a history is scored."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import Ear, chain, of_rows, shuffled

from movierec.dataset import Dataset, History
from movierec.engines.item_to_item import neighbours
from movierec.engines.itemknn import ItemKnn, ItemKnnParams
from movierec.engines.popularity import Popularity
from movierec.evaluation import harness, protocol


def fitted(data: Dataset, **knobs: float) -> ItemKnn:
    engine = ItemKnn(ItemKnnParams(**knobs))
    engine.fit(data, Ear())
    return engine


def test_similar_films_share_viewers_and_few_viewers_are_doubted() -> None:
    data = of_rows([[10, 20], [10, 20], [10, 30]])
    expected = np.zeros((4, 4))
    expected[1, 2] = expected[2, 1] = 2 / (np.sqrt(3 * 2) + 5)
    expected[1, 3] = expected[3, 1] = 1 / (np.sqrt(3 * 1) + 5)
    assert neighbours.similar(data, 10, 5).dense() == pytest.approx(expected)


def test_each_film_hears_its_most_similar_ones_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "PRODUCTS", 500)
    data, told = chain(viewers=80), []
    whole, cut = neighbours.similar(data, 1_000, 3).dense(), neighbours.similar(data, 4, 3, told.append).dense()
    assert len(told) > 5
    assert told == sorted(told)
    for column in range(1, 61):
        assert np.sort(cut[:, column])[-4:] == pytest.approx(np.sort(whole[:, column])[-4:])
        assert np.count_nonzero(cut[:, column]) <= 4


def test_the_score_is_the_faded_mean_similarity() -> None:
    data = chain(viewers=80)
    table = neighbours.similar(data, 20, 10).dense()
    shares = np.exp(-np.arange(3) / 4)
    expected = shares @ table[[7, 4, 9]] / shares.sum()
    got = fitted(data, memory=4).scores([History.of([9, 4, 0, 7])])[0]
    assert got[1:] == pytest.approx(expected[1:], abs=1e-6)


def test_without_a_known_film_popularity_speaks() -> None:
    data = chain(viewers=80)
    engine, popular = fitted(data), Popularity()
    popular.fit(data, Ear())
    for history in (History.of([]), History.of([0])):
        lists = [[pick.item for pick in one.recommend([history], 10)[0]] for one in (engine, popular)]
        assert lists[0] == lists[1]
        assert engine.why(history) == "popular with everyone"


def test_a_reason_is_the_exact_fall_without_the_film() -> None:
    engine, items = fitted(chain(viewers=60, length=10)), [5, 9, 2, 17, 30, 41]
    score = engine.scores([History.of(items)])[0]
    named = 0
    for item, reason in zip(range(1, 61), engine.explain(History.of(items), range(1, 61)), strict=True):
        for film, effect in reason.because:
            without = engine.scores([History.of([other for other in items if other != film])])[0]
            assert effect == pytest.approx(float(score[item]) - float(without[item]), abs=1e-6)
            named += 1
    assert named > 20


def test_it_finds_company_and_nothing_where_there_is_none() -> None:
    data = chain()
    judged = {}
    for name, holdout in (("chain", protocol.split_loo(data)), ("twin", protocol.split_loo(shuffled(data)))):
        validate, popular = harness.validator(holdout), Popularity()
        popular.fit(holdout.train, Ear())
        judged[name] = (validate(fitted(holdout.train))["ndcg@10"], validate(popular)["ndcg@10"])
    assert judged["chain"][0] > 1.5 * judged["chain"][1]
    assert judged["twin"][0] < judged["twin"][1] + 0.06
