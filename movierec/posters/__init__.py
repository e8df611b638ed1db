"""Generated film posters: title, year, genres and director in, one SVG out, the same bytes for ever."""

from movierec.posters.compose import VERSION, poster

__all__ = ["VERSION", "poster"]
