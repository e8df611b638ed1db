"""NextItNet as an engine: it learns an order where there is one and nothing where there is none; how trainings end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from nets_kit import QUICK
from tiny import Ear, chain, of_rows, shuffled

from movierec.dataset import Dataset, History
from movierec.engines.base import BadState, Cancelled, Diverged
from movierec.engines.nets import influence, params, training, windows
from movierec.engines.nextitnet import NextItNetEngine, NextItNetParams
from movierec.engines.popularity import Popularity
from movierec.evaluation import harness, protocol

ROOT = Path(__file__).resolve().parent.parent


def engine(**knobs: object) -> NextItNetEngine:
    return NextItNetEngine(NextItNetParams(**{**QUICK, "cycles": 1, **knobs}))


def ndcg(made: NextItNetEngine | Popularity, data: Dataset) -> np.ndarray:
    """NDCG@10 of each viewer, trained on what `loo-full` allows."""
    holdout = protocol.split_loo(data)
    made.fit(holdout.train, Ear(), harness.validator(holdout))
    return harness.evaluate(made, holdout, timed=0).values["ndcg", 10]


def default_engine(data: Dataset, **knobs: object) -> NextItNetEngine:
    return NextItNetEngine(NextItNetParams(**{**NextItNetEngine.defaults_for(data), **knobs}))


# What it learns


@pytest.mark.parametrize("features", [True, False])
def test_it_learns_a_chain_that_popularity_cannot(features: bool) -> None:
    data = chain()
    assert ndcg(default_engine(data, features=features), data).mean() > 2 * ndcg(Popularity(), data).mean()


@pytest.mark.parametrize("features", [True, False])
def test_it_finds_nothing_where_there_is_nothing(features: bool) -> None:
    """The leak detector: on shuffled data only someone who has seen the answers beats popularity."""
    data = shuffled(chain())
    gain = ndcg(default_engine(data, features=features), data) - ndcg(Popularity(), data)
    assert gain.mean() < 3 * gain.std() / np.sqrt(gain.size)


def test_drawn_films_teach_it_too() -> None:
    data = chain()
    made = default_engine(data, softmax="sampled")
    assert ndcg(made, data).mean() > 2 * ndcg(Popularity(), data).mean()
    assert "drawn" in made.note


def test_a_large_catalogue_is_sampled_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(params, "MOST_FULL", 59)
    made, full = engine(epochs=1), engine(epochs=1, softmax="full")
    for one in (made, full):
        one.fit(chain(viewers=20), Ear())
    assert "drawn" in made.note
    assert not full.note


def test_it_reads_order() -> None:
    made = engine()
    made.fit(chain(viewers=40), Ear())
    one, other = made.recommend([History.of([3, 17, 42]), History.of([42, 17, 3])], 10)
    assert [pick.item for pick in one] != [pick.item for pick in other]


def test_a_viewer_of_whom_nothing_is_known_gets_what_is_popular() -> None:
    data = chain(viewers=40)
    made = engine()
    made.fit(data, Ear())
    empty, unknown = made.recommend([History.of([]), History.of([0, 0])], 5)
    assert empty == unknown
    assert [pick.why for pick in empty] == ["popular with everyone"] * 5
    counts = data.popularity[[pick.item for pick in empty]]
    assert counts.tolist() == sorted(data.popularity.tolist(), reverse=True)[:5]


def test_odd_histories_and_data_work() -> None:
    alike = of_rows([[10, 20, 30, 40]] * 10)
    made = engine()
    made.fit(alike, Ear())
    assert made.recommend([History.of([1, 2])], 1)[0][0].item == 3
    long = History.of(np.random.default_rng(0).integers(0, 5, 10_000))
    assert len(made.scores([long])[0]) == 5
    assert len(made.explain(long, [1, 2])) == 2
    one = of_rows([list(range(10, 3_010, 10))])
    single = engine(epochs=1)
    single.fit(one, Ear())
    assert single.fitted, "one viewer has nobody to be cross-fitted with"
    assert "popularity" not in single.state()


def test_gaps_and_ratings_are_heard() -> None:
    data = chain(viewers=40)
    rated = Dataset(
        data.index, data.viewer_ids, data.offsets, data.items, data.times, (data.items % 10 + 1).astype(np.float32) / 2
    )
    made = engine(gaps=True, ratings=True, epochs=4)
    made.fit(rated, Ear())
    items, times = np.array([3, 17, 42]), np.array([0, 9, 90_000])
    plain = made.scores([History.of(items, times, np.float32([5, 5, 5]))])
    assert (plain != made.scores([History.of(items, times, np.float32([5, 5, 1]))])).any()
    assert (plain != made.scores([History.of(items, times * 50, np.float32([5, 5, 5]))])).any()


# How trainings end


def test_the_best_epoch_is_kept_and_training_stops_when_it_gets_worse() -> None:
    given = iter([0.1, 0.3, 0.2, 0.2, 0.1, 0.0])
    seen: list[np.ndarray] = []

    def judge(made: NextItNetEngine) -> dict[str, float]:
        seen.append(made.scores([History.of([1, 2, 3])]))
        return {"ndcg@10": next(given), "hr@10": 0.0, "hr@20": 0.0}

    made, ear = engine(epochs=50, patience=2, features=False), Ear()
    made.fit(chain(viewers=30), ear, judge)
    assert ear.curve("ndcg@10") == [0.1, 0.3, 0.2, 0.2, 0.1]
    assert len(ear.curve("loss")) == 5
    assert np.abs(made.scores([History.of([1, 2, 3])]) - seen[1]).max() < 1e-4
    assert "epoch 2" in made.note


def test_the_transitions_are_trusted_as_validation_likes_best() -> None:
    """Of the four degrees tried after the last epoch the third is the best: the first gate is raised by so much."""
    given, gates = iter([0.1, 0.2, 0.1, 0.2, 0.4, 0.3]), []

    def judge(made: NextItNetEngine) -> dict[str, float]:
        gates.append(float(made._score(np.ones((1, 1, 3), dtype=np.int64))[1][0, 0]))
        return {"ndcg@10": next(given), "hr@20": 0.0}

    made, ear = engine(), Ear()
    made.fit(chain(viewers=30), ear, judge)
    assert np.diff(gates[2:]) == pytest.approx(np.diff(training.MORE_TRUST), abs=1e-5)
    assert gates[2] == pytest.approx(gates[1], abs=1e-5), "of the best epoch, which was the second"
    final = float(made._score(np.ones((1, 1, 3), dtype=np.int64))[1][0, 0])
    assert final == pytest.approx(gates[2] + training.MORE_TRUST[2], abs=1e-4)
    assert ear.curve("ndcg@10") == [0.1, 0.2, 0.4]


def test_a_judge_without_numbers_stops_nothing() -> None:
    made, ear = engine(epochs=4, patience=0), Ear()
    made.fit(chain(viewers=30), ear, lambda made: {"ndcg@10": np.nan, "hr@20": np.nan})
    assert len(ear.curve("loss")) == 4


class Wish:
    """A Report that asks to stop at the first word after `condition` holds."""

    def __init__(self, condition: object, keep: bool) -> None:
        self.condition, self.keep, self.points = condition, keep, 0

    def __call__(self, step: int, total: int, **metrics: float) -> None:
        self.points += bool(metrics)
        if self.condition(step, total, self.points):
            raise Cancelled(self.keep)


def test_cancelled_with_keep_it_serves_the_best_epoch_through_onnx() -> None:
    made = engine(epochs=50)
    with pytest.raises(Cancelled):
        made.fit(chain(viewers=30), Wish(lambda step, total, points: points == 1, keep=True))
    assert made.fitted
    assert made.state()["onnx"].size > 1000


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    "condition",
    [lambda step, total, points: 1, lambda step, total, points: points == 1, lambda step, total, points: step == total],
    ids=["at once", "after an epoch", "before the export"],
)  # fmt: skip
def test_cancelled_without_keep_nothing_is_exported(
    condition: object, keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, exported = engine(), []
    export = training.Training.export
    monkeypatch.setattr(training.Training, "export", lambda self, batches: exported.append(1) or export(self, batches))
    made.fit(chain(viewers=30), Ear())
    with pytest.raises(Cancelled):
        made.fit(chain(viewers=30), Wish(condition, keep))
    kept = keep and not condition(0, 1, 0)  # there was an epoch
    assert made.fitted == kept
    assert len(exported) == 1 + kept


def test_a_word_comes_in_every_phase() -> None:
    """Of CPU time no stretch is long, so a wish to stop is heard at once."""
    data = chain(viewers=400, length=50)
    last, longest = time.process_time(), 0.0

    def hear(step: int, total: int, **metrics: float) -> None:
        nonlocal last, longest
        longest, last = max(longest, time.process_time() - last), time.process_time()

    engine(epochs=1, batch=1_000).fit(data, lambda *a, **k: None)  # what is imported or compiled once is no phase
    last = time.process_time()
    made = engine(epochs=1, batch=1_000)
    made.fit(data, hear, harness.validator(protocol.split_loo(data)))
    assert longest < 0.4, f"{longest:.2f} s without a word"


def poisoned(monkeypatch: pytest.MonkeyPatch, from_step: int) -> None:
    learn = training.Training._learn

    def poison(self: training.Training, batch: windows.Batch, number: int) -> float:
        if number == from_step:
            self.net.bias.data[3] = torch.nan
        return learn(self, batch, number)

    monkeypatch.setattr(training.Training, "_learn", poison)


def test_no_number_for_a_loss_and_nothing_to_keep_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, 0)
    made = engine()
    with pytest.raises(Diverged):
        made.fit(chain(viewers=30), Ear())
    assert not made.fitted


def test_no_number_for_a_loss_keeps_the_epoch_before(monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, 4)
    made = engine()
    made.fit(chain(viewers=30), Ear())
    assert made.fitted
    assert np.isfinite(made.scores([History.of([1])])).all()
    assert "epoch 2" in made.note


def test_a_defect_in_the_judge_passes_through_and_leaves_nothing_half_done() -> None:
    def judge(made: NextItNetEngine) -> dict[str, float]:
        raise ZeroDivisionError

    made = engine()
    with pytest.raises(ZeroDivisionError):
        made.fit(chain(viewers=30), Ear(), judge)
    assert not made.fitted


def test_it_trains_where_the_processor_has_no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    made = engine()
    made.fit(chain(viewers=30), Ear())
    assert made.fitted


def test_torch_is_left_as_it_was() -> None:
    torch.manual_seed(7)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    engine().fit(chain(viewers=20), Ear())
    assert (torch.random.get_rng_state() == before).all()
    assert torch.get_num_threads() == threads
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


def test_another_seed_is_another_run() -> None:
    first, second = engine(seed=1), engine(seed=2)
    for made in (first, second):
        made.fit(chain(viewers=20), Ear())
    assert first.state()["onnx"].tobytes() != second.state()["onnx"].tobytes()


# What it serves


def test_a_graph_that_is_none_is_refused_quietly() -> None:
    """onnxruntime writes its own faults to stderr unless told not to."""
    code = (
        "import numpy as np\nfrom movierec.engines.base import BadState\n"
        "from movierec.engines.nets.serving import open_graph\n"
        "for junk in (b'', b'no graph', bytes(1000)):\n"
        "    try: open_graph(junk, 3)\n    except BadState: print('refused')\n"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["refused"] * 3
    assert not told.stderr


def test_a_graph_with_gates_wants_its_tables_and_one_without_wants_none() -> None:
    states = []
    for features in (True, False):
        made = engine(features=features)
        made.fit(chain(viewers=20), Ear())
        states.append(made.state())
    with_tables, without = states
    for arrays in (with_tables | {"onnx": without["onnx"]}, without | {"onnx": with_tables["onnx"]}):
        with pytest.raises(BadState, match="features"):
            engine().restore(arrays, chain().index)


@pytest.mark.parametrize("features", [True, False])
def test_without_the_strongest_film_the_pick_falls(features: bool) -> None:
    data = chain(viewers=120)
    made = default_engine(data, features=features)
    made.fit(data, Ear())
    ranks = []
    for viewer in range(20):
        history = data.history(viewer)
        picks = [pick.item for pick in made.recommend([history], 3)[0]]
        for item, reason in zip(picks, made.explain(history, picks), strict=True):
            assert reason.why == "follows what you watched last"
            effects = [effect for _, effect in reason.because]
            assert effects == sorted(effects, reverse=True)
            assert {film for film, _ in reason.because} <= set(history.items[-influence.LEFT_OUT :].tolist())
            if reason.because:
                keep = history.items != reason.because[0][0]
                less = History(history.items[keep], history.times[keep], history.ratings[keep])
                before, after = made.scores([history, less])
                assert after[item] < before[item]
                ranks.append([(row[1:] > row[item]).sum() for row in (before, after)])
    before, after = np.mean(ranks, axis=0)
    assert len(ranks) > 50
    assert after > before + 1, "ranks lost"


def test_explained_as_scored() -> None:
    """The variants by which influence is measured are the histories themselves, scored as the engine does."""
    data = chain(viewers=60)
    made = engine()
    made.fit(data, Ear())
    history = data.history(0)
    less = [
        History(*(np.delete(row, at) for row in (history.items, history.times, history.ratings))) for at in (13, 10)
    ]
    scores = made.scores([history, *less])
    peers = np.union1d(np.argsort(-made._prior[1:], kind="stable")[: influence.PEERS] + 1, [5])
    chance = scores[:, peers] - np.log(np.exp(scores[:, peers]).sum(1, keepdims=True))
    wanted = np.maximum(0, (chance[0] - chance[1:])[:, list(peers).index(5)])
    scoring = influence.Scoring(made._score, made._features, made._prior)
    films, falls = influence.effects(scoring, history, [5, 5])
    assert films[:4].tolist() == history.items[::-1][:4].tolist()
    fallen = scores[1:, 5] < scores[0, 5]
    assert falls[[0, 3], 0] == pytest.approx(wanted * fallen, abs=1e-3)
    assert (falls[:, 0] == falls[:, 1]).all()


def test_of_one_film_or_none_there_is_a_reason_too() -> None:
    made = engine()
    made.fit(chain(viewers=30), Ear())
    (empty,) = made.explain(History.of([0]), [4])
    assert (empty.why, empty.because) == ("popular with everyone", ())
    picks = [pick.item for pick in made.recommend([History.of([7])], 3)[0]]
    assert any(reason.because and reason.because[0][0] == 7 for reason in made.explain(History.of([7]), picks))
    assert made.explain(History.of([7]), []) == []
