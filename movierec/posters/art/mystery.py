"""Compositions for mysteries and thrillers: ways in with no way out."""

import math

from movierec.posters.colour import Paint, blend, either
from movierec.posters.dice import Dice
from movierec.posters.shapes import arc, circle, path, polar, rect, to


def tunnel(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Discs inside discs that drift away from the middle."""
    x, y = w / 2, h / 2
    n = d.whole(9, 12)
    a, far = d.between(0, 360), max(w, h) * 0.62
    out: list[str] = []
    for i in range(n):
        r = far * (1 - i / n)
        drift = far * 0.34 * (i / n)
        cx, cy = polar(x, y, drift, a + i * d.between(6, 9))
        out.append(circle(cx, cy, r, (p.a, p.bg)[i % 2] if i < n - 1 else p.pop))
    return out


def stairs(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A flight of steps with a ball resting on one."""
    n, up = d.whole(5, 7), d.flip()
    sx = w / n
    sy = h * 0.82 / n
    out: list[str] = []
    for i in range(n):
        x = i * sx if up else w - (i + 1) * sx
        y = h - (i + 1) * sy
        out.append(rect(x - 0.3, y, sx + 0.6, h - y, p.a if i % 2 else blend(p.a, p.bg, 0.22)))
    k = d.whole(1, n - 3)
    x = (k + 0.5) * sx if up else w - (k + 0.5) * sx
    r = sx * d.between(0.3, 0.42)
    return [*out, circle(x, h - (k + 1) * sy - r, r, either(p.pop, p.c, on=p.bg, least=1.6))]


def sliced(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A disc cut into strips that no longer meet."""
    r, n = min(w, h) * 0.42, d.whole(6, 9)
    x, y = w / 2, h / 2
    out: list[str] = []
    step = 2 * r / n
    for i in range(n):
        y0, y1 = -r + i * step, -r + (i + 1) * step
        shift = w * d.between(0.03, 0.12) * (-1) ** i
        x0 = math.sqrt(max(0, r * r - y0 * y0))
        x1 = math.sqrt(max(0, r * r - y1 * y1))
        outline = (
            to("M", x - x0 + shift, y + y0)
            + arc(r, x - x1 + shift, y + y1, sweep=0)
            + to("L", x + x1 + shift, y + y1)
            + arc(r, x + x0 + shift, y + y0, sweep=0)
            + "Z"
        )
        fill = either(p.a, p.c, on=p.bg, least=1.5) if i % 2 else p.c
        out.append(path(outline, p.pop if i == n // 2 else fill))
    return out


def maze(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A maze of slanted walls with something inside."""
    n = d.pick((6, 7, 8))
    size = w / n
    out: list[str] = []
    line = either(p.a, p.b, on=p.bg, least=1.5)
    for j in range(math.ceil(h / size)):
        for i in range(n):
            x, y = i * size, h - (j + 1) * size
            x0, x1 = (x, x + size) if d.flip() else (x + size, x)
            out.append(path(to("M", x0, y) + to("L", x1, y + size), stroke=line, thick=size * 0.26))
    i = d.whole(1, n - 2)
    j = d.whole(1, math.ceil(h / size) - 2)
    return [*out, circle(i * size, h - j * size, size * 0.5, p.pop)]
