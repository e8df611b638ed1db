"""The first run of a fresh site: trained by itself, put on air only if it beats popularity beyond doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import func, select, update

from movierec.dataset import Holdout
from movierec.engines import registry
from movierec.evaluation import harness
from movierec.evaluation.pairs import compare
from movierec.evaluation.scorecard import Scorecard
from movierec.evaluation.statistics import Verdict, digits
from movierec.extensions import db
from movierec.services import serving, snapshots, training
from movierec.tables import Run

ENGINE = "nextitnet"
MEASURE, CUTOFF, PROTOCOL = "ndcg", 10, "loo-full"
HOUSE = "movierec"
TRIES = 5  # a first run that was interrupted is ordered again this often: Ctrl-C must not leave a site without one


def request_if_fresh() -> int | None:
    """Order the first training where there is data and nothing was ever trained; its run, or None.

    A first run that never reached the queue, or that was interrupted, is tried again. Raises what `training.request`
    raises.
    """
    unlucky = (Run.origin == "first") & (
        (Run.state == "lost") | ((Run.state == "failed") & Run.started_at.is_(None))  # stopped from outside
    )
    others, tries = db.session.execute(
        select(func.count().filter(~unlucky), func.count().filter(unlucky)).select_from(Run)
    ).one()
    if others or tries >= TRIES or snapshots.current() is None:
        return None
    return training.request(ENGINE, {}, origin="first", note="The first run of this site, started by itself.")


def judge(holdout: Holdout, cards: Sequence[Scorecard], check: Callable[[], None] = lambda: None) -> Verdict:
    """The run against popularity, asked the same questions. `check` may raise, to leave early."""
    rival = registry.get("popularity")()
    rival.fit(holdout.train, lambda step, total, **metrics: check())
    mine = next(card for card in cards if card.protocol == PROTOCOL)
    theirs = harness.evaluate(rival, holdout, PROTOCOL, progress=lambda done, total: check(), timed=0)
    return compare(mine, theirs, MEASURE, CUTOFF)


def settle(session: Any, run_id: int, verdict: Verdict) -> None:
    """Put the run on air where the verdict allows it and nothing is; the run's note says what was decided.

    Inside the transaction that ends the run: no crash can part a finished first run from the decision about it. Its
    artefact was read back and tried the moment before, when it was saved.
    """
    said = f"popularity by {digits(verdict.difference)} [{digits(verdict.low)}, {digits(verdict.high)}] in NDCG@10"
    if verdict.words != "better":
        decided = (
            f"not put on air: against {said} ({PROTOCOL}) that is {verdict.words}. "
            "Viewers get the popular films until something better is put on air."
        )
    elif serving.put_first_on_air(session, run_id, who=HOUSE, why=f"Beats {said}."):
        decided = f"put on air because it beats {said} ({PROTOCOL})."
    else:
        decided = f"beats {said} ({PROTOCOL}). Something else was on air already."
    session.execute(update(Run).where(Run.id == run_id).values(note=f"First run of this site; {decided}"))
