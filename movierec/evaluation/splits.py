"""How events are parted into train, validation and test: by each viewer's last films, by a date, or by chance.

Letters: U viewers, E events. All three keep the data's own order in time and its numbering of viewers and items.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, Holdout, Ints, Targets

Bools = npt.NDArray[np.bool_]
RATIO_SEED = 1  # part of the protocol: every engine meets the same parts

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def split_loo(data: Dataset) -> Holdout:
    """Leave one out: each viewer's last event is test, the one before validation, the rest train.

    Two events: one train, one test. One event: train only. Time order is the data set's own (stable).
    """
    counts, last = np.diff(data.offsets), data.offsets[1:] - 1
    later, middle = (np.zeros(data.n_events, dtype=bool) for _ in range(2))  # (E,)
    later[last[counts >= 2]] = True
    middle[last[counts >= 3] - 1] = True
    return _parted("loo", data, middle, later)


def split_time(data: Dataset) -> Holdout:
    """One cut in time for everybody: the last tenth of all events is test, the tenth before it validation.

    A cut falls between two seconds: events of one second stay together, so the parts may not be quite a tenth.
    Asked are viewers with at least one event before the cut, for all they saw after it.
    """
    later = _after(data.times, 9)
    return _parted("time", data, _after(data.times, 8) & ~later, later)


def split_ratio(data: Dataset, seed: int = RATIO_SEED) -> Holdout:
    """Each viewer's events by chance: a tenth of them test, a tenth validation (rounded, halves up), the rest train.

    Viewers with fewer than five events are train only. Which events are drawn depends on the viewer's own events and
    the seed alone: who joins or leaves changes nobody else's part.
    """
    counts = np.diff(data.offsets)
    order = np.lexsort((_chance(data, seed), data.viewers))  # viewer by viewer, by chance within
    place = np.empty(data.n_events, dtype=np.int64)  # (E,) of an event among its viewer's, by chance
    place[order] = np.arange(data.n_events) - np.repeat(data.offsets[:-1], counts)
    held = ((counts + 5) // 10)[data.viewers]  # (E,)
    later = place < held
    return _parted("ratio", data, (place < 2 * held) & ~later, later)


def _after(times: Ints, tenths: int) -> Bools:
    """(E,) which events come after so many tenths of all; of the two cuts around a shared second the nearer one."""
    if not times.size:
        return np.zeros(0, dtype=bool)
    wanted = -(-times.size * tenths // 10)  # rounded up, in whole numbers: how many come before
    second = np.partition(times, wanted - 1)[wanted - 1]
    before, up_to = np.count_nonzero(times < second), np.count_nonzero(times <= second)
    after: Bools = times >= second if wanted - before < up_to - wanted else times > second
    return after


def _parted(split: str, data: Dataset, middle: Bools, later: Bools) -> Holdout:
    """`middle` (E,) is validation, `later` (E,) is test, what is left is train."""
    early = ~(middle | later)
    return Holdout(
        split=split,
        train=data.select(early),
        validation=_targets(data, middle, early),
        test_history=data.select(~later),
        test=_targets(data, later, ~later),
    )


def _targets(data: Dataset, held: Bools, before: Bools) -> Targets:
    """The events of `held`, of viewers with at least one event in `before`."""
    known = np.bincount(data.viewers[before], minlength=data.n_viewers) > 0  # (U,)
    rows = np.flatnonzero(held & known[data.viewers])
    return Targets(data.viewers[rows].astype(np.int32), data.items[rows].astype(np.int32))


def _chance(data: Dataset, seed: int) -> npt.NDArray[np.uint64]:
    """(E,) a number by chance for each event, made of viewer, movie and seed (SplitMix64: Steele, Lea, Flood 2014)."""
    viewers = data.viewer_ids.astype(np.uint64)[data.viewers]
    movies = data.index.movie_ids.astype(np.uint64)[data.items - 1]
    return _mixed(_mixed(viewers + np.uint64(seed)) ^ movies)


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Each 64-bit number's bits mixed so that neighbours have nothing in common; wraps around by design."""
    values = values * _GOLDEN + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
