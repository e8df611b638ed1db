"""A blend is the weighted sum of its parts: which weights it finds, what it keeps, how it is stopped and explained."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from evaluation_kit import Listed, Scorer
from pydantic import ValidationError
from tiny import MOVIES, Ear, chain, of_rows, shuffled
from training_kit import register_test_engines

from movierec.dataset import Dataset, History, ItemIndex
from movierec.engines import registry
from movierec.engines.base import BadState, Cancelled, EngineError, NotFitted, Params, Reason
from movierec.engines.blend import Blend, BlendParams
from movierec.engines.blending import seeking
from movierec.engines.blending.mixing import Part, siblings, spread
from movierec.engines.blending.seeking import GRID, Shortlists
from movierec.evaluation import harness, protocol

HOLDOUT = protocol.split_loo(chain(viewers=60, length=10))
TRAIN = HOLDOUT.train
MANY = 10**12  # viewers: enough to tell any two weights apart
HISTORIES = [TRAIN.history(row) for row in range(12)] + [History.of([]), History.of([0, 5])]


@cache
def fitted(slug: str, seed: int = 1):
    engine = registry.get(slug)(registry.get(slug).Params(seed=seed))
    engine.fit(TRAIN, Ear())
    return engine


def blend_of(*parts: int | str, validate=None, report=None, data: Dataset = TRAIN) -> Blend:
    """Runs are given as numbers: 1 is transitions, 2 is popularity."""
    blend = Blend(BlendParams(parts=", ".join(map(str, parts))))
    blend.use({run: fitted({1: "transitions", 2: "popularity"}[run]) for run in blend.parts()})
    blend.fit(data, report or Ear(), validate)
    return blend


def metrics(value: float) -> Mapping[str, float]:
    return {"ndcg@10": value, "hr@10": value, "hr@20": 0.0}


# -- naming parts


def test_parts_are_numbers_of_runs_and_names_of_engines() -> None:
    params = BlendParams(parts=" #12,Ease ,ease,  7")
    assert params.parts == "12, ease, ease, 7"
    assert params.named() == [12, "ease", "ease", 7]
    assert Blend(params).parts() == (12, 7)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("1, 1", "Run 1 is named twice."),
        ("1, #1", "Run 1 is named twice."),
        ("1,, ease", "'' is neither the number of a run nor the name of an engine."),
        ("0", "'0' is neither the number"),
        ("1;2", "neither the number"),
        ("../x", "neither the number"),
        (", ".join(map(str, range(1, 10))), "Name 1 to 8 parts."),
        ("99999999999", "neither the number"),
    ],
)
def test_what_is_no_list_of_parts_is_said(parts: str, said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        BlendParams(parts=parts)


def test_the_usual_parts_are_those_that_can_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    many, few = chain(viewers=250), chain(viewers=20)
    assert Blend.defaults_for(many) == {"parts": "nextitnet, sasrec, transitions"}
    assert Blend.defaults_for(few) == {"parts": "transitions, ease"}
    monkeypatch.setattr(registry.get("nextitnet"), "needs", ("no_such_library",))
    assert Blend.defaults_for(many) == {"parts": "sasrec, transitions"}


def test_what_cannot_be_a_part_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    register_test_engines(monkeypatch)
    for parts, kinds, said in (
        ("blend, ease", {}, "A blend can't be part of a blend"),
        ("3", {3: Blend}, "A blend can't be part of a blend"),
        ("3", {3: Listed}, "Listed makes lists without scores"),
        ("absent", {}, "no_such_library not installed"),
        ("nothing", {}, "There is no engine 'nothing'"),
    ):
        with pytest.raises(EngineError, match=said):
            Blend(BlendParams(parts=parts)).check(kinds)
    with pytest.raises(EngineError, match="Run 3 is a part and was not handed over"):
        Blend(BlendParams(parts="3")).use({})
    with pytest.raises(EngineError, match="Run 3 is a part and was not handed over"):
        Blend(BlendParams(parts="3")).fit(TRAIN, Ear())


def test_a_part_of_another_catalogue_is_refused() -> None:
    with pytest.raises(EngineError, match="another catalogue"):
        blend_of(1, data=of_rows([[1, 2, 3], [2, 3, 4]]))
    untrained = Blend(BlendParams(parts="1"))
    untrained.use({1: registry.get("transitions")()})
    with pytest.raises(EngineError, match="not trained"):
        untrained.fit(TRAIN, Ear())
    assert not untrained.fitted


# -- the weights


def test_the_search_finds_a_peak_and_leaves_out_what_does_not_help() -> None:
    def judge(weights) -> float:
        first, second, third = weights
        if not first:
            return 0.1 * second
        return 0.5 - 0.3 * (second / first - 0.3) ** 2 - 0.1 * third / first

    found = seeking.seek(3, judge, MANY)
    assert found[0] == 1
    assert found[1] in (0.1, 0.2, 0.4)  # of an uneven grid the lower side is the denser
    assert found[2] == 0


def test_the_best_part_leads_wherever_it_stands() -> None:
    found = seeking.seek(3, lambda weights: weights[2] - 0.1 * weights[:2].sum(), 600)
    assert found.tolist() == [0, 0, 1]


def test_a_lone_peak_is_not_believed() -> None:
    """1 : 2 : 3 : 2 : 1 at .2: (1 + 2 + 3) * .002 + .003 over 9 is .0017; at the peak .002 + 3 * .003 over 8: .0014."""
    gains = dict(zip(GRID, (0, 0, 0.002, 0.002, 0.002, 0, 0.003, 0), strict=True))
    found = seeking.seek(2, lambda w: 0.5 + gains.get(w[1], 0) if w[0] else 0.1, MANY)
    assert found.tolist() == [1, 0.2]


def test_what_so_few_viewers_cannot_tell_apart_stays_as_usual() -> None:
    """.1 / 20 = .005 is noise for 400 viewers: a slope of .004 over the grid leaves START; for more it does not."""

    def judge(weights) -> float:
        return 0.5 + 0.004 * GRID.index(weights[1]) / 7 if weights[0] and weights[1] in GRID else 0.1

    assert seeking.seek(2, judge, 400).tolist() == [1, seeking.START]
    assert seeking.seek(2, judge, MANY).tolist() == [1, 1]


def test_the_search_asks_no_more_than_it_says() -> None:
    for parts in (1, 2, 4):
        asked = []
        seeking.seek(parts, lambda weights, asked=asked: asked.append(weights.copy()) or float(len(asked) % 3), 600)
        assert len(asked) <= seeking.trials(parts)


def test_without_numbers_all_weigh_the_same() -> None:
    assert seeking.seek(2, lambda weights: np.nan, 600) is None
    unknown = {"ndcg@10": np.nan, "hr@10": np.nan, "hr@20": np.nan}
    for validate in (None, lambda engine: unknown):
        blend = blend_of(1, 2, validate=validate)
        assert blend.state()["weights"].tolist() == [0.5, 0.5]


def test_a_blend_is_at_least_its_best_part_on_validation() -> None:
    judge = harness.validator(HOLDOUT)
    ear = Ear()
    blend = blend_of(1, 2, "ease", validate=judge, report=ear)
    ear.check()
    steps = [step / total for step, total, _ in ear.heard]
    assert max(np.diff(steps)) < 0.3  # EASE's training, then the search: nothing is counted that is not done
    alone = [seeking.criterion(judge(fitted(slug))) for slug in ("transitions", "popularity", "ease")]
    assert seeking.criterion(judge(blend)) >= max(alone) - 1e-6
    assert ear.curve("ndcg@10")[-1] == judge(blend)["ndcg@10"]
    assert blend.note.startswith("Made of What comes next #1 ")
    assert np.isclose(blend.state()["weights"].sum(), 1)


def test_on_shuffled_data_it_learns_no_order() -> None:
    """The leak detector: weights from validation must not make anything of what says nothing."""
    holdout = protocol.split_loo(shuffled(chain(viewers=250)))
    blend, popular = Blend(BlendParams(parts="transitions, popularity")), registry.get("popularity")()
    blend.fit(holdout.train, Ear(), harness.validator(holdout))
    popular.fit(holdout.train, Ear())
    ours, theirs = (harness.evaluate(engine, holdout, timed=0) for engine in (blend, popular))
    verdict = harness.compare(ours, theirs, "ndcg", 10)
    assert verdict.low <= 0


def test_scores_are_the_weighted_sum() -> None:
    blend = blend_of(1, 2, "ease", validate=harness.validator(HOLDOUT))
    told = json.loads(blend.state()["recipe"].tobytes())
    wanted = np.zeros((len(HISTORIES), MOVIES + 1))
    for entry, weight, scale in zip(told, blend.state()["weights"], blend.state()["scales"], strict=True):
        wanted += weight / scale * fitted(entry["engine"]).scores(HISTORIES)
    np.testing.assert_allclose(blend.scores(HISTORIES), wanted, rtol=1e-4, atol=1e-4)


def test_a_scale_is_the_spread_over_unseen_films() -> None:
    data = of_rows([[1, 2], [1, 3]], ItemIndex(np.arange(1, 5)))
    scorer = Scorer(lambda history: [99, 50, 1, 2, 4], data.index)
    # unseen of (1, 2): 2 and 4, variance 1; of (1, 3): 1 and 4, variance 2.25
    assert np.isclose(spread(scorer, data), np.sqrt((1 + 2.25) / 2))
    assert spread(Scorer(lambda history: np.ones(5), data.index), data) == 1
    assert spread(scorer, of_rows([[1, 2, 3, 4]])) == 1  # nothing is left unseen


def test_a_trial_ranks_the_first_films_as_the_sum_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeking, "SHORT", 25)
    parts = [Part(slug, fitted(slug), 2.0, 1.0) for slug in ("transitions", "popularity", "ease")]
    heard = []
    lists = Shortlists(parts, MOVIES, lambda: heard.append(1))
    for weights in ([1.0, 0.0, 0.0], [0.2, 1.0, 0.5]):
        table = lists.scores(HISTORIES, np.array(weights))
        exact = sum(w / 2 * part.engine.scores(HISTORIES) for w, part in zip(weights, parts, strict=True))
        assert table.shape == exact.shape
        for row, history in enumerate(HISTORIES):
            exact[row, [0, *history.items]] = table[row, [0, *history.items]] = -np.inf
            first = np.argsort(-exact[row], kind="stable")[:20]
            np.testing.assert_allclose(table[row, first], exact[row, first], rtol=1e-4)
            assert table[row, first].min() >= np.sort(table[row])[-20]
    assert len(heard) == 3  # asked once, kept for the second trial


# -- training and stopping


def test_an_engine_named_twice_is_trained_with_two_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    register_test_engines(monkeypatch)
    blend = blend_of("quick", 1, "quick")
    told = json.loads(blend.state()["recipe"].tobytes())
    assert [entry["params"]["seed"] for entry in told] == [1, 1, 2]
    assert [entry["name"] for entry in told] == ["Quick", "What comes next #1", "Quick (seed 2)"]


def test_parts_that_differ_only_in_their_seed_share_a_weight() -> None:
    first, other = Part("a", fitted("transitions"), 1.0, 1.0), Part("b", fitted("ease"), 1.0, 1.0)
    again = Part("c", fitted("transitions", seed=2), 1.0, 1.0)
    assert siblings([first, other, again]).tolist() == [[0.5, 0, 0.5], [0, 1, 0]]
    weights = blend_of("transitions", "ease", "transitions", validate=harness.validator(HOLDOUT)).state()["weights"]
    assert weights[0] == weights[-1]


def test_what_a_part_says_of_its_training_is_said_with_its_name() -> None:
    with pytest.raises(EngineError, match=r"^NextItNet: There is no order to learn from"):
        Blend(BlendParams(parts="popularity, nextitnet")).fit(of_rows([[1], [2]]), Ear())


def test_a_stop_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five trials the third was the best: its weights are held when the sixth is stopped."""
    values = iter([0.2, 0.1, 0.3, 0.2, 0.1])
    tried = []

    def validate(engine) -> Mapping[str, float]:
        value = next(values, None)
        if value is None:
            raise Cancelled(keep=True)
        weights = engine._trial.keywords["weights"]
        tried.append(weights / weights.sum())
        return metrics(value)

    blend = Blend(BlendParams(parts="1, 2"))
    blend.use({1: fitted("transitions"), 2: fitted("popularity")})
    with pytest.raises(Cancelled):
        blend.fit(TRAIN, Ear(), validate)
    assert blend.fitted
    held = blend.state()["weights"]
    assert held.tolist() == [weight for weight in tried[2].tolist() if weight]
    again = Blend(blend.params)
    again.restore(blend.state(), TRAIN.index)
    assert again.recommend(HISTORIES, 5) == blend.recommend(HISTORIES, 5)


