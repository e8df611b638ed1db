"""Titles as people write them: "City of Lost Children, The (Cité des enfants perdus, La) (1995)" taken apart."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Articles that catalogues move behind the title, in the languages MovieLens does it for.
ARTICLES = (
    "The", "A", "An", "Da",
    "La", "Le", "Les", "L'", "Un", "Une", "De",
    "El", "Los", "Las", "Una", "Lo",
    "Il", "I", "Gli", "Uno",
    "Der", "Die", "Das", "Ein", "Eine",
    "Det", "Den", "En", "Ett",
    "O", "Os", "As",
)  # fmt: skip
ENGLISH = re.compile(r"(?:the|an|a)\s+(?=\S)", re.IGNORECASE)
_INVERTED = re.compile(rf"(?P<rest>.+),\s*(?P<article>{'|'.join(ARTICLES)})")
# "(1995)", "(1983))", "(2006–2007)", "(2013- )"
_YEAR = re.compile(r"\s*\(\s*(?P<year>\d{4})\s*(?:[-–—]\s*(?:\d{4})?\s*)?\)+\s*$")
_MARK = re.compile(r"\s*\((?:V|TV|VG)\)\s*$")
_AKA = re.compile(r"^\s*a\.?\s?k\.?\s?a\.?\s+", re.IGNORECASE)
_PART = re.compile(r"(?:part|vol\.?|volume|chapter|episode)\s", re.IGNORECASE)
_UNFINISHED = re.compile(r"(?:\b(?:or|and)|[:\-–,&])$", re.IGNORECASE)
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "&": " and "}
)
_APOSTROPHES = re.compile(r"['’‘ʼ`´]")
_BREAKS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Title:
    """A title taken apart: in natural order, as lists sort it, its year if it carries one, and its other names."""

    text: str
    sort: str
    year: int | None
    others: tuple[str, ...]


def parse(raw: str) -> Title:
    """Take a catalogue's title apart; what can't be understood stays part of the title. Never raises."""
    rest = clean(raw)
    while marked := _MARK.search(rest):
        rest = rest[: marked.start()].rstrip()
    year = None
    if (found := _YEAR.search(rest)) and 1870 <= int(found["year"]) <= 2100 and found.start() > 0:
        year, rest = int(found["year"]), rest[: found.start()].rstrip()
    rest, others = _peel(rest)
    text, article = natural(rest)
    names = [natural(_AKA.sub("", other).strip())[0] for other in others]
    distinct = dict.fromkeys(name for name in names if name and fold(name) != fold(text))
    return Title(text, sort_key(text, article), year, tuple(distinct))


def _peel(rest: str) -> tuple[str, list[str]]:
    """Split the trailing parentheses off: they hold other titles, unless the title can't end before them."""
    others: list[str] = []
    while rest.endswith(")"):
        depth, at = 0, len(rest)
        for at in range(len(rest) - 1, -1, -1):
            depth += {")": 1, "(": -1}.get(rest[at], 0)
            if depth == 0:
                break
        before, inside = rest[:at].rstrip(), rest[at + 1 : -1].strip()
        if depth or not before or rest[at - 1] != " " or _PART.match(inside) or _UNFINISHED.search(before):
            break
        others.insert(0, inside)
        rest = before
    return rest, others


def natural(text: str) -> tuple[str, str]:
    """("Third Man, The") -> ("The Third Man", "The"); a title that is not inverted comes back with no article."""
    found = _INVERTED.fullmatch(text)
    if not found or found["rest"].startswith(found["article"]):  # "Die, Mommie, Die" is no article
        return text, ""
    article, rest = found["article"], found["rest"].rstrip(" .")
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{rest}", article


def sort_key(text: str, article: str = "") -> str:
    """How lists sort it: folded, without `article`, or without an English one where none is named."""
    if article:
        rest = text[len(article) :]
    else:
        english = ENGLISH.match(text)
        rest = text[english.end() :] if english else text
    return fold(rest) or fold(text) or text.casefold()


def clean(text: str) -> str:
    """NFC, white space collapsed and trimmed."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def fold(text: str) -> str:
    """Lower case, without accents, apostrophes and punctuation: "Amélie's" -> "amelies"."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    text = text.casefold().translate(_LETTERS)
    return _BREAKS.sub(" ", _APOSTROPHES.sub("", text)).strip()
