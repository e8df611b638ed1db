"""The first run of a fresh site: trained by itself, put on air only if it beats popularity beyond doubt."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import func, select, update

from movierec.dataset import Holdout
from movierec.engines import registry
from movierec.evaluation import harness
from movierec.evaluation.scorecard import Scorecard, compare
from movierec.evaluation.statistics import Verdict
from movierec.extensions import db, writing
from movierec.services import serving, snapshots, training
from movierec.services.errors import ServiceError
from movierec.tables import Run

log = logging.getLogger(__name__)

ENGINE = "nextitnet"
MEASURE, CUTOFF, PROTOCOL = "ndcg", 10, "loo-full"
HOUSE = "the house"
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


def judge(holdout: Holdout, cards: Sequence[Scorecard]) -> Verdict:
    """The run against popularity, asked the same questions."""
    rival = registry.get("popularity")()
    rival.fit(holdout.train, lambda step, total, **metrics: None)
    mine = next(card for card in cards if card.protocol == PROTOCOL)
    return compare(mine, harness.evaluate(rival, holdout, PROTOCOL, timed=0), MEASURE, CUTOFF)


def settle(run_id: int, verdict: Verdict) -> None:
    """Put the run on air where the verdict allows it and nothing is; the run's note says what was decided."""
    said = f"popularity by {_number(verdict.difference)} [{_number(verdict.low)}, {_number(verdict.high)}] in NDCG@10"
    if verdict.low > 0:
        on_air = serving.on_air()
        try:
            if on_air.run_id is None:
                serving.put_on_air(
                    run_id, user_id=None, who=HOUSE, why=f"Beats {said}.", expected_version=on_air.version
                )
                _note(run_id, f"First run of this site; put on air because it beats {said} ({PROTOCOL}).")
            else:
                _note(run_id, f"First run of this site; beats {said} ({PROTOCOL}). Something else was on air already.")
        except ServiceError as error:
            log.warning("the first run could not be put on air: %s", error)
            _note(run_id, f"First run of this site; beats {said} ({PROTOCOL}), but was not put on air: {error}")
    else:
        _note(
            run_id,
            f"First run of this site; not put on air: against {said} ({PROTOCOL}) that is {verdict.words}. "
            "Viewers get the popular films until something better is put on air.",
        )


def _note(run_id: int, text: str) -> None:
    with writing() as session:
        session.execute(update(Run).where(Run.id == run_id).values(note=text))


def _number(value: float) -> str:
    """Three digits, no leading zero, a real minus sign."""
    return f"{value:.3f}".replace("0.", ".", 1).replace("-", "\u2212")
