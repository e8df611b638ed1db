"""A trained net as an ONNX graph that scores the last position, so that serving needs neither torch nor onnx.

Written node by node: torch's own exporter takes seconds, prints, and copies the tied table. The result is compared
with the net before anyone may use it. Letters: B viewers, T steps, C channels, N items (0 = padding).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from movierec.dataset import Ints
from movierec.engines.base import EngineError
from movierec.engines.nets.nextitnet import Block, NextItNet
from movierec.engines.nets.serving import open_graph

OPSET, IR_VERSION = 20, 10  # Gelu came with opset 20; onnxruntime 1.31 runs both
TOLERANCE = 1e-4
_END = np.iinfo(np.int64).max


class _Graph:
    """Nodes and weights in the order they are written."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def put(self, value: Any, dtype: type = np.float32) -> str:
        """The name of a constant."""
        name = f"w{len(self.weights)}"
        row = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        self.weights.append(numpy_helper.from_array(np.asarray(row, dtype=dtype, order="C"), name))
        return name

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """The name of a new node's output."""
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


def to_onnx(net: NextItNet) -> bytes:
    """The graph `items (B, T) int64 -> scores (B, N + 1)`, as bytes."""
    graph = _Graph()
    table = graph.put(net.table)  # (N + 1, C), shared by the look-up and the output
    x = graph.add("Gather", table, "items")  # (B, T, C)
    real = graph.add("Cast", graph.add("Greater", "items", graph.put(0, np.int64)), to=TensorProto.FLOAT)
    real = graph.add("Unsqueeze", real, graph.put([2], np.int64))  # (B, T, 1)
    for block in net.blocks:
        x = _block(graph, cast(Block, block), x, real)
    x = graph.add("Gather", x, graph.put(-1, np.int64), axis=1)  # (B, C)
    weights = graph.put(net.norm.weight), graph.put(net.norm.bias)
    x = graph.add("LayerNormalization", x, *weights, axis=-1, epsilon=net.norm.eps)
    graph.add("Gemm", x, table, graph.put(net.bias), transB=1, output="scores")  # (B, N + 1)
    proto = helper.make_graph(
        graph.nodes,
        "nextitnet",
        [helper.make_tensor_value_info("items", TensorProto.INT64, ["B", "T"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["B", net.table.shape[0]])],
        graph.weights,
    )
    model = helper.make_model(
        proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="movierec"
    )
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _block(graph: _Graph, block: Block, x: str, real: str) -> str:
    step = block.dilation
    y = graph.add("LayerNormalization", x, graph.put(block.norm.weight), axis=-1, epsilon=block.norm.eps)
    y = graph.add("Pad", y, graph.put([0, 2 * step, 0, 0, 0, 0], np.int64))  # (B, 2 * dilation + T, C)
    taps = [_steps(graph, y, i * step, i * step - 2 * step or _END) for i in range(3)]
    y = graph.add("Concat", *taps, axis=2)  # (B, T, 3 * C)
    y = graph.add("MatMul", y, graph.put(block.conv_weight.T))  # (B, T, C)
    y = graph.add("Gelu", graph.add("Add", y, graph.put(block.conv_bias)))
    y = graph.add("MatMul", y, graph.put(block.mix_weight.T * block.scale))  # the scale is folded in
    y = graph.add("Add", y, graph.put(block.mix_bias * block.scale))
    return graph.add("Mul", graph.add("Add", x, y), real)


def _steps(graph: _Graph, x: str, begin: int, end: int) -> str:
    """x[:, begin:end]"""
    return graph.add("Slice", x, *(graph.put([bound], np.int64) for bound in (begin, end, 1)))


def largest_difference(net: NextItNet, content: bytes, batches: list[Ints]) -> float:
    """Between the scores of the net and those of its graph on these items (B, T)."""
    score = open_graph(content, net.table.shape[0] - 1)
    worst = 0.0
    for items in batches:
        with torch.no_grad():
            wanted: npt.NDArray[np.float32] = net.last(torch.from_numpy(items)).numpy()
        worst = max(worst, float(np.abs(wanted - score(items)).max()))
    return worst


def checked_onnx(net: NextItNet, batches: list[Ints]) -> bytes:
    """The graph, once it has scored `batches` as the net does. Raises EngineError where it does not."""
    content = to_onnx(net)
    worst = largest_difference(net, content, batches)
    if not worst < TOLERANCE:
        raise EngineError(f"The exported graph differs from the trained net by {worst:.2g}; it is not kept.")
    return content
