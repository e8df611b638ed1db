"""BiVAE: Cornac's own step and ours are one, any history folds in, short ones too, ids keep their meaning."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from cornac.data import Dataset as CornacDataset
from cornac.models.bivaecf.bivae import BiVAE, learn
from tiny import Ear, of_rows

from movierec.dataset import Dataset, History, ItemIndex
from movierec.engines.base import BadState, Cancelled, Diverged, EngineError
from movierec.engines.bilateral import net, training, views
from movierec.engines.bilateral.folding import Folding, log_odds, shapes
from movierec.engines.bilateral.training import Training
from movierec.engines.bivae import Bivae, BivaeParams
from movierec.evaluation import harness, protocol

QUICK = {"factors": 8, "hidden": 16, "epochs": 10, "passes": 2, "viewer_batch": 16, "film_batch": 32}


def tastes(viewers: int = 120, length: int = 12, films: int = 60, groups: int = 4, seed: int = 0) -> Dataset:
    """Viewers of some groups, each of which watches its own part of the films nine times out of ten."""
    random, rows = np.random.default_rng(seed), []
    for viewer in range(viewers):
        own = np.arange(films) % groups == viewer % groups
        chance = np.where(own, 0.9 / own.sum(), 0.1 / (~own).sum())
        rows.append((10 * (1 + random.choice(films, length, replace=False, p=chance))).tolist())
    return of_rows(rows, ItemIndex(10 * np.arange(1, films + 1)))


def engine(**knobs: float) -> Bivae:
    return Bivae(BivaeParams(**{**QUICK, **knobs}))


def fitted(data: Dataset, **knobs: float) -> Bivae:
    made = engine(**knobs)
    made.fit(data, Ear())
    return made


# The step


def as_cornac(data: Dataset) -> CornacDataset:
    """The same views with the same numbers: Cornac counts viewers and films by first appearance."""
    table = sp.csr_array(views.table(data)[0])
    viewers, films = (OrderedDict((at, at) for at in range(size)) for size in table.shape)
    rows, columns = table.tocoo().coords
    events = [(int(a), int(b), 1.0) for a, b in zip(rows, columns, strict=True)]
    return CornacDataset.build(events, global_uid_map=viewers, global_iid_map=films)


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference."""
    return (a - b).detach().abs().max().item()


@pytest.fixture
def precise() -> Iterator[None]:
    """torch makes doubles."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_three_epochs_are_cornacs_three_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same seed, same batches, same noise: largest difference of any number < 1e-4."""
    check_equality(1e-4, 1, 16, monkeypatch)
    check_equality(1e-4, 2, 9, monkeypatch)


@pytest.mark.usefixtures("precise")
def test_what_differs_from_cornac_is_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    check_equality(1e-10, 1, 16, monkeypatch)


