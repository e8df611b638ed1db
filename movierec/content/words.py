"""Texts as terms: folded words without the ones that say nothing, plural forms joined."""

from __future__ import annotations

from collections.abc import Iterator

from movierec.sources.titles import fold

LONGEST = 40  # letters of a word that is kept
# Words that stand in half of all texts, and those that speak of films as such.
_SILENT = """
a about above after again against all also always am an and another any are around as at away back be became because
become becomes been before began begin begins behind being between both but by came can cannot come comes could did do
does doing done dont down during each either else end ends even ever every few finally find finds first follow follows
for from further gave get gets getting give given gives go goes going gone got had has have having he hed her here
hers herself him himself his how however i if in instead into is isnt it its itself just keep keeps know last later
lead leads let lets like live lives living made make makes making man many may maybe me meanwhile meet meets might
more most much must my near never new next no nor not nothing now of off often on once one only onto or other others
our out over own people perhaps please put rather really s same say see seem seems set several she should show since
so some someone something soon still story such take taken takes taking tell tells than that the their theirs them
themselves then there these they thing things this those though three through till time to together told too took
toward turn turns two under until up upon us use very want wants was way we well were what whatever when where whether
which while who whole whom whose why will with within without woman would year years yet you young your film films
movie movies cinema watch watching anything picture pictures good great nice best favorite favourite similar feel
feeling kind sort bit lot tonight evening id im ive mood looking
"""
STOP = frozenset(_SILENT.split())


def stem(word: str) -> str:
    """The word without a plural's ending: "families" -> "family", "aliens" -> "alien", "glass" stays.

    "zombie" and "zombies" meet at "zomby".
    """
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith("ie"):
        return f"{word[:-2]}y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def terms(text: str) -> Iterator[tuple[str, str]]:
    """(term, the word as it was folded) for each word of the text that may tell films apart."""
    for word in fold(text).split():
        if len(word) > 1 and word not in STOP:
            yield stem(word[:LONGEST]), word[:LONGEST]
