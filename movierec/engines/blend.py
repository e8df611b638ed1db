"""Blend: several engines' scores added up, with weights learned on validation, served as one engine.

Its parts are finished runs, handed over by number before `fit`, and engines that `fit` trains afresh, by name. What is
kept holds every part whole, so no other run is needed to serve it. Letters: B viewers, N items (0 = padding), P parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from movierec.dataset import Dataset, History, ItemIndex
from movierec.engines import registry
from movierec.engines.base import (
    AnyParams,
    Cancelled,
    Engine,
    EngineError,
    NotFitted,
    Params,
    Reason,
    Report,
    ScoringEngine,
    Validate,
)
from movierec.engines.blending import memory, seeking
from movierec.engines.blending.memory import HasStates
from movierec.engines.blending.mixing import Part, Scores, Stages, in_words, kept, mixed, rebuilt, siblings, spread
from movierec.engines.blending.reasons import joined, reasons, voices
from movierec.engines.blending.recall import Answers, Recall
from movierec.engines.blending.seeking import Shortlists, Trials, Weights
from movierec.engines.registry import register

RUN = re.compile(r"#?([1-9][0-9]{0,9})")
SLUG = re.compile(r"[a-z][a-z0-9_-]{0,63}")
MOST_PARTS = 8
SMALL = 2_000  # views: below that a net has nothing to learn that counting does not find
USUAL, USUAL_SMALL = ("nextitnet", "sasrec", "transitions"), ("transitions", "ease")


class Wanted(StrEnum):
    """Whether there is to be a memory."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class BlendParams(Params):
    """What it is made of."""

    parts: str = Field(
        ", ".join(USUAL),
        min_length=1,
        max_length=200,
        title="Parts",
        description="Numbers of finished runs, and names of engines to be trained with it, with commas between: "
        "12, transitions, ease. All learn from the data of the runs that are named. An engine named twice is trained "
        "with two seeds.",
    )
    memory: Wanted = Field(
        Wanted.AUTO,
        title="Memory",
        description="Keeps what a net held after each view, to look up what was watched next where it stood alike. "
        f"Auto: from {memory.FEWEST:,} views on; with fewer it does not help.",
    )

    @field_validator("parts")
    @classmethod
    def _tidy(cls, parts: str) -> str:
        """Each part once, in its plain form. Raises ValueError with a sentence."""
        words = [word.strip().lower() for word in parts.split(",")]
        if not 1 <= len(words) <= MOST_PARTS:
            raise ValueError(f"Name 1 to {MOST_PARTS} parts.")
        tidy = []
        for word in words:
            run = RUN.fullmatch(word)
            if not run and not SLUG.fullmatch(word):
                raise ValueError(f"{word!r} is neither the number of a run nor the name of an engine.")
            if run and run[1] in tidy:
                raise ValueError(f"Run {run[1]} is named twice.")
            tidy.append(run[1] if run else word)
        return ", ".join(tidy)

    def named(self) -> list[int | str]:
        """The parts in order: numbers of runs, slugs of engines."""
        return [int(word) if word.isdigit() else word for word in self.parts.split(", ")]


