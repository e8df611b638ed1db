"""Compositions for action: speed, falling and aim."""

from movierec.posters.colour import Paint, either
from movierec.posters.dice import Dice
from movierec.posters.shapes import circle, polar, rect, rotated


def speed(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Slanting streaks of unequal length."""
    out: list[str] = []
    y = -h * 0.1
    lean = d.between(-32, -22)
    lead = d.whole(3, 6)
    i = 0
    while y < h * 1.35:
        thick = h * d.between(0.03, 0.085)
        x, long = w * d.between(-0.3, 0.5), w * d.between(0.5, 1.0)
        fill = p.pop if i == lead else (p.a, p.c, p.b)[i % 3]
        out.append(rect(x, y, long, thick, either(fill, p.c, on=p.bg, least=1.25), thick / 2))
        y += thick + h * 0.022
        i += 1
    return rotated(lean, w / 2, h / 2, out)


def tumble(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A square that falls, turns and grows."""
    n = d.whole(7, 9)
    out: list[str] = []
    a0 = d.between(0, 20)
    turn = d.pick((1, -1))
    for i in range(n):
        t = i / (n - 1)
        size = w * (0.06 + 0.42 * t**1.5)
        x = w * (0.14 + 0.6 * t) if turn > 0 else w * (0.86 - 0.6 * t)
        y = h * (0.1 + 0.62 * t**1.4)
        fill = p.pop if i == n - 1 else (p.a, p.b, p.c)[i % 3]
        out.append(
            rect(
                x - size / 2, y - size / 2, size, size, either(fill, p.c, on=p.bg, least=1.25), turn=a0 + turn * 24 * i
            )
        )
    return out


def target(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A target whose rings slip off centre."""
    x, y = w / 2, h * d.between(0.47, 0.53)
    r = min(w, h) * 0.44
    drift = r * d.between(0.04, 0.12)
    a = d.between(0, 360)
    out: list[str] = []
    for i, share in enumerate((1.0, 0.8, 0.62, 0.44, 0.28)):
        cx, cy = polar(x, y, drift * i, a)
        out.append(circle(cx, cy, r * share, (p.a, p.bg, either(p.c, p.b, on=p.bg, least=1.4), p.bg, p.pop)[i]))
    return out
