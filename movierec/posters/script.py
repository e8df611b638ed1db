"""Text before it is set: cleaned for XML, cut into letters as a reader counts them, and its writing direction."""

import re
import unicodedata
from collections.abc import Iterator

LIMIT = 300
# What XML 1.0 forbids or discourages, and the invisible marks that would reverse the reading of a line.
_DROPPED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")


def clean(text: str) -> str:
    """One line of text that any XML document may hold, at most LIMIT characters long."""
    text = _DROPPED.sub("", " ".join(text.split()))
    text = " ".join(unicodedata.normalize("NFC", text).split())[:LIMIT].rstrip()
    first = next((i for i, char in enumerate(text) if not _joins(char)), len(text))
    return text[first:].lstrip()  # an accent without a letter has nothing to stand on


def is_rtl(text: str) -> bool:
    """Whether the first letter with a direction is read from right to left."""
    directions = (unicodedata.bidirectional(char) for char in text)
    return next((found != "L" for found in directions if found in ("L", "R", "AL")), False)


def letters(word: str) -> Iterator[str]:
    """A word's letters, each with the accents, joiners and modifiers that belong to it: what no line may part."""
    letter = ""
    for char in word:
        if letter and not (_joins(char) or letter[-1] == "\u200d" or _completes_flag(letter, char)):
            yield letter
            letter = ""
        letter += char
    if letter:
        yield letter


def _joins(char: str) -> bool:
    """Marks, joiners and skin tones belong to the letter before them."""
    return unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf") or "\U0001f3fb" <= char <= "\U0001f3ff"


def _completes_flag(letter: str, char: str) -> bool:
    """Two regional indicators make one flag."""
    return len(letter) == 1 and all("\U0001f1e6" <= part <= "\U0001f1ff" for part in (letter, char))


def is_wide(letter: str) -> bool:
    """Chinese, Japanese and Korean letters and emoji: a line may end after any of them."""
    return unicodedata.east_asian_width(letter[0]) in "WF"
