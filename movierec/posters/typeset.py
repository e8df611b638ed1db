"""Sets a title as large as its room allows: line breaks, size and baselines, before anything is drawn."""

import math
from typing import NamedTuple

from movierec.posters.breaking import Breaker, words
from movierec.posters.glyphs import cut, drawn, width
from movierec.posters.series import split_title

MEASURE = 344  # the width of a line
MOST_LINES = 6
# Below this a title is cut inside a word rather than made smaller; a cut one starts at the size after it.
ENDLESS, CUT_SIZE, SMALLEST_CUT = 19, 24, 8
REST_LARGEST, REST_WANTED, REST_ENDLESS, REST_LINES = 20, 17, 13, 4
REST_LEADING = 1.22
ESTIMATED_RISE = 0.86  # of capitals in fonts that we cannot measure


class Style(NamedTuple):
    """A way to set titles; tracking and leading are shares of the size."""

    cut: str
    capitals: bool
    tracking: float
    leading: float
    largest: float


STYLES = {
    "heavy": Style("heavy", False, -0.012, 0.98, 96),
    "caps": Style("heavy", True, -0.004, 0.94, 92),
    "light": Style("light", False, -0.012, 1.02, 88),
    "wide": Style("light", True, 0.05, 1.12, 60),
    "small": Style("heavy", False, -0.008, 1.04, 46),
}


class Line(NamedTuple):
    """One line of type and its baseline, counted from the top of its block."""

    text: str
    cut: str
    size: float
    baseline: float
    tracking: float


class Block(NamedTuple):
    """The set title: its lines and the height they take."""

    lines: list[Line]
    height: float


def set_block(title: str, style_name: str, room: float) -> Block:
    """A title in at most room units of height; what follows a colon is set small below the name, in a little more."""
    name, rest = split_title(title)
    style = STYLES[style_name]
    if style.capitals and name.isascii():
        name = name.upper()
    if not drawn(name, style.cut):  # other fonts: their accents need air, and their widths are estimates
        style = style._replace(leading=max(style.leading, 1.2), tracking=0, largest=min(style.largest, 72))
    size, texts = _set_name(name, style, room - (44 if rest else 0))
    rise = cut(style.cut).cap_height / 1000 if drawn("".join(texts), style.cut) else ESTIMATED_RISE
    lines, y = [], size * rise
    for text in texts:
        lines.append(Line(text, style.cut, size, y, style.tracking))
        y += size * style.leading
    y += size * (0.2 - style.leading)  # below the last baseline: room for a descender
    if rest:
        small, texts = _set_rest(rest)
        y += 10
        for text in texts:
            y += small * REST_LEADING
            lines.append(Line(text, "text", small, y, 0))
        y += small * 0.25
    return Block(lines, y)


def _set_name(name: str, style: Style, room: float) -> tuple[float, list[str]]:
    """The largest balanced setting of a name that fits: its size and its lines."""
    parts = words(name)
    breaker = Breaker(parts, style.cut, style.tracking)
    best_score, size, lines = -math.inf, 0.0, [name]
    for count in range(1, min(MOST_LINES, len(parts)) + 1):
        split = breaker.split(count)
        fits = min(style.largest, _size(split.widest), room / ((count - 1) * style.leading + 0.98))
        score = fits * (1 - 0.035 * (count - 1)) - 14 * split.faults
        if score > best_score:
            best_score, size, lines = score, fits, split.lines
    if size < ENDLESS and any(_too_long(word, style.cut, ENDLESS) for word in name.split()):
        size, lines = _set_endless(name, style, room)
    return _rounded(size), lines


def _set_endless(name: str, style: Style, room: float) -> tuple[float, list[str]]:
    """A name with a word longer than any line: cut the word rather than lose it."""
    parts = words(name, lambda word: _too_long(word, style.cut, CUT_SIZE))
    for size in range(CUT_SIZE, SMALLEST_CUT, -1):
        lines_needed = math.ceil(width(name, style.cut, size, style.tracking) / (MEASURE * 0.94))
        count = min(len(parts), lines_needed)
        if size * ((count - 1) * style.leading + 0.98) <= room:
            break
    split = Breaker(parts, style.cut, style.tracking).split(count)
    return min(size, _size(split.widest)), split.lines


def _set_rest(rest: str) -> tuple[float, list[str]]:
    """What follows the colon: small, in the fewest lines that keep it readable."""
    parts = words(rest, lambda word: _too_long(word, "text", REST_ENDLESS))
    breaker = Breaker(parts, "text", 0)
    for count in range(1, min(REST_LINES, len(parts)) + 1):
        split = breaker.split(count)
        size = _rounded(min(REST_LARGEST, _size(split.widest)))
        if size >= REST_WANTED:
            break
    return size, split.lines


def _too_long(word: str, cut_name: str, size: float) -> bool:
    return width(word, cut_name, size) > MEASURE


def _size(ems: float) -> float:
    """The size at which so many ems fill a line; a text of invisible letters has no width at all."""
    return MEASURE / max(ems, 0.01)


def _rounded(size: float) -> float:
    return math.floor(size * 10) / 10
