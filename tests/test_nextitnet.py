"""NextItNet: its net, its loss, its batches, its start, its export, and that it learns an order where there is one."""

from __future__ import annotations

import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import Ear, chain, of_rows, shuffled
from torch.nn import functional as F

from movierec.dataset import Dataset, History
from movierec.engines.base import Cancelled, Diverged, EngineError
from movierec.engines.nets import export, loss, serving, start, training, windows
from movierec.engines.nets.nextitnet import NextItNet
from movierec.engines.nextitnet import NextItNetEngine, NextItNetParams
from movierec.engines.popularity import Popularity
from movierec.evaluation import harness, protocol

ROOT = Path(__file__).resolve().parent.parent
QUICK = {"channels": 16, "cycles": 1, "length": 16, "batch": 128, "epochs": 2, "learning_rate": 4e-3}


def net(n_items: int = 40, channels: int = 16, dilations: tuple[int, ...] = (1, 2, 4)) -> NextItNet:
    generator = torch.Generator().manual_seed(5)
    table = torch.randn(n_items + 1, channels, generator=generator)
    table[0] = 0
    made = NextItNet(table, torch.randn(n_items + 1, generator=generator), dilations, generator)
    for block in made.blocks:
        for weight in (block.conv_bias, block.mix_bias):
            weight.data.normal_(generator=generator)  # zero biases would hide a leak of the padding
    return made


def engine(**knobs: float) -> NextItNetEngine:
    return NextItNetEngine(NextItNetParams(**{**QUICK, **knobs}))


# The net


def test_padding_never_changes_a_score() -> None:
    row = torch.tensor([[3, 9, 27, 4]])
    alone = net().last(row)
    for padding in (1, 5, 30):
        padded = net().last(F.pad(row, (padding, 0)))
        assert torch.allclose(alone, padded, atol=1e-5), f"{padding} steps of padding changed the scores"
    assert (net()(F.pad(row, (9, 0)))[:, :9] - net().norm.bias).abs().max() < 1e-6


def test_no_step_sees_what_follows_it() -> None:
    items = torch.randint(1, 41, (2, 20), generator=torch.Generator().manual_seed(1))
    changed = items.clone()
    changed[:, 12:] = 40
    before, after = net()(items), net()(changed)
    assert torch.allclose(before[:, :12], after[:, :12], atol=1e-6)
    assert not torch.allclose(before[:, 12:], after[:, 12:], atol=1e-3)


def test_reach_is_what_a_score_depends_on() -> None:
    params = NextItNetParams(cycles=1)
    row = torch.randint(1, 41, (1, 60), generator=torch.Generator().manual_seed(1))
    made = net(dilations=params.dilations())
    for block in made.blocks:
        block.scale.data.fill_(1.0)
    assert torch.allclose(made.last(row), made.last(row[:, -params.reach :]), atol=1e-5)
    assert not torch.allclose(made.last(row), made.last(row[:, -params.reach + 1 :]), atol=1e-5)


# The loss


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_the_fused_loss_is_cross_entropy_and_so_are_its_gradients(
    dtype: torch.dtype, near: float, share: float
) -> None:
    generator = torch.Generator().manual_seed(3)
    hidden, table = torch.randn(700, 8, generator=generator), torch.randn(31, 8, generator=generator) * 0.3
    bias, targets = torch.randn(31, generator=generator), torch.randint(1, 31, (700,), generator=generator)
    ours = [x.clone().requires_grad_() for x in (hidden, table, bias)]
    theirs = [x.clone().requires_grad_() for x in (hidden, table, bias)]
    buffers, usual = loss.Buffers(30, dtype), torch.rand(30, generator=generator).softmax(0)
    assert buffers.rows < 700, "the test wants several chunks"
    for _ in range(2):  # the second pass meets used buffers
        mine = loss.cross_entropy(*ours, targets, buffers, loss.Smoothing(share, usual))
    mine.backward()
    wanted = (1 - share) * F.one_hot(targets - 1, 30) + share * usual
    plain = F.cross_entropy(theirs[0] @ theirs[1][1:].T + theirs[2][1:], wanted)
    plain.backward()
    assert mine.item() == pytest.approx(plain.item(), rel=near)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.grad - b.grad).norm() <= near * b.grad.norm()
    assert not ours[1].grad[0].any(), "padding is never a candidate"


def test_no_tensor_of_positions_times_items() -> None:
    buffers = loss.Buffers(100_000, torch.bfloat16)
    assert buffers.logits.numel() * 2 <= 32 << 20


