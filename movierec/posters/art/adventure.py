"""Compositions for adventure: waves, sunbursts, a winding route."""

from movierec.posters.colour import Paint, either
from movierec.posters.dice import Dice
from movierec.posters.shapes import circle, path, polar, poly, smooth


def scallops(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Waves drawn as rows of scales under a small sun."""
    n = d.pick((4, 5))
    out: list[str] = []
    r = w / n / 2
    odd = (d.whole(1, n - 1), d.whole(3, 5))
    rows = int(h * 0.72 / (r * 0.62)) + 1
    for j in range(rows):
        for i in range(n + 1):
            x, y = i * 2 * r + (r if j % 2 == 0 else 0), h - (rows - j - 1.6) * r * 0.62
            main = p.pop if (i, j) == odd else p.a if (i + j) % 3 else p.b
            out += [circle(x, y, r * s, f) for s, f in ((1.0, main), (0.72, p.bg), (0.52, main), (0.28, p.bg))]
    return [circle(w * d.between(0.2, 0.8), h * 0.15, w * 0.09, either(p.c, p.pop, on=p.bg, least=1.3)), *out]


def rays(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A sunburst from a low centre."""
    x, y = w * d.between(0.15, 0.85), h * d.pick((0.98, 0.72, 0.6))
    n = d.whole(14, 20)
    far = w + h
    s = d.between(0, 20)
    out: list[str] = []
    for i in range(n):
        a = s + 360 * i / n
        out.append(
            poly(
                [(x, y), polar(x, y, far, a), polar(x, y, far, a + 180 / n * 1.02)],
                p.a if i % 2 else either(p.b, p.a, on=p.bg, least=1.25),
            )
        )
    return [*out, circle(x, y, w * 0.17, p.bg), circle(x, y, w * 0.12, p.pop)]


def route(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A road winding up to its goal."""
    points = [(w * 0.12, h * 1.05)]
    n = d.whole(5, 6)
    side = d.flip()
    for i in range(n):
        points.append(
            (
                w * (d.between(0.72, 0.9) if (i % 2 == 0) == side else d.between(0.1, 0.28)),
                h * (0.98 - 0.82 * (i + 0.5) / n),
            )
        )
    points.append((w * 0.5, h * 0.13))
    line = smooth(points)
    return [
        path(line, stroke=p.a, thick=w * 0.17),
        path(line, stroke=either(p.b, p.c, on=p.a, least=1.4), thick=w * 0.085),
        path(line, stroke=p.bg, thick=w * 0.018),
        circle(w * 0.5, h * 0.13, w * 0.075, p.pop),
    ]
