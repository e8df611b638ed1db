"""The content index: each film one vector over words, genres, people and countries; asked with numpy alone.

TF-IDF with a weight a field (Salton & Buckley 1988): (1 + log tf) * (log((1 + D) / (1 + df)) + 1). Each field of a
film is brought to length one before its weight counts, so that a long overview does not drown a director. A film of
which less is known stays shorter: one that has nothing but its genres is like all of that genre, and should not win.
A word that stands in two fields counts in both, so such a film's vector is longer than one.
Letters: D films, V terms, Z non-zeros, T titles.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.content.words import terms
from movierec.sources.titles import ENGLISH, fold

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]

# What a field counts: shares of the likeness of two films of which everything is known.
WEIGHTS = {"title": 0.07, "overview": 0.34, "genre": 0.23, "person": 0.17, "country": 0.04, "keyword": 0.15}
GENRE, PERSON, COUNTRY = "g:", "p:", "c:"  # how terms begin that are no words of a text
LONGEST_OVERVIEW = 4000  # characters that are read
BILLED = 6  # actors that count: the rest say little
TERM, LABEL, TITLE = "S48", "S64", "S120"  # UTF-8, cut at so many bytes


@dataclass(frozen=True)
class Film:
    """What the catalogue knows about a film; `rank` 1 is the best known."""

    movie_id: int
    titles: Sequence[str]
    year: int | None
    genres: Sequence[str]
    directors: Sequence[str]
    actors: Sequence[str]
    countries: Sequence[str]
    keywords: Sequence[str]
    runtime: int | None
    overview: str | None
    rank: int


@dataclass(frozen=True)
class ContentIndex:
    """All arrays of the index; they may lie on disk, memory-mapped. Terms, titles and movie ids ascend."""

    movie_ids: Ints  # (D,)
    years: Ints  # (D,) 0 unknown
    runtimes: Ints  # (D,) minutes, 0 unknown
    fame: Floats  # (D,) 1 the best known .. 0, by the logarithm of the rank
    terms: npt.NDArray[np.bytes_]  # (V,)
    labels: npt.NDArray[np.bytes_]  # (V,) a term as people read it
    idf: Floats  # (V,)
    film_at: Ints  # (D + 1,) where a film's terms begin
    film_terms: Ints  # (Z,)
    film_weights: Floats  # (Z,) squares of a field sum to its weight; a term of several fields has the sum
    term_at: Ints  # (V + 1,) where a term's films begin
    term_films: Ints  # (Z,)
    term_weights: Floats  # (Z,)
    titles: npt.NDArray[np.bytes_]  # (T,) folded, with and without an article
    title_films: Ints  # (T,) of equal titles the best known film first

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> ContentIndex:
        """From the arrays by name. Raises ValueError where they don't fit together."""
        missing = sorted({field.name for field in fields(cls)} - arrays.keys())
        if missing:
            raise ValueError(f"no array {missing[0]}")
        index = cls(**{field.name: arrays[field.name] for field in fields(cls)})
        index._check()
        return index

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __len__(self) -> int:
        return int(self.movie_ids.size)

    def film(self, movie_id: int) -> int | None:
        """The place of a movie in the index, 0..D-1; None where it isn't in it."""
        return _place(self.movie_ids, movie_id)

    def term(self, text: str) -> int | None:
        """The number of a term; None where no film has it."""
        return _place(self.terms, np.array(text.encode(), dtype=TERM)[()])

    def label(self, term: int) -> str:
        """A term as people read it."""
        return bytes(self.labels[term]).decode(errors="ignore")

    def titled(self, folded: str) -> list[int]:
        """The films of this folded title, the best known first."""
        name = np.array(folded.encode(), dtype=TITLE)[()]
        low, high = (int(np.searchsorted(self.titles, name, side)) for side in ("left", "right"))
        return [int(film) for film in self.title_films[low:high]]

    def vector(self, film: int) -> dict[int, float]:
        """Term -> weight of one film."""
        at = slice(int(self.film_at[film]), int(self.film_at[film + 1]))
        return dict(zip(self.film_terms[at].tolist(), self.film_weights[at].tolist(), strict=True))

    def surnamed(self, folded: str) -> list[int]:
        """The people whose last name this is, as terms. Looks through all names: for words that nothing else knows."""
        low, high = (int(np.searchsorted(self.terms, np.array(end, dtype=TERM)[()])) for end in (b"p:", b"p;"))
        return [low + int(at) for at in np.flatnonzero(np.char.endswith(self.terms[low:high], f" {folded}".encode()))]

    def films_of(self, term: int) -> Ints:
        """The films that have a term."""
        return self.term_films[int(self.term_at[term]) : int(self.term_at[term + 1])]

    def likeness(self, wanted: Mapping[int, float]) -> npt.NDArray[np.float32]:
        """(D,) the dot product of each film with these terms' weights."""
        scores = np.zeros(len(self), dtype=np.float32)
        for term, weight in wanted.items():
            at = slice(int(self.term_at[term]), int(self.term_at[term + 1]))
            scores[self.term_films[at]] += np.float32(weight) * self.term_weights[at]
        return scores

    def named(self, wanted: Mapping[int, float]) -> dict[int, float]:
        """Those of the terms that are genres, people or countries: what two films share is told in these."""
        kinds = tuple(kind.encode() for kind in (GENRE, PERSON, COUNTRY))
        return {term: weight for term, weight in wanted.items() if bytes(self.terms[term]).startswith(kinds)}

    def shared(self, wanted: Mapping[int, float], film: int, count: int = 3) -> tuple[str, ...]:
        """What the film has of these terms, that which counts most first, as people read it."""
        own = self.vector(film)
        common = sorted((term for term in wanted if term in own), key=lambda term: -wanted[term] * own[term])
        return tuple(self.label(term) for term in common[:count])

    def _check(self) -> None:
        """Raises ValueError: what was read from a disk may be anything."""
        films, vocabulary = self.movie_ids.size, self.terms.size
        sized = [(self.years, films), (self.runtimes, films), (self.fame, films), (self.labels, vocabulary),
                 (self.idf, vocabulary), (self.film_at, films + 1), (self.term_at, vocabulary + 1),
                 (self.film_weights, self.film_terms.size), (self.term_films, self.film_terms.size),
                 (self.term_weights, self.film_terms.size), (self.title_films, self.titles.size)]  # fmt: skip
        if any(row.shape != (size,) for row, size in sized):
            raise ValueError("arrays of sizes that don't belong together")
        for row, most in ((self.film_terms, vocabulary), (self.term_films, films), (self.title_films, films)):
            if row.size and not 0 <= int(row.min()) <= int(row.max()) < most:
                raise ValueError("a number that means no term or film")
        for offsets in (self.film_at, self.term_at):
            if offsets[0] != 0 or offsets[-1] != self.film_terms.size or (np.diff(offsets) < 0).any():
                raise ValueError("rows that don't follow each other")
        if not all(np.isfinite(row).all() for row in (self.film_weights, self.term_weights, self.idf, self.fame)):
            raise ValueError("a weight that is not a number")


