"""What a film is about in a few words: tags that MovieLens's viewers gave, and The Movies Dataset's keywords.csv."""

from __future__ import annotations

import ast
from array import array
from collections.abc import Collection, Iterator

import numpy as np

from movierec.sources import titles
from movierec.sources.archive import Archive, rows, unreadable
from movierec.sources.base import LAST_ID, Rejects

FILE = "keywords.csv"
MOST = 20  # keywords of one film: the most used ones
LONGEST = 40  # letters of a keyword; what is longer is a sentence, and left out
# Tags that are read, and different ones among them, so that memory stays bounded; MovieLens 32M has 2 million rows.
MOST_TAGS, MOST_WORDS = 5_000_000, 500_000
REMEMBERED = 2 * LONGEST  # letters of a tag as it was written, so that it is read once only
LONGEST_LITERAL = 20_000
# What viewers note for themselves says nothing about a film; folded.
NOTES = frozenset(
    {"in netflix queue", "netflix", "dvd", "dvd video", "dvd ram", "bd r", "clv", "vhs", "owned", "own", "seen",
     "to see", "watched", "watchlist", "seen more than once", "cant remember", "not seen"}
)  # fmt: skip


def of_tags(
    numbered: Iterator[tuple[int, list[str]]], file: str, known: Collection[int], rejects: Rejects
) -> dict[int, tuple[str, ...]]:
    """movieId -> its most used tags, of rows userId, movieId, tag, time; equally used ones by the alphabet.

    Rows that can't be used, or name a film outside `known`, go to `rejects`. Raises BadSource.
    """
    words: dict[str, int] = {}  # a keyword -> its number
    numbers: dict[str, int] = {}  # a tag as it was written -> the number of its keyword, -1 for none
    films, used = array("q"), array("i")
    for line, fields in numbered:
        if len(films) >= MOST_TAGS or len(numbers) >= MOST_WORDS:
            rejects.add(
                file, line, f"more than {MOST_TAGS:,} tags or {MOST_WORDS:,} different ones: from here on none is used"
            )  # fmt: skip
            break
        try:
            movie_id = _film(fields, known)
            number = numbers.get(fields[2])
            if number is None:
                number = _number(fields[2], words)
                if len(fields[2]) <= REMEMBERED:
                    numbers[fields[2]] = number
        except ValueError as fault:
            rejects.add(file, line, str(fault))
            continue
        if number >= 0:
            films.append(movie_id)
            used.append(number)
    return _most_used(films, used, list(words))


def read(archive: Archive, rejects: Rejects) -> dict[int, tuple[str, ...]]:
    """TMDB id -> keywords, of keywords.csv; of doubled ids the first counts. Raises BadSource."""
    found: dict[int, tuple[str, ...]] = {}
    numbered = rows(archive, FILE, header=("id", "keywords"))
    next(numbered)
    for line, fields in numbered:
        try:
            if len(fields) != 2:
                raise ValueError(f"{len(fields)} columns instead of 2" if any(fields) else "an empty row")
            number = fields[0].strip()
            if not (number.isascii() and number.isdigit() and len(number) < 12):
                raise ValueError(f"id {number[:40]!a} is not a number")
            if int(number) in found:
                raise ValueError(f"film {int(number)} comes twice")
            if fault := unreadable(fields[1:]):
                raise ValueError(f"a keyword {fault}")
            folded = dict.fromkeys(_folded(name) for name in names(fields[1]))
        except ValueError as fault:
            rejects.add(FILE, line, str(fault))
            continue
        found[int(number)] = tuple(word for word in folded if word)[:MOST]
    return found


def names(literal: str) -> list[str]:
    """The names in a Python literal such as [{'id': 16, 'name': 'Animation'}], which is read and never run.

    Raises ValueError with the reason for what is no such literal.
    """
    try:
        entries = ast.literal_eval(literal) if len(literal) < LONGEST_LITERAL else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        entries = None
    if not isinstance(entries, list):
        raise ValueError(f"{literal[:40]!a} is no list of names")
    found = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    return [name for name in found if isinstance(name, str) and name.strip()]


def _film(fields: list[str], known: Collection[int]) -> int:
    """The film of a row of four. Raises ValueError with the reason."""
    if len(fields) != 4:
        raise ValueError(f"{len(fields)} columns instead of 4" if any(fields) else "an empty row")
    number = fields[1].strip()
    if not (number.isascii() and number.isdigit() and len(number) < 12):
        raise ValueError(f"film {number[:40]!a} is not a number from 1 to {LAST_ID}")
    if int(number) not in known:
        raise ValueError(f"film {int(number)} is not in the catalogue")
    return int(number)


def _number(tag: str, words: dict[str, int]) -> int:
    """The number of a tag's keyword, a new one where it is new; -1 for what is none. Raises ValueError."""
    if fault := unreadable((tag,)):
        raise ValueError(f"the tag {fault}")
    folded = _folded(tag)
    return words.setdefault(folded, len(words)) if folded else -1


def _folded(text: str) -> str:
    """The text as a keyword: lower case, words and spaces only; empty where that is nothing, too long or a note."""
    folded = titles.fold(text[: 10 * LONGEST])
    return "" if len(folded) > LONGEST or folded in NOTES else folded


def _most_used(films: array[int], used: array[int], words: list[str]) -> dict[int, tuple[str, ...]]:
    """film -> its keywords; `used` (as long as `films`) says which of the words a row of that film is."""
    ordered, width = sorted(words), max(len(words), 1)
    place = {word: at for at, word in enumerate(ordered)}
    alphabet = np.array([place[word] for word in words], dtype=np.int64)
    cells = np.frombuffer(films, dtype=np.int64) * width + alphabet[np.frombuffer(used, dtype=np.int32)]
    pairs, counts = np.unique(cells, return_counts=True)
    found: dict[int, list[str]] = {}
    for at in np.lexsort((pairs, -counts, pairs // width)):
        film, word = divmod(int(pairs[at]), width)
        mine = found.setdefault(film, [])
        if len(mine) < MOST:
            mine.append(ordered[word])
    return {film: tuple(mine) for film, mine in found.items()}
