"""A language model chooses from a shortlist of the catalogue and says why; a counting retriever makes the shortlist.

It never invents: ids are checked against the shortlist, gaps are filled by the retriever and marked. Without a model
(no key, no budget, no answer in time) the retriever's list stands, and it is said why.
Letters: B viewers, N items (0 = padding).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from movierec import config
from movierec.dataset import Dataset, History, Ints, ItemIndex
from movierec.engines.base import (
    AnyParams,
    NotFitted,
    Params,
    Pick,
    Reason,
    Report,
    Validate,
    best,
)
from movierec.engines.language.choosing import CHOSEN, Choice, choose
from movierec.engines.language.retriever import Retriever
from movierec.engines.language.world import Ask, Talked, TalkingEngine, World
from movierec.engines.registry import register

FILLED = "filled in"  # why of a pick that the model did not choose
BELOW = 1e6  # a chosen film stands above all that the retriever scores


TRAINED = "Trained is the retriever that makes the shortlist; the language model is asked when it serves."


@dataclass
class Tally:
    """What the house's own questions (an evaluation's) came to."""

    asked: int = 0
    answered: int = 0
    cached: int = 0
    cost: float = 0.0  # US dollars
    model: str = ""

    def add(self, choice: Choice) -> None:
        """Count one question."""
        self.asked += 1
        if choice.reply is not None:
            self.answered += 1
            self.cached += choice.reply.cached
            self.cost += 0.0 if choice.reply.cached else choice.reply.cost
            self.model = choice.reply.model

    def __str__(self) -> str:
        model = self.model or "no language model"
        return (
            f"Judged with {model}: {self.answered:,} of {self.asked:,} questions answered, {self.cached:,} of them "
            f"from the cache, for {self.cost:.4f} US dollars."
        )


class LlmParams(Params):
    """What the model is asked, and from how many films it may choose."""

    shortlist: int = Field(
        80, ge=60, le=100, title="Shortlist", description="Films that the model may choose from; more cost more."
    )
    neighbours: int = Field(
        20, ge=0, le=40, title="Content neighbours", description="Of these, films whose content is like the last ones."
    )
    chosen: int = Field(
        CHOSEN, ge=5, le=20, title="Chosen", description="Films that the model is asked for; the rest is filled in."
    )


@register(
    "llm",
    title="Language model",
    summary="A language model picks from a shortlist and gives its reasons; it never names a film that is not there.",
    needs=("scipy",),
)
class Llm(TalkingEngine):
    """Retriever: log transitions + EASE. No history: popularity is the shortlist."""

    Params = LlmParams
    patience: ClassVar[float] = 20.5  # the model's own limit of 20 s, and the time around it
    judged_on: ClassVar[int] = 50  # viewers of an evaluation: each costs a call

    def __init__(self, params: AnyParams | None = None) -> None:
        super().__init__(params)
        self._retriever: Retriever | None = None
        self._world: World | None = None
        self._tally = Tally()

    @classmethod
    def lacks(cls) -> str:
        """What to set where nothing is set; whether it works is found out when it is asked."""
        told = os.environ.get
        if told("LLM_PROVIDER") == "stub":
            return ""
        file = config.ROOT / (told("INSTANCE_DIR") or "instance") / "llm_key"
        if not (told("LLM_API_KEY") or told("OPENROUTER_API_KEY") or told("LLM_ALLOW_LOCAL") == "1" or file.exists()):
            return (
                "no language model is set up: set LLM_API_KEY and LLM_MODEL, LLM_BASE_URL with LLM_ALLOW_LOCAL=1 for "
                "one on this machine, or LLM_PROVIDER=stub for a demo"
            )
        return "" if told("LLM_MODEL") or told("MODEL") else "no language model is chosen: set LLM_MODEL"

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        """Train the retriever; the model is not asked. Raises EngineError where there is nothing to learn from."""
        self.index = self._retriever = None
        retriever = Retriever()
        report(0, 100)
        retriever.fit(data, lambda step, total, **_: report(min(step, 99 * total // 100), total))
        self._retriever, self.index = retriever, data.index
        world, self._world = self._world, None  # each question costs: the retriever alone is judged here
        try:
            report(100, 100, **(validate(self) if validate is not None else {}))
        finally:
            self._world = world
        self._tally, self.note = Tally(), TRAINED

    def connect(self, world: World) -> None:
        """Take the doors to the model and the catalogue."""
        self._world = world

    def recommend(
        self, histories: Sequence[History], k: int, exclude: Sequence[Ints] | None = None
    ) -> list[list[Pick]]:
        """The model's choice for each history where there is a model, else the retriever's lists."""
        if k < 1:
            raise ValueError("k must be at least 1")
        barred = [np.zeros(0, dtype=np.int64)] * len(histories) if exclude is None else exclude
        return [
            self._talk(history, k, Ask(), out).picks for history, out in zip(histories, barred, strict=True)
        ] or self._none()

    def talk(self, history: History, k: int, ask: Ask) -> Talked:
        """The model's choice first, then the retriever's, marked."""
        return self._talk(history, k, ask, np.zeros(0, dtype=np.int64))

    def quick(self, history: History, k: int) -> list[Pick]:
        """The retriever's list, with its own reason."""
        items, scores = self._retrieved(history, k, np.zeros(0, dtype=np.int64))
        why = self._known().following.why(history)
        return [Pick(int(item), float(scores[item]), why) for item in items]

    def explain(self, history: History, items: Sequence[int]) -> list[Reason]:
        """What of the history the retriever's scores rest on; the model's own reasons stand on its picks."""
        return self._known().explain(history, items)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """The retriever's tables."""
        return self._known().state()

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex) -> None:
        """Take over a retriever. Raises BadState and is unchanged then."""
        retriever = Retriever()
        retriever.restore(arrays, index)
        self._retriever, self.index = retriever, index

    def _talk(self, history: History, k: int, ask: Ask, out: Ints) -> Talked:
        wanted = max(k, self.params.shortlist)
        items, scores = self._retrieved(history, wanted, out)
        choice = self._choice(history, items, ask, set(out.tolist()))
        if self._world is not None and ask.viewer_id is None:
            self._tally.add(choice)
            self.note = f"{TRAINED} {self._tally}"
        index = self._indexed()
        chosen = [(int(item), one.reason) for one in choice.named if (item := index.items([one.movie_id])[0])][:k]
        taken = {item for item, _ in chosen}
        filled = [int(item) for item in items if int(item) not in taken][: k - len(chosen)]
        why = FILLED if chosen else self._known().following.why(history)
        picks = [Pick(item, BELOW - place, reason) for place, (item, reason) in enumerate(chosen)]
        picks += [Pick(item, float(scores[item]), why) for item in filled]
        return Talked(picks, len(chosen), choice.model, choice.demo, choice.silence)

    def _choice(self, history: History, items: Ints, ask: Ask, out: set[int]) -> Choice:
        """What the model makes of the retriever's best and of what is like the last films."""
        if self._world is None:
            return Choice(silence="No language model is connected.")
        index, known = self._indexed(), history.known()
        watched = [
            (index.movie_id(int(item)), None if np.isnan(rating) else float(rating))
            for item, rating in zip(known.items, known.ratings, strict=True)
        ]
        seen = {movie_id for movie_id, _ in watched}
        last = list(dict.fromkeys(movie_id for movie_id, _ in reversed(watched)))[:5]
        near = [one for one in self._world.near(last, self.params.neighbours) if one not in seen] if last else []
        near = [one for one in near if (item := int(index.items([one])[0])) and item not in out]
        count = self.params.shortlist
        own = [index.movie_id(int(item)) for item in items[:count]]
        near = [one for one in near if one not in own[: count - len(near)]]
        return choose(self._world, own[: count - len(near)] + near, watched, ask, self.params.chosen)

    def _retrieved(self, history: History, k: int, out: Ints) -> tuple[Ints, npt.NDArray[np.float32]]:
        """The k best unseen items, best first, and all scores (N + 1,)."""
        scores = self._known().scores([history])[0]
        left = scores.copy()
        left[0] = left[history.items] = left[out] = -np.inf
        return best(left, k), scores

    def _known(self) -> Retriever:
        if self._retriever is None:
            raise NotFitted("This engine has not been trained yet.")
        return self._retriever

    def _indexed(self) -> ItemIndex:
        self._known()
        assert self.index is not None
        return self.index

    def _none(self) -> list[list[Pick]]:
        self._known()
        return []
