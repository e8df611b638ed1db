"""The memory of hidden states: near states answer, clusters miss little, and it counts only where it helps."""

from __future__ import annotations

from itertools import pairwise

import engines_for_tests
import numpy as np
import pytest
from tiny import Ear, chain, of_rows
from training_kit import register_test_engines

from movierec.dataset import Dataset, History
from movierec.engines import registry
from movierec.engines.base import BadState, Cancelled, NotFitted, ScoringEngine
from movierec.engines.blend import Blend, BlendParams
from movierec.engines.blending import memory, seeking
from movierec.engines.blending.memory import HasStates, Memory
from movierec.engines.blending.mixing import Part, mixed
from movierec.engines.blending.recall import Answers, Recall, log_shares, pooled
from movierec.evaluation import harness, protocol

HOLDOUT = protocol.split_loo(chain(viewers=60, length=10))
TRAIN = HOLDOUT.train
HISTORIES = [TRAIN.history(row) for row in range(12)] + [History.of([]), History.of([0])]
FILMS = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)  # a state for each last film


def quiet(share: float) -> None:
    assert 0 <= share <= 1


class Keeper(engines_for_tests.Quick):
    """Scores by popularity, but its states tell the last film: a memory of them is a first-order Markov chain."""

    reach = 3

    def states(self, histories):
        return [FILMS[history.known().items] for history in histories]


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    register_test_engines(monkeypatch)
    registry.register("keeper", title="Keeper", summary="Only for tests.")(Keeper)
    engine = Keeper()
    engine.fit(TRAIN, Ear())
    return engine


def random_states(many: int) -> tuple[np.ndarray, np.ndarray]:
    """Around 40 places, each mostly followed by an item of its own."""
    random = np.random.default_rng(1)
    place = random.integers(0, 40, many)
    states = 3 * random.normal(size=(40, 16))[place] + random.normal(size=(many, 16))
    nexts = np.where(random.random(many) < 0.7, place + 1, random.integers(1, 61, many))
    return states.astype(np.float32), nexts


def exact(states: np.ndarray, nexts: np.ndarray, state: np.ndarray) -> np.ndarray:
    """(61,) shares by the definition: the 256 nearest, weighted exp(-d^2 / (10 C / 64))."""
    distance = np.square(states - state).sum(axis=1)
    near = np.argsort(distance, kind="stable")[:256]
    weights = np.exp((distance[near].min() - distance[near]) / (10 * states.shape[1] / 64))
    return np.bincount(nexts[near], weights / weights.sum(), 61)


def told(held: Memory, state: np.ndarray) -> np.ndarray:
    items, shares = held.answer(state)
    assert (np.diff(items) > 0).all()
    assert np.isclose(shares.sum(), 1)
    return np.bincount(items, shares, 61)


def test_near_states_answer() -> None:
    states, nexts = random_states(5_000)  # fewer than are looked at anyway: only rounding to a byte is between
    held = Memory.of(states, nexts, 1, quiet)
    for state in states[:20] + 0.1:
        assert np.abs(told(held, state) - exact(states, nexts, state)).sum() / 2 < 0.05


def test_clusters_miss_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LOOKED_AT", 3_000)
    states, nexts = random_states(20_000)
    held = Memory.of(states, nexts, 1, quiet)
    missed = [np.abs(told(held, state) - exact(states, nexts, state)).sum() / 2 for state in states[:40] + 0.1]
    assert np.mean(missed) < 0.1


def test_few_states_are_enough() -> None:
    held = Memory.of(np.ones((1, 4), np.float32), np.array([7]), 1, quiet)
    assert [array.tolist() for array in held.answer(np.zeros(4, np.float32))] == [[7], [1]]


def test_each_film_but_the_first_is_remembered_by_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: list[tuple[int, int]] = []

    def of(states, nexts, seed, tick):
        pairs.extend(
            zip([int(np.flatnonzero((state == FILMS).all(axis=1))[0]) for state in states], nexts, strict=True)
        )
        return "made"

    monkeypatch.setattr(Memory, "of", of)
    assert memory.learnt(Keeper(), TRAIN, 1, quiet) == "made"
    wanted = [pair for history in TRAIN.histories() for pair in pairwise(history.items.tolist())]
    assert sorted(pairs) == sorted(wanted)
    pairs.clear()
    monkeypatch.setattr(memory, "MOST", 100)  # whole viewers are drawn, 32 pieces at a time
    memory.learnt(Keeper(), TRAIN, 1, quiet)
    assert 100 <= len(pairs) < len(wanted)
    assert memory.learnt(Keeper(), of_rows([[1], [2]]), 1, quiet) is None


