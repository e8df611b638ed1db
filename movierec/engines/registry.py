"""Every engine in this folder, found by being there: `@register` on its class is the whole registration."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import movierec.engines as folder
from movierec.engines.base import Engine, EngineError

E = TypeVar("E", bound=type[Engine])

_registered: dict[str, type[Engine]] = {}


class UnknownEngine(EngineError):
    """No engine of that name is in the house."""


@dataclass(frozen=True)
class Listing:
    """One engine as the house lists it; `absent` is why it can't be trained here, empty when it can."""

    slug: str
    engine: type[Engine]
    absent: str


def register(slug: str, *, title: str, summary: str, needs: tuple[str, ...] = ()) -> Callable[[E], E]:
    """Put the decorated class into the registry. `needs` names the libraries that training it imports."""

    def put(cls: E) -> E:
        known = _registered.get(slug)
        if known is not None and known.__module__ != cls.__module__:
            raise ValueError(f"two engines are called {slug!r}: {known.__module__} and {cls.__module__}")
        cls.slug, cls.title, cls.summary, cls.needs = slug, title, summary, needs
        _registered[slug] = cls
        return cls

    return put


@cache
def _discover() -> None:
    """Import each engine's file. They are light: what training needs is imported inside `fit`."""
    for module in pkgutil.iter_modules(folder.__path__):
        if not module.ispkg and module.name not in ("base", "registry"):
            importlib.import_module(f"{folder.__name__}.{module.name}")


def listings() -> list[Listing]:
    """All engines by slug, the absent ones too, with the reason."""
    _discover()
    return [Listing(slug, engine, _absence(engine)) for slug, engine in sorted(_registered.items())]


def get(slug: str) -> type[Engine]:
    """The engine of that slug. Raises UnknownEngine, which names those there are."""
    _discover()
    if slug not in _registered:
        raise UnknownEngine(f"There is no engine {slug!r}. There are: {', '.join(sorted(_registered))}.")
    return _registered[slug]


def _absence(engine: type[Engine]) -> str:
    missing = [name for name in engine.needs if importlib.util.find_spec(name) is None]
    return f"{', '.join(missing)} not installed: pip install {' '.join(missing)}" if missing else ""
