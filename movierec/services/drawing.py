"""Posters as the site hands them out: of the catalogue's films, and of a fixed few for people at the door."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from movierec import posters
from movierec.services.catalogue import Card
from movierec.services.errors import NotFound
from movierec.tables import Movie

Drawable = Card | Movie

# Whoever is not signed in sees these behind the sign-in form, so that the door tells nothing of the catalogue.
AT_THE_DOOR = (
    ("Alien", 1979, ("Horror", "Sci-Fi"), "Ridley Scott"),
    ("Vertigo", 1958, ("Mystery", "Thriller"), "Alfred Hitchcock"),
    ("Spirited Away", 2001, ("Animation", "Fantasy"), "Hayao Miyazaki"),
    ("The Maltese Falcon", 1941, ("Film-Noir", "Mystery"), "John Huston"),
    ("Amelie", 2001, ("Comedy", "Romance"), "Jean-Pierre Jeunet"),
    ("The Good, the Bad and the Ugly", 1966, ("Western",), "Sergio Leone"),
    ("Metropolis", 1927, ("Sci-Fi", "Drama"), "Fritz Lang"),
    ("Psycho", 1960, ("Horror", "Crime"), "Alfred Hitchcock"),
    ("Brazil", 1985, ("Fantasy", "Sci-Fi"), "Terry Gilliam"),
    ("The Shining", 1980, ("Horror",), "Stanley Kubrick"),
    ("Lost in Translation", 2003, ("Comedy", "Drama", "Romance"), "Sofia Coppola"),
    ("Jaws", 1975, ("Action", "Horror"), "Steven Spielberg"),
    ("Hoop Dreams", 1994, ("Documentary",), "Steve James"),
    ("Casablanca", 1942, ("Drama", "Romance"), "Michael Curtiz"),
    ("Singin' in the Rain", 1952, ("Musical", "Comedy"), "Stanley Donen"),
    ("Logan", 2017, ("Action", "Sci-Fi"), "James Mangold"),
    ("Stalker", 1979, ("Drama", "Mystery", "Sci-Fi"), "Andrei Tarkovsky"),
    ("Moon", 2009, ("Sci-Fi",), "Duncan Jones"),
    ("Rear Window", 1954, ("Mystery", "Thriller"), "Alfred Hitchcock"),
    ("Apocalypse Now", 1979, ("War", "Drama"), "Francis Ford Coppola"),
    ("Fargo", 1996, ("Crime", "Comedy"), "Joel Coen"),
    ("Whiplash", 2014, ("Drama",), "Damien Chazelle"),
    ("Toy Story", 1995, ("Animation", "Children"), "John Lasseter"),
    ("Heat", 1995, ("Action", "Crime"), "Michael Mann"),
    ("Groundhog Day", 1993, ("Comedy", "Fantasy"), "Harold Ramis"),
)


def fingerprint(film: Drawable) -> str:
    """Short hash of what a film's poster says: its address changes with it, so browsers may keep it for ever."""
    said = repr((film.title, film.year, list(film.genres), list(film.directors)))
    return hashlib.sha256(said.encode("utf-8", "backslashreplace")).hexdigest()[:10]


def of_film(film: Drawable) -> str:
    """The poster of one of the catalogue's films, as SVG."""
    return _drawn(film.title, film.year, tuple(film.genres), " & ".join(film.directors), film.id)


def at_the_door(number: int) -> str:
    """One of the posters at the door, counted from 0. Raises NotFound."""
    if not 0 <= number < len(AT_THE_DOOR):
        raise NotFound("There is no such poster.")
    title, year, genres, director = AT_THE_DOOR[number]
    return _drawn(title, year, genres, director, number)


@lru_cache(maxsize=512)  # about 9 kB each
def _drawn(title: str, year: int | None, genres: tuple[str, ...], director: str, key: int) -> str:
    return posters.poster(title, year, genres, director or None, key=key)