def test_a_memory_that_does_not_fit_is_refused() -> None:
    states, nexts = random_states(300)
    arrays = Memory.of(states, nexts, 1, quiet).arrays()
    assert (
        told(Memory.from_arrays(arrays, 60), states[0]).tolist()
        == told(Memory.of(states, nexts, 1, quiet), states[0]).tolist()
    )
    for name, array in arrays.items():
        for bad in (array[:-1], array[None], array.astype(np.complex64), None):
            with pytest.raises(BadState):
                Memory.from_arrays(
                    {key: value for key, value in (arrays | {name: bad}).items() if value is not None}, 60
                )
    for name, value in (("norms", np.nan), ("starts", 5), ("nexts", 0), ("nexts", 61)):
        bad = arrays[name].copy()
        bad[0] = value
        with pytest.raises(BadState):
            Memory.from_arrays(arrays | {name: bad}, 60)
    empty = {name: array[:0] if name in ("codes", "norms", "nexts") else array for name, array in arrays.items()}
    with pytest.raises(BadState):
        Memory.from_arrays(empty | {"starts": np.zeros_like(arrays["starts"])}, 60)


# -- beside the sum


def test_shares_are_over_what_is_left_to_see() -> None:
    row = np.array([9, np.log(2), 5, np.log(6)], dtype=np.float32)
    log_shares(row, History.of([2]))
    np.testing.assert_allclose(row, np.log([2 / 8, 2 / 8, 2 / 8, 6 / 8]), rtol=1e-5)  # padding and seen: the lowest
    whole = np.array([1, 2, 3], dtype=np.float32)
    log_shares(whole, History.of([1, 2]))
    assert whole.tolist() == [1, 2, 3]


def test_sum_and_memory_are_mixed_as_probabilities() -> None:
    found = pooled(np.log([0.5, 0.2, 0.3]).astype(np.float32), np.array([0, 0.9, 0.1], np.float32), 0.25)
    np.testing.assert_allclose(np.exp(found), [0.375, 0.375, 0.25], rtol=1e-5)
    assert np.allclose(pooled(np.log([0.5]).astype(np.float32), np.zeros(1, np.float32), 0.0), np.log(0.5))


def recall_of(keeper: Keeper) -> tuple[Recall, list[Part]]:
    transitions = registry.get("transitions")()
    transitions.fit(TRAIN, Ear())
    held = memory.learnt(keeper, TRAIN, 1, quiet)
    return Recall(held, 1, 0.3), [Part("t", transitions, 1.5, 0.4), Part("k", keeper, 4.0, 0.6)]


def test_a_trial_scores_the_first_films_as_serving_does(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeking, "SHORT", 25)
    recall, parts = recall_of(keeper)
    answers = Answers(recall, parts, TRAIN.n_items, lambda: None)
    tried = answers.scores(HISTORIES, 0.3)
    served = recall.mix(mixed(parts, HISTORIES, TRAIN.n_items), parts, HISTORIES)
    assert np.isfinite(served).all()
    for row, history in enumerate(HISTORIES):
        tried[row, [0, *history.items]] = served[row, [0, *history.items]] = -np.inf
        first = np.argsort(-served[row], kind="stable")[:20]
        np.testing.assert_allclose(tried[row, first], served[row, first], rtol=1e-4)
        assert tried[row, first].min() >= np.sort(tried[row])[-20]


def test_the_answer_leaves_out_what_was_seen(keeper: Keeper) -> None:
    recall, parts = recall_of(keeper)
    for history, (items, shares) in zip(HISTORIES, recall.answers(parts, HISTORIES), strict=True):
        assert not set(items.tolist()) & set(history.items.tolist())
        assert items.size == 0 if not history.items.any() else np.isclose(shares.sum(), 1)
    everything = History.of(np.arange(1, TRAIN.n_items + 1))
    assert recall.answers(parts, [everything])[0][0].size == 0


# -- in a blend


def blend(parts: str, wanted: str, data: Dataset = TRAIN, validate=None, report=None) -> Blend:
    made = Blend(BlendParams(parts=parts, memory=wanted))
    made.fit(data, report or Ear(), validate)
    return made


