"""Compositions for Westerns: open ground, a low sun, a road."""

from movierec.posters.colour import Paint, blend, either
from movierec.posters.dice import Dice
from movierec.posters.shapes import Point, circle, half, poly, rect


def mesa(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Three ranges of flat-topped hills under a sun."""
    x, y = w * d.between(0.3, 0.7), h * d.between(0.42, 0.5)
    r = w * d.between(0.2, 0.27)
    out = [circle(x, y, r, either(p.pop, p.c, on=p.bg, least=1.6))]
    for i, fill in enumerate((blend(p.bg, p.a, 0.55), p.a, either(p.b, p.c, on=p.a, least=1.5))):
        top = h * (0.5 + 0.15 * i)
        level = top + h * d.between(0, 0.06)
        points: list[Point] = [(0, h), (0, level)]
        at = 0.0
        while at < w:
            at += w * d.between(0.12, 0.3)
            points.append((at, level))
            level = top + h * d.between(-0.07, 0.09) if i < 2 else top + h * d.between(0.02, 0.06)
            at += w * d.between(0.015, 0.04)
            points.append((at, level))
        out.append(poly([*points, (w + 60, level), (w + 60, h)], fill))
    return out


def striped_sun(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A setting sun cut by bars of haze, and a lone rider."""
    r = w * d.between(0.36, 0.42)
    x = w / 2
    y = h * 0.53
    n = 8
    sun = either(p.pop, p.c, on=p.bg, least=1.6)
    out = [circle(x, y, r, sun)]
    for i in range(n):
        thick = r * 0.025 + r * 0.115 * i / n
        out.append(rect(x - r, y - r * 0.35 + i * r * 0.185, 2 * r, thick, p.bg))
    ground = h * d.between(0.86, 0.9)
    rider = w * d.between(0.3, 0.7)
    return [*out, rect(0, ground, w, h, p.a), rect(rider, ground - h * 0.055, w * 0.016, h * 0.06, p.a)]


def road(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A road that runs into the setting sun."""
    x, y = w * d.between(0.35, 0.65), h * d.between(0.42, 0.5)
    out = [half(x, y, w * d.between(0.15, 0.21), either(p.pop, p.c, on=p.bg, least=1.6)), rect(0, y, w, h - y, p.a)]
    end = w * d.between(0.25, 0.75)
    out.append(
        poly([(x - 2, y), (x + 2, y), (end + w * 0.24, h), (end - w * 0.24, h)], either(p.b, p.c, on=p.a, least=1.4))
    )
    for i in range(5):
        t0 = (0.1 + 0.19 * i) ** 1.5
        t1 = (0.1 + 0.19 * i + 0.095) ** 1.5
        (x0, y0), (x1, y1) = ((x + (end - x) * t, y + (h - y) * t) for t in (t0, t1))
        out.append(poly([(x0 - 7 * t0, y0), (x0 + 7 * t0, y0), (x1 + 7 * t1, y1), (x1 - 7 * t1, y1)], p.a))
    return out
