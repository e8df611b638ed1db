"""Finding films by words: prefixes through one FTS5 index, typos through another's trigrams and RapidFuzz."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz import fuzz, process
from sqlalchemy import select

from movierec.extensions import db, writing
from movierec.sources.titles import fold
from movierec.tables import Movie

# Each table comes twice, with 0 and 1 behind its name; `search_side` says which ones are asked. The others are filled
# for the next catalogue in transactions so short that nobody waits, and put in use in the catalogue's own.
# `position` orders by popularity: titles first, best known first, then the same films under their people's names.
# FTS5 answers in rowid order, so the best known match comes first without a sort, and LIMIT ends the walk early.
WORDS = ("search_prefix", "search_trigram")  # the FTS5 tables
AT_ONCE = 2000  # positions filled in one transaction
LONGEST = 200  # characters of a question that are looked at
FEW = 20  # titles that are looked through for an unfinished word
SHORT = 8  # letters of a question that are looked for with one of them changed
THIRDS, TOGETHER = 3, 3  # stretches of a misspelt question, trigrams of each that a title must all have
RARE, CANDIDATES = 4, 2000  # trigrams of which a title must have one; titles re-ranked at a time
NEAR = 70.0  # of 100: least likeness of the letters, as RapidFuzz weighs them, for a title's words to be compared
CLOSE, ALIKE = 60.0, 90.0  # of 100: least likeness to be given at all; likeness that makes looking further needless
SHORTER = 3  # letters that a title may be shorter than the question
SAME_WORD = 60.0  # of 100: less alike than this are two words, not one misspelt
MORE_WORDS = 0.5  # of 100
_KEYS = "abcdefghijklmnopqrstuvwxyz0123456789 "
_COMMON = {"the", "a", "an", "of", "and"}
_YEAR = re.compile(r"(18|19|20)\d\d")


Ask = Callable[[str, tuple[Any, ...]], list[Any]]  # runs one statement and gives its rows


def fill(movies: Sequence[Mapping[str, Any]]) -> None:
    """Fill the side not in use with these films, the best known first, in writing transactions of its own."""
    with writing() as session:
        _clear(session)
    entries = list(_entries(movies))
    for start in range(0, len(entries), AT_ONCE):
        with writing() as session:
            _add(session, entries[start : start + AT_ONCE])
    for table in WORDS:  # what came in parts is asked faster in one piece
        with writing() as session:
            _order(session, table, "optimize")


def swap(session: Any, beyond: int) -> None:
    """Put the filled side in use, with the films ranked beyond this behind; in the caller's writing transaction."""
    more = "SELECT id, title, other_titles, directors, actors FROM movies WHERE rank > ? ORDER BY rank, id"
    _add(session, list(_entries(session.connection().exec_driver_sql(more, (beyond,)).mappings().all())))
    session.connection().exec_driver_sql("UPDATE search_side SET side = 1 - side")


def rebuild(session: Any) -> None:
    """Fill a side from the movies as they are and put it in use, all in the caller's writing transaction."""
    _clear(session)
    swap(session, beyond=-1)


def _clear(session: Any) -> None:
    side, run = _side_in_use(session) ^ 1, session.connection().exec_driver_sql
    for table in WORDS:
        _order(session, table, "delete-all")
    for table in ("search_titles", "search_trigrams"):
        run(f"DELETE FROM {table}{side}")  # noqa: S608


def _order(session: Any, table: str, what: str) -> None:
    """One of FTS5's own commands, on the side not in use."""
    name = f"{table}{_side_in_use(session) ^ 1}"
    session.connection().exec_driver_sql(f"INSERT INTO {name} ({name}) VALUES ('{what}')")  # noqa: S608


def _add(session: Any, entries: Sequence[tuple[int, str]]) -> None:
    """Put these behind what the side not in use holds."""
    if not entries:
        return
    side, run = _side_in_use(session) ^ 1, session.connection().exec_driver_sql
    first = run(f"SELECT coalesce(max(position), 0) + 1 FROM search_titles{side}").scalar_one()  # noqa: S608
    rows = [(position, movie_id, folded) for position, (movie_id, folded) in enumerate(entries, first)]
    run(f"INSERT INTO search_titles{side} (position, movie_id, folded) VALUES (?, ?, ?)", rows)  # noqa: S608
    words = [(position, folded) for position, _, folded in rows]
    run(f"INSERT INTO search_prefix{side} (rowid, folded) VALUES (?, ?)", words)  # noqa: S608
    run(f"INSERT INTO search_trigram{side} (rowid, folded) VALUES (?, ?)", words)  # noqa: S608
    counts = Counter(trigram for _, folded in words for trigram in set(_trigrams(folded)))
    run(
        f"INSERT INTO search_trigrams{side} (trigram, titles) VALUES (?, ?) "  # noqa: S608
        "ON CONFLICT DO UPDATE SET titles = titles + excluded.titles",
        list(counts.items()),
    )


