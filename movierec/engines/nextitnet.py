"""NextItNet (Yuan et al., WSDM 2019): dilated causal convolutions over what was watched, trained with full softmax.

Training imports torch through `nets`, inside `fit` only; serving needs onnxruntime and nothing else.
Letters: B viewers, T steps (oldest first, left-padded with 0), N items (0 = padding).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from movierec.dataset import Dataset, History, Ints, ItemIndex
from movierec.engines.base import (
    AnyParams,
    BadState,
    Cancelled,
    EngineError,
    NotFitted,
    Params,
    Report,
    ScoringEngine,
    Validate,
)
from movierec.engines.nets.serving import Scorer, open_graph
from movierec.engines.registry import register

CYCLE = (1, 2, 4, 8)  # dilations, repeated `cycles` times
AT_ONCE = 256  # viewers in one pass of the net


class NextItNetParams(Params):
    """The defaults are those for about 100,000 views; `defaults_for` moves them with the size of the data."""

    channels: int = Field(
        64, ge=8, le=256, multiple_of=8, title="Channels", description="Numbers that describe a film."
    )
    cycles: int = Field(
        2, ge=1, le=4, title="Cycles", description="Each is four blocks that look 1, 2, 4 and 8 steps back."
    )
    length: int = Field(
        64, ge=4, le=512, title="Window", description="Films of a history that one training window holds."
    )
    epochs: int = Field(
        16, ge=1, le=200, title="Epochs", description="Passes over the data; the learning rate falls over all."
    )
    patience: int = Field(
        8, ge=0, le=200, title="Patience", description="Epochs without a better validation before it stops."
    )
    batch: int = Field(
        1600, ge=16, le=32_768, title="Targets a step", description="Smaller steps learn more an epoch, slower."
    )
    learning_rate: float = Field(
        4e-3, gt=0, le=0.1, title="Learning rate", description="The highest, reached after the warm-up."
    )
    weight_decay: float = Field(
        0.2, ge=0, le=1, title="Weight decay", description="Pulls weights to zero, against overfitting."
    )
    embedding_dropout: float = Field(
        0.3, ge=0, le=0.9, title="Dropout, films", description="Share of a film's numbers hidden in training."
    )
    block_dropout: float = Field(
        0.3, ge=0, le=0.9, title="Dropout, blocks", description="Share hidden inside each block."
    )
    head_dropout: float = Field(
        0.3, ge=0, le=0.9, title="Dropout, output", description="Share hidden before the films are scored."
    )

    smoothing: float = Field(
        0.2,
        ge=0,
        le=0.9,
        title="Label smoothing",
        description="Share of every target given to what is popular anyway, against overfitting.",
    )

    def dilations(self) -> tuple[int, ...]:
        """Of each block, first to last."""
        return CYCLE * self.cycles

    @property
    def reach(self) -> int:
        """How many of the last films a score can depend on."""
        return 1 + 2 * sum(self.dilations())


@register(
    "nextitnet",
    title="NextItNet",
    summary="A neural net that reads what was watched in order and ranks every film as the next one.",
    needs=("torch", "scipy", "onnx", "onnxruntime"),
)
class NextItNetEngine(ScoringEngine):
    """Scores through torch while it trains, through onnxruntime ever after."""

    Params = NextItNetParams

    def __init__(self, params: AnyParams | None = None) -> None:
        super().__init__(params)
        self._score: Scorer | None = None
        self._graph = b""
        self._prior: npt.NDArray[np.float32] = np.zeros(0, np.float32)  # (N + 1,) log popularity

    @classmethod
    def defaults_for(cls, data: Dataset) -> dict[str, Any]:
        """Between the two measured working points, 100 k and 1 M views, each knob moves with log(views)."""
        size = max(1, data.n_events) / 100_000
        way = float(np.clip(np.log10(size), 0, 1))  # 0 at 100 k views or fewer, 1 at 1 M or more
        return {
            "batch": int(np.clip(1600 * size**0.6, 128, 12_800)),
            "learning_rate": float(np.clip(round(4e-3 * size**-0.3, 5), 1e-3, 4e-3)),
            "smoothing": round(0.2 * (1 - way), 3),
            "length": round(64 * 3**way),
            "weight_decay": round(0.2 * 0.05**way, 4),
            "embedding_dropout": round(0.3 - 0.1 * way, 3),
            "block_dropout": round(0.3 - 0.2 * way, 3),
            "head_dropout": round(0.3 * (1 - way), 3),
        }

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        """Train, keep the best epoch, export it. Raises EngineError where no viewer has two views."""
        if not data.n_events:
            raise EngineError("There is nothing to learn from: the data has no views.")
        if int(np.diff(data.offsets).max()) < 2:
            raise EngineError("There is no order to learn from: no viewer has watched two films.")
        from movierec.engines.nets import training  # torch: 2 s and 220 MB that serving must not pay for

        self._forget()
        with training.one_thread():
            trainer = training.Training(data, self.params)
            self.index, self._prior, self._score = data.index, trainer.prior, trainer.score
            try:
                trainer.run(report, None if validate is None else lambda: validate(self))
            except Cancelled:
                self._settle(trainer, data)
                raise
            except BaseException:
                self._forget()
                raise
            self._settle(trainer, data)

    def _settle(self, trainer: Any, data: Dataset) -> None:
        """Become what the best epoch was, served through onnxruntime; unfitted where there was none."""
        if not trainer.keep_best():
            self._forget()
            return
        self.note = trainer.note
        try:
            graph = trainer.export(self._some_histories(data))
            self._score, self._graph = open_graph(graph, len(data.index)), graph
        except BaseException:
            self._forget()
            raise

    def _some_histories(self, data: Dataset) -> list[Ints]:
        """Real ones to compare graph and net on: up to 256 viewers together, and the first of them alone."""
        rows = np.linspace(0, data.n_viewers - 1, min(AT_ONCE, data.n_viewers)).astype(int)
        histories = [history for history in (data.history(int(row)) for row in rows) if len(history)]
        return [self._inputs(some) for some in (histories, histories[:1]) if some]

    def _forget(self) -> None:
        self.index, self._score, self._graph, self.note = None, None, b"", ""

    def scores(self, histories: Sequence[History]) -> npt.NDArray[np.float32]:
        """(B, N + 1) logits of the next film; log popularity for a viewer of whom no film is known."""
        if self._score is None:
            raise NotFitted("This engine has not been trained yet.")
        table = np.empty((len(histories), self._prior.size), dtype=np.float32)  # (B, N + 1)
        table[:] = self._prior
        known = [row for row, history in enumerate(histories) if (history.items > 0).any()]
        for start in range(0, len(known), AT_ONCE):
            rows = known[start : start + AT_ONCE]
            table[rows] = self._score(self._inputs([histories[row] for row in rows]))
        return table

    def _inputs(self, histories: Sequence[History]) -> Ints:
        """(B, T) int64: the last known films of each, left-padded to the longest."""
        tails = [history.known().items[-self.params.reach :] for history in histories]
        items = np.zeros((len(tails), max(map(len, tails))), dtype=np.int64)  # (B, T)
        for row, tail in enumerate(tails):
            items[row, items.shape[1] - len(tail) :] = tail
        return items

    def why(self, history: History) -> str:
        """What the list was made from."""
        return "follows what you watched last" if (history.items > 0).any() else "popular with everyone"

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """onnx: the graph's bytes (uint8); prior: (N + 1,) float32 log popularity."""
        if not self._graph:
            raise NotFitted("This engine has not been trained yet.")
        return {"onnx": np.frombuffer(self._graph, dtype=np.uint8), "prior": self._prior.copy()}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex) -> None:
        """Open the graph and try it on a film. Raises BadState and is unchanged then."""
        missing = {"onnx", "prior"} - set(arrays)
        if missing:
            raise BadState(f"The state lacks {' and '.join(sorted(missing))}.")
        prior, content = np.asarray(arrays["prior"]), np.asarray(arrays["onnx"])
        if prior.shape != (len(index) + 1,) or prior.dtype.kind != "f":
            raise BadState(f"The prior is {prior.dtype} of shape {prior.shape}, not floats for {len(index)} films.")
        if not np.isfinite(prior).all():
            raise BadState("A number of the prior is not finite.")
        if content.ndim != 1 or content.dtype != np.uint8:
            raise BadState(f"The graph is {content.dtype} of shape {content.shape}, not a row of bytes.")
        graph = content.tobytes()
        self._score = open_graph(graph, len(index))
        self._graph, self._prior, self.index = graph, prior.astype(np.float32), index
