"""Reads what a model said and trusts none of it: ids from the shortlist only, reasons as short plain text.

Nothing here raises for any text whatever.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from movierec.engines.language.prompt import REASON

LOOKED_AT = 65_536  # characters of an answer
REASON_LOOKED_AT = 3 * REASON  # characters of a reason: what is taken out of it costs time with the square of them
MOST = 1_000  # entries of a list that are looked at
DEEP = 4  # objects in objects until the list
LISTS = ("picks", "films", "movies", "recommendations", "results", "items")
IDS = ("id", "movie_id", "movieId")
REASONS = ("reason", "why", "explanation")

_FENCE = re.compile(r"```[a-zA-Z]*\s*(.*?)(?:```|\Z)", re.DOTALL)
_ENTRY = re.compile(r"\{[^{}]{0,2000}\}")  # one whole entry of an answer that was cut off
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)?")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)?")
_TAG = re.compile(r"<[^>]*>?")
_ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.-]*:(?:/|\S*\()|www\.)\S*|[\w.+-]+@[\w.-]+|\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:[/:?#]\S*)",
    re.IGNORECASE,
)
_LOOSE = re.compile(r" ([.,])(?= |\Z)")  # a stop that stood behind what was taken out
_MARKS = re.compile(r"[<>\[\]{}*_`#|\\~^]+")


@dataclass(frozen=True)
class Named:
    """A film of the shortlist that the model named, with its reason as plain text, perhaps empty."""

    movie_id: int
    reason: str


def parse(text: object, shortlist: Collection[int]) -> list[Named]:
    """The films named, in the model's order, each once, none that was not on the shortlist; empty for garbage."""
    if not isinstance(text, str):
        return []
    allowed, found = set(shortlist), dict[int, Named]()
    for entry in _entries(text[:LOOKED_AT]):
        movie_id = _id(entry)
        if movie_id in allowed and movie_id not in found:
            found[movie_id] = Named(movie_id, plain(_first(entry, REASONS)))
    return list(found.values())


def plain(text: object) -> str:
    """A reason as one line of plain text: no markup, link, address or control character, at most REASON characters."""
    if not isinstance(text, str):
        return ""
    text = unicodedata.normalize("NFC", text[:REASON_LOOKED_AT])
    text = "".join(" " if letter.isspace() else letter for letter in text if letter.isspace() or _shown(letter))
    text = _ADDRESS.sub(" ", _TAG.sub(" ", _LINK.sub(r"\1", _IMAGE.sub(" ", text))))
    text = _LOOSE.sub(r"\1", " ".join(_MARKS.sub(" ", text).split()))
    if len(text) <= REASON:
        return text
    return f"{text[: REASON - 1].rsplit(' ', 1)[0][: REASON - 1].rstrip(' ,;:-')}…"


def _shown(letter: str) -> bool:
    """Whether a character is one to be read: no control, no direction mark, no half of a pair, none unassigned."""
    return unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def _entries(text: str) -> Iterator[Any]:
    """The entries of the first list that the text holds; of a broken text, the entries that are whole."""
    for part in _parts(text):
        listed = _list(part, 0)
        if listed is not None:
            yield from listed[:MOST]
            return
    for number, entry in enumerate(_ENTRY.finditer(text)):
        if number < MOST and (whole := _loaded(entry[0])) is not None:
            yield whole


def _parts(text: str) -> Iterator[Any]:
    """What may be JSON in it: all of it, what stands in a fence, what begins at the first bracket."""
    for candidate in (text, *(found[1] for found in _FENCE.finditer(text))):
        if (whole := _loaded(candidate)) is not None:
            yield whole
    for bracket in "{[":
        if (at := text.find(bracket)) >= 0 and (whole := _loaded(text[at:], more_follows=True)) is not None:
            yield whole


def _loaded(text: str, *, more_follows: bool = False) -> Any:
    """The value, None where it is no JSON. NaN and infinities are no numbers of ours."""
    try:
        decoder = json.JSONDecoder(parse_constant=lambda _: None)
        return decoder.raw_decode(text)[0] if more_follows else decoder.decode(text)
    except (ValueError, RecursionError):
        return None


def _list(value: Any, depth: int) -> list[Any] | None:
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or depth >= DEEP:
        return None
    inner = [value[name] for name in LISTS if name in value] or list(value.values())[:MOST]
    return next((found for one in inner if (found := _list(one, depth + 1)) is not None), None)


def _id(entry: Any) -> int:
    """The id that an entry names, 0 for none: a whole number, or exactly its digits."""
    value = _first(entry, IDS) if isinstance(entry, dict) else entry
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _first(entry: Any, names: tuple[str, ...]) -> Any:
    return next((entry[name] for name in names if name in entry), None) if isinstance(entry, dict) else None
