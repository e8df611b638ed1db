"""Compositions for documentaries: maps, contact sheets, grids of evidence."""

import math

from movierec.posters.colour import Paint, blend, either, strong
from movierec.posters.dice import Dice
from movierec.posters.shapes import Point, circle, path, polar, poly, rect, rotated, smooth, to


def contours(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Contour lines around one summit."""
    x, y = w * d.between(0.4, 0.6), h * d.between(0.4, 0.6)
    out: list[str] = []
    waves = [(k, d.between(0.05, 0.16) / k * 2, d.between(0, 6.3)) for k in (1, 2, 3, 5)]
    for i in range(13, 0, -1):
        points: list[Point] = []
        for t in range(36):
            a = 2 * math.pi * t / 36
            r = max(w, h) * 0.068 * i * (1 + sum(amp * math.sin(k * a + s + i * 0.05) for k, amp, s in waves))
            points.append((x + r * math.cos(a), y + r * 0.86 * math.sin(a)))
        out.append(
            path(
                smooth(points, True),
                p.pop if i == 1 else "none",
                either(p.b, p.c, on=p.bg, least=1.7),
                2.6 if i % 4 else 5.5,
            )
        )
    return out


def contact_sheet(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A contact sheet with one frame chosen."""
    n, m = 4, 5
    gap = w * 0.022
    out: list[str] = []
    cw, ch = (w - gap * (n + 1)) / n, (h - gap * (m + 1)) / m
    lit = (d.whole(0, n - 1), d.whole(1, m - 2))
    for i in range(n):
        for j in range(m):
            x, y = gap + i * (cw + gap), gap + j * (ch + gap)
            if (i, j) == lit:
                out += [rect(x, y, cw, ch, p.pop), circle(x + cw / 2, y + ch / 2, ch * 0.24, p.bg)]
            else:
                out += [
                    rect(x, y, cw, ch, p.a),
                    poly(
                        [
                            (x, y + ch),
                            (x, y + ch * d.between(0.2, 0.9)),
                            (x + cw, y + ch * d.between(0.2, 0.9)),
                            (x + cw, y + ch),
                        ],
                        either(p.b, p.c, on=p.a, least=1.3),
                    ),
                ]
    return out


def halftone(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Halftone dots that swell towards one place."""
    n = 15
    size = w / n
    out: list[str] = []
    cx, cy = w * d.between(0.3, 0.7), h * d.between(0.3, 0.7)
    k = d.between(0.55, 0.75)
    for j in range(int(h / size) + 1):
        for i in range(n):
            x, y = (i + 0.5) * size, (j + 0.5) * size
            far = math.hypot(x - cx, y - cy) / (w * k)
            r = size * 0.52 * max(0.1, min(1, 1.15 - far))
            out.append(circle(x, y, r, p.pop if far < 0.2 else either(p.a, p.b, on=p.bg, least=1.6)))
    return out


def iris(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """The blades of a lens closing around a point."""
    x, y = w / 2, h / 2
    n = d.pick((6, 8, 9))
    inner = min(w, h) * d.between(0.16, 0.24)
    s = d.between(0, 60)
    far = w + h
    corners = [polar(x, y, inner, s + 360 * i / n) for i in range(n + 2)]
    tint = (p.a, blend(p.a, p.b, 0.45), p.b) if n == 9 else (p.a, blend(p.a, either(p.b, p.c, on=p.a, least=1.3), 0.5))
    out: list[str] = []
    for i in range(n):
        (ax, ay), (bx, by), (cx, cy) = corners[i : i + 3]
        one = math.atan2(by - ay, bx - ax)
        two = math.atan2(cy - by, cx - bx)
        out.append(
            poly(
                [
                    (bx, by),
                    (bx + far * math.cos(one), by + far * math.sin(one)),
                    (cx + far * math.cos(two), cy + far * math.sin(two)),
                    (cx, cy),
                ],
                tint[i % len(tint)],
            )
        )
    return [*out, circle(x, y, inner * 0.5, p.pop)]


def fields(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Fields seen from the air, some of them ploughed."""
    out: list[str] = []
    fills = [p.a, p.b, p.c, blend(p.a, p.b, 0.5), blend(p.b, p.c, 0.4)]

    def plot(x: float, y: float, pw: float, ph: float, depth: int) -> None:
        if depth == 0 or (depth < 3 and d.flip(0.2)):
            out.append(rect(x + 2, y + 2, pw - 4, ph - 4, d.pick(fills)))
            if d.flip(0.35):
                out.extend(rect(x + 2, y + 2 + (ph - 4) * k / 5, pw - 4, (ph - 4) / 10, p.bg) for k in range(5))
        elif pw > ph:
            cut = pw * d.between(0.3, 0.7)
            plot(x, y, cut, ph, depth - 1)
            plot(x + cut, y, pw - cut, ph, depth - 1)
        else:
            cut = ph * d.between(0.3, 0.7)
            plot(x, y, pw, cut, depth - 1)
            plot(x, y + cut, pw, ph - cut, depth - 1)

    plot(-w * 0.2, -h * 0.2, w * 1.4, h * 1.4, 4)
    return [
        *rotated(d.between(-14, 14), w / 2, h / 2, out),
        circle(w * d.between(0.3, 0.7), h * d.between(0.3, 0.7), w * 0.07, p.pop),
    ]


def strata(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Layers of rock with one seam that stands out."""
    n = d.whole(6, 8)
    out: list[str] = []
    s = d.between(0, 6)
    fills = d.shuffled([p.a, p.b, p.c])
    for i in range(n):
        y = h * (0.16 + 0.86 * i / n)
        points = [
            (w * (t - 1) / 7, y + h * 0.035 * math.sin(s + t * 0.8 + i * 0.7) + h * 0.02 * math.sin(t * 2.1 + i))
            for t in range(10)
        ]
        fill = p.pop if i == n // 2 else fills[i % 3]
        out.append(
            path(
                smooth(points) + to("L", w * 1.3, h * 1.1) + to("L", -w * 0.2, h * 1.1) + "Z",
                either(fill, blend(fill, p.ink, 0.2), on=p.bg, least=1.2),
            )
        )
    return out


def tally(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Ranges on a chart, one of them marked."""
    n = d.whole(10, 13)
    out: list[str] = []
    odd = d.whole(2, n - 3)
    step = h / n
    for i in range(n):
        y = step * (i + 0.5)
        low, high = sorted((d.between(0.06, 0.5), d.between(0.5, 0.94)))
        ink = strong(p, p.pop, p.c) if i == odd else either(p.a, p.b, on=p.bg, least=1.5)
        out += [
            path(to("M", w * low, y) + to("H", w * high), stroke=ink, thick=5, cap="butt"),
            circle(w * low, y, step * 0.3, ink),
            circle(w * high, y, step * 0.3, ink),
        ]
    return out