def test_a_memory_that_helps_counts_and_is_kept(keeper: Keeper) -> None:
    judge, ear = harness.validator(HOLDOUT), Ear()
    without, made = blend("keeper", "off", validate=judge), blend("keeper", "on", validate=judge, report=ear)
    ear.check()
    assert judge(made)["ndcg@10"] > judge(without)["ndcg@10"]
    assert "A memory of 420 states counts " in made.note  # 60 viewers, 8 films each in train, all but the first
    again = Blend(made.params)
    again.restore(made.state(), TRAIN.index)
    assert (again.scores(HISTORIES) == made.scores(HISTORIES)).all()
    assert set(again.state()) == set(made.state())
    assert again.explain(HISTORIES[0], [1]) == made.explain(HISTORIES[0], [1])


def test_a_memory_that_does_not_help_is_left_out(keeper: Keeper) -> None:
    metrics = lambda engine: {"ndcg@10": next(values), "hr@10": 0.0, "hr@20": 0.0}  # noqa: E731
    values = iter([0.5, 0.5, *[0.4] * 99])  # the part alone, then without the memory, then with it
    made = blend("keeper", "on", validate=metrics)
    assert "did not help and is left out" in made.note
    assert not any(name.startswith("memory.") for name in made.state())


def test_when_there_is_a_memory(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    def has(parts: str, wanted: str, data: Dataset = TRAIN) -> bool:
        return any(name.startswith("memory.") for name in blend(parts, wanted, data).state())

    assert has("keeper, transitions", "on")
    assert not has("keeper", "auto")  # 480 views
    assert not has("keeper", "on", of_rows([[1], [2]]))  # nothing to remember
    monkeypatch.setattr(memory, "FEWEST", 480)
    assert has("keeper", "auto")
    assert not has("keeper", "off")
    made = blend("transitions", "on")
    assert made.note == "No part has states to remember."


def test_a_stop_while_it_learns_the_memory_keeps_the_blend_without(keeper: Keeper) -> None:
    silent = Ear()
    blend("keeper", "on", report=silent)
    made = Blend(BlendParams(parts="keeper", memory="on"))
    with pytest.raises(Cancelled):
        made.fit(TRAIN, Ear(Cancelled(keep=True), at=len(silent.heard) - 2))
    assert made.fitted
    assert not any(name.startswith("memory.") for name in made.state())


def test_a_state_whose_memory_does_not_fit_is_refused(keeper: Keeper) -> None:
    made = blend("transitions, keeper", "on")
    arrays, other = made.state(), Blend()
    assert arrays["memory.place"].tolist() == [1]
    for changes in (
        {"memory.share": np.array([0.0])},
        {"memory.share": np.array([[0.5]])},
        {"memory.place": np.array([0])},  # the transitions have no states
        {"memory.place": np.array([2])},
        {"memory.place": np.array([0.5])},
        {"memory.units": np.ones(7, np.float32), "memory.codes": arrays["memory.codes"][:, :7],
         "memory.centres": arrays["memory.centres"][:, :7]},
    ):  # fmt: skip
        with pytest.raises(BadState):
            other.restore(arrays | changes, TRAIN.index)
    assert not other.fitted
    for name in arrays:
        if name.startswith("memory."):
            with pytest.raises(BadState):
                other.restore({key: value for key, value in arrays.items() if key != name}, TRAIN.index)


@pytest.mark.parametrize("slug", ["nextitnet", "sasrec"])
def test_a_net_tells_the_states_that_it_scores_with(slug: str) -> None:
    kind = registry.get(slug)
    net = kind(kind.Params(**{**kind.defaults_for(TRAIN), "epochs": 1, "channels": 8}))
    assert isinstance(net, HasStates)
    with pytest.raises(NotFitted):
        net.states([TRAIN.history(0)])
    net.fit(TRAIN, Ear())
    whole = TRAIN.history(0)
    part = History(whole.items[:3], whole.times[:3], whole.ratings[:3])
    long, short, gap = net.states([whole, part, History.of([0, 5, 0])])
    assert (long.shape, short.shape, gap.shape) == ((len(whole), 8), (3, 8), (1, 8))
    np.testing.assert_allclose(long[:3], short, atol=1e-5)
    made = Blend(BlendParams(parts="1, transitions", memory="on"))
    made.use({1: net})
    made.fit(TRAIN, Ear())
    again = Blend(made.params)
    again.restore(made.state(), TRAIN.index)
    assert "memory.codes" in made.state()
    assert again.recommend(HISTORIES, 5) == made.recommend(HISTORIES, 5)


def test_only_what_tells_states_has_them(keeper: Keeper) -> None:
    assert isinstance(keeper, HasStates)
    assert not isinstance(registry.get("popularity")(), HasStates)
    assert isinstance(keeper, ScoringEngine)
