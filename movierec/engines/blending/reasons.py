"""Why a blend recommends a film: its parts' own reasons, weighted and added up, and whose pick it is.

An effect is the fall of the blend's own score: exact for parts that tell rises too (`HasFalls`); of the others only
what speaks for a pick is known. A memory's part in it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from movierec.dataset import History, Ints
from movierec.engines.base import Reason
from movierec.engines.blending.mixing import Part
from movierec.engines.item_to_item.serving import FAINT, NAMED, ROUNDING


def voices(parts: Sequence[Part]) -> str:
    """Who speaks, for a whole list."""
    return f"chosen by {joined([type(part.engine).title for part in parts])}"


@runtime_checkable
class HasFalls(Protocol):
    """An engine that tells both what speaks for an item and what speaks against it."""

    def falls(self, history: History, items: Sequence[int]) -> tuple[Ints, npt.NDArray[np.float64]]:
        """Films of the history (T,) and by how much each item's score falls without each, (T, K); below 0: rises."""


def reasons(parts: Sequence[Part], history: History, items: Sequence[int], heat: float) -> list[Reason]:
    """One for each item. The blend's score is `heat` times the sum of the parts'."""
    told = [_effects(part, history, items) for part in parts]  # for each part one dict an item
    return [
        _added_up(parts, [{film: heat * fall for film, fall in each[place].items()} for each in told])
        for place in range(len(items))
    ]


def _effects(part: Part, history: History, items: Sequence[int]) -> list[dict[int, float]]:
    """For each item: film of the history -> by how much the part's share of the sum falls without it."""
    factor = float(part.factor)
    if isinstance(part.engine, HasFalls):
        films, falls = part.engine.falls(history, items)
        return [dict(zip(films.tolist(), (factor * fall).tolist(), strict=True)) for fall in falls.T]
    told = part.engine.explain(history, items)
    return [{film: factor * effect for film, effect in reason.because} for reason in told]


def _added_up(parts: Sequence[Part], of_parts: Sequence[dict[int, float]]) -> Reason:
    """Of one item, from the effects that each part tells."""
    effects: dict[int, float] = {}
    for told in of_parts:
        for film, effect in told.items():
            effects[film] = effects.get(film, 0.0) + effect
    order = sorted(effects, key=lambda film: -effects[film])[:NAMED]
    because = tuple((film, effects[film]) for film in order if effects[film] > max(ROUNDING, FAINT * effects[order[0]]))
    if not because:
        return Reason(voices(parts))
    case = np.array([sum(told.get(film, 0.0) for film, _ in because) for told in of_parts])  # (P,)
    strong = [place for place in np.argsort(-case, kind="stable") if case[place] >= case.max() / 2]
    titles = list(dict.fromkeys(type(parts[place].engine).title for place in strong))
    return Reason(f"mostly {titles[0]}’s choice" if len(titles) == 1 else f"{joined(titles)} agree on it", because)


def joined(names: Sequence[str]) -> str:
    """ "A, B and C", each name once."""
    names = list(dict.fromkeys(names))
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
