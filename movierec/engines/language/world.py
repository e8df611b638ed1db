"""The doors of an engine that asks a language model: what it is handed from outside, and what it hands back.

An engine knows items and arrays only; titles, content neighbours and the model itself come through `World`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from movierec.dataset import History
from movierec.engines.base import Engine, Pick

Message = dict[str, str]  # role, content


@dataclass(frozen=True)
class FilmFacts:
    """What the model is told about a film."""

    title: str
    year: int | None = None
    genres: Sequence[str] = ()
    runtime: int | None = None
    about: str = ""


@dataclass(frozen=True)
class Reply:
    """What the model said, unchecked. `demo` says that it is no language model but a stand-in that says so."""

    text: str
    model: str
    demo: bool = False
    cached: bool = False  # kept from an earlier call
    cost: float = 0.0  # US dollars


class Silence(Exception):
    """The model can't be asked or did not answer; the text says why, in a sentence for people."""


@dataclass(frozen=True)
class Ask:
    """Who asks and for what. `viewer_id` None is the house itself (an evaluation): no viewer's budget counts."""

    viewer_id: int | None = None
    wish: str = ""


class World(Protocol):
    """What an engine on the air may ask of its house. Called from any thread; holds no transaction open."""

    def films(self, movie_ids: Sequence[int]) -> Mapping[int, FilmFacts]:
        """Facts of those films that the catalogue has."""

    def near(self, movie_ids: Sequence[int], k: int) -> list[int]:
        """At most k movies whose content is most like these; none where nobody knows."""

    def chat(
        self, messages: list[Message], *, viewer_id: int | None, cache_key: str, accept: Callable[[str], bool]
    ) -> Reply:
        """The model's answer; `accept` says whether a text can be used. Raises Silence, never anything else."""


@dataclass(frozen=True)
class Talked:
    """A list made with, or in spite of, the model: `silence` is why it had no part in it, in a sentence."""

    picks: list[Pick]
    chosen: int = 0  # the first so many are the model's own choice
    model: str = ""
    demo: bool = False
    silence: str = ""


class TalkingEngine(Engine):
    """An engine that asks something slow outside and has a list of its own for whoever does not want to wait."""

    patience: ClassVar[float]  # seconds that `talk` may take, all in all

    @abstractmethod
    def connect(self, world: World) -> None:
        """Take the doors; until then the engine answers by itself."""

    @abstractmethod
    def talk(self, history: History, k: int, ask: Ask) -> Talked:
        """The k best unseen items with the model's help; without it where it is silent. Raises NotFitted."""

    @abstractmethod
    def quick(self, history: History, k: int) -> list[Pick]:
        """The k best unseen items at once, by the engine's own means. Raises NotFitted."""
