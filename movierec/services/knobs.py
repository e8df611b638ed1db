"""An engine's knobs as a form draws them: read from its Params, with defaults that fit the size of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from movierec.dataset import Dataset, ItemIndex
from movierec.engines.base import Engine, Params
from movierec.services.errors import Refused
from movierec.tables import Snapshot


class BadParams(Refused):
    """Knobs that can't be used; `fields` says for each what to do."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("Some settings can't be used: " + " ".join(f"{name}: {why}" for name, why in fields.items()))
        self.fields = fields


@dataclass(frozen=True)
class Knob:
    """One setting of an engine. `kind` is number, int, bool, enum or text; None where there is no bound."""

    name: str
    kind: str
    title: str
    description: str
    default: Any
    low: float | None = None
    high: float | None = None
    low_excluded: bool = False
    multiple_of: float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def bounds(self) -> str:
        """ "16 to 256" for people; empty where there are no bounds. A bound in the millions is only a fuse."""
        high = self.high if self.high is not None and self.high < 1e6 else None
        if self.low is None:
            return f"at most {high:g}" if high is not None else ""
        if self.low_excluded:
            said = f"above {self.low:g}" if high is None else f"above {self.low:g}, up to {high:g}"
        else:
            said = f"{self.low:g} or more" if high is None else f"{self.low:g} to {high:g}"
        return f"{said}, in steps of {self.multiple_of:g}" if self.multiple_of else said


def knobs(engine: type[Engine], snapshot: Snapshot | None) -> list[Knob]:
    """All knobs in the order of the class, with the defaults for this snapshot's size."""
    defaults = defaults_for(engine, snapshot)
    schema = engine.Params.model_json_schema()
    made = [_knob(name, told, schema, defaults[name]) for name, told in schema["properties"].items()]
    return sorted(made, key=lambda knob: knob.name == "seed")  # the seed belongs to every engine and comes last


def defaults_for(engine: type[Engine], snapshot: Snapshot | None) -> dict[str, Any]:
    """Every knob's value when nobody sets it."""
    fitting = engine.defaults_for(_of_this_size(snapshot)) if snapshot is not None else {}
    return engine.Params.model_validate(fitting).model_dump(mode="json")


def validated(engine: type[Engine], given: Mapping[str, Any], snapshot: Snapshot | None) -> Params:
    """The given knobs, the rest filled in. An empty text counts as not given. Raises BadParams."""
    set_by_person = {name: value for name, value in given.items() if value not in ("", None)}
    try:
        return engine.Params.model_validate(defaults_for(engine, snapshot) | set_by_person)
    except ValidationError as error:
        known = {knob.name: knob for knob in knobs(engine, snapshot)}
        raise BadParams({_field(told): _sentence(told, known) for told in error.errors()}) from None


def _knob(name: str, told: dict[str, Any], schema: dict[str, Any], default: Any) -> Knob:
    if "$ref" in told:  # an Enum class lives beside the properties
        told = schema["$defs"][told["$ref"].rsplit("/", 1)[1]] | told
    choices = tuple(told.get("enum", ()))
    kind = {"integer": "int", "number": "number", "boolean": "bool"}.get(told.get("type", ""), "text")
    return Knob(
        name,
        "enum" if choices else kind,
        told.get("title", name),
        told.get("description", ""),
        default,
        told.get("minimum", told.get("exclusiveMinimum")),
        told.get("maximum", told.get("exclusiveMaximum")),
        "exclusiveMinimum" in told,
        told.get("multipleOf"),
        choices,
    )


def _field(told: Mapping[str, Any]) -> str:
    return str(told["loc"][0]) if told["loc"] else "engine"


def _sentence(told: Mapping[str, Any], known: Mapping[str, Knob]) -> str:
    """What is wrong with one value and what would be right."""
    knob = known.get(_field(told))
    if told["type"] == "extra_forbidden":
        return f"There is no such setting. There are: {', '.join(known)}."
    if knob is None:
        return f"{told['msg']}."
    if told["type"] == "value_error":  # the engine's own check of it, in its own words
        return str(told["ctx"]["error"])
    if knob.kind == "enum":
        return f"Must be one of {', '.join(map(str, knob.choices))}."
    wanted = {"int": "a whole number", "number": "a number", "bool": "on or off"}.get(knob.kind, "a text")
    said = f"Must be {wanted}" + (f", {knob.bounds}" if knob.bounds else "")
    return f"{said}. The default for this data is {knob.default}."


def _of_this_size(snapshot: Snapshot) -> Dataset:
    """A data set with as many viewers, films and events and no memory: engines choose defaults by size.

    Reading the real one would cost seconds in the web process for a large snapshot. Its events mean nothing.
    """
    viewers, movies, events = max(snapshot.viewers, 1), max(snapshot.movies, 1), snapshot.events
    offsets = np.linspace(0, events, viewers + 1).astype(np.int64)
    return Dataset(
        ItemIndex(np.arange(1, movies + 1)),
        np.arange(1, viewers + 1),
        offsets,
        np.broadcast_to(np.int32(1), events),
        np.broadcast_to(np.int64(0), events),
        np.broadcast_to(np.float32("nan"), events),
    )
