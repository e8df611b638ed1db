"""What a film's genres say about its poster: which family draws it, and in which mood it is coloured."""

from collections.abc import Sequence

# genre -> (family of compositions, mood of colours), rarest first: the rarest genre names the film, so a Western that
# is also a drama is a Western. MovieLens's names and TMDB's.
GENRES = {
    "Film-Noir": ("noir", "dark"),
    "Western": ("western", "warm"),
    "Musical": ("musical", "bright"),
    "Music": ("musical", "bright"),
    "War": ("war", "dark"),
    "History": ("war", "light"),
    "Horror": ("horror", "dark"),
    "Documentary": ("document", "deep"),
    "Animation": ("play", "bright"),
    "Sci-Fi": ("space", "deep"),
    "Science Fiction": ("space", "deep"),
    "Fantasy": ("fantasy", "deep"),
    "Mystery": ("mystery", "dark"),
    "Crime": ("noir", "dark"),
    "Children": ("play", "bright"),
    "Family": ("play", "bright"),
    "Adventure": ("adventure", "warm"),
    "Action": ("action", "warm"),
    "Thriller": ("mystery", "dark"),
    "Romance": ("romance", "warm"),
    "Comedy": ("comedy", "bright"),
    "Drama": ("drama", "light"),
}
UNKNOWN = ("house", "light")
RANK = tuple(GENRES)


def main_genre(genres: Sequence[str]) -> str:
    """The rarest known genre, or nothing."""
    return min((genre for genre in genres if genre in GENRES), key=RANK.index, default="")


def family_of(main: str) -> str:
    """The family of compositions for a main genre."""
    return GENRES.get(main, UNKNOWN)[0]


def mood_of(genres: Sequence[str], main: str) -> str:
    """The mood of the first other genre: the main one has already chosen the picture."""
    others = [genre for genre in genres if genre in GENRES and genre != main]
    return GENRES.get(others[0] if others else main, UNKNOWN)[1]
