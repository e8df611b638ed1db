"""Where the lines of a title end: the split with the narrowest widest line, and no line left hanging on 'the'."""

from collections.abc import Callable
from typing import NamedTuple

from movierec.posters.glyphs import Ruler
from movierec.posters.script import is_wide, letters

# Words that lean on the next one, in the languages that film titles come in.
WEAK = {
    *("a", "an", "the", "of", "and", "&", "in", "on", "to", "or", "for", "with", "at", "by", "from"),
    *("de", "la", "le", "el", "et", "der", "die", "das", "und"),
}
WEAK_FAULT = 0.9  # ems of extra width that are worth keeping a weak word from a line's end
RAGGED_FAULT = 0.004  # per squared em: between equals, the even setting wins

NO_LINE_STARTS_WITH = "、。，．」』）！？ー・…"
NO_LINE_ENDS_WITH = "「『（"


class Part(NamedTuple):
    """What no line may split, and the space after it, which a line's end swallows."""

    text: str
    space: str


class Split(NamedTuple):
    """A title in lines: the widest line in ems, what is wrong with the split, and the lines."""

    widest: float
    faults: float
    lines: list[str]


def words(text: str, too_long: Callable[[str], bool] = lambda word: False) -> list[Part]:
    """A text's words; single letters where the script has no spaces or the word is too long for any line."""
    parts = []
    for word in text.split():
        pieces = list(letters(word)) if too_long(word) else _pieces(word)
        parts += [Part(piece, "") for piece in pieces[:-1]] + [Part(pieces[-1], " ")]
    return parts


def _pieces(word: str) -> list[str]:
    pieces: list[str] = []
    last = ""
    for letter in letters(word):
        may_break = bool(last) and (is_wide(letter) or is_wide(last))
        if may_break and letter not in NO_LINE_STARTS_WITH and last not in NO_LINE_ENDS_WITH:
            pieces.append(letter)
        elif pieces:
            pieces[-1] += letter
        else:
            pieces = [letter]
        last = letter
    return pieces


class Breaker:
    """Splits parts into lines by dynamic programming; splits into few lines are reused for splits into more."""

    def __init__(self, parts: list[Part], cut: str, tracking: float) -> None:
        self._text = "".join(part.text + part.space for part in parts)
        self._ruler = Ruler(self._text, cut, tracking)
        self._spans: list[tuple[int, int]] = []
        at = 0
        for part in parts:
            self._spans.append((at, at + len(part.text)))
            at += len(part.text) + len(part.space)
        self._weak = [part.text.lower() in WEAK for part in parts]
        self._known: dict[tuple[int, int], tuple[float, float, int]] = {}

    def split(self, count: int) -> Split:
        """The best split into so many lines; there must be as many parts."""
        lines, first = [], 0
        for left in range(count, 0, -1):
            end = self._best(first, left)[2]
            lines.append(self._text[self._spans[first][0] : self._spans[end - 1][1]])
            first = end
        widest, faults, _ = self._best(0, count)
        return Split(widest, faults, lines)

    def _best(self, first: int, left: int) -> tuple[float, float, int]:
        """The parts from first on, in so many lines: the widest line, the faults, and where the first line ends."""
        known = self._known.get((first, left))
        if known is None:
            known = self._known[first, left] = self._last(first) if left == 1 else self._search(first, left)
        return known

    def _last(self, first: int) -> tuple[float, float, int]:
        wide = self._ems(first, len(self._spans))
        return wide, wide * wide * RAGGED_FAULT, len(self._spans)

    def _search(self, first: int, left: int) -> tuple[float, float, int]:
        best, score = None, float("inf")
        for end in range(first + 1, len(self._spans) - left + 2):
            wide = self._ems(first, end)
            ragged = wide * wide * RAGGED_FAULT
            if best and wide + ragged > score:  # a line only grows from here
                break
            rest_wide, rest_faults, _ = self._best(end, left - 1)
            faults = (WEAK_FAULT if self._weak[end - 1] else 0) + ragged + rest_faults
            option = max(wide, rest_wide), faults, end
            if best is None or option[0] + option[1] < score:
                best, score = option, option[0] + option[1]
        assert best is not None, "fewer parts than lines"
        return best

    def _ems(self, first: int, end: int) -> float:
        return self._ruler.ems(self._spans[first][0], self._spans[end - 1][1])
