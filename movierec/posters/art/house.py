"""Compositions for films without a genre: the cinema itself."""

import math

from movierec.posters.colour import Paint, either
from movierec.posters.dice import Dice
from movierec.posters.shapes import circle, path, polar, poly, rect, ring, to


def leader(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """The countdown of a film leader."""
    x, y = w / 2, h / 2
    r = min(w, h) * 0.42
    a = d.between(-80, 200)
    far = math.hypot(w, h)
    x0, y0 = polar(x, y, far, -90)
    x1, y1 = polar(x, y, far, a)
    big = 1 if (a + 90) % 360 > 180 else 0
    return [
        path(to("M", x, y) + to("L", x0, y0) + to("A", far, far, 0, big, 1, x1, y1) + "Z", p.a),
        rect(0, y - 2, w, 4, p.b),
        rect(x - 2, 0, 4, h, p.b),
        ring(x, y, r, p.c, 8),
        ring(x, y, r * 0.8, p.c, 8),
        circle(x, y, r * 0.16, p.pop),
    ]


def beam(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A projector and its beam."""
    y, side = h * d.between(0.2, 0.4), d.flip()
    x0, x1 = (0, w) if side else (w, 0)
    size = w * 0.13
    lens = x0 + (size if side else -size) * 0.8
    return [
        poly([(lens, y), (x1, y - h * 0.1), (x1, y + h * 0.5), (lens, y + size * 0.5)], p.pop),
        rect(0 if side else w - size, y - size * 0.35, size, size * 1.2, either(p.a, p.c, on=p.bg, least=1.3)),
    ]
