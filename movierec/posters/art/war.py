"""Compositions for war and history: things that burst, break and march."""

import math
from itertools import pairwise

from movierec.posters.colour import Paint, either
from movierec.posters.dice import Dice
from movierec.posters.shapes import circle, poly, rect


def shards(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Splinters that fly from one point to the edges."""
    x, y = w * d.between(0.3, 0.7), h * d.between(0.62, 0.8)
    edge = [
        (0, h),
        (0, h * 0.55),
        (0, h * d.between(0.12, 0.3)),
        (0, 0),
        (w * d.between(0.2, 0.35), 0),
        (w * d.between(0.5, 0.6), 0),
        (w * d.between(0.75, 0.85), 0),
        (w, 0),
        (w, h * d.between(0.25, 0.4)),
        (w, h * 0.7),
        (w, h),
    ]
    fills = [p.a, p.bg, p.b, p.bg, p.c, p.bg, p.a, p.pop, p.bg, p.b]
    turn = d.whole(0, 9)
    return [
        *(poly([(x, y), one, two], fills[(i + turn) % len(fills)]) for i, (one, two) in enumerate(pairwise(edge))),
        circle(x, y, w * 0.045, p.bg),
    ]


def broken_grid(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Squares in rank, pushed aside around a hole."""
    n = 7
    out: list[str] = []
    size = w / (n + 0.6)
    rows = int(h / size)
    cx, cy = d.between(1.5, n - 2.5), d.between(1.5, rows - 2)
    for i in range(n):
        for j in range(rows):
            near = math.hypot(i - cx, j - cy)
            push = max(0.0, 2.6 - near)
            if near < 0.9:
                continue
            x = size * (i + 0.42) + (i - cx) / (near + 0.1) * push * size * 0.22
            y = (h - rows * size) / 2 + size * (j + 0.12) + (j - cy) / (near + 0.1) * push * size * 0.22
            fill = p.pop if near < 1.3 else either(p.b, p.a, on=p.bg, least=1.3) if near < 2.2 else p.a
            out.append(rect(x, y, size * 0.76, size * 0.76, fill, turn=push * d.between(-24, 24)))
    return out


def chevrons(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Stacked arrowheads that march upward."""
    n = d.whole(5, 6)
    lift = w * d.between(0.24, 0.34)
    gap = 0.52
    step = h * 1.1 / n
    odd = d.whole(1, n - 2)
    out: list[str] = []
    for i in range(-1, n + 1):
        y = step * i + h * 0.12
        fill = p.pop if i == odd else (p.a, either(p.b, p.c, on=p.bg, least=1.4))[i % 2]
        out.append(
            poly(
                [
                    (0, y + lift),
                    (w / 2, y),
                    (w, y + lift),
                    (w, y + lift + step * gap),
                    (w / 2, y + step * gap),
                    (0, y + lift + step * gap),
                ],
                fill,
            )
        )
    return out
