"""Turns the font Inter into movierec/posters/glyphs.json: outlines, widths, side bearings and kerning for posters.

The file is in the repository; run this only to change the font, the cuts or the letters, and raise the posters' VERSION
then. In a throw-away environment (made with npm's @fontsource-variable/inter 5.3.0):

    pip install fonttools brotli uharfbuzz && npm install @fontsource-variable/inter
    python tools/make_glyphs.py node_modules/@fontsource-variable/inter/files movierec/posters/glyphs.json

Lengths are thousandths of an em, y points down. Inter is under the OFL: its licence lies beside glyphs.json.
"""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import uharfbuzz as hb
from fontTools.pens.basePen import BasePen
from fontTools.pens.boundsPen import BoundsPen
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

CUTS = {
    "heavy": {"opsz": 32, "wght": 780},  # titles
    "light": {"opsz": 32, "wght": 330},  # quiet titles
    "text": {"opsz": 14, "wght": 590},  # subtitle, director, year
}
SUBSETS = ("latin", "latin-ext", "greek", "cyrillic")
RANGES = (range(0x20, 0x7F), range(0xA1, 0x180), range(0x386, 0x3CF), range(0x400, 0x460))
LETTERS = [chr(code) for codes in RANGES for code in codes] + list("–—‘’“”„…·×½²³")
KERNED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'’.,:-–!?&"
LEAST_KERNING = 6  # less is invisible, and there are many such pairs


class RelativePen(BasePen):
    """Writes whole-number relative path commands, so that outlines can be strung together."""

    def __init__(self, glyphs: Any, scale: float) -> None:
        super().__init__(glyphs)
        self.steps: list[str] = []
        self._scale = scale
        self._at = self._start = (0, 0)

    def _to(self, command: str, *points: tuple[float, float]) -> None:
        numbers, origin = [], self._at
        for x, y in points:
            self._at = round(x * self._scale), round(-y * self._scale)
            numbers += [self._at[0] - origin[0], self._at[1] - origin[1]]
        self.steps.append(command + " ".join(map(str, numbers)).replace(" -", "-"))

    def _moveTo(self, p: tuple[float, float]) -> None:
        self._to("m", p)
        self._start = self._at

    def _lineTo(self, p: tuple[float, float]) -> None:
        self._to("l", p)

    def _qCurveToOne(self, a: tuple[float, float], p: tuple[float, float]) -> None:
        self._to("q", a, p)

    def _curveToOne(self, a: tuple[float, float], b: tuple[float, float], p: tuple[float, float]) -> None:
        self._to("c", a, b, p)

    def _closePath(self) -> None:
        self.steps.append("z")
        self._at = self._start


def cut(folder: Path, axes: dict[str, float]) -> dict[str, Any]:
    """One weight of the font, as the fields of movierec.posters.glyphs.Cut; a letter comes from the first subset."""
    table: dict[str, Any] = {"outlines": {}, "widths": {}, "bearings": {}}
    for subset in SUBSETS:
        font = TTFont(folder / f"inter-{subset}-opsz-normal.woff2")
        instantiateVariableFont(font, axes, inplace=True)
        scale = 1000 / font["head"].unitsPerEm
        names, glyphs = font.getBestCmap(), font.getGlyphSet()
        for char in LETTERS:
            if ord(char) in names and char not in table["widths"]:
                glyph = glyphs[names[ord(char)]]
                pen, box = RelativePen(glyphs, scale), BoundsPen(glyphs)
                glyph.draw(pen)
                glyph.draw(box)
                table["outlines"][char] = "".join(pen.steps)
                table["widths"][char] = round(glyph.width * scale)
                table["bearings"][char] = round(box.bounds[0] * scale) if box.bounds else 0
        if subset == "latin":
            table["kerning"] = kerning(font, scale)
            table["cap_height"] = round(font["OS/2"].sCapHeight * scale)
    return table


def kerning(font: TTFont, scale: float) -> dict[str, int]:
    """What the shaper adds between two letters, for the pairs where it can be seen."""
    names, advances = font.getBestCmap(), font["hmtx"]
    store = io.BytesIO()
    font.flavor = None
    font.save(store)
    shaper = hb.Font(hb.Face(store.getvalue()))
    known = [char for char in KERNED if ord(char) in names]
    pairs = {}
    for pair in (left + right for left in known for right in known):
        shaped = hb.Buffer()
        shaped.add_str(pair)
        shaped.guess_segment_properties()
        hb.shape(shaper, shaped, {"kern": True, "liga": False, "calt": False})
        plain = sum(advances[names[ord(char)]][0] for char in pair)
        moved = round((sum(place.x_advance for place in shaped.glyph_positions) - plain) * scale)
        if abs(moved) >= LEAST_KERNING:
            pairs[pair] = moved
    return pairs


def main() -> None:
    """Read the font's folder, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("font", type=Path, help="the folder with inter-*-opsz-normal.woff2")
    parser.add_argument("target", type=Path, help="the file to write: movierec/posters/glyphs.json")
    options = parser.parse_args()
    table = {name: cut(options.font, axes) for name, axes in CUTS.items()}
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    options.target.write_text(text + "\n", encoding="utf-8")
    letters = {name: len(part["widths"]) for name, part in table.items()}
    print(f"{letters} letters, {options.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
