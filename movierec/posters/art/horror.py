"""Compositions for horror: what scratches, watches, waits and bites."""

import math

from movierec.posters.colour import Paint, blend, either, strong
from movierec.posters.dice import Dice
from movierec.posters.shapes import circle, path, poly, rect, surround, to


def claws(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Three or four scratches down the sheet."""
    n = d.pick((3, 4))
    lean = w * d.between(0.1, 0.22) * d.pick((1, -1))
    light = strong(p, p.pop, p.c)
    out: list[str] = []
    odd = d.whole(0, n - 1)
    for i in range(n):
        x = w * (0.26 + 0.5 * i / (n - 1))
        y0 = h * (0.08 + 0.09 * abs(i - 1.2))
        y1 = h * (0.94 - 0.1 * abs(i - 1.6))
        wide = w * d.between(0.05, 0.075)
        bend = w * d.between(0.02, 0.06)
        out.append(
            path(
                to("M", x + lean, y0)
                + to("Q", x + wide + bend, (y0 + y1) / 2, x - lean, y1)
                + to("Q", x - wide + bend, (y0 + y1) / 2, x + lean, y0)
                + "Z",
                light if i != odd else either(p.c, light, on=p.bg, least=2),
            )
        )
    return out


def eye(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """One wide eye that looks aside."""
    x, y = w / 2, h * d.between(0.47, 0.53)
    r = w * 0.44
    open_ = h * d.between(0.3, 0.5)
    iris = open_ * d.between(0.46, 0.58)
    look = d.between(-0.14, 0.14) * w
    white = either(p.c, p.ink, on=p.bg, least=2.5)
    lid = to("M", x - r, y) + to("Q", x, y - open_, x + r, y) + to("Q", x, y + open_, x - r, y) + "Z"
    return [
        path(lid, white),
        circle(x + look, y, iris, either(p.pop, p.a, on=white, least=1.6)),
        circle(x + look, y, iris * 0.46, p.bg),
        surround(w, h, lid, p.bg),
    ]


def door(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A lit doorway, a figure in it, its light across the floor."""
    x = w * d.between(0.38, 0.56)
    top = h * 0.12
    wide = w * d.between(0.09, 0.14)
    floor = h * 0.7
    lean = w * d.between(0.12, 0.3) * d.pick((1, -1))
    light = either(p.pop, p.c, on=p.bg, least=2)
    man = x + wide * 0.5
    return [
        rect(0, floor, w, h, either(p.a, blend(p.bg, p.c, 0.12), on=p.bg, least=1.12)),
        rect(x, top, wide, floor - top, light),
        poly(
            [(x, floor), (x + wide, floor), (x + wide * 2.1 + lean, h), (x - wide * 0.9 + lean, h)],
            blend(light, p.bg, 0.18),
        ),
        rect(man - 4, floor - h * 0.13, 8, h * 0.13, p.bg),
        circle(man, floor - h * 0.15, 6.5, p.bg),
        poly([(man - 4, floor), (man + 4, floor), (man + 16 + lean, h), (man - 8 + lean, h)], p.bg),
    ]


def teeth(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Two rows of teeth about to close."""
    n = d.whole(6, 8)
    out: list[str] = []
    fill = either(p.c, p.ink, on=p.bg, least=3)
    for row in (0, 1):
        for i in range(n + 1):
            x = w * (i - 0.5 * row) / n
            deep = h * (d.between(0.2, 0.36) if 0 < i < n else 0.28) * (0.8 + 0.45 * math.sin(math.pi * i / n))
            base, tip = (0, deep) if row == 0 else (h, h - deep)
            out.append(
                path(
                    to("M", x, base)
                    + to("Q", x + w / n * 0.42, (base + tip) / 2, x + w / n / 2, tip)
                    + to("Q", x + w / n * 0.58, (base + tip) / 2, x + w / n, base)
                    + "Z",
                    fill if row == 0 else blend(fill, p.bg, 0.16),
                )
            )
    return [circle(w * d.between(0.35, 0.65), h * 0.5, w * d.between(0.06, 0.1), p.pop), *out]