@register(
    "blend",
    title="Blend",
    summary="Adds up what several engines say, each as much as it helps. Made of finished runs or of engines.",
)
class Blend(ScoringEngine):
    """A weighted sum; parts that do not help are left out."""

    Params = BlendParams

    def __init__(self, params: AnyParams | None = None) -> None:
        super().__init__(params)
        self._given: dict[int, ScoringEngine] = {}  # by run
        self._parts: list[Part] = []
        self._recall: Recall | None = None
        self._trial: Callable[[Sequence[History]], Scores] | None = None  # stands in while weights are sought

    @classmethod
    def defaults_for(cls, data: Dataset) -> dict[str, Any]:
        """The usual parts, as far as they can be trained here."""
        usual = USUAL_SMALL if data.n_events < SMALL else USUAL
        there = {listing.slug for listing in registry.listings() if not listing.absent}
        return {"parts": ", ".join(slug for slug in usual if slug in there) or usual[0]}

    # -- its parts

    def parts(self) -> tuple[int, ...]:
        """The runs among its parts."""
        return tuple(part for part in self.params.named() if isinstance(part, int))

    def check(self, kinds: Mapping[int, type[Engine]]) -> None:
        """Each part must be an engine that gives scores, and no blend. Raises EngineError."""
        absent = {listing.slug: listing.absent for listing in registry.listings()}
        for part in self.params.named():
            kind = kinds[part] if isinstance(part, int) else registry.get(part)
            if issubclass(kind, Blend):
                raise EngineError("A blend can't be part of a blend: name what it is made of instead.")
            if not issubclass(kind, ScoringEngine):
                raise EngineError(f"{kind.title} makes lists without scores to add up: leave it out.")
            if isinstance(part, str) and absent[part]:
                raise EngineError(f"{part} can't be trained here: {absent[part]}.")

    def use(self, parts: Mapping[int, Engine]) -> None:
        """Take the runs' engines over. Raises EngineError where one is missing or no part for a blend."""
        missing = [run for run in self.parts() if run not in parts]
        if missing:
            raise EngineError(f"Run {missing[0]} is a part and was not handed over.")
        self.check({run: type(engine) for run, engine in parts.items()})
        self._given = {run: parts[run] for run in self.parts()}  # type: ignore[misc]  # `check` saw their kinds

    # -- training

    def fit(self, data: Dataset, report: Report, validate: Validate | None = None) -> None:
        """Train the parts that are named by engine, then seek the weights. Raises what a part's training raises."""
        if not data.n_events:
            raise EngineError("There is nothing to learn from: the data has no views.")
        self.use(self._given)
        self._forget()
        named = self.params.named()
        remembers = self.params.memory == Wanted.ON
        remembers |= self.params.memory == Wanted.AUTO and data.n_events >= memory.FEWEST
        stages = Stages(report, sum(isinstance(part, str) for part in named) + 1 + 2 * remembers)
        try:
            for place, part in enumerate(named):
                if isinstance(part, int):
                    self._join(f"{self._given[part].title} #{part}", self._given[part], data)
                else:
                    self._train(part, named[:place].count(part), data, stages.next(), validate)
            self._seek(stages.next(), validate, data.n_viewers)
            if remembers:
                self._remember(data, stages, validate)
            stages.end(validate(self) if validate is not None else {})
        except Cancelled:
            raise
        except BaseException:
            self._forget()
            raise
        finally:
            self._trial = None

    def _train(self, slug: str, before: int, data: Dataset, report: Report, validate: Validate | None) -> None:
        """A new part. The same engine's second training has the next seed."""
        kind = registry.get(slug)
        engine = kind(kind.Params(**{**kind.defaults_for(data), "seed": self.params.seed + before}))
        name = kind.title if not before else f"{kind.title} (seed {engine.params.seed})"
        try:
            engine.fit(data, report, validate)
        except Cancelled:
            if engine.fitted:
                self._join(name, engine, data)
            raise
        except EngineError as fault:
            raise type(fault)(f"{name}: {fault}") from fault
        self._join(name, engine, data)

    def _join(self, name: str, engine: Engine, data: Dataset) -> None:
        """One part more; all weigh the same as long as nothing is known about them."""
        if not isinstance(engine, ScoringEngine) or engine.index is None:
            raise EngineError(f"{name} can't be part of a blend: it is not trained or gives no scores.")
        if engine.index.sha256 != data.index.sha256:
            raise EngineError(f"{name} knows another catalogue than the data that the blend learns from.")
        self._weigh([*self._parts, Part(name, engine, spread(engine, data), 1.0)], np.ones(len(self._parts) + 1))
        self.index = data.index

    def _weigh(self, parts: Sequence[Part], weights: Weights) -> None:
        """Be the blend of these parts with these weights, without those that weigh nothing."""
        shares = weights / weights.sum()
        self._parts = [
            replace(part, weight=float(share)) for part, share in zip(parts, shares, strict=True) if share > 0
        ]

    def _seek(self, report: Report, validate: Validate | None, viewers: int) -> None:
        """Learn the weights on validation; the best so far are held at any moment. Equal ones where it can't tell."""
        if validate is None:
            return
        parts, groups = self._parts, siblings(self._parts)
        trials = Trials(lambda: validate(self), report, seeking.trials(len(groups)))
        lists = Shortlists(parts, len(self.index or ()), trials.tick)

        def judge(weights: Weights) -> float:
            self._trial = partial(lists.scores, weights=weights @ groups)
            value, better = trials.ask()
            if better:
                self._weigh(parts, weights @ groups)
            return value

        found = seeking.seek(len(groups), judge, viewers)
        self._trial = None
        if found is not None:
            self._weigh(parts, found @ groups)
        idle = [part.name for part in parts if part.name not in {part.name for part in self._parts}]
        self.note = f"Made of {in_words(self._parts)}."
        if idle:
            self.note += f" {joined(idle)} did not help and {'is' if len(idle) == 1 else 'are'} left out."

    def _remember(self, data: Dataset, stages: Stages, validate: Validate | None) -> None:
        """Build the memory of the heaviest part with states, and learn on validation how much it counts, if at all."""
        build, seek = stages.next(), stages.next()
        place = max(range(len(self._parts)), key=lambda at: self._parts[at].weight * self._has_states(at))
        net = self._parts[place].engine
        if not isinstance(net, HasStates):
            self.note = f"{self.note} No part has states to remember.".strip()
            return
        made = memory.learnt(net, data, self.params.seed, lambda share: build(int(1000 * share), 1000))
        if made is None:
            return
        recall = Recall(made, place, seeking.USUAL_SHARE)
        if validate is not None:
            trials = Trials(lambda: validate(self), seek, len(seeking.SHARES))
            answers = Answers(recall, self._parts, data.n_items, trials.tick)

            def judge(share: float) -> float:
                self._trial = partial(answers.scores, share=share)
                return trials.ask()[0]

            recall = replace(recall, share=seeking.along(seeking.SHARES, judge, seeking.USUAL_SHARE, data.n_viewers))
            self._trial = None
        if recall.share:
            self._recall = recall
        told = f"counts {100 * recall.share:.0f} %" if recall.share else "did not help and is left out"
        self.note = f"{self.note} A memory of {made.nexts.size:,} states {told}.".strip()

    def _has_states(self, place: int) -> bool:
        return isinstance(self._parts[place].engine, HasStates)

    def _forget(self) -> None:
        self.index, self._parts, self._recall, self._trial, self.note = None, [], None, None, ""

    # -- serving

    def scores(self, histories: Sequence[History]) -> npt.NDArray[np.float32]:
        """(B, N + 1) the weighted sum of the parts' scores; with a memory the logarithm of the shares of both."""
        if self.index is None:
            raise NotFitted("This engine has not been trained yet.")
        if self._trial is not None:
            return self._trial(histories)
        sums = mixed(self._parts, histories, len(self.index))
        return sums if self._recall is None else self._recall.mix(sums, self._parts, histories)

    def why(self, history: History) -> str:
        """Who speaks."""
        return voices(self._parts)

    def explain(self, history: History, items: Sequence[int]) -> list[Reason]:
        """The parts' own reasons, weighted and added up. `why` says whose pick it is."""
        if self.index is None:
            raise NotFitted("This engine has not been trained yet.")
        heat = 1.0 if self._recall is None else float(self._recall.heat(self._parts))
        return reasons(self._parts, history, items, heat)

    # -- keeping

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Every part whole: recipe (JSON as uint8), weights and scales (P,) float64, part0.*, ...; memory.*, if any."""
        if self.index is None:
            raise NotFitted("This engine has not been trained yet.")
        return kept(self._parts) | ({} if self._recall is None else self._recall.arrays())

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], index: ItemIndex) -> None:
        """Rebuild every part. Raises BadState and is unchanged then."""
        parts = rebuilt(arrays, index, but=self.slug)
        recall = Recall.from_arrays(arrays, parts, len(index))
        self.index, self._parts, self._recall, self._trial = index, parts, recall, None
