"""Which colours a poster gets: a box of seven for each decade, and recipes by mood that say what each is used for."""

from dataclasses import replace

from movierec.posters.colour import Paint, blend, contrast, luminance
from movierec.posters.dice import Dice

NAMES = ("night", "deep", "main", "second", "pop", "pale", "paper")
BOXES = {
    1920: ("#1b1713", "#43342a", "#96704a", "#58695f", "#bf4630", "#d8c29c", "#f0e5cc"),
    1930: ("#14191c", "#1f3f44", "#c1913c", "#37776f", "#b5402f", "#e0ca97", "#f4e9d1"),
    1940: ("#15171b", "#2b3947", "#72858c", "#8f3f37", "#dba443", "#c7ccc3", "#eee8d8"),
    1950: ("#182236", "#22506c", "#e05541", "#63b2a4", "#f2bb4a", "#f2d8bf", "#f9efdc"),
    1960: ("#1b1730", "#2b3f92", "#ec5b2c", "#e48fb2", "#f5c02f", "#f3dac8", "#fbf1df"),
    1970: ("#211610", "#5c2f1a", "#c9642b", "#7f7d3c", "#eaab33", "#e7cda0", "#f6e9d0"),
    1980: ("#130f26", "#2f1d5c", "#dd3b7c", "#1aa0ad", "#ffb544", "#cabaf0", "#f2edf9"),
    1990: ("#0f1b1d", "#1e4d50", "#cc5b38", "#79a59c", "#d9d152", "#d3d1be", "#f1ede1"),
    2000: ("#0e1728", "#18395f", "#3384c2", "#e67c31", "#f3c560", "#c5d8e2", "#eff3f1"),
    2010: ("#181b27", "#3a3861", "#e46d60", "#43a092", "#f3ba6e", "#e9d5cc", "#f8f1ea"),
    2020: ("#171421", "#453670", "#8f7eea", "#3fb189", "#f0915f", "#dcd4f3", "#f5f2fb"),
}

# mood -> recipes; each names the colours for ground, bg, a, b, c, pop (the fields of Paint)
RECIPES = {
    "dark": (
        "night night deep main pale pop",
        "night deep night pop pale main",
        "deep night main deep pale pop",
        "night main night deep pale pop",
        "night night second deep paper main",
    ),
    "deep": (
        "deep deep second pale night pop",
        "deep night second main pale pop",
        "night second deep paper night pop",
        "deep deep main paper second pop",
        "second night deep second paper pop",
    ),
    "bright": (
        "pop pop main paper second night",
        "second second paper pop night main",
        "paper pop main night second paper",
        "main main pop paper night second",
        "pale second main paper pop night",
    ),
    "warm": (
        "main main deep pop paper night",
        "pale main pop deep paper night",
        "deep main pop night pale paper",
        "pale pale main second deep pop",
        "pop main deep paper pop night",
    ),
    "light": (
        "paper paper main second deep pop",
        "pale pale deep main paper second",
        "paper second deep paper pop night",
        "paper pale main deep second pop",
        "pale paper deep second main pop",
    ),
}

INK_CONTRAST = 6  # of the title on its ground; the small line is mixed a little weaker and must still pass 4.5


def mix(dice: Dice, year: int | None, mood: str) -> Paint:
    """The colours of a film. Sequels share everything but the recipe, which turns with the year."""
    decade = min(2020, max(1920, (year or 1990) // 10 * 10))
    box = dict(zip(NAMES, BOXES[decade], strict=True))
    recipe = RECIPES[mood][(dice.whole(0, 4) + (year or 0)) % 5]
    ground, bg, a, b, c, pop = (box[name] for name in recipe.split())
    ink = max(box["paper"], box["night"], key=lambda colour: contrast(colour, ground))
    pushed = _pushed(ground, ink)
    return Paint(pushed, pushed if bg == ground else bg, a, b, c, pop, ink)


def stir(paint: Paint, dice: Dice) -> Paint:
    """Exchange a pair or two of the picture's colours where they stay visible, so that films of one recipe differ."""
    if dice.flip() and contrast(paint.b, paint.bg) > 1.5:
        paint = replace(paint, a=paint.b, b=paint.a)
    if dice.flip() and contrast(paint.c, paint.bg) > 1.8:
        paint = replace(paint, c=paint.pop, pop=paint.c)
    return paint


def _pushed(ground: str, ink: str) -> str:
    """Mid tones carry no ink well: move the ground away from it until the title is easy to read."""
    target = "#000000" if luminance(ink) > 0.4 else "#ffffff"
    while contrast(ink, ground) < INK_CONTRAST:
        ground = blend(ground, target, 0.06)
    return ground