def check_equality(near: float, layers: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CELLS", 60)  # so small that the likelihood goes row by row
    data = tastes(viewers=40, films=50)
    params = BivaeParams(**{**QUICK, "layers": layers, "viewer_batch": batch, "film_batch": batch, "beta_kl": 0.7})
    structure = ([50] + [16] * layers, [40] + [16] * layers)
    with net.quiet_torch(5):
        peer = BiVAE(8, *structure, "tanh", "pois", {}, {}, batch)
        start = {name: weight.detach().clone() for name, weight in peer.named_parameters()}
        learn(peer, as_cornac(data), 3, batch, params.learning_rate, params.beta_kl, False, dtype=peer.theta.dtype)
    with net.quiet_torch(5):
        ours, table = Training(data, params), views.table(data)[0]
        ours.viewer_batches = views.batches(table, batch, np.arange(40))  # Cornac takes them as they come
        ours.film_batches = views.batches(table.T.tocsr(), batch, np.arange(50))
        for _ in range(3):
            ours.epoch(Ear())
    mu_beta = torch.cat([ours.films.factors(part.given)[0] for part in ours.film_batches])
    mu_theta = torch.cat([ours.viewers.factors(part.given)[0] for part in ours.viewer_batches])
    mine, theirs = dict(ours.net.named_parameters()), dict(peer.named_parameters())
    mine |= {"user_encoder.fc0.weight": ours.viewers.first.T, "item_encoder.fc0.weight": ours.films.first.T}
    mine |= {"theta": ours.net.theta, "beta": ours.net.beta, "mu_theta": mu_theta, "mu_beta": mu_beta}
    theirs |= {name: getattr(peer, name) for name in ("theta", "beta", "mu_theta", "mu_beta")}
    assert set(mine) == set(theirs)
    assert max(apart(mine[name], theirs[name]) for name in theirs) < near
    assert min(apart(start[name], theirs[name]) for name in start) > 1e-3, "three epochs move them"
    scores = ours.folding(mu_beta).scores([history.items for history in data.histories()])[:, 1:]
    assert np.abs(scores - (peer.mu_theta @ peer.mu_beta.T).numpy()).max() < 1e-4, "folding in is encoding"


def test_the_likelihood_and_its_slope_are_autograds() -> None:
    generator = torch.Generator().manual_seed(1)
    rows = sp.random_array((9, 30), density=0.2, format="csr", rng=np.random.default_rng(0), dtype=np.float32)
    rows.data[:] = 1
    (batch,) = views.batches(rows, 9, np.arange(9))
    own, other = torch.randn(9, 4, generator=generator), torch.randn(30, 4, generator=generator)
    x = torch.from_numpy(rows.toarray())
    plain = lambda own: ((rate := torch.sigmoid(own @ other.T)) - x * torch.log(rate + net.EPS)).sum()  # noqa: E731
    for cells in (30, 70, 1_000):  # one row, two rows, all rows at a time
        value, slope = net.poisson(own, other, batch, torch.empty(cells))
        assert value.item() == pytest.approx(plain(own).item(), rel=1e-5)
        assert torch.allclose(slope, torch.func.grad(plain)(own), atol=1e-4)


def test_the_prior_pulls_as_the_formula_says() -> None:
    mu, std = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.3, 0.9]])
    normal = torch.distributions.Normal
    wanted = torch.distributions.kl_divergence(normal(mu, std), normal(0.0, 1.0)).sum()
    assert net.divergence(mu, std).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_the_average_takes_part_only_where_asked() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    average = net.Average([weight])
    weight.data.fill_(11.0)
    average.follow()  # memory (1 + 1) / (10 + 1): 11 - 2 / 11 * 11
    with average.instead():
        assert weight.tolist() == pytest.approx([9, 9])
    assert weight.tolist() == [11, 11]


# The table


def test_every_view_is_found_under_its_own_film() -> None:
    """Shuffled ids, films without a view and a viewer without one: nothing may shift."""
    random = np.random.default_rng(2)
    movies, viewers = random.permutation(1_000)[:40] + 1, random.permutation(500)[:25]
    who, what = random.integers(0, 25, 300), random.integers(0, 30, 300)  # ten films stay unseen
    data = Dataset.from_events(viewers[who], movies[what], np.arange(300), index=ItemIndex(np.sort(movies)))
    data = data.select(data.viewers != 7)
    table, items = views.table(data)
    rows, columns = table.tocoo().coords
    known = np.delete(data.viewer_ids, 7)
    found = {
        (int(known[row]), int(data.index.movie_id(items[column]))) for row, column in zip(rows, columns, strict=True)
    }
    gone = int(data.viewer_ids[7])
    assert found == {(int(viewers[a]), int(movies[b])) for a, b in zip(who, what, strict=True) if viewers[a] != gone}
    with net.quiet_torch(1):
        trainer = Training(data, BivaeParams(**QUICK))
    folding = trainer.folding(torch.ones(items.size, 8))
    assert (folding.first[items] == trainer.viewers.first.detach().numpy()).all()
    unseen = np.setdiff1d(np.arange(data.n_items + 1), items)
    assert not folding.first[unseen].any()
    assert not folding.films[unseen].any()


