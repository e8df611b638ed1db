"""The flat shapes that compositions are made of, as SVG elements with presentation attributes only."""

import math

Point = tuple[float, float]


def num(value: float) -> str:
    """A coordinate with at most one decimal."""
    short = f"{value:.1f}".removesuffix(".0")
    return "0" if short == "-0" else short


def rect(x: float, y: float, w: float, h: float, fill: str, r: float = 0, turn: float = 0) -> str:
    """A rectangle with corners of radius r, turned about its middle."""
    extra = f' rx="{num(r)}"' if r else ""
    if turn:
        extra += f' transform="rotate({num(turn)} {num(x + w / 2)} {num(y + h / 2)})"'
    return f'<rect x="{num(x)}" y="{num(y)}" width="{num(w)}" height="{num(h)}" fill="{fill}"{extra}/>'


def circle(x: float, y: float, r: float, fill: str) -> str:
    """A disc."""
    return f'<circle cx="{num(x)}" cy="{num(y)}" r="{num(r)}" fill="{fill}"/>'


def ellipse(x: float, y: float, rx: float, ry: float, fill: str) -> str:
    """An upright ellipse."""
    return f'<ellipse cx="{num(x)}" cy="{num(y)}" rx="{num(rx)}" ry="{num(ry)}" fill="{fill}"/>'


def ring(
    x: float, y: float, r: float, stroke: str, thick: float, dash: tuple[float, float] | None = None, turn: float = 0
) -> str:
    """A circle's line; dash = (drawn, left out) lengths along it, beginning at turn degrees."""
    extra = f' stroke-dasharray="{num(dash[0])} {num(dash[1])}"' if dash else ""
    if turn:
        extra += f' transform="rotate({num(turn)} {num(x)} {num(y)})"'
    place = f'cx="{num(x)}" cy="{num(y)}" r="{num(r)}"'
    return f'<circle {place} fill="none" stroke="{stroke}" stroke-width="{num(thick)}"{extra}/>'


def poly(points: list[Point], fill: str) -> str:
    """A polygon."""
    return f'<polygon points="{" ".join(f"{num(x)},{num(y)}" for x, y in points)}" fill="{fill}"/>'


def path(d: str, fill: str = "none", stroke: str = "", thick: float = 0, cap: str = "round") -> str:
    """A path that is filled, stroked or both; build d with to, arc and smooth."""
    extra = ""
    if stroke:
        extra = f' stroke="{stroke}" stroke-width="{num(thick)}" stroke-linecap="{cap}" stroke-linejoin="round"'
    return f'<path d="{d}" fill="{fill}"{extra}/>'


def to(command: str, *numbers: float) -> str:
    """One step of a path: an SVG path command and its numbers."""
    return command + " ".join(map(num, numbers))


def arc(r: float, x: float, y: float, sweep: int = 1) -> str:
    """The step of a path that bends along a circle of radius r to (x, y)."""
    return to("A", r, r, 0, 0, sweep, x, y)


def smooth(points: list[Point], closed: bool = False) -> str:
    """A soft line through points: quadratic curves through the middles between them."""
    following = points[1:] + points[:1]
    middles = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(points, following, strict=True)]
    curves = [to("Q", *point, *middle) for point, middle in zip(points, middles, strict=True)]
    if closed:
        return to("M", *middles[-1]) + "".join(curves) + "Z"
    return to("M", *points[0]) + "".join(curves[1:-1]) + to("L", *points[-1])


def half(x: float, y: float, r: float, fill: str, turn: float = 0) -> str:
    """Half a disc; turn 0 = the dome up."""
    return path(to("M", *polar(x, y, r, 180 + turn)) + arc(r, *polar(x, y, r, turn)) + "Z", fill)


def quarter(x: float, y: float, r: float, fill: str, turn: float = 0) -> str:
    """A quarter of a disc with its corner at (x, y); turn 0 = to the right and down."""
    edge = to("L", *polar(x, y, r, turn)) + arc(r, *polar(x, y, r, turn + 90))
    return path(to("M", x, y) + edge + "Z", fill)


def surround(w: float, h: float, hole: str, fill: str) -> str:
    """The whole room but for a hole, to hide what reaches beyond it."""
    return f'<path d="M0 0H{num(w)}V{num(h)}H0Z{hole}" fill="{fill}" fill-rule="evenodd"/>'


def rotated(degrees: float, x: float, y: float, shapes: list[str]) -> list[str]:
    """Shapes turned together about (x, y)."""
    return [f'<g transform="rotate({num(degrees)} {num(x)} {num(y)})">', *shapes, "</g>"]


def mirrored(w: float, shapes: list[str]) -> list[str]:
    """Shapes exchanged left for right in a room w wide."""
    return [f'<g transform="matrix(-1 0 0 1 {num(w)} 0)">', *shapes, "</g>"]


def polar(x: float, y: float, r: float, degrees: float) -> Point:
    """The point r away from (x, y); 0 degrees = right, 90 = down."""
    return x + r * math.cos(math.radians(degrees)), y + r * math.sin(math.radians(degrees))
