"""Compositions for musicals: records, equalisers, ribbons of sound."""

import math

from movierec.posters.colour import Paint
from movierec.posters.dice import Dice
from movierec.posters.shapes import circle, path, rect, smooth


def vinyl(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """The grooves of a record that fills the sheet."""
    corner = d.pick(((0, h), (w, h), (w / 2, h)))
    fills = d.shuffled([p.a, p.b, p.c])
    r = max(w, h) * d.between(0.88, 0.98)
    out: list[str] = []
    i = 0
    while r > 30:
        out.append(circle(*corner, r, fills[i % 3] if i % 2 == 0 else p.bg))
        r -= d.between(10, 15) if i % 2 else d.between(18, 46)
        i += 1
    return [*out, circle(*corner, max(r + 30, 26), p.pop)]


def bars(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """An equaliser: rounded bars with one that sings out."""
    n = d.whole(9, 13)
    step = w * 0.86 / n
    k = d.between(0.5, 1.1)
    s = d.between(0, 6)
    loud = d.whole(2, n - 3)
    out: list[str] = []
    for i in range(n):
        tall = h * (0.1 + 0.66 * abs(math.sin(i * k + s) * math.cos(i * 0.31 + s / 2)) ** 0.8)
        out.append(
            rect(
                w * 0.07 + step * (i + 0.18),
                h / 2 - tall / 2,
                step * 0.64,
                tall,
                p.pop if i == loud else (p.a, p.b, p.c)[i % 3],
                step * 0.32,
            )
        )
    return out


def ribbons(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Wavy bands side by side, one in the loud colour."""
    out: list[str] = []
    s = d.between(0, 6)
    thick = h * 0.062
    high, n = h * d.between(0.16, 0.22), d.whole(5, 6)
    for i in range(n):
        points = [
            (w * (t - 1) / 8, h * (0.24 + 0.52 * i / (n - 1)) + high * math.sin(s + t * 0.72) * math.cos(i * 0.25))
            for t in range(11)
        ]
        out.append(
            path(
                smooth(points), stroke=(p.a, p.b, p.c, p.pop)[i % 4] if i != n // 2 else p.pop, thick=thick, cap="butt"
            )
        )
    return out
