"""Inter's letters as outlines with their widths: an <img> cannot use the page's font, so posters bring their own."""

import functools
import json
import unicodedata
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

GLYPHS = Path(__file__).with_name("glyphs.json")  # built by tools/make_glyphs.py


@dataclass(frozen=True)
class Cut:
    """One weight of the font; lengths are thousandths of an em, y points down."""

    outlines: dict[str, str]
    widths: dict[str, int]
    bearings: dict[str, int]  # the gap between a letter's origin and its ink
    kerning: dict[str, int]  # pair of letters -> what to add between them
    cap_height: int


@functools.cache
def cut(name: str) -> Cut:
    """A weight by its name: heavy, light or text."""
    return Cut(**_table()[name])


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    """Read at the first poster only: half a megabyte that most processes never need."""
    table: dict[str, dict[str, Any]] = json.loads(GLYPHS.read_text("utf-8"))
    return table


def drawn(text: str, name: str) -> bool:
    """Whether we hold the outline of every letter; else the text is left to the reader's fonts."""
    return all(char in cut(name).widths for char in text)


class Ruler:
    """Measures any stretch of one text in constant time: exactly where we hold the letters, else generously."""

    def __init__(self, text: str, name: str, tracking: float = 0.0) -> None:
        table = cut(name)
        advances = (table.widths.get(char, 0) for char in text)
        pairs = (table.kerning.get(text[i : i + 2], 0) for i in range(len(text) - 1))
        self._advance = [0, *accumulate(advances)]
        self._kern = [0, *accumulate(pairs)]
        self._missing = [0, *accumulate(char not in table.widths for char in text)]
        self._guess = [0, *accumulate(map(_guess, text))]
        self._tracking = tracking

    def ems(self, start: int, end: int) -> float:
        """The width of text[start:end] in ems."""
        if end <= start:
            return 0.0
        if self._missing[end] > self._missing[start]:
            return (self._guess[end] - self._guess[start]) / 1000 + self._tracking * (end - start)
        units = self._advance[end] - self._advance[start] + self._kern[end - 1] - self._kern[start]
        return units / 1000 + self._tracking * (end - start - 1)


def width(text: str, name: str, size: float, tracking: float = 0.0) -> float:
    """The width of a whole text set at a size."""
    return Ruler(text, name, tracking).ems(0, len(text)) * size


def _guess(char: str) -> int:
    """A width for a letter of an unknown font, in thousandths of an em, on the generous side."""
    category = unicodedata.category(char)
    if category in ("Mn", "Me", "Cf"):  # accents and joiners take no room of their own
        return 0
    if category == "So":  # emoji fonts are wider than an em
        return 1300
    if unicodedata.east_asian_width(char) in "WF":
        return 1020
    if char in "iljtfrI.,:;'’!|()[] ":
        return 360
    if unicodedata.name(char, "?").split()[0] not in ("LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW", "DIGIT"):
        return 800
    return 920 if char in "mwMW@%" else 720 if char.isupper() else 620