def test_shortened_histories_are_parts_of_the_whole() -> None:
    table, _ = views.table(tastes(viewers=300, length=20))
    short = views.shortened(table, 0.3, np.random.default_rng(0))
    assert short.shape == table.shape
    assert (short.toarray() <= table.toarray()).all()
    lengths = np.diff(short.indptr)
    assert lengths.min() == 1
    assert (lengths == 20).mean() == pytest.approx(0.3 + 0.7 * np.log(21 / 20) / np.log(21), abs=0.06)
    assert np.median(lengths[lengths < 20]) == pytest.approx(np.sqrt(20), abs=2)
    assert (views.shortened(table, 1.0, np.random.default_rng(0)) != table).nnz == 0


# Folding in


def small() -> Folding:
    """Three films; of the third nobody has a view. One hidden layer of two, one factor."""
    return Folding(
        first=np.array([[0, 0], [1, 0], [0, 2], [9, 9]], np.float32),
        weights=(np.array([[3], [5]], np.float32),),
        biases=(np.array([0.5, 0], np.float32), np.array([0.25], np.float32)),
        films=np.array([[0], [1], [-2], [0]], np.float32),
        prior=log_odds(np.array([0, 4, 1, 0]), 9),
    )


def test_a_score_is_the_folded_viewer_times_the_film() -> None:
    theta = 3 * np.tanh(1 + 0.5) + 5 * np.tanh(2) + 0.25
    for items in ([1, 2], [2, 1], [1, 2, 2, 1], [0, 1, 2], [1, 2, 3]):
        row = small().scores([np.array(items)])[0]
        assert row[1:3].tolist() == pytest.approx([theta, -2 * theta], rel=1e-6)
        assert row[3] < row[:3].min(), "nobody watched it: last"


def test_the_log_odds_are_those_of_a_view() -> None:
    assert log_odds(np.array([0, 4, 1]), 9).tolist() == pytest.approx(
        [np.log(0.5 / 9.5), np.log(4.5 / 5.5), np.log(1.5 / 8.5)]
    )


def test_a_viewer_of_whom_nothing_is_known_gets_what_is_popular() -> None:
    for items in ([], [0, 0], [3]):
        assert (small().scores([np.array(items, dtype=int)])[0] == small().prior).all()


def test_a_fall_is_the_score_with_the_film_less_the_score_without() -> None:
    folding = small()
    tried, falls = folding.falls(np.array([2, 1]), np.array([1, 2, 3]), 10)
    whole = folding.scores([np.array([1, 2])])[0]
    for film, fall in zip(tried, falls, strict=True):
        without = folding.scores([np.array([3 - film])])[0]
        assert fall[:2] == pytest.approx((whole - without)[1:3], rel=1e-5)
        assert fall[2] == 0
    tried, falls = folding.falls(np.array([1]), np.array([2]), 10)
    assert falls[0, 0] == pytest.approx(folding.scores([np.array([1])])[0, 2] - folding.prior[2], rel=1e-5)


def test_of_a_long_history_the_nearest_films_are_tried() -> None:
    made = fitted(tastes())
    history = History.of(np.arange(1, 61))
    folding = made._folding
    tried, falls = folding.falls(history.items, np.array([5]), 7)
    near = folding.films[1:] @ folding.films[5]
    assert set(tried) == set(1 + np.argsort(-near, kind="stable")[:7])
    assert falls.shape == (7, 1)


# The engine


def test_it_learns_tastes_that_popularity_cannot_know() -> None:
    data = tastes(viewers=200, length=15)
    made = Bivae(BivaeParams(**Bivae.defaults_for(data)))
    holdout = protocol.split_as(data, "ratio")
    made.fit(holdout.train, Ear(), harness.validator(holdout))
    for kept in (1, 3, 5, 15):
        histories = [History.of(history.items[:kept]) for history in holdout.train.histories()]
        own = np.mean([
            (pick.item - 1) % 4 == viewer % 4
            for viewer, picks in enumerate(made.recommend(histories, 3))
            for pick in picks
        ])  # fmt: skip
        assert own > 0.6, f"of {kept} films the taste is read in {own:.0%} of the picks; one in four is chance"


