"""Colour arithmetic: contrast as WCAG counts it, mixing, and which of a poster's colours can be told from which."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paint:
    """The colours of one poster, as #rrggbb."""

    ground: str  # behind the type
    bg: str  # behind the picture
    a: str  # the picture's first, second and third colour
    b: str
    c: str
    pop: str  # the one loud colour
    ink: str  # of the type


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2), 0 for black and 1 for white."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2), from 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def blend(one: str, other: str, share: float) -> str:
    """One colour with a share of the other mixed in."""
    mixed = (round(int(one[i : i + 2], 16) * (1 - share) + int(other[i : i + 2], 16) * share) for i in (1, 3, 5))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def either(first: str, second: str, *, on: str, least: float) -> str:
    """The first colour if its contrast on the given one is above least, else the second."""
    return first if contrast(first, on) > least else second


def strong(p: Paint, *wanted: str) -> str:
    """The first wanted colour that stands out from the picture's ground, else the one that does most."""
    return next(
        (colour for colour in wanted if contrast(colour, p.bg) >= 2),
        max((p.a, p.b, p.c, p.pop, p.ink), key=lambda colour: contrast(colour, p.bg)),
    )