def build(catalogue: Iterable[Film]) -> ContentIndex:
    """Read every film once. About 0.1 ms a film; memory grows with the words."""
    films = sorted(catalogue, key=lambda film: film.movie_id)
    numbers: dict[str, int] = {}
    labels: list[str] = []
    rows, kinds, ids, counts = (array("i") for _ in range(4))
    for row, film in enumerate(films):
        for kind, found in enumerate(_fields(film)):
            for (term, label), count in found.items():
                number = numbers.setdefault(term, len(labels))
                if number == len(labels):
                    labels.append(label)
                elif len(label) < len(labels[number]):  # "alien" rather than "aliens"
                    labels[number] = label
                for column, value in ((rows, row), (kinds, kind), (ids, number), (counts, count)):
                    column.append(value)
    return _weighed(
        films, list(numbers), labels, *(np.frombuffer(c, dtype=np.int32) for c in (rows, kinds, ids, counts))
    )


def _fields(film: Film) -> Iterator[Counter[tuple[str, str]]]:
    """(term, label) -> how often, for each field in the order of WEIGHTS."""
    yield Counter(pair for title in film.titles[:1] for pair in terms(title))
    yield Counter(terms((film.overview or "")[:LONGEST_OVERVIEW]))
    yield Counter((f"{GENRE}{fold(genre)}", genre) for genre in film.genres)
    yield Counter((f"{PERSON}{fold(name)}", name) for name in dict.fromkeys([*film.directors, *film.actors[:BILLED]]))
    yield Counter((f"{COUNTRY}{fold(country)}", country) for country in film.countries)
    yield Counter(terms(" ".join(film.keywords)))


