"""Compositions for romance: two that meet, a flower, the moon on water."""

import math

from movierec.posters.colour import Paint, blend, either
from movierec.posters.dice import Dice
from movierec.posters.shapes import arc, circle, half, path, polar, rect, to


def meeting(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Two discs that overlap, and what they share."""
    r, y = min(w * 0.3, h * 0.4), h * 0.5
    apart, tilt = r * d.between(0.42, 0.6), d.between(-30, 30)
    x0, y0 = polar(w / 2, y, apart, 180 + tilt)
    x1, y1 = polar(w / 2, y, apart, tilt)
    lift = math.sqrt(r * r - apart * apart)
    ax, ay = polar(w / 2, y, lift, tilt - 90)
    bx, by = polar(w / 2, y, lift, tilt + 90)
    return [
        circle(x0, y0, r, p.a),
        circle(x1, y1, r, either(p.b, p.c, on=p.bg, least=1.3)),
        path(to("M", ax, ay) + arc(r, bx, by) + arc(r, ax, ay) + "Z", p.pop),
    ]


def petals(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A flower that opens upward in three layers."""
    n = d.whole(7, 11)
    x = w / 2
    y = h * d.between(0.98, 1.0)
    r = h * 0.84
    out: list[str] = []
    fills = d.shuffled([p.a, p.b, p.c])
    for layer, share in enumerate((1, 0.68, 0.4)):
        for i in range(n):
            a = 180 + 180 * (i + 0.5) / n
            wide = math.pi * r * share / n * 0.5
            tip = polar(x, y, r * share, a)
            c0 = polar(*polar(x, y, r * share * 0.62, a), wide * 1.25, a + 90)
            c1 = polar(*polar(x, y, r * share * 0.62, a), wide * 1.25, a - 90)
            out.append(
                path(
                    to("M", x, y) + to("Q", c0[0], c0[1], tip[0], tip[1]) + to("Q", c1[0], c1[1], x, y) + "Z",
                    fills[layer] if i % 2 or layer else blend(fills[layer], p.bg, 0.2),
                )
            )
    return [*out, half(x, y, r * 0.14, p.pop)]


def moonlight(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """The moon over water, and its broken reflection."""
    x = w * d.between(0.38, 0.62)
    line = h * d.between(0.55, 0.62)
    r = w * d.between(0.17, 0.22)
    sun = either(p.pop, p.c, on=p.bg, least=1.5)
    out = [circle(x, line - r * d.between(0.2, 0.9), r, sun), rect(0, line, w, h, p.a)]
    n = 9
    for i in range(n):
        wide = r * (1.9 - 1.3 * i / n) * d.between(0.7, 1.15)
        out.append(
            rect(
                x - wide / 2 + w * d.between(-0.04, 0.04),
                line + (h - line) * (i + 0.6) / n * 0.9,
                wide,
                3 + 5 * i / n,
                either(sun, p.c, on=p.a, least=1.5),
                3,
            )
        )
    return out
