"""Finding films by words: prefixes through one FTS5 index, typos through another's trigrams and RapidFuzz."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rapidfuzz import fuzz, process
from sqlalchemy import select

from movierec.extensions import db
from movierec.tables import Movie

# `position` orders by popularity: titles first, best known first, then the same films under their people's names.
# FTS5 answers in rowid order, so the best known match comes first without a sort, and LIMIT ends the walk early.
DDL = [
    "CREATE TABLE search_titles (position INTEGER PRIMARY KEY, movie_id INTEGER NOT NULL, folded TEXT NOT NULL)",
    "CREATE INDEX ix_search_titles_folded ON search_titles (folded)",
    "CREATE VIRTUAL TABLE search_prefix USING fts5(folded, content='search_titles', content_rowid='position', "
    "tokenize='unicode61 remove_diacritics 0', prefix='1 2 3 4', detail=none, columnsize=0)",
    "CREATE VIRTUAL TABLE search_trigram USING fts5(folded, content='search_titles', content_rowid='position', "
    "tokenize='trigram', detail=none, columnsize=0)",
    "CREATE VIRTUAL TABLE search_trigram_terms USING fts5vocab('search_trigram', 'row')",
    "CREATE TABLE search_trigrams (trigram TEXT PRIMARY KEY, titles INTEGER NOT NULL) WITHOUT ROWID",
]
LONGEST = 200  # characters of a question that are looked at
FEW = 20  # titles that are looked through for an unfinished word
SHORT = 8  # letters of a question that are looked for with one of them changed
THIRDS, TOGETHER = 3, 3  # stretches of a misspelt question, trigrams of each that a title must all have
RARE, CANDIDATES = 4, 2000  # trigrams of which a title must have one; titles re-ranked at a time
CLOSE, ALIKE = 70.0, 90.0  # of 100: least likeness to be given at all; likeness that makes looking further needless
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "&": " and "}
)
_KEYS = "abcdefghijklmnopqrstuvwxyz0123456789 "
_COMMON = {"the", "a", "an", "of", "and"}
_APOSTROPHES = re.compile(r"['’‘ʼ`´]")
_BREAKS = re.compile(r"[\W_]+")
_YEAR = re.compile(r"(18|19|20)\d\d")


Ask = Callable[[str, tuple[Any, ...]], list[Any]]  # runs one statement and gives its rows


def fold(text: str) -> str:
    """Lower case, without accents, apostrophes and punctuation: "Amélie's" -> "amelies"."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    text = text.casefold().translate(_LETTERS)
    return _BREAKS.sub(" ", _APOSTROPHES.sub("", text)).strip()


def rebuild(session: Any) -> None:
    """Fill the indexes afresh from the movies. Runs in the caller's writing transaction (a catalogue import)."""
    run = session.connection().exec_driver_sql
    run("INSERT INTO search_prefix(search_prefix) VALUES ('delete-all')")
    run("INSERT INTO search_trigram(search_trigram) VALUES ('delete-all')")
    run("DELETE FROM search_titles")
    run("DELETE FROM search_trigrams")
    rows: list[tuple[int, str]] = []
    for entry in _entries(run):
        rows.append(entry)
        if len(rows) == 20_000:
            run("INSERT INTO search_titles (movie_id, folded) VALUES (?, ?)", rows)
            rows = []
    if rows:
        run("INSERT INTO search_titles (movie_id, folded) VALUES (?, ?)", rows)
    run("INSERT INTO search_prefix(search_prefix) VALUES ('rebuild')")
    run("INSERT INTO search_trigram(search_trigram) VALUES ('rebuild')")
    run("INSERT INTO search_trigrams SELECT term, doc FROM search_trigram_terms")