def _weighed(
    films: Sequence[Film], names: list[str], labels: list[str], rows: Ints, kinds: Ints, ids: Ints, counts: Ints
) -> ContentIndex:
    encoded = np.array([name.encode() for name in names], dtype=TERM)
    kept, number = np.unique(encoded, return_inverse=True)  # ascending; terms equal after the cut become one
    ids, n_films = number[ids].astype(np.int64), max(len(films), 1)
    shown = np.zeros(kept.size, dtype=LABEL)
    shown[number[::-1]] = np.array([label.encode() for label in labels], dtype=LABEL)[::-1]
    pairs, place = np.unique(rows * np.int64(max(kept.size, 1)) + ids, return_inverse=True)  # (film, term), once each
    df = np.bincount(pairs % max(kept.size, 1), minlength=kept.size)
    idf = np.log((1 + n_films) / (1 + df)) + 1
    weight = (1 + np.log(counts)) * idf[ids]
    field = rows.astype(np.int64) * len(WEIGHTS) + kinds
    length = np.sqrt(np.bincount(field, weights=weight**2))
    weight *= np.sqrt(np.array(list(WEIGHTS.values())))[kinds] / length[field]
    weight = np.bincount(place, weights=weight, minlength=pairs.size)
    film, term = pairs // max(kept.size, 1), pairs % max(kept.size, 1)
    order = np.argsort(term, kind="stable")
    titles, title_films = _titles(films)
    best = np.argsort(np.argsort([film.rank for film in films], kind="stable"))
    return ContentIndex(
        movie_ids=np.array([film.movie_id for film in films], dtype=np.int64),
        years=np.array([film.year or 0 for film in films], dtype=np.int32),
        runtimes=np.array([film.runtime or 0 for film in films], dtype=np.int32),
        fame=(1 - np.log1p(best) / np.log1p(n_films)).astype(np.float32),
        terms=kept, labels=shown, idf=idf.astype(np.float32),
        film_at=_offsets(film, len(films)), film_terms=term.astype(np.int32), film_weights=weight.astype(np.float32),
        term_at=_offsets(term, kept.size), term_films=film[order].astype(np.int32),
        term_weights=weight[order].astype(np.float32),
        titles=titles, title_films=title_films,
    )  # fmt: skip


def _titles(films: Sequence[Film]) -> tuple[npt.NDArray[np.bytes_], Ints]:
    """All names that a film may be called by, folded; an English article may be left out."""
    named = []
    for at, film in enumerate(films):
        names = {fold(name) for title in film.titles for name in (title, ENGLISH.sub("", title, count=1))}
        named += [(name.encode(), film.rank, at) for name in names if name]
    named.sort()
    return np.array([name for name, *_ in named], dtype=TITLE), np.array([at for *_, at in named], dtype=np.int32)


def _offsets(rows: Ints, count: int) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=count))]).astype(np.int64)


def _place(ascending: npt.NDArray[Any], value: Any) -> int | None:
    at = int(np.searchsorted(ascending, value))
    return at if at < ascending.size and ascending[at] == value else None
