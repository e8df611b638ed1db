"""What `engines/base.py` promises, asked of every registered engine: a new one inherits all of this by being there."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError
from tiny import MOVIES, Ear, chain, of_rows

from movierec.dataset import Dataset, History, ItemIndex
from movierec.engines import registry
from movierec.engines.base import BadState, Cancelled, Engine, EngineError, NotFitted, Params, ScoringEngine
from movierec.evaluation import harness, protocol

ROOT = Path(__file__).resolve().parent.parent
LISTINGS = registry.listings()


@pytest.fixture(params=LISTINGS, ids=[listing.slug for listing in LISTINGS])
def kind(request: pytest.FixtureRequest) -> type[Engine]:
    lacks = request.param.engine.lacks()  # what is to be set up outside: the engine must keep the contract without it
    if request.param.absent and request.param.absent != lacks:
        pytest.skip(request.param.absent)
    return request.param.engine


@cache
def tiny() -> Dataset:
    return chain(viewers=60, length=10)


def trained(kind: type[Engine], data: Dataset, seed: int = 1) -> Engine:
    engine = kind(kind.Params(**{**kind.defaults_for(data), "seed": seed}))
    engine.fit(data, Ear())
    return engine


@cache
def fitted(kind: type[Engine]) -> Engine:
    return trained(kind, tiny())


def items(picks: list) -> list[int]:
    return [pick.item for pick in picks]


def held(engine: Engine) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in engine.state().items()}


HISTORIES = {
    "empty": History.of([]),
    "unknown only": History.of([0, 0]),
    "one known": History.of([0, 0, 5, 0]),
    "one": History.of([5]),
    "ordinary": History.of([4, 9, 2, 31, 17, 8]),
    "10,000 events": History.of(np.resize(np.arange(1, 31), 10_000)),
    "repeats": History.of([3, 3, 3]),
}
any_history = pytest.mark.parametrize("history", HISTORIES.values(), ids=list(HISTORIES))


def sized(events: int) -> Dataset:
    """So many events without the memory: `defaults_for` looks at sizes."""
    row = np.broadcast_to(np.int32(1), (events,))
    return Dataset(ItemIndex(np.array([1])), np.array([1]), np.array([0, events]), row, row, row)


def test_the_engine_says_what_it_is(kind: type[Engine]) -> None:
    assert kind.slug
    assert kind.title
    assert kind.summary.endswith(".")
    assert kind.__doc__
    assert issubclass(kind.Params, Params)


def test_each_knob_has_title_description_and_bounds(kind: type[Engine]) -> None:
    for name, field in kind.Params.model_fields.items():
        assert field.title, f"{name}: the form has no label for it"
        assert field.description, f"{name}: the form can't explain it"
        if field.annotation in (int, float):
            kinds = {type(bound) for bound in field.metadata}
            assert kinds & {Ge, Gt}, f"{name}: no lower bound, any typo trains"
            assert kinds & {Le, Lt}, f"{name}: no upper bound, any typo trains"


def test_a_knob_out_of_bounds_or_unknown_is_refused(kind: type[Engine]) -> None:
    with pytest.raises(ValidationError):
        kind.Params(no_such_knob=1)
    for name, field in kind.Params.model_fields.items():
        beyond: list[object] = ["much", None, [1]]
        for bound in field.metadata:
            low = getattr(bound, "ge", getattr(bound, "gt", None))
            high = getattr(bound, "le", getattr(bound, "lt", None))
            beyond += [low - 1] if low is not None else [high + 1] if high is not None else []
        if field.annotation in (int, float):
            beyond += [math.nan, math.inf, -math.inf]
        for value in beyond if field.annotation in (int, float) else beyond[1:]:
            with pytest.raises(ValidationError):
                kind.Params(**{name: value})


@pytest.mark.parametrize("events", [0, 1, 50, 3_000, 99_616, 500_000, 1_000_209, 32_000_000])
def test_defaults_fit_their_bounds_at_every_size(kind: type[Engine], events: int) -> None:
    assert kind.Params(**kind.defaults_for(sized(events)))


def test_nothing_is_recommended_before_training(kind: type[Engine]) -> None:
    engine = kind()
    assert not engine.fitted
    with pytest.raises(NotFitted):
        engine.recommend([History.of([1])], 3)
    with pytest.raises(NotFitted):
        engine.explain(History.of([1]), [2])
    with pytest.raises(NotFitted):
        engine.state()


def test_seen_and_excluded_films_and_padding_never_come(kind: type[Engine]) -> None:
    histories = [tiny().history(0), tiny().history(1), History.of([])]
    exclude = [np.array([1, 2, 3]), np.array([], dtype=np.int64), np.array([4])]
    lists = fitted(kind).recommend(histories, MOVIES, exclude)
    for picks, history, barred in zip(lists, histories, exclude, strict=True):
        left = set(range(1, MOVIES + 1)) - set(history.items.tolist()) - set(barred.tolist())
        assert len(set(items(picks))) == len(picks)
        assert set(items(picks)) <= left
        assert [pick.score for pick in picks] == sorted((pick.score for pick in picks), reverse=True)
        assert np.isfinite([pick.score for pick in picks]).all()
        assert all(isinstance(pick.item, int) and isinstance(pick.why, str) for pick in picks)


def test_k_is_kept(kind: type[Engine]) -> None:
    engine = fitted(kind)
    assert [len(picks) for picks in engine.recommend([tiny().history(0)] * 2, 7)] == [7, 7]
    assert engine.recommend([], 5) == []
    with pytest.raises(ValueError):
        engine.recommend([tiny().history(0)], 0)


@any_history
def test_any_history_is_an_ordinary_case(kind: type[Engine], history: History) -> None:
    (picks,) = fitted(kind).recommend([history], 5)
    assert len(picks) == 5
    assert not set(items(picks)) & set(history.items.tolist())


def worth(engine: Engine, history: History) -> float:
    """Expected NDCG@10 of the list for somebody who watches next what everybody watches."""
    share = tiny().popularity / tiny().n_events
    return float(sum(share[item] / math.log2(rank + 2) for rank, item in enumerate(items(ranked(engine, history)))))


def ranked(engine: Engine, history: History) -> list:
    return engine.recommend([history], 10)[0]


def test_no_known_film_is_served_as_well_as_by_popularity(kind: type[Engine]) -> None:
    engine = fitted(kind)
    empty, unknown = ranked(engine, HISTORIES["empty"]), ranked(engine, HISTORIES["unknown only"])
    assert items(empty) == items(unknown), "films it does not know must count as none"
    floor = worth(fitted(registry.get("popularity")), HISTORIES["empty"])
    got = worth(engine, HISTORIES["empty"])
    assert got >= 0.95 * floor, f"an empty history gets a list worth {got:.3f}, popularity's is worth {floor:.3f}"


def test_unknown_films_change_nothing(kind: type[Engine]) -> None:
    known, mixed = History.of([4, 9, 2]), History.of([0, 4, 0, 0, 9, 2, 0])
    one, other = fitted(kind).recommend([known, mixed], 10)
    assert items(one) == items(other)


def test_all_seen_leaves_an_empty_list(kind: type[Engine]) -> None:
    assert fitted(kind).recommend([History.of(np.arange(1, MOVIES + 1))], 5) == [[]]


def test_the_company_in_a_batch_changes_nothing(kind: type[Engine]) -> None:
    histories = [History.of([7]), tiny().history(3), History.of([]), tiny().history(5)]
    together = fitted(kind).recommend(histories, 10)
    for history, picks in zip(histories, together, strict=True):
        (alone,) = fitted(kind).recommend([history], 10)
        assert items(alone) == items(picks)
    many = fitted(kind).recommend(histories * 70, 5)
    assert len(many) == 280
    assert [items(picks) for picks in many[-4:]] == [items(picks[:5]) for picks in together]


@any_history
def test_each_pick_is_explained_from_the_history(kind: type[Engine], history: History) -> None:
    engine = fitted(kind)
    asked = [*items(ranked(engine, history)), 60, 1]
    reasons = engine.explain(history, asked)
    assert len(reasons) == len(asked)
    assert engine.explain(history, asked) == reasons
    assert engine.explain(history, []) == []
    for reason in reasons:
        named, effects = [item for item, _ in reason.because], [effect for _, effect in reason.because]
        assert isinstance(reason.why, str)
        assert all(isinstance(item, int) and isinstance(effect, float) for item, effect in reason.because)
        assert set(named) <= set(history.items.tolist()) - {0}, "a reason names only films of the history"
        assert len(set(named)) == len(named), "a film is named once"
        assert all(effect > 0 and math.isfinite(effect) for effect in effects), "only what speaks for the film"
        assert effects == sorted(effects, reverse=True), "strongest first"


def test_without_the_film_that_is_named_the_pick_falls(kind: type[Engine]) -> None:
    engine, falls = fitted(kind), []
    if not isinstance(engine, ScoringEngine):
        pytest.skip("it gives lists, no scores that could fall")
    for history in islice(tiny().histories(), 20):
        picks = items(ranked(engine, history))[:3]
        for item, reason in zip(picks, engine.explain(history, picks), strict=True):
            for film, _ in reason.because[:1]:
                left = history.items != film
                without = History(history.items[left], history.times[left], history.ratings[left])
                before, after = engine.scores([history, without])[:, item]
                falls.append(before > after)
    if not falls:
        pytest.skip("it names no films")
    assert np.mean(falls) >= 0.95, f"of {len(falls)} films named as the strongest reason, only {sum(falls)} were one"


def test_state_is_plain_and_comes_back_the_same(kind: type[Engine]) -> None:
    engine = fitted(kind)
    arrays = engine.state()
    assert all(isinstance(array, np.ndarray) and array.dtype.kind in "biufSU" for array in arrays.values())
    again = kind(engine.params)
    again.restore(arrays, engine.index)
    assert again.fitted
    histories = [*islice(tiny().histories(), 8), History.of([])]
    assert again.recommend(histories, 10) == engine.recommend(histories, 10)
    if isinstance(engine, ScoringEngine):
        assert (again.scores(histories) == engine.scores(histories)).all()
    assert again.explain(histories[0], [1, 2, 3]) == engine.explain(histories[0], [1, 2, 3])
    assert held(again) == held(engine)


def spoilt(arrays: dict[str, np.ndarray]) -> list[tuple[str, dict[str, np.ndarray]]]:
    found = []
    for name, array in arrays.items():
        found.append((f"{name} missing", {key: value for key, value in arrays.items() if key != name}))
        found.append((f"{name} with one dimension more", {**arrays, name: array[None]}))
        if array.ndim:
            found.append((f"{name} cut off", {**arrays, name: array[: len(array) // 2]}))
        if array.dtype.kind in "iuf":
            found.append((f"{name} as words", {**arrays, name: array.astype("U")}))
        if array.dtype.kind == "f" and array.size:
            for value in (np.nan, np.inf):
                bad = array.copy()
                bad.flat[-1] = value
                found.append((f"{name} holds {value}", {**arrays, name: bad}))
    return found


def refuses(engine: Engine, arrays: dict[str, np.ndarray], index: ItemIndex) -> bool:
    try:
        engine.restore(arrays, index)
    except BadState:
        return True
    return False


def test_restore_refuses_what_does_not_fit_and_is_unchanged(kind: type[Engine]) -> None:
    engine = kind(fitted(kind).params)
    engine.restore(fitted(kind).state(), fitted(kind).index)
    before = engine.recommend([tiny().history(0)], 10)
    fresh = kind(engine.params)
    for fault, arrays in spoilt(engine.state()):
        for target in (engine, fresh):
            assert refuses(target, arrays, engine.index), f"restore took a state with {fault}"
    for movies in (MOVIES - 1, MOVIES + 1):
        assert refuses(engine, engine.state(), ItemIndex(np.arange(movies))), f"restore took {movies} films"
    assert engine.recommend([tiny().history(0)], 10) == before
    assert not fresh.fitted


def test_same_seed_same_run(kind: type[Engine]) -> None:
    again = kind(fitted(kind).params)
    again.fit(chain(viewers=20, length=6, seed=3), Ear())  # what was trained before leaves no trace
    again.fit(tiny(), Ear())
    assert held(again) == held(fitted(kind))


def test_training_leaves_data_and_numpy_alone(kind: type[Engine]) -> None:
    data, drawn = chain(viewers=20, length=8), np.random.get_state()[1].copy()
    before = (data.items.copy(), data.times.copy(), data.offsets.copy())
    trained(kind, data)
    assert all((old == new).all() for old, new in zip(before, (data.items, data.times, data.offsets), strict=True))
    assert (np.random.get_state()[1] == drawn).all()


def test_training_speaks_and_is_judged(kind: type[Engine]) -> None:
    holdout, ear = protocol.split_loo(tiny()), Ear()
    engine = kind(kind.Params(**kind.defaults_for(holdout.train)))
    engine.fit(holdout.train, ear, harness.validator(holdout))
    ear.check()
    assert ear.curve("ndcg@10")
    judged = harness.validator(holdout)(engine)
    assert max(ear.curve("ndcg@10")) >= judged["ndcg@10"] - 1e-6


def stops(reports: int) -> list[int]:
    """At which reports to stop: all of a few, else some from the first to the last."""
    return sorted({1, 2, reports} | set(np.linspace(1, reports, min(reports, 6)).round().astype(int).tolist()))


def test_a_training_stopped_at_any_report_holds_its_best_state_or_none(kind: type[Engine]) -> None:
    data, silent = chain(viewers=20, length=8), Ear()
    holdout = protocol.split_loo(data)
    params, validate = kind.Params(**kind.defaults_for(holdout.train)), harness.validator(holdout)
    kind(params).fit(holdout.train, silent, validate)
    for call in stops(len(silent.heard)):
        engine = kind(params)
        with pytest.raises(Cancelled):
            engine.fit(holdout.train, Ear(Cancelled(), call), validate)
        if engine.fitted:
            again = kind(params)
            again.restore(engine.state(), holdout.train.index)
            assert ranked(again, data.history(0)) == ranked(engine, data.history(0)), f"stopped at report {call}"
        else:
            with pytest.raises(NotFitted):
                engine.state()


SMALLEST = {
    "no event": [],
    "one event": [[10]],
    "one item": [[10], [10], [10]],
    "one viewer": [[10, 20, 30, 40]],
    "two events": [[10, 20]],
    "all viewers equal": [[10, 20, 30, 40, 50]] * 6,
}


@pytest.mark.parametrize("judged", [False, True], ids=["", "judged"])
@pytest.mark.parametrize("rows", SMALLEST.values(), ids=list(SMALLEST))
def test_the_smallest_data_trains_or_is_refused_in_a_sentence(
    kind: type[Engine], rows: list[list[int]], judged: bool
) -> None:
    holdout = protocol.split_loo(of_rows(rows))
    data = holdout.train if judged else of_rows(rows)
    engine = kind(kind.Params(**kind.defaults_for(data)))
    said = ""
    try:
        engine.fit(data, Ear(), harness.validator(holdout) if judged else None)
    except EngineError as fault:
        said = str(fault)
    assert engine.fitted != bool(said)
    if not rows:
        assert not engine.fitted, "nothing can be learnt from nothing"
    if said:
        assert said.endswith("."), "said to a person, as a sentence"
        return
    for history in (HISTORIES["empty"], HISTORIES["unknown only"], History.of([1, 1])):
        picks = engine.recommend([history], 5)[0]
        assert len(picks) == min(5, data.n_items - len(set(history.items.tolist()) - {0}))
        assert len(engine.explain(history, items(picks))) == len(picks)
    again = kind(engine.params)
    again.restore(engine.state(), engine.index)
    assert held(again) == held(engine)


SERVE = """
import json, sys
import numpy as np
from movierec.dataset import History, ItemIndex
from movierec.engines import registry
kind = registry.get(sys.argv[1])
assert "onnxruntime" not in sys.modules, "listing engines must stay light"
with np.load(sys.argv[2], allow_pickle=False) as file:
    arrays = dict(file)
engine = kind(kind.Params(**json.loads(sys.argv[3])))
engine.restore(arrays, ItemIndex(np.arange(10, 601, 10)))
picks = [pick.item for pick in engine.recommend([History.of([4, 9, 2])], 10)[0]]
assert len(engine.explain(History.of([4, 9, 2]), picks)) == 10
print(json.dumps(picks))
heavy = {"torch", "onnx", "scipy", "pandas", "cornac"} & set(sys.modules)
assert not heavy, f"serving imported {heavy}"
"""


def test_serving_imports_nothing_heavy(kind: type[Engine], tmp_path: Path) -> None:
    np.savez(tmp_path / "state.npz", **fitted(kind).state())
    params = fitted(kind).params.model_dump_json()
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", SERVE, kind.slug, str(tmp_path / "state.npz"), params],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert not told.stderr
    assert json.loads(told.stdout) == items(fitted(kind).recommend([History.of([4, 9, 2])], 10)[0])
