"""Opens an exported graph with onnxruntime; the one module of `nets` that serving may import: no torch, no onnx.

Letters: B viewers, T steps, N items (0 = padding).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from movierec.dataset import Ints
from movierec.engines.base import BadState

Scorer = Callable[[Ints], npt.NDArray[np.float32]]  # items (B, T) -> scores (B, N + 1)


def open_graph(graph: bytes, n_items: int) -> Scorer:
    """A scorer of one thread. Raises BadState unless it gives finite scores for `n_items` films."""
    import onnxruntime  # 0.6 s that a process which only lists engines must not pay for

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # only fatal faults: whatever is wrong comes back as an exception
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

        def score(items: Ints) -> npt.NDArray[np.float32]:
            table: npt.NDArray[np.float32] = session.run(None, {"items": items})[0]  # (B, N + 1)
            return table

        tried = score(np.array([[0, n_items]], dtype=np.int64))
    except Exception as fault:  # onnxruntime's own exceptions share no other base
        raise BadState(f"The graph can't be run: {fault}") from fault
    if tried.shape != (1, n_items + 1):
        raise BadState(f"The graph scores {tried.shape[-1] - 1} films, the catalogue has {n_items}.")
    if not np.isfinite(tried).all():
        raise BadState("The graph gives scores that are not finite.")
    return score
