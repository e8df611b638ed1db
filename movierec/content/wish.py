"""A wish in words, taken apart: films named in it, genres, people, places, lengths, years, and what must not be.

Nothing is guessed: what is not understood is kept as `unknown`, and pages say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from movierec.content import lexicon
from movierec.content.index import COUNTRY, GENRE, PERSON, ContentIndex
from movierec.content.lengths import Span, read_lengths, read_years
from movierec.content.words import STOP, stem
from movierec.sources.titles import clean, fold

LONGEST = 300  # characters of a wish that are read
TITLE_WORDS = 9  # words of the longest title that is looked for
NAME_WORDS = 4
LOOKED_UP = 6  # unknown words that are looked for among last names: each look goes through all of them
_WORD = re.compile(r"&|[^\W_]+(?:['’‘ʼ`´.-](?=[^\W_])[^\W_]+)*")
_BREAK = re.compile(r"[,.;:!?()\n—–]|\s-\s")


@dataclass(frozen=True)
class Idea:
    """One thing wished for or not: as it was said, and the terms that mean it (any of them)."""

    said: str
    terms: tuple[int, ...]
    means: tuple[str, ...] = ()  # for people, where it is more than the word itself


@dataclass
class Wish:
    """What the words were understood to say."""

    text: str
    like: list[int] = field(default_factory=list)  # films of the index
    unlike: list[int] = field(default_factory=list)
    wanted: list[Idea] = field(default_factory=list)
    unwanted: list[Idea] = field(default_factory=list)
    years: Span | None = None
    runtime: Span | None = None
    unknown: list[str] = field(default_factory=list)  # words that no film here has

    @property
    def empty(self) -> bool:
        """Whether nothing in it says which films to take."""
        return not (self.like or self.unlike or self.wanted or self.unwanted or self.years or self.runtime)


@dataclass
class Word:
    """One word of the text; `free` until something has understood it."""

    folded: str
    said: str
    quoted: bool
    negated: bool = False
    breaks: bool = False  # a comma or stop stands before it
    free: bool = True


def read(text: str, index: ContentIndex) -> Wish:
    """Understand a wish as far as this catalogue goes. Never raises; what is beyond LONGEST is not read."""
    wish = Wish(clean(text)[:LONGEST])
    words = _words(wish.text)
    _titles(words, index, wish)
    _negate(words)
    newest = int(index.years.max()) if len(index) else 0
    wish.years = read_years(words, newest)
    runtimes = [int(index.runtimes[film]) for film in wish.like if index.runtimes[film]]
    wish.runtime = read_lengths(words, runtimes)
    _ideas(words, index, wish)
    asked = {term for idea in wish.wanted for term in idea.terms}
    wish.unwanted = [_but(idea, asked, index) for idea in wish.unwanted]
    return wish


def _but(idea: Idea, asked: set[int], index: ContentIndex) -> Idea:
    """An unwanted idea without what is asked for elsewhere: "a war film, nothing violent" still finds war films."""
    left = tuple(term for term in idea.terms if term not in asked)
    names = {index.label(term) for term in left}
    return Idea(idea.said, left, tuple(name for name in idea.means if name in names)) if left else idea


def _words(text: str) -> list[Word]:
    quoted = [range(*found.span()) for found in re.finditer(r"[\"“”„«»][^\"“”„«»]+[\"“”„«»]", text)]
    words: list[Word] = []
    end = 0
    for found in _WORD.finditer(text):
        breaks = bool(_BREAK.search(text[end : found.start()]))
        end = found.end()
        within = any(found.start() in marks for marks in quoted)
        parts = fold(found[0]).split()
        for at, folded in enumerate(parts):
            words.append(Word(folded, found[0] if len(parts) == 1 else folded, within, breaks=breaks and at == 0))
    return words


def _titles(words: Sequence[Word], index: ContentIndex, wish: Wish) -> None:
    """Films named in the text, the longest name first. A short or plain name counts only where a title is expected."""
    at, expected = 0, _only_a_title(words, index)
    while at < len(words):
        opened = _opens(words, at)
        if opened and not _title_at(words, at, index, expected or words[at].quoted):
            at, expected = at + opened, True
            continue
        found = _title_at(words, at, index, expected or words[at].quoted)
        if found is None:
            expected = expected and (words[at].folded in lexicon.BETWEEN_TITLES or words[at].folded in ("the", "a"))
            at += 1
            continue
        film, length = found
        taken = words[at : at + length]
        unlike = any(word.folded in lexicon.NEGATIONS for word in _clause_before(words, at))
        (wish.unlike if unlike else wish.like).append(film)
        for word in taken:
            word.free = False
        at, expected = at + length, True


def _only_a_title(words: Sequence[Word], index: ContentIndex) -> bool:
    """Whether the wish is the name of a film and nothing else, but for a year."""
    folded = [word.folded for word in words]
    return any(index.titled(" ".join(part)) for part in (folded, folded[:-1]) if part)


def _opens(words: Sequence[Word], at: int) -> int:
    """How many words here announce a title ("similar to"); 0 where they don't."""
    for phrase in lexicon.BEFORE_A_TITLE:
        parts = phrase.split()
        if [word.folded for word in words[at : at + len(parts)]] == parts:
            return len(parts)
    return 0


