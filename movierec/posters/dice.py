"""Random numbers that never change: a key's SHA-256 read as a stream, so that a poster is drawn the same for ever."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """One stream of numbers for one key. Each call takes the next, so the order of calls is part of the picture."""

    def __init__(self, *key: object) -> None:
        # A movie's key comes from outside and may hold a lone surrogate, which plain UTF-8 refuses.
        self._key = "\x1f".join(map(str, key)).encode("utf-8", "surrogatepass")
        self._count = 0

    def unit(self) -> float:
        """The next number in [0, 1)."""
        self._count += 1
        digest = hashlib.sha256(self._key + b"\x1f%d" % self._count).digest()
        return int.from_bytes(digest[:6], "big") / 2**48

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[int(self.unit() * len(options))]

    def flip(self, chance: float = 0.5) -> bool:
        """True with the given chance."""
        return self.unit() < chance

    def shuffled(self, options: Iterable[T]) -> list[T]:
        """All options in a random order."""
        return [item for _, item in sorted(((self.unit(), item) for item in options), key=lambda pair: pair[0])]