def _side_in_use(session: Any) -> int:
    return int(session.connection().exec_driver_sql("SELECT side FROM search_side").scalar_one())


def _entries(movies: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """(movie id, folded words), in the order of positions. Lists are JSON, nearly always empty: "[]" is not parsed."""
    for names in (("other_titles",), ("directors", "actors")):
        for movie in movies:
            known = [] if names[0] != "other_titles" else [movie["title"]]
            known += [name for column in names if movie[column] != "[]" for name in json.loads(movie[column])]
            yield from ((movie["id"], words) for words in dict.fromkeys(map(fold, known)) if words)


def _trigrams(folded: str) -> list[str]:
    return [folded[at : at + 3] for at in range(len(folded) - 2)]


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
    if not found and len(words) > 1 and _YEAR.fullmatch(words[-1]) and not _YEAR.fullmatch(words[-2]):
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
        exact = ask("SELECT position, movie_id FROM search_titles{side} WHERE folded IN (?, ?, ?) LIMIT 100", whole)
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
        "SELECT movie_id, titles.folded FROM search_prefix{side} AS words "
        "JOIN search_titles{side} AS titles ON position = words.rowid "
        "WHERE search_prefix{side} MATCH ? ORDER BY words.rowid LIMIT ?",
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
        f"SELECT movie_id FROM search_titles{{side}} WHERE folded IN ({', '.join('?' * len(near))}) "  # noqa: S608
        "ORDER BY position LIMIT 10",
        tuple(near),
    )
    return [movie_id for (movie_id,) in rows]


def _by_likeness(ask: Ask, folded: str, limit: int) -> list[int]:
    """Titles that share a stretch of the question, or else its rarest trigrams; the most alike first."""
    trigrams = _trigrams(folded)
    marks = ", ".join("?" * len(trigrams))
    counts: dict[str, int] = dict(
        ask(f"SELECT trigram, titles FROM search_trigrams{{side}} WHERE trigram IN ({marks})", tuple(trigrams))  # noqa: S608
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
        "SELECT movie_id, titles.folded FROM search_trigram{side} AS words "
        "JOIN search_titles{side} AS titles ON position = words.rowid "
        "WHERE search_trigram{side} MATCH ? ORDER BY words.rowid LIMIT ?",
        (question, CANDIDATES),
    )
    # A short title lies whole in many a question ("water" nearly in "godfater"): those are the last resort.
    rows = [row for row in rows if len(row[1]) >= len(folded) - SHORTER] or rows
    near = process.extract(folded, [words for _, words in rows], scorer=fuzz.WRatio, score_cutoff=NEAR, limit=limit * 4)
    asked = folded.split()
    close = [(rows[at][0], at, likeness(asked, title.split())) for title, _, at in near]
    close.sort(key=lambda found: (-found[2], found[1]))
    return [(movie_id, score) for movie_id, _, score in close if score >= CLOSE]


def likeness(asked: list[str], title: list[str]) -> float:
    """How well the words asked for are words of the title, of 100: the mean by letters, each title's word taken once.

    A title with more words than that comes after one without, however many: among those the best known is meant.
    """
    left, total = list(title), 0.0
    for word in sorted(asked, key=len, reverse=True):
        if left:
            score, at = max((fuzz.ratio(word, other), -place) for place, other in enumerate(left))
            if score >= SAME_WORD:
                total += score * len(word)
                del left[-at]
    return total / sum(map(len, asked)) - (MORE_WORDS if any(word not in _COMMON for word in left) else 0)


def _of_year(movie_ids: list[int], year: int) -> list[int]:
    if not movie_ids:
        return []
    of_year = set(db.session.scalars(select(Movie.id).where(Movie.id.in_(movie_ids), Movie.year == year)))
    return [movie_id for movie_id in movie_ids if movie_id in of_year]


def _connection() -> Ask:
    """Asks the side in use (`{side}` in a statement), straight to the driver: SQLAlchemy's own work takes longer."""
    connection: Any = db.session.connection().connection.driver_connection
    side = str(connection.execute("SELECT side FROM search_side").fetchone()[0])
    return lambda sql, values: connection.execute(sql.replace("{side}", side), values).fetchall()