def test_every_film_of_a_reason_is_one_and_says_how_much() -> None:
    made, data = fitted(tastes(), epochs=40, passes=10), tastes()
    for viewer in range(5):
        history = data.history(viewer)
        picks = [pick.item for pick in made.recommend([history], 5)[0]]
        for item, reason in zip(picks, made.explain(history, picks), strict=True):
            assert reason.why == "watched by people with your taste"
            assert reason.because
            for film, effect in reason.because:
                without = History.of(history.items[history.items != film])
                before, after = made.scores([history, without])[:, item]
                assert before - after == pytest.approx(effect, abs=1e-4)
    assert made.explain(History.of([]), [1])[0].because == ()
    assert made.explain(History.of([]), [1])[0].why == "popular with everyone"


def test_an_explanation_costs_at_most_three_recommendations() -> None:
    random, n_items, made = np.random.default_rng(0), 10_000, Bivae()
    wanted = shapes(n_items, [made.params.hidden], made.params.factors)
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in wanted.items()}
    arrays["prior"][0] = arrays["prior"].min() - 1
    made.restore(arrays, ItemIndex(np.arange(n_items)))
    history = History.of(1 + random.permutation(n_items)[:200])
    picks = [pick.item for pick in made.recommend([history], 10)[0]]
    costs = []
    for act in (lambda: made.recommend([history], 10), lambda: made.explain(history, picks)):
        took = []
        for _ in range(30):
            begun = time.process_time_ns()
            act()
            took.append(time.process_time_ns() - begun)
        costs.append(np.median(took))
    assert costs[1] <= 3 * costs[0]


def test_films_nobody_watched_come_last() -> None:
    made = fitted(of_rows([[10, 20, 30], [10, 20], [20, 30]], ItemIndex(np.array([5, 10, 15, 20, 30]))))
    for items in ([], [2], [4, 5], [1, 2]):
        picks = [pick.item for pick in made.recommend([History.of(items)], 5)[0]]
        assert [item for item in picks if item in (1, 3)] == picks[len(picks) - len({1, 3} - set(items)) :]


# The training


def judge(values: list[float]) -> tuple[object, list[np.ndarray]]:
    """A judge that gives these values, and the scores it was shown."""
    given, seen = iter(values), []

    def validate(made: Bivae) -> dict[str, float]:
        seen.append(made.scores([History.of([1, 2, 3])]))
        return {"ndcg@10": next(given)}

    return validate, seen


def test_the_best_epoch_is_kept_and_training_stops_when_it_gets_worse() -> None:
    validate, seen = judge([0.1, 0.3, 0.2, 0.2, 0.1, 0.0])
    made, ear = engine(epochs=50, judged_every=2, patience=2, passes=0), Ear()
    made.fit(tastes(), ear, validate)
    assert ear.curve("ndcg@10") == [0.1, 0.3, 0.2, 0.2, 0.1]
    assert len(ear.curve("loss")) == 10
    assert (made.scores([History.of([1, 2, 3])]) == seen[1]).all()
    assert made.note == "Stopped after epoch 10: validation was best in epoch 4."
    ear.check()


def test_the_short_history_passes_go_on_from_the_best_epoch_and_are_judged() -> None:
    validate, seen = judge([0.1, 0.3, 0.2, 0.05])
    made, ear = engine(epochs=6, judged_every=2, passes=3), Ear()
    made.fit(tastes(), ear, validate)
    assert ear.curve("ndcg@10") == [0.1, 0.3, 0.2, 0.05]
    assert len(ear.curve("loss")) == 6, "what it loses on short histories is another curve"
    assert (made.scores([History.of([1, 2, 3])]) == seen[3]).all()
    assert (made.state()["films"] == fitted_at_best().state()["films"]).all(), "the films' factors stay"
    ear.check()
    assert ear.heard[-1][0] == ear.heard[-1][1]


