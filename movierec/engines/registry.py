"""Every engine in this folder, found by being there: `@register` on its class is the whole registration.

A file that can't be imported takes only its own engine down: it is listed as absent, with the reason.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import movierec.engines as folder
from movierec.engines.base import Engine, EngineError

log = logging.getLogger(__name__)

E = TypeVar("E", bound=type[Engine])

_registered: dict[str, type[Engine]] = {}
_broken: dict[str, str] = {}  # file -> why it can't be imported


class UnknownEngine(EngineError):
    """No engine of that name can be had: there is none, or its file is broken."""


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
            name = f"{folder.__name__}.{module.name}"
            try:
                importlib.import_module(name)
            except Exception as error:  # whatever somebody's file raises: the others must go on
                log.exception("the engine file %s can't be used", module.name)
                _broken[module.name] = f"its file can't be used: {type(error).__name__}: {error}"
                for slug in [slug for slug, cls in _registered.items() if cls.__module__ == name]:
                    del _registered[slug]


def listings() -> list[Listing]:
    """All engines by slug, the absent ones too, with the reason. A broken file stands under its own name."""
    _discover()
    found = {slug: Listing(slug, engine, _absence(engine)) for slug, engine in _registered.items()}
    broken = {name: Listing(name, _stand_in(name), why) for name, why in _broken.items() if name not in found}
    return [listing for _, listing in sorted((found | broken).items())]


def get(slug: str) -> type[Engine]:
    """The engine of that slug. Raises UnknownEngine, which names those there are, or says why this one is broken."""
    _discover()
    if slug in _broken and slug not in _registered:
        raise UnknownEngine(f"The engine {slug!r} can't be had: {_broken[slug]}.")
    if slug not in _registered:
        raise UnknownEngine(f"There is no engine {slug!r}. There are: {', '.join(sorted(_registered))}.")
    return _registered[slug]


def _stand_in(name: str) -> type[Engine]:
    """What a list shows for a broken file: a class with a name and no knobs, which can't be made."""
    return type("Broken", (Engine,), {"slug": name, "title": name, "summary": "", "needs": ()})


def missing(engine: type[Engine]) -> list[str]:
    """The libraries that training it needs and that are not installed."""
    return [name for name in engine.needs if importlib.util.find_spec(name) is None]


def _absence(engine: type[Engine]) -> str:
    if libraries := missing(engine):
        return f"{', '.join(libraries)} not installed: pip install {' '.join(libraries)}"
    return engine.lacks()