# The batches


def pairs(batches: list[windows.Batch]) -> list[tuple[int, int]]:
    """Each input and what is to follow it."""
    return [
        (int(a), int(b))
        for batch in batches
        for a, b in zip(np.concatenate([part[part > 0] for part in batch.inputs]), batch.targets, strict=True)
    ]


@pytest.mark.parametrize(("length", "positions"), [(4, 16), (50, 16), (7, 100_000)])
def test_each_target_comes_once_an_epoch_after_what_preceded_it(length: int, positions: int) -> None:
    data = chain(viewers=30, length=13)
    made = windows.Windows(data, length, positions)
    wanted = sorted((a, b) for h in data.histories() for a, b in pairwise(h.items.tolist()))
    random, cuts = np.random.default_rng(0), []
    for _ in range(3):
        batches = list(made.epoch(random))
        assert len(batches) == made.batches
        assert sorted(pairs(batches)) == wanted
        assert all((batch.targets > 0).all() for batch in batches)
        rows = [row for batch in batches for part in batch.inputs for row in part]
        assert max(len(row) for row in rows) <= length
        cuts.append(sorted(len(row[row > 0]) for row in rows))
    assert made.targets == len(wanted)
    assert cuts[0] != cuts[1], "windows are cut anew each epoch"


def test_a_window_is_one_viewers_consecutive_views() -> None:
    data = chain(viewers=10, length=13)
    texts = {" ".join(map(str, history.items)) for history in data.histories()}
    for batch in windows.Windows(data, 5, 40).epoch(np.random.default_rng(0)):
        for row in (row for part in batch.inputs for row in part):
            assert (row[: np.argmax(row > 0)] == 0).all()
            assert any(f" {' '.join(map(str, row[row > 0]))} " in f" {text} " for text in texts)


def test_one_long_history_among_short_ones_costs_no_padding() -> None:
    data = of_rows([[10, 20]] * 500 + [list(range(10, 5_010, 10))])
    made = windows.Windows(data, 512, 1_000)
    batches = list(made.epoch(np.random.default_rng(0)))
    assert sum(part.size for batch in batches for part in batch.inputs) <= 2 * made.targets
    assert sorted(pairs(batches)) == sorted((a, b) for h in data.histories() for a, b in pairwise(h.items.tolist()))


def test_dropout_scales_what_it_keeps() -> None:
    drop = training.DropPool(torch.Generator().manual_seed(1), np.random.default_rng(1))
    dropped = drop(torch.ones(100, 100), 0.3)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    assert (drop(torch.ones(3), 0) == 1).all()
    assert drop(torch.ones(600_000), 0.3).mean().item() == pytest.approx(1, abs=0.01), "the pool grows with need"


# The start


def test_films_watched_together_start_together() -> None:
    rows = [[10, 20, 30], [20, 10, 30], [30, 20, 10], [40, 50, 60], [60, 50, 40], [50, 40, 60]] * 3
    vectors = start.item_vectors(of_rows(rows), 2, np.random.default_rng(0))
    unit = vectors[1:] / np.linalg.norm(vectors[1:], axis=1, keepdims=True)
    likeness = unit @ unit.T
    assert likeness[:3, :3].min() > likeness[:3, 3:].max() + 0.5
    assert not vectors[0].any()
    assert vectors[1:].std() == pytest.approx(0.1, rel=0.3)


def test_films_without_company_start_small() -> None:
    data = of_rows([[10, 20], [30]])
    vectors = start.item_vectors(data, 8, np.random.default_rng(0))
    assert np.isfinite(vectors).all()
    assert np.abs(vectors[3]).max() < 0.1


def test_the_prior_is_log_popularity() -> None:
    prior = start.log_popularity(of_rows([[10, 20], [10], [10, 30]]))
    assert np.exp(prior[1:]).sum() == pytest.approx(1)
    assert prior[1] > prior[2] == prior[3]
    assert prior[0] <= prior[1:].min()


# The export


