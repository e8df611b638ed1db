"""The nets themselves and the graphs written of them: padding, order, reach, and that graph and net score alike."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from nets_kit import net, steps
from torch.nn import functional as F

from movierec.engines.base import EngineError
from movierec.engines.nets import export, serving
from movierec.engines.nextitnet import NextItNetParams

KINDS = pytest.mark.parametrize("kind", ["nextitnet", "sasrec"])


@KINDS
def test_padding_never_changes_a_score(kind: str) -> None:
    made, row = net(kind), torch.from_numpy(steps(1, 4))
    alone = made.last(row)
    for padding in (1, 5, 30):
        padded = made.last(F.pad(row, (0, 0, padding, 0)))
        for a, b in zip(alone, padded, strict=True):
            assert torch.allclose(a, b, atol=1e-5), f"{padding} steps of padding changed the scores"


@KINDS
def test_no_step_sees_what_follows_it(kind: str) -> None:
    made, given = net(kind), torch.from_numpy(steps(2, 20))
    changed = given.clone()
    changed[:, 12:] = 7
    before, after = made(given), made(changed)
    assert torch.allclose(before[:, :12], after[:, :12], atol=1e-6)
    assert not torch.allclose(before[:, 12:], after[:, 12:], atol=1e-3)


@KINDS
@pytest.mark.parametrize("column", [1, 2])
def test_gaps_and_ratings_are_told(kind: str, column: int) -> None:
    given = torch.from_numpy(steps(1, 5))
    changed = given.clone()
    changed[0, -1, column] = (given[0, -1, column] + 1) % 10
    told, deaf = net(kind), net(kind, told=False)
    assert not torch.allclose(told.last(given)[0], told.last(changed)[0], atol=1e-3)
    assert torch.equal(deaf.last(given)[0], deaf.last(changed)[0])


def test_reach_is_what_a_score_depends_on() -> None:
    made = net("nextitnet")
    reach = 1 + 2 * (1 + 2 + 4)
    assert NextItNetParams(cycles=1).dilations() == (1, 2, 4, 8)
    given = torch.from_numpy(steps(1, 60))
    for block in made.blocks:
        block.scale.data.fill_(1.0)
    assert torch.allclose(made.last(given)[0], made.last(given[:, -reach:])[0], atol=1e-5)
    assert not torch.allclose(made.last(given)[0], made.last(given[:, -reach + 1 :])[0], atol=1e-5)


def test_attention_asks_how_long_ago() -> None:
    made = net("sasrec")
    given = torch.from_numpy(steps(1, 6))
    swapped = given.clone()
    swapped[0, 1], swapped[0, 2] = given[0, 2], given[0, 1]
    assert not torch.allclose(made.last(given)[0], made.last(swapped)[0], atol=1e-4)


@KINDS
@pytest.mark.parametrize("told", [True, False])
def test_the_graph_scores_as_the_net_does_at_any_batch_and_length(kind: str, told: bool) -> None:
    made = net(kind, told)
    batches = [steps(*shape) for shape in [(1, 1), (1, 7), (5, 30), (2, 200)]]
    for batch in batches:
        batch[:, : batch.shape[1] // 3] = 0
    graph = export.checked_onnx(made, batches)
    assert export.largest_difference(made, graph, batches) < 1e-4
    assert serving.open_graph(graph, 40)(batches[1])[1].shape == (1, 2 if told else 0)


@KINDS
def test_a_graph_that_differs_is_not_kept(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, other = export.to_onnx(net(kind)), net(kind)
    other.bias.data += 0.01
    monkeypatch.setattr(export, "to_onnx", lambda net: graph)
    with pytest.raises(EngineError, match="differs"):
        export.checked_onnx(other, [steps(1, 2)])


def test_the_export_is_quiet_and_leaves_no_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(tmp_path)
        warnings.simplefilter("error")
        serving.open_graph(export.to_onnx(net("sasrec")), 40)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_one_table_in_the_file() -> None:
    size = len(export.to_onnx(net("nextitnet", n_items=5_000)))
    assert size < 5_000 * 16 * 4 * 1.3, "look-up and output share the table"


def test_a_graph_of_another_shape_is_refused() -> None:
    graph = export.to_onnx(net("nextitnet"))
    with pytest.raises(serving.BadState, match="can't be run"):
        serving.open_graph(graph, 41)


def test_gates_start_where_the_recipe_does() -> None:
    made = net("nextitnet")
    made.gate_weight.data.zero_()
    assert made.gates(torch.ones(3, 16)).tolist() == [pytest.approx([0.5, 0.1])] * 3
    assert np.isfinite(made.last(torch.from_numpy(steps(1, 1)))[0].detach().numpy()).all()