def test_a_part_that_was_stopped_with_a_state_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    register_test_engines(monkeypatch)
    ear = Ear(Cancelled(keep=True), at=6)  # in the second part's training, after its first step
    blend = Blend(BlendParams(parts="1, slow, ease"))
    blend.use({1: fitted("transitions")})
    with pytest.raises(Cancelled):
        blend.fit(TRAIN, ear)
    told = json.loads(blend.state()["recipe"].tobytes())
    assert [entry["engine"] for entry in told] == ["transitions", "slow"]


def test_it_speaks_before_each_part_and_trial_is_asked() -> None:
    """So that a stop is heard at once: between two words lies one batch of one part, or one trial."""
    ear, judged = Ear(), []
    judge = harness.validator(HOLDOUT)

    def validate(engine) -> Mapping[str, float]:
        judged.append(len(ear.heard))
        return judge(engine)

    blend_of(1, 2, "ease", validate=validate, report=ear)
    assert all(later > before for before, later in pairwise(judged))


# -- explaining


def test_effects_are_the_parts_effects_weighted() -> None:
    blend = blend_of(1, "ease")
    (weights, scales), history = (blend.state()["weights"], blend.state()["scales"]), TRAIN.history(3)
    picks = [pick.item for pick in blend.recommend([history], 5)[0]]
    by_part = [fitted(slug).falls(history, picks) for slug in ("transitions", "ease")]
    for place, reason in enumerate(blend.explain(history, picks)):
        wanted: dict[int, float] = {}
        for weight, scale, (films, falls) in zip(weights, scales, by_part, strict=True):
            for film, fall in zip(films.tolist(), falls[:, place], strict=True):
                wanted[film] = wanted.get(film, 0) + weight / scale * fall
        least = 0.01 * max(wanted.values())
        assert dict(reason.because) == pytest.approx({film: fall for film, fall in wanted.items() if fall > least})
        assert list(reason.because) == sorted(reason.because, key=lambda pair: -pair[1])


