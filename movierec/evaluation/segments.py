"""Which targets belong together: by the viewer's history, the film's fame, its genre and its decade.

Letters: U viewers asked, T targets, N items (0 = padding). A segment is a mask over targets, by a name such as
"viewers:cold", "films:tail", "genre:Drama" or "decade:1990"; one that nobody is in is left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from movierec.dataset import Dataset, Holdout, Ints
from movierec.evaluation.asking import Asked
from movierec.evaluation.beyond import Films

Bools = npt.NDArray[np.bool_]

ALL = "all"  # everybody, everything
COLD = 5  # events in a history; up to so many a viewer is cold
HEAD, MID = 0.5, 0.8  # of all views are of head films, and of head and mid films together


def segments(holdout: Holdout, asked: Asked, films: Films) -> dict[str, Bools]:
    """Name -> (T,) mask. Fame is counted in train, a history is what is known when the test targets come."""
    lengths = np.diff(holdout.test_history.offsets)[asked.viewers]
    of_viewers = {f"viewers:{name}": mask[asked.owners] for name, mask in by_history(lengths).items()}
    of_films = {f"films:{name}": mask[asked.items] for name, mask in by_fame(holdout.train).items()}
    names, table = films.genre_table(holdout.train.n_items)
    of_genres = {f"genre:{name}": table[asked.items, place] for place, name in enumerate(names)}
    found = {**of_viewers, **of_films, **of_genres, **_decades(asked.items, films, holdout.train.n_items)}
    return {name: mask for name, mask in found.items() if mask.any()}


def by_history(lengths: Ints) -> dict[str, Bools]:
    """cold: up to 5 events; hot: more than two thirds of all viewers asked have; warm: between. (U,) masks."""
    if not lengths.size:
        return {}
    cold = lengths <= COLD
    hot = ~cold & (lengths > np.quantile(lengths, 2 / 3, method="lower"))
    return {"cold": cold, "warm": ~cold & ~hot, "hot": hot}


def by_fame(train: Dataset) -> dict[str, Bools]:
    """head: the fewest films that make up half of all views; mid: up to four fifths; tail: the rest, the unseen too.

    (N + 1,) masks; padding is in none. Films watched equally often go by number.
    """
    order = np.argsort(-train.popularity[1:], kind="stable") + 1
    views = np.cumsum(train.popularity[order])
    before = np.append(0, views[:-1]) if views.size else views  # views of all films more famous than this one
    masks = {name: np.zeros(train.n_items + 1, dtype=bool) for name in ("head", "mid", "tail")}
    total = train.n_events
    masks["head"][order[before < HEAD * total]] = True
    masks["mid"][order[(before >= HEAD * total) & (before < MID * total)]] = True
    masks["tail"][order[before >= MID * total]] = True
    return masks


def _decades(items: Ints, films: Films, n_items: int) -> dict[str, Bools]:
    decades = np.full(n_items + 1, -1)
    for item, year in films.years.items():
        decades[item] = year // 10 * 10
    found = decades[items]
    return {f"decade:{decade}": found == decade for decade in np.unique(found[found >= 0]).tolist()}