def _entries(run: Any) -> Iterator[tuple[int, str]]:
    """(movie id, folded words), in the order of positions. Lists are JSON, nearly always empty: "[]" is not parsed."""
    for movie_id, title, others in run("SELECT id, title, other_titles FROM movies ORDER BY rank, id"):
        names = [title] if others == "[]" else [title, *json.loads(others)]
        yield from ((movie_id, words) for words in dict.fromkeys(map(fold, names)) if words)
    for movie_id, directors, actors in run(
        "SELECT id, directors, actors FROM movies WHERE directors <> '[]' OR actors <> '[]' ORDER BY rank, id"
    ):
        names = json.loads(directors) + json.loads(actors)
        yield from ((movie_id, words) for words in dict.fromkeys(map(fold, names)) if words)


@dataclass(frozen=True)
class Found:
    """Ids of films, best first; `guessed` where no title has the words and the likest ones are given."""

    movie_ids: list[int]
    guessed: bool = False


def find(question: str, limit: int = 10) -> Found:
    """The films that the words may mean; the last word may be unfinished, words may be misspelt.

    An exact title comes first, then the best known. Empty for a question without a letter or digit.
    """
    folded = fold(question[:LONGEST])
    if not folded:
        return Found([])
    ask, words = _connection(), folded.split()
    found = _by_words(ask, folded, words, limit * 2)
    if not found and len(words) > 1 and _YEAR.fullmatch(words[-1]):
        wider = find(" ".join(words[:-1]), limit * 5)
        return Found(_of_year(wider.movie_ids, int(words[-1]))[:limit], wider.guessed)
    if found:
        return Found(list(dict.fromkeys(found))[:limit])
    likely = _one_letter_off(ask, folded) + _by_likeness(ask, folded, limit)
    return Found(list(dict.fromkeys(likely))[:limit], guessed=True)


def highlight(title: str, question: str) -> list[tuple[str, bool]]:
    """The title in pieces; True where a word of it begins as a word of the question does."""
    words = fold(question[:LONGEST]).split()
    pieces: list[tuple[str, bool]] = []
    for piece in re.split(r"(\W+)", title):
        folded = fold(piece)
        hit = max((len(word) for word in words if folded.startswith(word)), default=0)
        pieces += [(piece[:hit], True), (piece[hit:], False)]
    return [piece for piece in pieces if piece[0]]


def _by_words(ask: Ask, folded: str, words: list[str], limit: int) -> list[int]:
    """Films whose title has the words, those first of which it is the whole title."""
    whole = (folded, f"the {folded}", f"a {folded}")
    rows = _by_prefix(ask, words, limit)
    if len(rows) < limit:  # these are all: the whole titles are among them
        first = [movie_id for movie_id, title in rows if title in whole]
    else:
        exact = ask("SELECT position, movie_id FROM search_titles WHERE folded IN (?, ?, ?) LIMIT 100", whole)
        first = [movie_id for _, movie_id in sorted(exact)]
    return first + [movie_id for movie_id, _ in rows]


def _by_prefix(ask: Ask, words: list[str], limit: int) -> list[tuple[int, str]]:
    """Titles with all words, the last one perhaps unfinished; where there is none, all perhaps unfinished."""
    telling = [word for word in words if word not in _COMMON] or words  # thousands of titles have the others
    *finished, last = [f'"{word}"' for word in telling]
    if not finished:
        return _matching(ask, f"{last}*", limit)
    few = _matching(ask, " AND ".join(finished), FEW)
    begun = [row for row in few if f" {telling[-1]}" in f" {row[1]}"]
    if len(begun) >= limit or (begun and len(few) < FEW):
        return begun[:limit]  # looking through a few titles beats merging all words that begin so
    if len(few) == FEW:
        begun = _matching(ask, " AND ".join([*finished, f"{last}*"]), limit)
    return begun or _matching(ask, " AND ".join(f"{word}*" for word in [*finished, last]), limit)


def _matching(ask: Ask, question: str, limit: int) -> list[tuple[int, str]]:
    """(movie id, folded title), best known first."""
    return ask(
        "SELECT movie_id, search_titles.folded FROM search_prefix "
        "JOIN search_titles ON position = search_prefix.rowid "
        "WHERE search_prefix MATCH ? ORDER BY search_prefix.rowid LIMIT ?",
        (question, limit),
    )


