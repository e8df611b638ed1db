"""A trained net as an ONNX graph that scores the last position, so that serving needs neither torch nor onnx.

Written node by node: torch's own exporter takes seconds, prints, and copies the tied table. The result is compared
with the net before anyone may use it. Letters: B viewers, T steps, C channels, N items (0 = padding).
"""

from __future__ import annotations

from typing import cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from movierec.dataset import Ints
from movierec.engines.base import EngineError
from movierec.engines.nets.body import Block, SequenceNet
from movierec.engines.nets.graph import Graph
from movierec.engines.nets.serving import open_graph
from movierec.engines.nets.steps import WIDTH

OPSET, IR_VERSION = 20, 10  # Gelu came with opset 20; onnxruntime 1.31 runs both
TOLERANCE = 1e-4


def to_onnx(net: SequenceNet) -> bytes:
    """The graph `steps (B, T, 3) int64 -> scores (B, N + 1), gates (B, 2 or 0), states (B, T, C)`, as bytes."""
    graph = Graph()
    table = graph.put(net.table)  # (N + 1, C), shared by the look-up and the output
    items = graph.column("steps", 0)  # (B, T)
    x = graph.add("Gather", table, items)  # (B, T, C)
    for place, given in ((1, net.gaps), (2, net.ratings)):
        if given is not None:
            x = graph.add("Add", x, graph.add("Gather", graph.put(given), graph.column("steps", place)))
    real = graph.add("Cast", graph.add("Greater", items, graph.put(0, np.int64)), to=graph.FLOAT)
    real = graph.add("Unsqueeze", real, graph.put([2], np.int64))  # (B, T, 1)
    x = graph.add("Mul", x, real)
    for block in net.blocks:
        x = cast(Block, block).write(graph, x, real)
    graph.norm(x, net.norm, output="states")  # (B, T, C)
    x = graph.add("Gather", "states", graph.put(-1, np.int64), axis=1)  # (B, C)
    graph.add("Gemm", x, table, graph.put(net.bias), transB=1, output="scores")  # (B, N + 1)
    graph.add("Gemm", x, graph.put(net.gate_weight), graph.put(net.gate_bias), transB=1, output="gates")
    return _model(graph, net)


def _model(graph: Graph, net: SequenceNet) -> bytes:
    steps = helper.make_tensor_value_info("steps", TensorProto.INT64, ["B", "T", WIDTH])
    widths = (("scores", len(net.bias)), ("gates", len(net.gate_bias)))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", width]) for name, width in widths]
    outputs.append(helper.make_tensor_value_info("states", TensorProto.FLOAT, ["B", "T", net.table.shape[1]]))
    proto = helper.make_graph(graph.nodes, "sequence", [steps], outputs, graph.weights)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="movierec")
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def largest_difference(net: SequenceNet, content: bytes, batches: list[Ints]) -> float:
    """Between the scores and gates of the net and those of its graph on these steps (B, T, 3)."""
    graph = open_graph(content, len(net.bias) - 1)
    worst = 0.0
    for steps in batches:
        with torch.no_grad():
            wanted = [part.numpy() for part in net.last(torch.from_numpy(steps))]
        for a, b in zip(wanted, graph(steps), strict=True):
            worst = max(worst, float(np.abs(a - b).max(initial=0)))
    return worst


def checked_onnx(net: SequenceNet, batches: list[Ints]) -> bytes:
    """The graph, once it has scored `batches` as the net does. Raises EngineError where it does not."""
    content = to_onnx(net)
    worst = largest_difference(net, content, batches)
    if not worst < TOLERANCE:
        raise EngineError(f"The exported graph differs from the trained net by {worst:.2g}; it is not kept.")
    return content
