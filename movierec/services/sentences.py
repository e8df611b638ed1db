"""What a comparison says in words: who beats whom, between whom nothing is clear, how many viewers would settle it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from movierec.evaluation.statistics import digits
from movierec.services.comparison import Comparison, Side, Verdict


@dataclass(frozen=True)
class Argument:
    """The verdict as sentences (those that claim something are `strong`), and what to know about it."""

    claims: list[tuple[str, bool]]  # sentence, whether it says that something is better
    advice: list[str]


def argument(found: Comparison) -> Argument:
    """The verdict on these runs."""
    known = sorted((side for side in found.sides if not isnan(side.mean)), key=lambda side: -side.mean)
    unknown = [side for side in found.sides if isnan(side.mean)]
    claims = _claims(found, known) if len(known) > 1 else []
    if len(known) < 2:
        claims.append(("Fewer than two of these runs have a number here, so there is nothing to compare.", False))
    for side in unknown:
        claims.append((f"{side.name} was not measured here.", False))
    return Argument(claims, _advice(found, known))


def _claims(found: Comparison, known: list[Side]) -> list[tuple[str, bool]]:
    floor = _floor(found, known)
    rest = [side for side in known if side not in floor]
    claims: list[tuple[str, bool]] = []
    if len(rest) > 1:
        best, others = rest[0], rest[1:]
        beaten = [other for other in others if _clear(found, best, other)]
        for other in beaten:
            claims.append((f"{best.name} beats {other.name} by {_size(found, best, other)}.", True))
        close = [best, *(other for other in others if other not in beaten)]
        if len(close) > 1:
            pairs = [(a, b) for place, a in enumerate(close) for b in close[place + 1 :]]
            odd = [(a, b) for a, b in pairs if _clear(found, a, b)]
            if odd:
                claims += [(f"{a.name} beats {b.name} by {_size(found, a, b)}.", True) for a, b in odd]
                claims.append((f"{best.name} is not clearly better than {joined([s.name for s in close[1:]])}.", False))
            else:
                claims.append((f"Between {joined([s.name for s in close])} there is no clear difference.", False))
    for side in floor:
        above = known[: known.index(side)]
        if len(above) == 1:
            claims.append((f"{above[0].name} beats {side.name} by {_size(found, above[0], side)}.", True))
        else:
            whom = "others" if len(above) == len(known) - 1 else "runs above it"
            claims.append((f"{_all(len(above))} {whom} beat {side.name}.", True))
    return claims


def _floor(found: Comparison, known: list[Side]) -> list[Side]:
    """The runs at the foot that every run above them clearly beats, the worst last."""
    floor: list[Side] = []
    for place in range(len(known) - 1, 0, -1):
        if not all(_clear(found, above, known[place]) for above in known[:place]):
            break
        floor.insert(0, known[place])
    return floor


def _advice(found: Comparison, known: list[Side]) -> list[str]:
    many = len(found.verdicts)
    viewers = {verdict.n for verdict in found.verdicts if verdict.n}
    if not viewers:
        return []
    least = min(viewers)
    told = f"{least:,} viewers" if len(viewers) == 1 else f"At least {least:,} viewers a pair"
    advice = [f"{told}, each met by both runs of a pair."]
    if many > 1:
        advice[0] = (
            f"{told}, each met by all {len(found.sides)} runs, tested in pairs; corrected by Holm over {many} pairs "
            "(those of this link), so adding a run can turn a verdict."
        )
    open_pair = _nearest(found, known)
    if open_pair is not None:
        shown, seen = digits(open_pair.smallest), digits(abs(open_pair.difference))
        names = f"{open_pair.first.name} and {open_pair.second.name}"
        if open_pair.needed is None:
            advice.append(f"{names} are equal on average.")
        elif open_pair.needed <= open_pair.n:
            advice.append(f"{names}: {open_pair.advice}")
        else:
            advice.append(
                f"For {names} this data would show a true difference of about {shown} four times in five; the one seen "
                f"is {seen}. About {open_pair.needed:,} viewers would settle it."
            )
    return advice


def _nearest(found: Comparison, known: list[Side]) -> Verdict | None:
    """The pair without a verdict that matters most: the best run against the next that it doesn't clearly beat."""
    for other in known[1:]:
        verdict = found.between(known[0].run, other.run)
        if verdict is not None and not verdict.clear:
            return verdict
    return None


def _clear(found: Comparison, better: Side, worse: Side) -> bool:
    """Whether the first is clearly better; means are in that order."""
    verdict = found.between(better.run, worse.run)
    return verdict is not None and verdict.clear and toward(verdict, better.run)[0] > 0


def _size(found: Comparison, better: Side, worse: Side) -> str:
    verdict = found.between(better.run, worse.run)
    assert verdict is not None
    difference, low, high = toward(verdict, better.run)
    return f"{digits(difference)} [{digits(low)}, {digits(high)}]"


def toward(verdict: Verdict, run: int) -> tuple[float, float, float]:
    """The difference with its interval as seen from that run: above zero where it has more."""
    if verdict.first.run == run:
        return verdict.difference, verdict.low, verdict.high
    return -verdict.difference, -verdict.high, -verdict.low


def joined(names: Sequence[str]) -> str:
    """ "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _all(many: int) -> str:
    return {2: "Both", 3: "All three", 4: "All four", 5: "All five", 6: "All six"}.get(many, f"All {many}")