def test_the_graph_scores_as_the_net_does_at_any_batch_and_length() -> None:
    made = net()
    random = np.random.default_rng(0)
    shapes = [(1, 1), (1, 7), (5, 30), (2, 200)]
    batches = [random.integers(1, 41, shape) * (np.arange(shape[1]) >= shape[1] // 3) for shape in shapes]
    assert export.largest_difference(made, export.checked_onnx(made, batches), batches) < 1e-5


def test_a_graph_that_differs_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, other = export.to_onnx(net()), net()
    other.bias.data += 0.01
    monkeypatch.setattr(export, "to_onnx", lambda net: graph)
    with pytest.raises(EngineError, match="differs"):
        export.checked_onnx(other, [np.array([[1, 2]])])


def test_the_export_is_quiet_and_leaves_no_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(tmp_path)
        warnings.simplefilter("error")
        serving.open_graph(export.to_onnx(net()), 40)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_one_table_in_the_file() -> None:
    assert len(export.to_onnx(net(5_000, 16))) < 5_000 * 16 * 4 * 1.3, "look-up and output share the table"


# The training


def ndcg(engine: NextItNetEngine | Popularity, data: Dataset) -> np.ndarray:
    """NDCG@10 of each viewer, trained on what `loo-full` allows."""
    holdout = protocol.split_loo(data)
    engine.fit(holdout.train, Ear(), harness.validator(holdout))
    return harness.evaluate(engine, holdout, timed=0).values["ndcg", 10]


def default_engine(data: Dataset) -> NextItNetEngine:
    return NextItNetEngine(NextItNetParams(**NextItNetEngine.defaults_for(data)))


def test_it_learns_a_chain_that_popularity_cannot() -> None:
    data = chain()
    assert ndcg(default_engine(data), data).mean() > 2 * ndcg(Popularity(), data).mean()


def test_it_finds_nothing_where_there_is_nothing() -> None:
    """The leak detector: on shuffled data only someone who has seen the answers beats popularity."""
    data = shuffled(chain())
    gain = ndcg(default_engine(data), data) - ndcg(Popularity(), data)
    assert gain.mean() < 3 * gain.std() / np.sqrt(gain.size)


def test_a_viewer_of_whom_nothing_is_known_gets_what_is_popular() -> None:
    data = chain(viewers=40)
    made = engine()
    made.fit(data, Ear())
    empty, unknown = made.recommend([History.of([]), History.of([0, 0])], 5)
    assert empty == unknown
    assert [pick.why for pick in empty] == ["popular with everyone"] * 5
    counts = data.popularity[[pick.item for pick in empty]]
    assert counts.tolist() == sorted(data.popularity.tolist(), reverse=True)[:5]


def test_it_reads_order() -> None:
    made = default_engine(chain())
    made.fit(chain(), Ear())
    one, other = made.recommend([History.of([3, 17, 42]), History.of([42, 17, 3])], 10)
    assert [pick.item for pick in one] != [pick.item for pick in other]


def test_the_best_epoch_is_kept_and_training_stops_when_it_gets_worse() -> None:
    given = iter([0.1, 0.3, 0.2, 0.2, 0.1, 0.0])
    seen: list[np.ndarray] = []

    def judge(made: NextItNetEngine) -> dict[str, float]:
        seen.append(made.scores([History.of([1, 2, 3])]))
        return {"ndcg@10": next(given), "hr@10": 0.0, "hr@20": 0.0}

    made, ear = engine(epochs=50, patience=2), Ear()
    made.fit(chain(viewers=30), ear, judge)
    assert ear.curve("ndcg@10") == [0.1, 0.3, 0.2, 0.2, 0.1]
    assert len(ear.curve("loss")) == 5
    assert np.abs(made.scores([History.of([1, 2, 3])]) - seen[1]).max() < 1e-4
    assert "epoch 2" in made.note


def test_a_judge_without_numbers_stops_nothing() -> None:
    made, ear = engine(epochs=4, patience=0), Ear()
    made.fit(chain(viewers=30), ear, lambda made: {"ndcg@10": np.nan, "hr@20": np.nan})
    assert len(ear.curve("loss")) == 4


def test_cancelled_after_an_epoch_it_serves_that_epoch_through_onnx() -> None:
    made = engine(epochs=50)
    with pytest.raises(Cancelled):
        made.fit(chain(viewers=30), Ear(Cancelled(keep=True), at=8))
    assert made.fitted
    assert made.state()["onnx"].size > 1000


def test_cancelled_before_that_it_is_not_trained() -> None:
    made = engine()
    made.fit(chain(viewers=30), Ear())
    with pytest.raises(Cancelled):
        made.fit(chain(viewers=30), Ear(Cancelled(), at=1))
    assert not made.fitted


def poisoned(monkeypatch: pytest.MonkeyPatch, from_step: int) -> None:
    step = training.Training._step

    def poison(self: training.Training, batch: windows.Batch, number: int) -> float:
        if number == from_step:
            self.net.bias.data[3] = torch.nan
        return step(self, batch, number)

    monkeypatch.setattr(training.Training, "_step", poison)


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
