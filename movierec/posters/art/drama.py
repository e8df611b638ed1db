"""Compositions for drama: quiet rooms, horizons and single odd things."""

import math

from movierec.posters.colour import Paint, blend, contrast, either, strong
from movierec.posters.dice import Dice
from movierec.posters.shapes import Point, circle, path, poly, quarter, rect, smooth, to


def window(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """The light of a window, leaning on a wall."""
    lit = either(p.pop, p.c, on=p.bg, least=1.35)
    skirting = h * 0.9
    lean = w * d.between(0.16, 0.3) * d.pick((1, -1))
    cols = 2
    rows = d.pick((3, 4))
    y = h * 0.1
    tall = h * 0.66
    wide = w * d.between(0.36, 0.44)
    x = (w - wide) / 2

    def at(u: float, v: float) -> Point:
        return x + wide * u + lean * (0.5 - v), y + tall * v

    out = [rect(0, skirting, w, h, p.a)]
    for i in range(cols):
        for j in range(rows):
            u0, u1 = i * 0.53, i * 0.53 + 0.47
            v0, v1 = j / rows + 0.012, (j + 1) / rows - 0.022
            out.append(poly([at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)], lit))
    return out


def horizon(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A dot on the horizon and its long shadow."""
    line = h * d.between(0.58, 0.7)
    x = w * d.between(0.24, 0.76)
    r = w * d.between(0.05, 0.08)
    dot = p.pop if min(contrast(p.pop, p.bg), contrast(p.pop, p.a)) > 1.3 else p.c
    lean = w * d.between(0.3, 0.6) * (1 if x < w / 2 else -1)
    return [
        rect(0, line, w, h, p.a),
        poly(
            [(x - r * 0.5, line), (x + r * 0.5, line), (x + lean + r * 1.5, h), (x + lean - r * 0.8, h)],
            blend(p.a, p.bg, 0.3),
        ),
        circle(x, line - r, r, dot),
    ]


def curtain(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A curtain's folds, with light through one gap."""
    n = d.whole(8, 11)
    x = 0.0
    out: list[str] = []
    gap = d.whole(3, n - 4)
    for i in range(n):
        wide = w / n * d.between(0.6, 1.4)
        shade = (math.sin(i * 2.1 + 1) + 1) / 2
        if i == gap:
            light = either(p.pop, p.c, on=p.a, least=1.35)
            out.append(poly([(x, 0), (x + 5, 0), (x + wide * 1.1, h), (x - wide * 0.5, h)], light))
            continue
        out.insert(
            0,
            rect(
                x - 0.5,
                0,
                max(wide, w - x if i == n - 1 else 0) + 1,
                h,
                blend(p.a, either(p.b, p.bg, on=p.a, least=1.25), 0.12 + 0.5 * shade),
            ),
        )
        x += wide
    return [rect(0, 0, w, h, p.a), *out]


def planes(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A quarter disc, a bar and a dot in balance."""
    r = min(w, h) * d.between(0.72, 0.86)
    turn = d.pick((0, 90, 180, 270))
    cx = w * (0.12 if turn in (0, 270) else 0.88)
    cy = h * (0.1 if turn in (0, 90) else 0.92)
    thick = w * d.between(0.05, 0.09)
    dot = w * d.between(0.07, 0.12)
    ox, oy = (w - cx) * 0.86 + w * 0.07, (h - cy) * 0.84 + h * 0.08
    return [
        quarter(cx, cy, r, p.a, turn),
        rect(
            min(cx, w - cx) if turn in (0, 270) else cx - thick,
            h * 0.1,
            thick,
            h * 0.82,
            either(p.b, p.c, on=p.a, least=1.25),
        ),
        circle(ox, oy, dot, either(p.pop, p.c, on=p.bg, least=1.3)),
    ]


def arcs(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Six quarter rings on a grid, one of them bright."""
    n, m = 2, 3
    size = int(min(w / n, h / m) * 0.94)
    ox, oy = (w - n * size) // 2, (h - m * size) // 2
    out: list[str] = []
    odd = d.whole(0, 5)
    for i in range(6):
        x, y = ox + (i % 2) * size, oy + (i // 2) * size
        turn = d.whole(0, 3)
        cx, cy = x + size * (turn in (1, 2)), y + size * (turn in (2, 3))
        one, two = (p.pop, p.bg) if i == odd else (p.a, either(p.b, p.c, on=p.a, least=1.25))
        out += [quarter(cx, cy, size, one, turn * 90), quarter(cx, cy, size * 0.5, two, turn * 90)]
    return out


def rain(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Slanting rain with one drop that is a disc."""
    n, m = 9, 7
    lean = d.between(0.16, 0.34) * d.pick((1, -1))
    out: list[str] = []
    odd = d.whole(2, m - 3) * n + d.whole(2, n - 3)
    for k in range(n * m):
        i, j = k % n, k // n
        x, y = w * (i + 0.25 + 0.5 * (j % 2)) / n, h * (j + d.between(0.15, 0.4)) / m
        long = h / m * d.between(0.35, 0.6)
        if k == odd:
            dot = circle(x, y + long / 2, w * 0.075, strong(p, p.pop, p.c))
        else:
            out.append(
                path(
                    to("M", x, y) + to("L", x - lean * long, y + long),
                    stroke=either(p.a, p.b, on=p.bg, least=1.5),
                    thick=8,
                )
            )
    return [*out, dot]


def thread(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A looping thread with a bead on it."""
    n = d.whole(3, 4)
    a = d.between(0, 6)
    points: list[Point] = []
    for t in range(90):
        u = t / 89
        r = min(w, h) * (0.17 + 0.05 * math.sin(u * 5 + a))
        points.append(
            (
                w * (-0.12 + 1.24 * u) - r * math.sin(2 * math.pi * n * u),
                h * (0.5 + 0.14 * math.sin(u * 4 + a)) - r * 1.25 * math.cos(2 * math.pi * n * u),
            )
        )
    line = smooth(points)
    x, y = points[d.whole(35, 55)]
    return [
        path(line, stroke=either(p.a, p.c, on=p.bg, least=1.5), thick=w * 0.05, cap="butt"),
        circle(x, y, w * 0.06, either(p.pop, p.b, on=p.bg, least=1.4)),
    ]


def fold(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A folded card standing under a disc."""
    x, y = w * d.between(0.42, 0.58), h * d.between(0.34, 0.5)
    lift = h * d.between(0.12, 0.24)
    side = w * 0.34
    dot = either(p.pop, p.c, on=p.bg, least=1.4)
    return [
        circle(x + w * d.between(-0.2, 0.2), y - h * 0.08, w * d.between(0.14, 0.19), dot),
        poly([(x, y), (x - side, y - lift + h * 0.14), (x - side, h * 0.96 - lift), (x, h * 0.96)], p.a),
        poly(
            [(x, y), (x + side, y - lift + h * 0.14), (x + side, h * 0.96 - lift), (x, h * 0.96)],
            blend(p.a, either(p.b, p.c, on=p.a, least=1.3), 0.55),
        ),
    ]
