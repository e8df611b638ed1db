"""What the engines of sequence nets share: knobs, training, scores with features, serving state. Light to import.

Training imports torch, inside `fit` only; serving needs onnxruntime and nothing else.
Letters: B viewers, T steps (oldest first, left-padded with 0), N items (0 = padding).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, History, Ints, ItemIndex
from movierec.engines.base import (
    AnyParams,
    BadState,
    Cancelled,
    EngineError,
    NotFitted,
    Reason,
    Report,
    ScoringEngine,
    Validate,
)
from movierec.engines.item_to_item.rows import checked
from movierec.engines.nets import features as tables
from movierec.engines.nets import influence, steps
from movierec.engines.nets.features import Features
from movierec.engines.nets.influence import Scoring
from movierec.engines.nets.serving import Opened, Scorer, open_graph

if TYPE_CHECKING:
    from movierec.engines.nets.body import SequenceNet, Start

AT_ONCE = 64  # viewers in one pass of the net


class SequenceEngine(ScoringEngine):
    """Scores through torch while it trains, through onnxruntime ever after."""

    def __init__(self, params: AnyParams | None = None) -> None:
        super().__init__(params)
        self._score: Scorer | None = None
        self._graph = b""
        self._features: Features | None = None
        self._prior: npt.NDArray[np.float32] = np.zeros(0, np.float32)  # (N + 1,) log popularity
        self._tick: Callable[[], None] = _nothing  # a word during validation

    @abstractmethod
    def net(self, start: Start) -> SequenceNet:
        """A new net of this kind. Imports torch."""

    @property
    @abstractmethod
    def reach(self) -> int:
        """How many of the last films the net looks at."""

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        """Train, keep the best epoch, export it. Raises EngineError where no viewer has two views."""
        if not data.n_events:
            raise EngineError("There is nothing to learn from: the data has no views.")
        if int(np.diff(data.offsets).max()) < 2:
            raise EngineError("There is no order to learn from: no viewer has watched two films.")
        from movierec.engines.nets import drop, training  # torch: 2 s and 220 MB that serving must not pay for

        self._forget()
        try:
            with drop.one_thread():
                trainer = training.Training(data, self.params, self.net, report)
                self.index, self._prior, self._score = data.index, trainer.prior, trainer.score
                self._features, self._tick = trainer.features, trainer.tick
                try:
                    trainer.run(None if validate is None else lambda: validate(self))
                    trainer.tick()  # the last chance to stop: the export is not interrupted
                except Cancelled as wish:
                    if wish.keep:
                        self._settle(trainer, data)
                    raise
                self._settle(trainer, data)
        except Cancelled as wish:
            if not wish.keep:
                self._forget()
            raise
        except BaseException:
            self._forget()
            raise

    def _settle(self, trainer: Any, data: Dataset) -> None:
        """Become what the best epoch was, served through onnxruntime; unfitted where there was none."""
        self._tick = _nothing
        if not trainer.keep_best():
            self._forget()
            return
        self.note = trainer.note
        graph = trainer.export(self._some_histories(data))
        self._score, self._graph = open_graph(graph, len(data.index)), graph

    def _some_histories(self, data: Dataset) -> list[Ints]:
        """Real ones to compare graph and net on: up to AT_ONCE viewers together, and the first of them alone."""
        rows = np.linspace(0, data.n_viewers - 1, min(AT_ONCE, data.n_viewers)).astype(int)
        histories = [history for history in (data.history(int(row)) for row in rows) if len(history)]
        return [steps.of_histories(some, self.reach) for some in (histories, histories[:1]) if some]

    def _forget(self) -> None:
        self.index, self.note, self._score, self._graph = None, "", None, b""
        self._features, self._prior, self._tick = None, np.zeros(0, np.float32), _nothing

    def scores(self, histories: Sequence[History]) -> npt.NDArray[np.float32]:
        """(B, N + 1) logits of the next film; log popularity for a viewer of whom no film is known."""
        if self._score is None:
            raise NotFitted("This engine has not been trained yet.")
        table = np.empty((len(histories), self._prior.size), dtype=np.float32)  # (B, N + 1)
        table[:] = self._prior
        known = [row for row, history in enumerate(histories) if (history.items > 0).any()]
        for start in range(0, len(known), AT_ONCE):
            self._tick()
            rows = known[start : start + AT_ONCE]
            table[rows] = self._scored([histories[row] for row in rows])
        return table

    def _scored(self, histories: Sequence[History]) -> npt.NDArray[np.float32]:
        """(B, N + 1) for histories with known films."""
        assert self._score is not None
        table, gates = self._score(steps.of_histories(histories, self.reach))
        if self._features is not None:
            for row, history in enumerate(histories):
                mk, ez = self._features.rows(history.known().items)
                table[row] += gates[row, 0] * mk + gates[row, 1] * ez
        return table

    def states(self, histories: Sequence[History]) -> list[npt.NDArray[np.float32]]:
        """(T, C) for each history with a known film: what the net holds after each of its known films."""
        if not isinstance(self._score, Opened):
            raise NotFitted("This engine has not been trained yet.")
        lengths = [len(history.known()) for history in histories]
        held = self._score.states(steps.of_histories(histories, max(lengths)))  # (B, T, C)
        return [rows[len(rows) - length :] for rows, length in zip(held, lengths, strict=True)]

    def why(self, history: History) -> str:
        """What the list was made from."""
        return "follows what you watched last" if (history.items > 0).any() else "popular with everyone"

    def explain(self, history: History, items: Sequence[int]) -> list[Reason]:
        """The last films whose absence lowers each item's score, and by how much; one pass of the net."""
        if self._score is None:
            raise NotFitted("This engine has not been trained yet.")
        why = self.why(history)
        if not len(items) or not (history.items > 0).any():
            return [Reason(why) for _ in items]
        films, falls = influence.effects(Scoring(self._score, self._features, self._prior), history, items)
        return [Reason(why, _strongest(films, fall)) for fall in falls.T]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """onnx: the graph's bytes (uint8); prior: (N + 1,) float32 log popularity; the features' tables, if any."""
        if not self._graph:
            raise NotFitted("This engine has not been trained yet.")
        own: dict[str, npt.NDArray[Any]] = {
            "onnx": np.frombuffer(self._graph, dtype=np.uint8),
            "prior": self._prior.copy(),
        }
        return own if self._features is None else own | self._features.arrays()

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex) -> None:
        """Open the graph and try it on a film. Raises BadState and is unchanged then."""
        prior = checked(arrays, "prior", "f", (len(index) + 1,))
        content = checked(arrays, "onnx", "u", None)
        if content.dtype != np.uint8:
            raise BadState(f"The graph is {content.dtype}, not bytes.")
        graph = content.tobytes()
        score: Scorer = open_graph(graph, len(index))
        made = (
            Features.from_arrays(arrays, len(index), not self.params.sampled_for(len(index)))
            if set(tables.NAMES) & set(arrays)
            else None
        )
        if score(np.ones((1, 1, steps.WIDTH), dtype=np.int64))[1].shape[1] != (2 if made is not None else 0):
            raise BadState("The graph wants other features than the state holds.")
        self._forget()
        self._score, self._features = score, made
        self._graph, self._prior, self.index = graph, prior.astype(np.float32), index


def _strongest(films: Ints, falls: npt.NDArray[np.float32]) -> tuple[tuple[int, float], ...]:
    """(film, fall) of those above zero, each film once, strongest first; of equals the newer."""
    found: dict[int, float] = {}
    for at in np.argsort(-falls, kind="stable"):
        if falls[at] > 0:
            found.setdefault(int(films[at]), float(falls[at]))
    return tuple(found.items())


def _nothing() -> None:
    """Outside of training nobody listens."""
