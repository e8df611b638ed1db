"""Compositions for film noir and crime: light through blinds, streets at night, traces left behind."""

import math

from movierec.posters.colour import Paint, blend, either, strong
from movierec.posters.dice import Dice
from movierec.posters.shapes import circle, ellipse, half, path, polar, poly, rect, ring, to


def blinds(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Light through a window blind, and somebody standing before it."""
    n, lit = d.whole(9, 12), strong(p, p.pop, p.c)
    lean = h * d.between(0.1, 0.24) * d.pick((1, -1))
    out: list[str] = []
    step = (h + abs(lean)) / n
    for i in range(-1, n + 1):
        y = i * step - max(0, lean)
        thick = step * (0.3 + 0.3 * i / n)
        out.append(poly([(0, y), (w, y + lean), (w, y + lean + thick), (0, y + thick)], lit))
    x = w * d.between(0.34, 0.66)
    r = w * 0.105
    top = h * d.between(0.38, 0.48)
    neck, wide = top + r * 1.25, r * 2.5
    return [
        *out,
        ellipse(x, top, r * 0.86, r * 1.12, p.bg),
        rect(x - r * 0.4, top, r * 0.8, r * 2, p.bg),
        path(
            to("M", x - wide * 1.12, h)
            + to("C", x - wide * 1.05, neck + r * 1.1, x - wide * 0.9, neck + r * 0.75, x - r * 0.4, neck + r * 0.2)
            + to("H", x + r * 0.4)
            + to("C", x + wide * 0.9, neck + r * 0.75, x + wide * 1.05, neck + r * 1.1, x + wide * 1.12, h)
            + "Z",
            p.bg,
        ),
    ]


def lamp(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A cone of lamplight, and a figure with a long shadow."""
    x = w * d.between(0.34, 0.66)
    floor = h * d.between(0.8, 0.86)
    spread = w * d.between(0.3, 0.36)
    lit = blend(p.bg, p.c, 0.86)
    tall, thick = h * d.between(0.17, 0.22), w * 0.034
    man = x + spread * d.between(-0.4, 0.4)
    lean = spread * (1.6 if man > x else -1.6)
    return [
        rect(0, floor, w, h, p.a),
        poly([(x - 7, h * 0.1), (x + 7, h * 0.1), (x + spread, floor), (x - spread, floor)], lit),
        ellipse(x, floor, spread, h * 0.07, lit),
        rect(x - 3, 0, 6, h * 0.1, p.pop),
        half(x, h * 0.115, w * 0.06, p.pop),
        poly(
            [(man - thick / 2, floor), (man + thick / 2, floor), (man + thick + lean, h), (man - thick / 2 + lean, h)],
            p.bg,
        ),
        rect(man - thick / 2, floor - tall, thick, tall, p.bg),
        circle(man, floor - tall - thick * 0.75, thick * 0.62, p.bg),
    ]


def towers(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A skyline by night with a few lit windows."""
    out = [circle(w * d.between(0.25, 0.75), h * d.between(0.2, 0.32), w * d.between(0.1, 0.15), p.c)]
    x = 0.0
    back = blend(p.bg, p.a, 0.45)
    while x < w:
        wide = w * d.between(0.09, 0.2)
        out.append(rect(x, h * d.between(0.22, 0.5), wide + 1, h, back))
        x += wide
    x = -w * d.between(0, 0.1)
    fronts: list[tuple[float, float, float]] = []
    while x < w:
        wide = w * d.between(0.13, 0.25)
        top = h * d.between(0.38, 0.72)
        out.append(rect(x, top, wide, h, p.a if len(fronts) % 2 else blend(p.bg, p.a, 0.8)))
        fronts.append((x, top, wide))
        x += wide + d.pick((0, w * 0.04))
    for x, top, wide in d.shuffled(fronts)[:3]:
        size = w * 0.03
        for _ in range(d.whole(1, 2)):
            out.append(
                rect(
                    min(max(x + wide * d.between(0.15, 0.6), 14), w - 30),
                    top + size * d.whole(2, 5),
                    size,
                    size * 1.4,
                    p.pop,
                )
            )
    return out


def slit_sun(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Leaning bars of light and a disc caught between them."""
    n = d.whole(5, 7)
    out: list[str] = []
    lean = d.between(0.12, 0.3) * d.pick((1, -1))
    for i in range(n):
        x = w * (0.06 + 0.9 * i / n)
        wide = w * 0.9 / n * (0.2 + 0.55 * abs(math.sin(i * 1.3 + d.between(0, 0.5))))
        out.append(
            poly(
                [(x + lean * h, 0), (x + wide + lean * h, 0), (x + wide - lean * h * 0.2, h), (x - lean * h * 0.2, h)],
                p.pop if i == n // 2 else p.a,
            )
        )
    return [*out, circle(w * d.between(0.35, 0.65), h * d.between(0.4, 0.6), w * 0.12, p.c)]


def fingerprint(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Broken rings, like a print left on a glass."""
    x, y = w / 2, h * d.between(0.5, 0.56)
    r = min(w, h) * 0.44
    out: list[str] = []
    line = strong(p, p.a, p.c)
    n = 8
    lean = d.between(-0.25, 0.25)
    for i in range(n):
        k = r * (i + 0.6) / n
        gap = d.between(0.05, 0.3) * k
        turn = d.between(-60, 60) if i < 3 else d.between(-20, 20) + 90
        length = 2 * math.pi * k
        out.append(
            ring(
                x + lean * k * 0.3,
                y - k * 0.12,
                k,
                p.pop if i == n // 2 else line,
                r / n * 0.5,
                (length - gap, gap),
                turn,
            )
        )
    return out


def linked(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Two rings chained together."""
    r = min(w * 0.25, h * 0.3)
    thick = w * d.between(0.07, 0.1)
    y = h * d.between(0.46, 0.54)
    tilt, apart = d.between(-35, 35), d.between(0.62, 0.78)
    x0, y0 = polar(w / 2, y, r * apart, 180 + tilt)
    x1, y1 = polar(w / 2, y, r * apart, tilt)
    one, two = strong(p, p.c, p.a), strong(p, p.pop, p.b)
    quarter_turn = math.pi * r / 2
    return [
        ring(x0, y0, r, one, thick),
        ring(x1, y1, r, two, thick),
        ring(x0, y0, r, one, thick, (quarter_turn, 3 * quarter_turn), tilt - 88),  # the first one again, over the other
    ]


def corridor(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Nested frames that close in on a far door."""
    n = d.whole(5, 6)
    x = w * d.between(0.4, 0.6)
    y = h * d.between(0.44, 0.56)
    out: list[str] = []
    fills = (p.a, p.bg)
    for i in range(n):
        t = 1 - (i + 0.4) / (n + 0.4)
        out.append(
            poly(
                [
                    (x - x * t, y - y * t),
                    (x + (w - x) * t, y - y * t),
                    (x + (w - x) * t, y + (h - y) * t),
                    (x - x * t, y + (h - y) * t),
                ],
                fills[i % 2] if i < n - 1 else strong(p, p.pop, p.c),
            )
        )
    return out


def scatter(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A field of leaning marks with one dot among them."""
    n = 6
    out: list[str] = []
    odd = (d.whole(1, 4), d.whole(1, 4))
    for i in range(n):
        for j in range(n):
            x, y = w * (i + 0.5) / n, h * (j + 0.5) / n
            a = 90 * d.whole(0, 1) + 45 * ((i + j) % 2)
            long = min(w / n, h / n) * 0.32
            if (i, j) == odd:
                out.append(circle(x, y, long * 1.3, strong(p, p.pop, p.c)))
            else:
                x0, y0 = polar(x, y, long, a)
                x1, y1 = polar(x, y, long, a + 180)
                out.append(
                    path(
                        to("M", x0, y0) + to("L", x1, y1),
                        stroke=either(p.a, p.b, on=p.bg, least=1.4),
                        thick=long * 0.42,
                        cap="butt",
                    )
                )
    return out
