"""Type as SVG: outlines where we hold the letters, so that every browser shows the same, else text."""

import re
from xml.sax.saxutils import escape

from movierec.posters.glyphs import cut, drawn, width
from movierec.posters.script import is_rtl

FONTS = "Inter Variable, Inter, Helvetica Neue, Arial, Noto Sans, Noto Sans CJK JP, sans-serif"
WEIGHTS = {"heavy": 780, "light": 330, "text": 590}  # as in tools/make_glyphs.py

FOOT_SIZE, FOOT_SMALLEST, FOOT_GAP = 17, 13.5, 24
_SEPARATORS = re.compile(r"\s*[;|/]\s*|\s+&\s+|,\s+(?!(?:Jr|Sr|II|III|IV)\b)")
_SUFFIXES = ("Jr", "Jr.", "Sr", "Sr.", "II", "III", "IV")


def set_line(
    text: str, cut_name: str, size: float, x: float, y: float, fill: str, tracking: float = 0, at_end: bool = False
) -> str:
    """One line of type on the baseline y, with its left edge at x, or its right one if at_end."""
    if not drawn(text, cut_name):
        return _as_text(text, cut_name, size, x, y, fill, at_end)
    font, at, steps = cut(cut_name), 0.0, []
    for i, char in enumerate(text):
        if font.outlines[char]:
            steps.append(f"M{at:.0f} 0{font.outlines[char]}")
        at += font.widths[char] + font.kerning.get(text[i : i + 2], 0) + tracking * 1000
    # The first letter's ink, not its origin, stands on the margin.
    start = x - (width(text, cut_name, size, tracking) if at_end else font.bearings[text[0]] * (size / 1000))
    place = f"translate({start:.2f} {y:.2f}) scale({size / 1000:.5f})"
    return f'<path fill="{fill}" transform="{place}" d="{"".join(steps)}"/>'


def _as_text(text: str, cut_name: str, size: float, x: float, y: float, fill: str, at_end: bool) -> str:
    rtl = is_rtl(text)
    anchor = "end" if at_end != rtl else "start"  # a right-to-left line starts at its right edge
    font = f'font-family="{FONTS}" font-weight="{WEIGHTS[cut_name]}" font-size="{size}"'
    direction = ' direction="rtl"' if rtl else ""
    place = f'x="{x:.1f}" y="{y:.1f}"'
    return f'<text {place} fill="{fill}" {font} text-anchor="{anchor}"{direction}>{escape(text)}</text>'


def set_foot(
    director: str, year: int | None, genre: str, left: float, right: float, y: float, ink: str, rtl: bool
) -> list[str]:
    """The last line, director and year at its two ends; the genre stands in where no form of the names fits."""
    date = str(year or "")
    room = right - left - (width(date, "text", FOOT_SIZE) + FOOT_GAP if date else 0)
    near, far = (right, left) if rtl else (left, right)
    parts = []
    for name in (*_forms(director), genre):
        size = min(FOOT_SIZE, FOOT_SIZE * room / max(1, width(name, "text", FOOT_SIZE)))
        if name and size >= FOOT_SMALLEST:
            parts.append(set_line(name, "text", round(size, 1), near, y, ink, at_end=rtl))
            break
    if date:
        parts.append(set_line(date, "text", FOOT_SIZE, far, y, ink, at_end=not rtl))
    return parts


def _forms(director: str) -> tuple[str, str]:
    """The names in full, and the family names alone."""
    names = [name for part in _SEPARATORS.split(director) if (name := part.strip(" &,;|/"))]
    return " & ".join(names), " & ".join(map(_family_name, names))


def _family_name(name: str) -> str:
    parts = name.split()
    return " ".join(parts[-2:] if parts[-1] in _SUFFIXES else parts[-1:])
