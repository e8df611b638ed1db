"""What every engine is: the contract between a way of recommending and the rest of the house.

Errors: EngineError > NotFitted, Cancelled, BadState, Diverged. Letters: B viewers, N items (0 = padding).
Stability: public; an engine written against this file keeps working within a major version.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from movierec.dataset import Dataset, History, ItemIndex


class EngineError(Exception):
    """Something an engine can say in one sentence to a person."""


class NotFitted(EngineError):
    """Asked for recommendations before `fit` or `restore`."""


class BadState(EngineError):
    """`restore` was given arrays that do not fit: a missing one, a wrong shape, a value that is not finite."""


class Diverged(EngineError):
    """The training's loss stopped being a number and there is no good state to keep."""


class Cancelled(EngineError):
    """Raised by a Report when a person asked to stop. `keep` says whether they want the best state so far."""

    def __init__(self, keep: bool = False) -> None:
        super().__init__("cancelled by request")
        self.keep = keep


class Report(Protocol):
    """How a training speaks. Call it as often as you like (each batch); at least once a second.

    Metrics given are kept as points of the live curves; without metrics only the progress moves.
    Raises Cancelled when a person asked to stop.
    """

    def __call__(self, step: int, total: int, **metrics: float) -> None: ...


class Params(BaseModel):
    """Base of every engine's knobs: form, CLI, API, worker and stored run all read it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = Field(default=1, ge=0, le=2**31 - 1, title="Seed", description="Same data, params and seed: same run.")


AnyParams = Params  # for annotations inside engines, where `Params` is the engine's own knobs


@dataclass(frozen=True)
class Pick:
    """One recommended item. `score` orders the list and means nothing across engines; `why` is a plain phrase."""

    item: int
    score: float
    why: str = ""


@dataclass(frozen=True)
class Reason:
    """Why one item is recommended: a plain phrase, and the items of the history that it rests on, strongest first.

    `because` holds (item, effect): by how much the recommended item's score falls without that item, in the units of
    the engine's own scores. Only effects above zero; empty where nothing of the history speaks for the item.
    """

    why: str = ""
    because: tuple[tuple[int, float], ...] = ()


# The house's judge, handed to `fit`: validation metrics ("ndcg@10", "hr@10", "hr@20") of the engine as it stands.
Validate = Callable[["Engine"], Mapping[str, float]]


class Engine(ABC):
    """A way from what was watched to what to watch next. Works from a history, so a new viewer is an ordinary case."""

    slug: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    Params: ClassVar[type[AnyParams]] = AnyParams
    judged_on: ClassVar[int | None] = None  # asked about so many viewers only, where each question costs; None: all

    def __init__(self, params: AnyParams | None = None) -> None:
        self.params: Any = params if params is not None else self.Params()
        self.index: ItemIndex | None = None
        self.note = ""  # what a person should know about how the training went, in a sentence

    @classmethod
    def defaults_for(cls, data: Dataset) -> dict[str, Any]:
        """Knobs whose best default depends on the size of the data; a value the person sets wins."""
        return {}

    @classmethod
    def lacks(cls) -> str:
        """What has to be set up outside before it can be trained here, as a phrase; empty for most engines."""
        return ""

    def parts(self) -> tuple[int, ...]:
        """Numbers of the finished runs that `use` must hand over before `fit`; none for most engines."""
        return ()

    def check(self, kinds: Mapping[int, type[Engine]]) -> None:  # noqa: B027  (most engines have nothing to refuse)
        """Whether these knobs can be trained here, asked before anything is loaded or queued.

        `kinds` are the engines of the runs that `parts` named. Raises EngineError with a sentence about the parts.
        """

    def use(self, parts: Mapping[int, Engine]) -> None:
        """Take the fitted engines of the runs that `parts` named. They were trained on nothing that is held out.

        Raises EngineError where one can't be used.
        """
        if parts:
            raise EngineError(f"{self.title} is not made of other runs.")

    @abstractmethod
    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        """Learn from `data`. Seeds only its own generators.

        Leaves through Cancelled holding its best state so far, if it has one (`fitted` says so).
        Raises Diverged; any other error is a defect.
        """

    @abstractmethod
    def recommend(
        self, histories: Sequence[History], k: int, exclude: Sequence[npt.NDArray[np.integer]] | None = None
    ) -> list[list[Pick]]:
        """The k best unseen items for each history, best first; fewer only where fewer are left.

        Never padding, never an item of the history, never one of `exclude` (an array of items a viewer).
        """

    def explain(self, history: History, items: Sequence[int]) -> list[Reason]:
        """One reason for each of these items, in order, as this engine would recommend them after `history`.

        Never fails for an empty or unknown history. Costs at most three times a recommendation. Raises NotFitted.
        """
        return [Reason() for _ in items]

    @abstractmethod
    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All that `restore` needs besides params and index, as plain arrays (never objects). Raises NotFitted."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex) -> None:
        """Become the engine that `state` described. Raises BadState and is unchanged then."""

    @property
    def fitted(self) -> bool:
        """Whether it can recommend."""
        return self.index is not None


class ScoringEngine(Engine):
    """An engine that scores every item; masking, padding and top-k are written once, here."""

    @abstractmethod
    def scores(self, histories: Sequence[History]) -> npt.NDArray[np.float32]:
        """(B, N + 1) float32, higher is better; column 0 (padding) is ignored. Raises NotFitted.

        Histories may be empty, hold unknown movies (item 0) or be longer than anything seen in training.
        """

    def why(self, history: History) -> str:
        """The plain phrase put beside each pick for this history."""
        return ""

    def recommend(
        self, histories: Sequence[History], k: int, exclude: Sequence[npt.NDArray[np.integer]] | None = None
    ) -> list[list[Pick]]:
        """Mask what was seen, take the k best of what is left. Ties go to the lower item, so lists are repeatable."""
        if k < 1:
            raise ValueError("k must be at least 1")
        if not len(histories):
            return []
        table = self.scores(histories)
        lists = []
        for row, history in enumerate(histories):
            scores = np.array(table[row], dtype=np.float32)
            scores[0] = -np.inf
            scores[history.items] = -np.inf
            if exclude is not None:
                scores[exclude[row]] = -np.inf
            why = self.why(history)
            lists.append([Pick(int(i), float(scores[i]), why) for i in best(scores, k)])
        return lists


def best(scores: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.integer]:
    """Indexes of the k highest finite scores, best first; ties to the lower index."""
    k = min(k, scores.size)
    kth = np.partition(scores, scores.size - k)[scores.size - k]
    above = np.flatnonzero((scores >= kth) & np.isfinite(scores))
    return above[np.argsort(-scores[above], kind="stable")][:k]