def _title_at(words: Sequence[Word], at: int, index: ContentIndex, expected: bool) -> tuple[int, int] | None:
    """(film, words used) of the longest title that begins here; a year behind it chooses among equal titles."""
    for length in range(min(TITLE_WORDS, len(words) - at), 0, -1):
        part = words[at : at + length]
        films = index.titled(" ".join(word.folded for word in part))
        if not films or not (expected or _surely_a_title(part)):
            continue
        year = words[at + length].folded if at + length < len(words) else ""
        of_year = [film for film in films if str(index.years[film]) == year]
        return (of_year[0], length + 1) if of_year else (films[0], length)
    return None


def _surely_a_title(part: Sequence[Word]) -> bool:
    """Three words or more, or two written as names are; "the game" or "big fish" alone may be plain words."""
    telling = [word for word in part if word.folded not in STOP]
    if len(part) >= 3:
        return len(telling) >= 2
    return len(telling) == 2 and all(word.said[0].isupper() for word in telling)


def _clause_before(words: Sequence[Word], at: int) -> Iterable[Word]:
    """The words from the last comma, stop or "but" to here."""
    begin = at
    while begin > 0 and not words[begin].breaks and words[begin - 1].folded != "but":
        begin -= 1
    return words[begin:at]


def _negate(words: Sequence[Word]) -> None:
    negated = False
    for at, word in enumerate(words):
        if word.folded == "less" and [next_one.folded for next_one in words[at + 1 : at + 2]] == ["than"]:
            continue  # a length, as "less than two hours"
        if word.breaks or word.folded in lexicon.ENDS_NEGATION:
            negated = False
        if word.folded in lexicon.NEGATIONS:
            negated, word.free = True, False
        word.negated = negated


def _ideas(words: Sequence[Word], index: ContentIndex, wish: Wish) -> None:
    """Genres, moods, people and places by their longest phrase first; then each word that is left."""
    at = 0
    while at < len(words):
        if not words[at].free:
            at += 1
            continue
        for length in range(min(NAME_WORDS, len(words) - at), 0, -1):
            part = words[at : at + length]
            if not all(word.free for word in part):
                continue
            idea = _named(part, index)
            if idea is None and length == 1:
                idea = _plain(part[0], index, wish)
            if idea is not None:
                (wish.unwanted if part[0].negated else wish.wanted).append(idea)
                break
        else:
            length = 1
        at += length


def _named(part: Sequence[Word], index: ContentIndex) -> Idea | None:
    """A genre, mood, person or country of this name."""
    phrase, said = " ".join(word.folded for word in part), " ".join(word.said for word in part)
    single = " ".join([*(word.folded for word in part[:-1]), stem(part[-1].folded)])
    for key in (phrase, single):
        genres = lexicon.GENRES.get(key)
        mood = lexicon.MOODS.get(lexicon.SAME_MOOD.get(key, key))
        if genres:
            return _idea(said, genres, [part[-1].folded] if len(part) == 1 else [], index)
        if mood:
            return _idea(said, *mood, index)
        if key in lexicon.COUNTRIES and (country := index.term(f"{COUNTRY}{lexicon.COUNTRIES[key]}")) is not None:
            return Idea(said, (country,), (index.label(country),))
    if (person := index.term(f"{PERSON}{phrase}")) is not None:
        return Idea(index.label(person), (person,))
    if (country := index.term(f"{COUNTRY}{phrase}")) is not None:
        return Idea(index.label(country), (country,))
    return None


def _idea(said: str, genres: Sequence[str], texts: Sequence[str], index: ContentIndex) -> Idea | None:
    """Genres that the catalogue has and words that its texts have; None where there are none.

    A genre's own name is looked for as the genre alone: films about comedians are no comedies.
    """
    texts = [] if [fold(said)] == list(genres) else texts
    kinds = [term for genre in genres if (term := index.term(f"{GENRE}{genre}")) is not None]
    told = [term for word in texts if (term := index.term(stem(word))) is not None]
    if not kinds and not told:
        return None
    means = tuple(index.label(term) for term in kinds)
    return Idea(said, (*kinds, *told), () if [fold(name) for name in means] == [fold(said)] else means)


def _plain(word: Word, index: ContentIndex, wish: Wish) -> Idea | None:
    """A word as texts and titles have it; one that none has is remembered."""
    if word.folded in STOP or len(word.folded) < 2:
        return None
    term = index.term(stem(word.folded))
    if term is not None:
        return Idea(word.said, (term,))
    people = index.surnamed(word.folded) if len(wish.unknown) < LOOKED_UP else []
    if people:
        return Idea(word.said, tuple(people), tuple(index.label(person) for person in people))
    wish.unknown.append(word.said)
    return None
