"""Compositions for animation and children's films: building blocks and round hills."""

import math

from movierec.posters.colour import Paint
from movierec.posters.dice import Dice
from movierec.posters.shapes import circle, half, poly, quarter, rect


def tiles(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Square tiles with quarter discs, discs, domes and triangles."""
    n = d.pick((2, 4, 4))
    size = w / n
    fills = [p.a, p.b, p.c, p.pop]
    out = [rect(0, 0, w, h, p.a)]
    for j in range(math.ceil(h / size)):
        for i in range(n):
            x, y = i * size, h - (j + 1) * size
            base, top = d.shuffled(fills)[:2]
            kind, turn = d.whole(0, 4), d.whole(0, 3)
            out.append(rect(x, y, size, size, base))
            if kind <= 1:
                cx, cy = x + size * (turn in (1, 2)), y + size * (turn in (2, 3))
                out.append(quarter(cx, cy, size, top, turn * 90))
            elif kind == 2:
                out.append(circle(x + size / 2, y + size / 2, size * 0.36, top))
            elif kind == 3:
                out.append(half(x + size / 2, y + size * (1 if turn % 2 else 0.5), size / 2, top))
            else:
                out.append(poly([(x, y + size), (x + size, y + size), (x + size * (turn % 2), y)], top))
    return out


def hills(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Round striped hills under a sun."""
    out = [circle(w * d.between(0.2, 0.8), h * d.between(0.2, 0.32), w * d.between(0.09, 0.14), p.pop)]
    fills = d.shuffled([p.a, p.b, p.c])
    for i in range(5):
        r = w * d.between(0.22, 0.36)
        x = w * (i % 3 + d.between(0.2, 0.8)) / 3
        y = h - r * 0.12 + h * 0.02 * i
        for ringno, share in enumerate((1, 0.72, 0.44)):
            out.append(circle(x, y, r * share, fills[(i + ringno) % 3]))
    return out


def blocks(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Four toy blocks stacked into a tower."""
    unit = min(h / 4.3, w * 0.3)
    fills = d.shuffled([p.a, p.b, p.c, p.pop])
    x, y = w / 2, h
    out: list[str] = []
    for i, kind in enumerate(d.shuffled(["square", "arch", "dome", "tri", "disc"])[:4]):
        cx = x + w * d.between(-0.05, 0.05)
        fill = fills[i % 4]
        size = unit * (1.06 - 0.04 * i)
        if kind == "square":
            out.append(rect(cx - size * 0.8, y - size, size * 1.6, size, fill))
        elif kind == "arch":
            out += [rect(cx - size, y - size, size * 2, size, fill), half(cx, y + 0.3, size * 0.5, p.bg)]
        elif kind == "dome":
            out.append(half(cx, y, size, fill))
        elif kind == "tri":
            out.append(poly([(cx - size * 0.9, y), (cx + size * 0.9, y), (cx, y - size)], fill))
        else:
            out.append(circle(cx, y - size / 2, size / 2, fill))
        y -= size
    return out