def test_without_the_film_it_names_first_a_pick_falls() -> None:
    blend, fell, named = blend_of(1, "ease"), 0, 0
    for row in range(40):
        history = TRAIN.history(row)
        picks = [pick.item for pick in blend.recommend([history], 3)[0]]
        for item, reason in zip(picks, blend.explain(history, picks), strict=True):
            if reason.because:
                without = History.of(history.items[history.items != reason.because[0][0]])
                before, after = blend.scores([history])[0, item], blend.scores([without])[0, item]
                named, fell = named + 1, fell + (after < before)
    assert named >= 100
    assert fell == named


class Said(Scorer):
    """Explains as it was told to."""

    def __init__(self, title: str, *told: Reason) -> None:
        super().__init__(lambda history: np.zeros(9), ItemIndex(np.arange(1, 9)))
        self.told = list(told)
        type(self).title = title

    def explain(self, history, items):
        return self.told


class Other(Said):
    """Another class, for a title of its own."""


def test_whose_pick_it_is_is_said() -> None:
    blend = Blend()
    first = Said("A", Reason("", ((4, 1.0),)), Reason("", ((4, 1.0),)), Reason())
    second = Other("B", Reason("", ((5, 0.4), (6, 0.001))), Reason("", ((4, 0.6),)), Reason())
    blend.index, blend._parts = first.index, [Part("A", first, 2.0, 0.5), Part("B #2", second, 1.0, 0.5)]
    one, both, neither = blend.explain(History.of([4, 5]), [1, 2, 3])  # factors .25 and .5; .0005 is too faint
    assert one == Reason("A and B agree on it", ((4, 0.25), (5, 0.2)))
    assert both == Reason("B and A agree on it", ((4, 0.55),))
    assert neither == Reason("chosen by A and B")
    blend._parts[0] = Part("A", first, 2.0, 2.0)  # factor 1 against .5
    assert blend.explain(History.of([4, 5]), [1, 2, 3])[0] == Reason("mostly A\u2019s choice", ((4, 1.0), (5, 0.2)))
    with pytest.raises(NotFitted):
        Blend().explain(History.of([1]), [2])