def _one_letter_off(ask: Ask, folded: str) -> list[int]:
    """Short titles of which one letter is wrong, missing, too many or swapped: they need not share a trigram."""
    if len(folded) > SHORT or not folded.isascii():
        return []
    cuts = [(folded[:at], folded[at:]) for at in range(len(folded) + 1)]
    near = {head + tail[1:] for head, tail in cuts if tail}
    near |= {head + tail[1] + tail[0] + tail[2:] for head, tail in cuts if len(tail) > 1}
    near |= {head + letter + rest for head, tail in cuts for letter in _KEYS for rest in (tail, tail[1:])}
    rows = ask(
        f"SELECT movie_id FROM search_titles WHERE folded IN ({', '.join('?' * len(near))}) "  # noqa: S608
        "ORDER BY position LIMIT 10",
        tuple(near),
    )
    return [movie_id for (movie_id,) in rows]


def _by_likeness(ask: Ask, folded: str, limit: int) -> list[int]:
    """Titles that share a stretch of the question, or else its rarest trigrams; the most alike first."""
    trigrams = [folded[at : at + 3] for at in range(len(folded) - 2)]
    marks = ", ".join("?" * len(trigrams))
    counts: dict[str, int] = dict(
        ask(f"SELECT trigram, titles FROM search_trigrams WHERE trigram IN ({marks})", tuple(trigrams))  # noqa: S608
    )
    if not counts:
        return []
    rare = sorted(counts, key=counts.__getitem__)[:RARE]
    close: list[tuple[int, float]] = []
    for question in [*_stretches(trigrams, counts), " OR ".join(f'"{trigram}"' for trigram in rare)]:
        close = sorted(close + _closest(ask, folded, question, limit), key=lambda pair: -pair[1])
        if close and close[0][1] >= ALIKE:
            break
    return [movie_id for movie_id, _ in close]


def _stretches(trigrams: list[str], counts: dict[str, int]) -> list[str]:
    """For each third of the question: all of its rarest trigrams, the rarest third first.

    One wrong letter spoils two thirds at most, and each of the others is in few titles.
    """
    size = max(1, -(-len(trigrams) // THIRDS))
    thirds = [{*trigrams[at : at + size]} & counts.keys() for at in range(0, len(trigrams), size)]
    rarest = [sorted(third, key=counts.__getitem__)[:TOGETHER] for third in thirds if third]
    rarest.sort(key=lambda third: counts[third[0]])
    return [" AND ".join(f'"{trigram}"' for trigram in third) for third in rarest]


def _closest(ask: Ask, folded: str, question: str, limit: int) -> list[tuple[int, float]]:
    """(movie id, likeness of 100) of the best known titles that match, the most alike first."""
    rows = ask(
        "SELECT movie_id, search_titles.folded FROM search_trigram "
        "JOIN search_titles ON position = search_trigram.rowid "
        "WHERE search_trigram MATCH ? ORDER BY search_trigram.rowid LIMIT ?",
        (question, CANDIDATES),
    )
    close = process.extract(
        folded, [words for _, words in rows], scorer=fuzz.WRatio, score_cutoff=CLOSE, limit=limit * 2
    )
    return [(rows[at][0], score) for _, score, at in close]


def _of_year(movie_ids: list[int], year: int) -> list[int]:
    if not movie_ids:
        return []
    of_year = set(db.session.scalars(select(Movie.id).where(Movie.id.in_(movie_ids), Movie.year == year)))
    return [movie_id for movie_id in movie_ids if movie_id in of_year]


def _connection() -> Ask:
    """Straight to the driver: SQLAlchemy's own work would take longer than the search."""
    connection: Any = db.session.connection().connection.driver_connection
    return lambda sql, values: connection.execute(sql, values).fetchall()