def fitted_at_best() -> Bivae:
    validate, _ = judge([0.1, 0.3, 0.2])
    made = engine(epochs=6, judged_every=2, passes=0)
    made.fit(tastes(), Ear(), validate)
    return made


def test_a_judge_without_numbers_stops_nothing() -> None:
    made, ear = engine(judged_every=1, patience=0), Ear()
    made.fit(tastes(), ear, lambda made: {"ndcg@10": np.nan})
    assert len(ear.curve("loss")) == 10


def test_it_reports_every_step() -> None:
    ear = Ear()
    engine(viewer_batch=50, film_batch=20).fit(tastes(), ear)  # 3 steps of films and 3 of viewers an epoch
    steps = [step for step, _, metrics in ear.heard if not metrics]
    assert steps == [*range(1, 10 * 6 + 2 * 3 + 1), 66]


@pytest.mark.parametrize(("at", "kept"), [(5, False), (-4, True)], ids=["in the first epoch", "in the short passes"])
def test_cancelled_it_holds_the_best_epoch_or_nothing(at: int, kept: bool) -> None:
    ear = Ear()
    engine().fit(tastes(), ear)
    made = fitted(tastes())
    with pytest.raises(Cancelled):
        made.fit(tastes(), Ear(Cancelled(keep=True), at % len(ear.heard)))
    assert made.fitted == kept
    if kept:
        assert (made.scores([History.of([1, 2])]) == fitted(tastes(), passes=0).scores([History.of([1, 2])])).all()


def poisoned(monkeypatch: pytest.MonkeyPatch, at_step: int) -> None:
    step, steps = net.Side.learn, []

    def poison(self: net.Side, *given: object) -> float:
        steps.append(1)
        if len(steps) == at_step:
            self.bias.data[0] = torch.nan
        return step(self, *given)

    monkeypatch.setattr(net.Side, "learn", poison)


def test_no_number_for_a_loss_and_nothing_to_keep_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, 1)
    made = engine()
    with pytest.raises(Diverged, match="learning rate"):
        made.fit(tastes(), Ear())
    assert not made.fitted


@pytest.mark.parametrize(("step", "note"), [(62, "in epoch 7"), (105, "short histories")])
def test_no_number_for_a_loss_keeps_the_state_before(step: int, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, step)  # 2 + 8 steps an epoch, 10 epochs
    made = fitted(tastes(), judged_every=2)
    assert np.isfinite(made.scores([History.of([1])])).all()
    assert note in made.note


def test_weights_that_are_no_numbers_are_never_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    step = net.Side.learn

    def poison(self: net.Side, *given: object) -> float:
        loss = step(self, *given)
        self.average._mean[0][:] = torch.inf
        return loss

    monkeypatch.setattr(net.Side, "learn", poison)
    with pytest.raises(Diverged):
        engine().fit(tastes(), Ear(), lambda made: pytest.fail("judged"))


def test_a_defect_in_the_judge_passes_through_and_leaves_nothing_half_done() -> None:
    def broken(made: Bivae) -> dict[str, float]:
        raise ZeroDivisionError

    made = engine()
    with pytest.raises(ZeroDivisionError):
        made.fit(tastes(), Ear(), broken)
    assert not made.fitted


def test_torch_is_left_as_it_was() -> None:
    torch.manual_seed(7)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    fitted(tastes())
    assert (torch.random.get_rng_state() == before).all()
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_another_seed_is_another_run() -> None:
    one, other = (fitted(tastes(), seed=seed).state()["films"] for seed in (1, 2))
    assert np.abs(one - other).max() > 0.01


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(EngineError, match="no views"):
        fitted(of_rows([]))


def test_arrays_of_another_size_are_refused() -> None:
    with pytest.raises(BadState, match="first"):
        engine(hidden=20).restore(fitted(tastes()).state(), tastes().index)
