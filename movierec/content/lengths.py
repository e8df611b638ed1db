"""Lengths and years in a wish: "under 100 minutes", "shorter", "two hours", "the 1990s", "after 1980"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from movierec.content.lexicon import DECADES, LONG, NUMBERS, OLD, RECENT, SHORT

FIRST_YEAR, LAST_YEAR = 1870, 2100
MOST_MINUTES = 1500
AROUND = 15  # minutes: "about 90 minutes"
TOO_LONG = 120  # "not too long"
LESS = {"under", "below", "within", "most", "maximum", "max", "shorter", "less"}
_NUMBER = re.compile(r"([0-9]{1,4})(m|mins?|minutes?|h|hrs?|hours?)?")
FILMS = {"film", "films", "movie", "movies", "classic", "classics"}
MORE = {"more", "over", "above", "least", "minimum", "min", "longer", "beyond"}


class Said(Protocol):
    """A word of the text, which is marked when it was understood."""

    folded: str
    negated: bool
    free: bool


@dataclass(frozen=True)
class Span:
    """From `low` to `high`, both included; None is open."""

    low: int | None = None
    high: int | None = None


def read_years(words: Sequence[Said], newest: int) -> Span | None:
    """The years asked for; words that say it are no longer free. "recent" counts back from the newest film."""
    for at, word in enumerate(words):
        span = _decade(word.folded) if word.free else None
        if span is not None:
            return _taken(words, at, at + 1, span)
        year = _year(word.folded) if word.free else None
        if year is not None:
            return _around(words, at, year)
        following = words[at + 1].folded if at + 1 < len(words) else ""
        if word.free and word.folded in ("recent", "modern", "newest") and newest:
            return _taken(words, at, at + 1, Span(low=newest - RECENT + 1))
        if word.free and (word.folded == "older" or (word.folded == "old" and following in FILMS)):
            return _taken(words, at, at + 1, Span(high=OLD - 1))
    return None


def _decade(folded: str) -> Span | None:
    """ "1990s", "90s" and "nineties" -> 1990-1999; "20s" and below mean this century's."""
    if folded in DECADES:
        return Span(DECADES[folded], DECADES[folded] + 9)
    digits = folded[:-1]
    if not (folded.endswith("s") and digits.isascii() and digits.isdigit() and digits.endswith("0")):
        return None
    if len(digits) == 2:
        digits = f"{'19' if int(digits) >= 30 else '20'}{digits}"
    if len(digits) != 4 or not FIRST_YEAR <= int(digits) <= LAST_YEAR:
        return None
    return Span(int(digits), int(digits) + 9)


def _year(folded: str) -> int | None:
    if len(folded) == 4 and folded.isascii() and folded.isdigit() and FIRST_YEAR <= int(folded) <= LAST_YEAR:
        return int(folded)
    return None


def _around(words: Sequence[Said], at: int, year: int) -> Span:
    """What the words before a year make of it: "after 1980", "between 1970 and 1980"."""
    before = words[at - 1].folded if at else ""
    following = [word.folded for word in words[at + 1 : at + 3]]
    until = _year(following[1]) if len(following) == 2 and following[0] in ("and", "to") else None
    until = until if before in ("between", "from") else None
    if until is None and following and before in ("between", "from"):
        until = _year(following[0])  # "from 1970-1980": the hyphen is gone
    if until is not None:
        return _taken(words, at - 1, at + 3, Span(min(year, until), max(year, until)))
    if before in ("after", "since"):
        return _taken(words, at - 1, at + 1, Span(low=year + (before == "after")))
    if before in ("before", "until"):
        return _taken(words, at - 1, at + 1, Span(high=year - (before == "before")))
    return _taken(words, at, at + 1, Span(year, year))


def read_lengths(words: Sequence[Said], compared: Sequence[int]) -> Span | None:
    """The running time asked for, in minutes. "shorter" is measured on the films named (their minutes), if any."""
    for at, word in enumerate(words):
        found = _minutes(words, at) if word.free else None
        if found is not None:
            minutes, end = found
            before = {word.folded for word in words[max(0, at - 3) : at]}
            more, less = bool(before & MORE), bool(before & LESS)
            for said in words[max(0, at - 3) : at]:
                said.free = said.free and said.folded not in LESS | MORE | {"about", "around", "than", "at"}
            if not more and not less:
                return _taken(words, at, end, Span(max(1, minutes - AROUND), minutes + AROUND))
            up = more != any(said.negated for said in words[at:end])
            return _taken(words, at, end, Span(low=minutes) if up else Span(high=minutes))
    for at, word in enumerate(words):
        if word.free and word.folded in ("short", "shorter", "long", "longer"):
            return _taken(words, at, at + 1, _compared(word, compared))
    return None


def _compared(word: Said, compared: Sequence[int]) -> Span:
    if word.folded == "long" and word.negated:
        return Span(high=TOO_LONG)
    shorter = word.folded.startswith("short") != word.negated
    if word.folded.endswith("er") and compared:
        return Span(high=min(compared) - 1) if shorter else Span(low=max(compared) + 1)
    return Span(high=SHORT) if shorter else Span(low=LONG)


def _minutes(words: Sequence[Said], at: int) -> tuple[int, int] | None:
    """(minutes, where they end) of a length that begins here: "90 minutes", "2h", "two hours", "1 h 30"."""
    found = _NUMBER.fullmatch(words[at].folded)
    number = int(found[1]) if found else NUMBERS.get(words[at].folded)
    unit = (found and found[2]) or (words[at + 1].folded if at + 1 < len(words) else "")
    end = at + (1 if found and found[2] else 2)
    if number is None:
        return None
    if unit in ("min", "mins", "minute", "minutes", "m") and 0 < number <= MOST_MINUTES:
        return number, end
    if unit in ("h", "hour", "hours", "hr", "hrs") and 0 < number <= MOST_MINUTES // 60:
        rest = [word.folded for word in words[end : end + 3]]
        if rest == ["and", "a", "half"]:
            return number * 60 + 30, end + 3
        more = int(rest[0]) if rest and rest[0].isascii() and rest[0].isdigit() and len(rest[0]) <= 2 else 0
        return number * 60 + more, end + bool(more)
    return None


def _taken(words: Sequence[Said], begin: int, end: int, span: Span) -> Span:
    for word in words[max(0, begin) : end]:
        word.free = False
    return span
