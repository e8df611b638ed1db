"""One poster from a film's data: the title is set and measured first, and the picture gets the room that is left.

So nothing overlaps and nothing is cut, whatever the title. Three ideas make the posters a series: one typographic grid,
one box of seven colours a decade, and flat shapes that each family of genres draws in its own ways.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from movierec.posters.colour import Paint, blend
from movierec.posters.dice import Dice
from movierec.posters.gallery import COMPOSITIONS, FACES, Composition
from movierec.posters.genres import GENRES, family_of, main_genre, mood_of
from movierec.posters.lettering import set_foot, set_line
from movierec.posters.palette import mix, stir
from movierec.posters.script import clean, is_rtl
from movierec.posters.series import series_of
from movierec.posters.shapes import mirrored, num
from movierec.posters.typeset import MEASURE, Block, set_block

VERSION = 1  # part of the URL, which is cached for ever: raise it with any change that changes a poster
W, H, MARGIN = 400, 600, 28
TITLE_ROOM = 224
FOOT_HEIGHT = 17 * 0.73  # the capitals of the last line
FOOT_SPACE = 26  # between it and the title
ART_SPACE = 30  # between the type and the picture


class Plan(NamedTuple):
    """Where things stand: the picture's box, the top of the title's block, the baseline of the last line."""

    x: float
    y: float
    w: float
    h: float
    title_top: float
    foot: float


def poster(
    title: str,
    year: int | None = None,
    genres: Iterable[str] = (),
    director: str | None = None,
    key: object = "",
) -> str:
    """One poster as an SVG document, 400 x 600. The same arguments give the same bytes.

    Films of one series share composition, face and layout. The key (a movie's id) tells apart films that share
    title and year. Several directors may be separated by "&", ",", ";", "/" or "|".
    """
    title, director = clean(title) or "Untitled", clean(director or "")
    genres = [genre for genre in genres if genre in GENRES]
    main = main_genre(genres)
    family = family_of(main)
    kin, own = Dice("kin", series_of(title), family), Dice("own", title, year, key)
    draw, face = kin.pick(COMPOSITIONS[family]), kin.pick(FACES[family])
    upside, framed = kin.flip(0.3), kin.flip(0.22)
    paint = stir(mix(kin, year, mood_of(genres, main)), own)
    block = set_block(title, face, TITLE_ROOM)
    plan = _plan(block.height, upside, framed)
    rtl = is_rtl(title)
    label = quoteattr(f"{title} ({year})" if year else title, {'"': "&quot;"})
    size = f'viewBox="0 0 {W} {H}" width="{W}" height="{H}"'
    small_ink = blend(paint.ink, paint.ground, 0.1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={label}>',
        f'<rect width="{W}" height="{H}" fill="{paint.ground}"/>',
        *_picture(draw, own, plan, paint),
        *_title(block, plan.title_top, paint.ink, rtl),
        *set_foot(director, year, main, MARGIN, W - MARGIN, plan.foot, small_ink, rtl),
        "</svg>\n",
    ]
    return "".join(parts)


def _plan(title_height: float, upside: bool, framed: bool) -> Plan:
    """The picture above the type, or below it if upside; to the edges, or inside the margins if framed."""
    type_height = math.ceil(title_height + FOOT_SPACE + FOOT_HEIGHT)
    x, w = (MARGIN, MEASURE) if framed else (0, W)
    y = type_height + MARGIN + ART_SPACE if upside else 0
    h = H - type_height - MARGIN - ART_SPACE
    if framed:
        h -= MARGIN
        y = y if upside else MARGIN
    if upside:
        return Plan(x, y, w, h, MARGIN + FOOT_HEIGHT + FOOT_SPACE, MARGIN + FOOT_HEIGHT)
    foot = H - MARGIN
    return Plan(x, y, w, h, foot - FOOT_HEIGHT - FOOT_SPACE - title_height, foot)


def _picture(draw: Composition, own: Dice, plan: Plan, paint: Paint) -> list[str]:
    """The composition in its box, which clips what reaches beyond."""
    shapes = draw(own, plan.w, plan.h, paint)
    if own.flip():
        shapes = mirrored(plan.w, shapes)
    box = f'x="{num(plan.x)}" y="{num(plan.y)}" width="{num(plan.w)}" height="{num(plan.h)}"'
    ground = f'<rect width="100%" height="100%" fill="{paint.bg}"/>' if paint.bg != paint.ground else ""
    return [f'<svg {box} overflow="hidden">', ground, *shapes, "</svg>"]


def _title(block: Block, top: float, ink: str, rtl: bool) -> list[str]:
    """The set lines on the left margin, or on the right one for titles read from there."""
    x = W - MARGIN if rtl else MARGIN
    return [
        set_line(line.text, line.cut, line.size, x, top + line.baseline, ink, line.tracking, at_end=rtl)
        for line in block.lines
    ]