# -- keeping


def changed(arrays: dict[str, np.ndarray], **changes: object) -> dict[str, np.ndarray]:
    """The state with another recipe (JSON) or other arrays."""
    recipe = changes.pop("recipe", None)
    made = arrays | changes
    if recipe is not None:
        content = recipe if isinstance(recipe, bytes) else json.dumps(recipe).encode()
        made["recipe"] = np.frombuffer(content, dtype=np.uint8)
    return made


def test_a_state_that_is_no_blend_is_refused() -> None:
    blend = blend_of(1, "ease")
    arrays = blend.state()
    told = json.loads(arrays["recipe"].tobytes())
    first = told[0]
    bad = [
        {"recipe": {}},
        {"recipe": []},
        {"recipe": [first] * 13},
        {"recipe": ["transitions", "ease"]},
        {"recipe": [first]},  # two weights
        {"recipe": [first, {**first, "engine": "blend", "params": {}}]},
        {"recipe": [first, {**first, "engine": "nothing"}]},
        {"recipe": [first, {**first, "engine": 4}]},
        {"recipe": [first, {**first, "more": 1}]},
        {"recipe": [first, {**first, "params": {"no_such_knob": 1}}]},
        {"recipe": b"[" * 100_000},
        {"recipe": b"\xff\xfe"},
        {"weights": np.array([0.5, -0.5])},
        {"weights": np.array([1.0, 0.0])},
        {"scales": np.array([1.0, np.nan])},
        {"scales": np.array([1, 1])},
    ]
    other = Blend()
    for changes in bad:
        with pytest.raises(BadState):
            other.restore(changed(arrays, **changes), TRAIN.index)
        assert not other.fitted
    other.restore(arrays, TRAIN.index)
    assert other.recommend(HISTORIES, 5) == blend.recommend(HISTORIES, 5)


def test_a_part_that_only_lists_is_refused_in_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = blend_of(1).state()
    monkeypatch.setattr(registry, "get", lambda slug: Lists)
    with pytest.raises(BadState, match="gives no scores"):
        Blend().restore(arrays, TRAIN.index)


class Lists(Listed):
    """Takes any knobs and any state."""

    Params = type("Knobs", (Params,), {"model_config": {"extra": "allow"}})

    def __init__(self, params=None) -> None:
        super().__init__(lambda *asked: [])

    def restore(self, arrays, index) -> None:
        pass


def test_it_serves_as_quickly_as_its_parts_together() -> None:
    """By counting, not by the clock: each part is asked once for each batch."""
    blend, asked = blend_of(1, 2), []
    for part in blend._parts:
        scores = part.engine.scores
        part.engine.scores = lambda histories, scores=scores: asked.append(len(histories)) or scores(histories)
    try:
        blend.recommend(HISTORIES, 5)
    finally:
        for part in blend._parts:
            del part.engine.scores
    assert asked == [len(HISTORIES)] * 2
