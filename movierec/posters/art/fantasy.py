"""Compositions for fantasy: gates, mountains, stars and wings."""

from movierec.posters.colour import Paint, blend, contrast, either, luminance, strong
from movierec.posters.dice import Dice
from movierec.posters.shapes import arc, circle, path, polar, poly, to


def arches(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Arches inside arches, and a light at the end."""
    n = d.whole(5, 6)
    x = w / 2
    out: list[str] = []
    broad = d.between(0.41, 0.47)
    fills = [p.a, p.b, p.bg, p.c] if contrast(p.a, p.b) > 1.3 else [p.a, p.c, p.bg, p.b]
    for i in range(n):
        half_w = w * broad * (1 - i / (n + 0.4))
        top = h * (0.06 + 0.105 * i)
        out.append(_arch(x, h, top + half_w, half_w, fills[i % 4] if i < n - 1 else p.bg))
    r = w * broad * (1 - (n - 1) / (n + 0.4)) * 0.5
    return [*out, circle(x, h * (0.06 + 0.105 * (n - 1)) + r * 2.4, r, p.pop)]


def peaks(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """Three ranges of faceted mountains under a moon."""
    out = [
        circle(
            w * d.between(0.22, 0.78),
            h * d.between(0.2, 0.3),
            w * d.between(0.09, 0.16),
            either(p.pop, p.c, on=p.bg, least=1.3),
        )
    ]
    for i in range(3):
        lit = blend(p.bg, p.a, (0.45, 0.75, 1)[i])
        shade = blend(lit, min((p.a, p.b, p.c, p.pop, p.bg), key=luminance), 0.3)
        many = (2, 3, 2)[i]
        for j in d.shuffled(range(many)):
            x = w * (j + d.between(0.2, 0.8)) / many
            top = h * ((0.32, 0.5, 0.68)[i] + d.between(0, 0.1))
            wide = (h - top) * d.between(0.6, 0.85)
            out += [
                poly([(x, top), (x, h), (x - wide, h)], lit),
                poly([(x - 0.4, top), (x + wide, h), (x - 0.4, h)], shade),
            ]
    return out


def star(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A many-pointed star in four turning layers."""
    x, y = w / 2, h / 2
    n = d.pick((8, 10, 12))
    out: list[str] = []
    s = d.between(0, 30)
    layers = ((0.48, p.a), (0.36, either(p.c, p.b, on=p.a, least=1.3)), (0.24, p.bg), (0.15, p.pop))
    for i, (share, fill) in enumerate(layers):
        r = share * min(w, h)
        points = [
            polar(x, y, r if k % 2 == 0 else r * d.between(0.6, 0.62), s + i * 180 / n + 180 * k / n)
            for k in range(2 * n)
        ]
        out.append(poly(points, fill))
    return out


def eclipse(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A crescent inside a crown of rays."""
    x, y = w * d.between(0.44, 0.56), h * d.between(0.46, 0.54)
    r = min(w, h) * 0.27
    n = d.pick((16, 20, 24))
    ray = either(p.a, p.b, on=p.bg, least=1.4)
    long = d.between(1.45, 1.65)
    out = [
        poly(
            [
                polar(x, y, r * 1.12, 360 * (i - 0.24) / n),
                polar(x, y, r * (long if i % 2 else 1.34), 360 * i / n),
                polar(x, y, r * 1.12, 360 * (i + 0.24) / n),
            ],
            ray,
        )
        for i in range(n)
    ]
    ox, oy = polar(x, y, r * d.between(0.16, 0.3), d.between(0, 360))
    return [*out, circle(x, y, r, strong(p, p.pop, p.c)), circle(ox, oy, r * 0.72, p.bg)]


def feathers(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A fan of feathers that sweeps up from one corner."""
    n = d.whole(4, 6)
    turn = d.pick((1, -1))
    out: list[str] = []
    x = w / 2 - turn * w * 0.5
    full = d.between(0.84, 0.98)
    fills = d.shuffled([p.a, p.b, p.c])
    for i in range(n):
        share = 1 - i * d.between(0.86, 0.9) / n
        r, far = h * full * share, w * full * share
        fill = fills[i % 3] if i < n - 1 else strong(p, p.pop)
        out.append(
            path(
                to("M", x, h) + to("V", h - r) + to("Q", x + turn * far * 0.9, h - r * 0.94, x + turn * far, h) + "Z",
                either(fill, p.bg, on=p.bg, least=1.15),
            )
        )
    return [
        circle(
            w / 2 + turn * w * d.between(0.26, 0.36),
            h * d.between(0.12, 0.24),
            w * d.between(0.06, 0.1),
            strong(p, p.pop, p.c),
        ),
        *out,
    ]


def hall(d: Dice, w: float, h: float, p: Paint) -> list[str]:
    """A hall of arched niches, one of them lit."""
    n = d.pick((3, 4))
    out: list[str] = []
    size = w / n
    rows = max(2, round(h / (size * 1.35)))
    tall = h / rows
    odd = (d.whole(0, n - 1), d.whole(0, rows - 1))
    fills = (p.a, either(p.b, p.a, on=p.bg, least=1.3))
    for j in range(rows):
        for i in range(n):
            x, y = (i + 0.5) * size, (j + 1) * tall
            r = size * 0.36
            lit = (i, j) == odd
            fill = strong(p, p.pop, p.c) if lit else fills[(i + j) % 2]
            out.append(_arch(x, y - 6, y - tall * 0.9 + r, r, fill))
            if lit:
                out.append(circle(x, y - tall * 0.36, r * 0.4, p.bg))
    return out


def _arch(x: float, foot: float, spring: float, r: float, fill: str) -> str:
    """An opening 2 r wide that stands on foot and bends from spring up."""
    sides = to("M", x - r, foot) + to("V", spring) + arc(r, x + r, spring) + to("V", foot)
    return path(sides + "Z", fill)
