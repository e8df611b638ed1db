"""Opens an exported graph with onnxruntime: no torch, no onnx.

Letters: B viewers, T steps, N items (0 = padding).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Ints
from movierec.engines.base import BadState
from movierec.engines.nets.steps import WIDTH

Table = npt.NDArray[np.float32]
Scorer = Callable[[Ints], tuple[Table, Table]]  # steps (B, T, 3) -> scores (B, N + 1), gates (B, 2 or 0)


class Opened:
    """A Scorer of one thread that also tells the states it scores with."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __call__(self, steps: Ints) -> tuple[Table, Table]:
        scores, gates = self._session.run(["scores", "gates"], {"steps": steps})
        return scores, gates

    def states(self, steps: Ints) -> Table:
        """(B, T, C) what the net holds after each step, that of the last being what it scores with."""
        states: Table = self._session.run(["states"], {"steps": steps})[0]
        return states


def open_graph(graph: bytes, n_items: int) -> Opened:
    """The graph, ready to score. Raises BadState unless it gives finite scores for `n_items` films."""
    import onnxruntime  # 0.6 s that a process which only lists engines must not pay for

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # only fatal faults: whatever is wrong comes back as an exception
    try:
        score = Opened(onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]))
        tried = np.zeros((1, 2, WIDTH), dtype=np.int64)
        tried[0, 1, 0] = n_items
        (scores, gates), states = score(tried), score.states(tried)
    except Exception as fault:  # onnxruntime's own exceptions share no other base
        raise BadState(f"The graph can't be run: {fault}") from fault
    if scores.shape != (1, n_items + 1):
        raise BadState(f"The graph scores {scores.shape[-1] - 1} films, the catalogue has {n_items}.")
    if gates.shape not in ((1, 0), (1, 2)) or states.ndim != 3 or states.shape[:2] != (1, 2):
        raise BadState(f"The graph has gates of shape {gates.shape} and states of shape {states.shape}.")
    if not (np.isfinite(scores).all() and np.isfinite(gates).all()):
        raise BadState("The graph gives scores that are not finite.")
    return score
