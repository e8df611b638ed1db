"""What the language model's door hands out: an answer, or why there is none in a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "absent", "off", "demo", "budget", "busy", "open", "slow", "unreachable", "refused", "limited", "failed", "garbage"
]


@dataclass(frozen=True)
class Answer:
    """What the model said, as it came: text that nobody has checked yet, at most 64 KiB. `cost` is in US dollars."""

    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: float
    milliseconds: float
    cached: bool = False  # kept from an earlier call of the same viewer: cost nothing now
    demo: bool = False  # the stub provider's: say "demo model" wherever it shows


class NoAnswer(Exception):
    """There is no answer. `reason` is one plain sentence for people, `kind` says which case it is.

    absent: not set up; off: switched off by an administrator; demo: a demo account; budget: used up for today;
    busy: as many calls as are allowed are under way; open: it failed too often just now and is left alone; slow: no
    answer in time; unreachable: nothing was sent; refused, limited, failed: the server said so; garbage: unusable.
    """

    def __init__(self, kind: Kind, reason: str, *, status: int = 0) -> None:
        super().__init__(reason)
        self.kind: Kind = kind
        self.reason = reason
        self.status = status  # of HTTP, where a server answered


@dataclass(frozen=True)
class Reply:
    """What the server said. `retry_after` is in seconds, None where it named none."""

    status: int
    body: bytes
    retry_after: float | None


@dataclass(frozen=True)
class Lost:
    """No reply. `sent` says whether the question may have left this machine; `detail` is a word for the log."""

    kind: Kind
    sent: bool
    detail: str
