"""Nodes and weights of an ONNX graph in the order they are written, and the few compounds that nets need."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

_END = np.iinfo(np.int64).max


class Graph:
    """Collects what a net writes. Names stand for tensors."""

    FLOAT = TensorProto.FLOAT

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

    def norm(self, x: str, norm: torch.nn.Module, output: str = "") -> str:
        """LayerNorm over the last axis."""
        weights = [self.put(weight) for weight in (norm.weight, norm.bias) if weight is not None]
        return self.add("LayerNormalization", x, *weights, output=output, axis=-1, epsilon=norm.eps)

    def linear(self, x: str, weight: torch.Tensor, bias: torch.Tensor | None = None) -> str:
        """x weight^T + bias over the last axis."""
        y = self.add("MatMul", x, self.put(weight.T))
        return y if bias is None else self.add("Add", y, self.put(bias))

    def cut(self, x: str, begin: int, end: int | None) -> str:
        """x[:, begin:end]"""
        bounds = (begin, _END if end is None else end, 1)
        return self.add("Slice", x, *(self.put([bound], np.int64) for bound in bounds))

    def column(self, x: str, place: int) -> str:
        """x[..., place]"""
        return self.add("Gather", x, self.put(place, np.int64), axis=-1)
