"""Compositions for comedy: faces, balancing acts and things that wobble."""

import math

from movierec.posters.colour import Paint, either, strong
from movierec.posters.dice import Dice
from movierec.posters.shapes import arc, circle, half, path, polar, poly, rect, smooth, to


def smile(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A crooked smile with one odd eye."""
    x, y = w / 2, h * d.between(0.42, 0.48)
    r = min(w * 0.36, h * 0.42)
    tilt, thick = d.between(-14, 14), r * d.between(0.26, 0.36)
    x0, y0 = polar(x, y, r, tilt)
    x1, y1 = polar(x, y, r, 180 + tilt)
    ex, ey = polar(*polar(x, y, r * 0.42, 180 + tilt), r * 0.5, tilt - 90)
    fx, fy = polar(*polar(x, y, r * 0.42, tilt), r * 0.5, tilt - 90)
    second = (
        half(fx, fy + r * 0.1, r * 0.19, p.b, tilt)
        if d.flip()
        else rect(fx - r * 0.17, fy - r * 0.17, r * 0.34, r * 0.34, p.b, turn=tilt)
    )
    return [
        path(to("M", x0, y0) + arc(r, x1, y1), stroke=p.a, thick=thick, cap="butt"),
        circle(ex, ey, r * 0.18, either(p.pop, p.c, on=p.bg, least=1.3)),
        second,
    ]


def teeter(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A seesaw with a big ball below and a small one in the air."""
    x = w * 0.5
    base = h * 0.97
    tilt = d.between(8, 14) * d.pick((1, -1))
    tri = h * 0.24
    lx, ly = polar(x, base - tri, w * 0.42, 180 + tilt)
    rx, ry = polar(x, base - tri, w * 0.42, tilt)
    high, low = ((lx, ly), (rx, ry)) if ly < ry else ((rx, ry), (lx, ly))
    big = h * 0.17
    inward = 1 if low[0] < x else -1
    return [
        poly([(x - tri * 0.7, base), (x + tri * 0.7, base), (x, base - tri)], p.a),
        path(to("M", lx, ly) + to("L", rx, ry), stroke=p.c, thick=12, cap="butt"),
        circle(
            low[0] + inward * big * 0.9,
            low[1] - big - abs(math.sin(math.radians(tilt))) * big - 4,
            big,
            either(p.b, p.a, on=p.bg, least=1.3),
        ),
        circle(high[0] - 14, high[1] - h * d.between(0.14, 0.22), h * 0.06, p.pop),
        rect(0, base, w, h, p.a),
    ]


def bounce(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Rows of balls, one of them bigger and out of line."""
    n = d.whole(5, 6)
    size = w / n
    out: list[str] = []
    rows = int(h / size)
    odd = (d.whole(1, n - 2), d.whole(1, rows - 2))
    fills = (p.a, either(p.b, p.a, on=p.bg, least=1.25))
    for i in range(n):
        for j in range(rows):
            x, y = (i + 0.5) * size, h - (j + 0.5) * size - (h - rows * size) / 2
            if (i, j) != odd:
                out.append(circle(x, y, size * 0.3, fills[(i + j) % 2]))
    x, y = (odd[0] + 0.5) * size, h - (odd[1] + 0.5) * size - (h - rows * size) / 2
    return [
        *out,
        circle(
            x + size * d.between(-0.2, 0.2),
            y + size * d.between(-0.2, 0.2),
            size * 0.62,
            either(p.pop, p.c, on=p.bg, least=1.3),
        ),
    ]


def awning(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A striped awning and a ball under it."""
    n, deep = d.pick((6, 7, 8)), h * d.between(0.5, 0.62)
    size = w / n
    out: list[str] = []
    for i in range(n):
        fill = p.a if i % 2 else either(p.b, p.c, on=p.a, least=1.4)
        x0, x1 = i * size, (i + 1) * size
        out.append(path(to("M", x0, 0) + to("H", x1) + to("V", deep) + arc(size / 2, x0, deep) + "Z", fill))
    return [
        *out,
        circle(
            w * d.between(0.3, 0.7), deep + (h - deep) * 0.62, (h - deep) * d.between(0.17, 0.22), strong(p, p.pop, p.c)
        ),
    ]


def scales(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Overlapping rings like a peacock's tail."""
    n = d.pick((4, 5))
    size = w / n
    hole = d.between(0.26, 0.33)
    pupil = d.between(0.11, 0.17)
    rows = math.ceil(h / (size / 2)) + 1
    out: list[str] = []
    fills = d.shuffled([p.a, p.b, p.c])
    for j in range(rows):
        for i in range(n + 1):
            x = (i + (0.5 if j % 2 else 0)) * size
            y = h - (rows - 1 - j) * size / 2 + size / 2
            fill = fills[(i * 2 + j) % 3]
            out += [
                circle(x, y, size / 2, fill),
                circle(x, y, size * hole, p.bg),
                circle(x, y, size * pupil, p.pop if (i + j) % 3 == 0 else fill),
            ]
    return out


def wobble(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Upright bands that sway together."""
    n = d.whole(5, 7)
    out: list[str] = []
    s = d.between(0, 6)
    fills = (p.a, either(p.b, p.a, on=p.bg, least=1.25))
    for i in range(n):
        x = w * (i + 0.5) / n
        points = [(x + w * 0.055 * math.sin(s + t * 0.9 + i * 0.5), h * (t - 1) / 9) for t in range(12)]
        fill = fills[i % 2]
        if i == n // 2:
            fill = either(p.pop, fill, on=p.bg, least=1.3)
        out.append(path(smooth(points), stroke=fill, thick=w / n * 0.56, cap="butt"))
    return out
