"""Compositions for science fiction: planets, orbits, instruments."""

import math

from movierec.posters.colour import Paint, blend, either, strong
from movierec.posters.dice import Dice
from movierec.posters.shapes import arc, circle, half, path, polar, rect, ring, rotated, to


def orbits(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A sun in the corner, five orbits and their planets."""
    cx, cy = w * d.pick((-0.05, 1.05, 0.5)), h * d.between(0.98, 1.06)
    out: list[str] = []
    n = 5
    for i in range(n):
        r = h * (0.26 + 0.19 * i)
        out.append(ring(cx, cy, r, either(p.a, p.b, on=p.bg, least=1.4), 3.5))
        low, high = (-86, -40) if cx < 0 else (-140, -94) if cx > w else (-150, -30)
        x, y = polar(cx, cy, r, d.between(low, high))
        size = w * (0.05, 0.028, 0.085, 0.04, 0.03)[i] * d.between(0.9, 1.2)
        if -10 < x < w + 10 and y > size * 0.6:
            out.append(circle(x, y, size, either((p.pop, p.b, p.c)[i % 3], p.pop, on=p.bg, least=1.5)))
    return [*out, circle(cx, cy, h * 0.16, p.pop)]


def planet(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A huge planet with its night side, a moon and stars."""
    side = d.pick((0.08, 0.92))
    x, y = w * side, h * d.between(0.72, 0.9)
    r = w * d.between(0.68, 0.8)
    shift = w * d.between(0.1, 0.16) * (1 if side < 0.5 else -1)
    out = [
        circle(w * d.between(0.06, 0.94), h * d.between(0.05, 0.9), d.pick((1.6, 1.6, 2.4, 3)), p.b) for _ in range(34)
    ]
    out += [circle(x, y, r, p.pop), circle(x - shift, y + abs(shift) * 0.6, r * 1.01, p.a)]
    return [
        *out,
        circle(
            w * (1 - side) * 0.72 + w * 0.14,
            h * d.between(0.16, 0.26),
            w * d.between(0.05, 0.09),
            either(p.c, p.b, on=p.bg, least=1.5),
        ),
    ]


def plain(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A sun on the horizon of a plain ruled in perspective."""
    horizon = h * d.between(0.56, 0.64)
    x = w * d.between(0.35, 0.65)
    out = [half(x, horizon, w * d.between(0.2, 0.3), p.pop), rect(0, horizon, w, h, p.a)]
    line = either(p.b, p.c, on=p.a, least=1.6)
    out += [
        path(to("M", x + i * 14, horizon) + to("L", x + i * 92, h), stroke=line, thick=2, cap="butt")
        for i in range(-24, 25)
    ]
    out += [rect(0, horizon + (h - horizon) * (i / 9) ** 2, w, 2, line) for i in range(10)]
    return out


def dial(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Concentric gauges, each at its own reading."""
    x, y = w / 2, h / 2
    out: list[str] = []
    n = d.whole(5, 7)
    for i in range(n):
        r = min(w, h) * (0.1 + 0.35 * (i + 1) / n)
        length = 2 * math.pi * r
        on = length * d.between(0.15, 0.72)
        out.append(
            ring(
                x,
                y,
                r,
                (p.a, p.b, p.c)[i % 3],
                min(w, h) * 0.34 / n * 0.62,
                (on, length - on),
                d.between(0, 360),
            )
        )
    return [*out, circle(x, y, min(w, h) * 0.06, p.pop)]


def lattice(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A lattice of points parted by a world half in shadow, and one moon."""
    n = 9
    size = w / n
    rows, r = int(h / size), min(w, h) * d.between(0.26, 0.32)
    cx, cy = w * d.between(0.4, 0.6), h * d.between(0.46, 0.54)
    out: list[str] = []
    top = (h - rows * size) / 2
    for j in range(rows):
        for i in range(n):
            x, y = (i + 0.5) * size, top + (j + 0.5) * size
            if math.hypot(x - cx, y - cy) > r + size * 0.35:
                out.append(circle(x, y, size * 0.11, either(p.a, p.b, on=p.bg, least=1.5)))
    turn = d.between(0, 360)
    moon = (d.whole(0, 1) * (n - 2) + 1, d.pick((0, 1, rows - 2, rows - 1)))
    x, y = (moon[0] + 0.5) * size, top + (moon[1] + 0.5) * size
    return [
        *out,
        half(cx, cy, r, either(p.c, p.b, on=p.bg, least=1.4), turn + 180),
        half(cx, cy, r, strong(p, p.pop, p.a), turn),
        circle(x, y, size * 0.36, strong(p, p.pop, p.a)),
    ]


def signal(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Nine lines of a signal, one of them foreign."""
    n = 9
    out: list[str] = []
    odd = d.whole(2, 6)
    for i in range(n):
        y = h * (0.08 + 0.84 * i / (n - 1))
        on = d.between(0.1, 0.62)
        fill = p.pop if i == odd else either(p.a, p.b, on=p.bg, least=1.5)
        x = w * d.between(0.08, 0.9 - on)
        out += [
            rect(w * 0.08, y - 1, w * 0.84, 2, blend(fill, p.bg, 0.45)),
            rect(x, y - h * 0.026, w * on, h * 0.052, fill, h * 0.026),
        ]
    return out


def phases(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Nine phases of one moon."""
    size = min(w, h) / 3
    r = size * 0.36
    out: list[str] = []
    turn = d.pick((0, 90, -45))
    light, odd = strong(p, p.c, p.b), d.whole(0, 8)
    for k in range(9):
        x, y = w / 2 + (k % 3 - 1) * size, h / 2 + (k // 3 - 1) * size
        out.append(circle(x, y, r, either(p.a, p.b, on=p.bg, least=1.2)))
        t = k / 8 * 2 - 1
        x0, y0 = polar(x, y, r, turn - 90)
        x1, y1 = polar(x, y, r, turn + 90)
        rx = abs(t) * r
        out.append(
            path(
                to("M", x0, y0) + arc(r, x1, y1) + to("A", rx, r, turn, 0, 1 if t > 0 else 0, x0, y0) + "Z",
                strong(p, p.pop) if k == odd else light,
            )
        )
    return out


def saturn(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A ringed planet among a few stars."""
    x, y = w / 2, h * d.between(0.47, 0.53)
    r = min(w, h) * d.between(0.25, 0.29)
    tilt = d.between(14, 32) * d.pick((1, -1))
    body = strong(p, p.pop, p.c)
    band = either(p.a, p.b, on=p.bg, least=1.4)
    out = [
        circle(
            w * d.between(0.06, 0.94),
            h * d.between(0.05, 0.95),
            d.pick((2, 2, 3)),
            either(p.c, p.b, on=p.bg, least=1.5),
        )
        for _ in range(14)
    ]
    rx, ry = r * 1.72, r * 0.42
    far, near = [
        path(to("M", x - rx, y) + to("A", rx, ry, 0, 0, sweep, x + rx, y), stroke=band, thick=r * 0.2, cap="butt")
        for sweep in (1, 0)
    ]
    return [*out, *rotated(tilt, x, y, [far, circle(x, y, r, body), half(x, y, r, blend(body, p.bg, 0.22), 180), near])]
