"""SASRec as an engine: the same training as all sequence nets, around attention."""

from __future__ import annotations

import numpy as np
import pytest
from nets_kit import QUICK
from pydantic import ValidationError
from tiny import Ear, chain, shuffled

from movierec.dataset import Dataset, History
from movierec.engines.popularity import Popularity
from movierec.engines.sasrec import SASRecEngine, SASRecParams
from movierec.evaluation import harness, protocol


def ndcg(made: SASRecEngine | Popularity, data: Dataset) -> np.ndarray:
    """NDCG@10 of each viewer, trained on what `loo-full` allows."""
    holdout = protocol.split_loo(data)
    made.fit(holdout.train, Ear(), harness.validator(holdout))
    return harness.evaluate(made, holdout, timed=0).values["ndcg", 10]


def default_engine(data: Dataset, **knobs: object) -> SASRecEngine:
    return SASRecEngine(SASRecParams(**{**SASRecEngine.defaults_for(data), **knobs}))


def test_it_learns_a_chain_that_popularity_cannot_and_reads_order() -> None:
    data = chain()
    made = default_engine(data)
    assert ndcg(made, data).mean() > 2 * ndcg(Popularity(), data).mean()
    one, other = made.recommend([History.of([3, 17, 42]), History.of([42, 17, 3])], 10)
    assert [pick.item for pick in one] != [pick.item for pick in other]


def test_it_finds_nothing_where_there_is_nothing() -> None:
    data = shuffled(chain())
    gain = ndcg(default_engine(data), data) - ndcg(Popularity(), data)
    assert gain.mean() < 3 * gain.std() / np.sqrt(gain.size)


def test_a_history_longer_than_the_window_is_cut() -> None:
    made = SASRecEngine(SASRecParams(**{**QUICK, "layers": 1, "features": False}))
    made.fit(chain(viewers=30), Ear())
    long = np.random.default_rng(0).integers(1, 61, 10_000)
    assert (made.scores([History.of(long)]) == made.scores([History.of(long[-16:])])).all()


def test_heads_share_the_channels_evenly() -> None:
    with pytest.raises(ValidationError, match="64 channels can't be shared by 3 heads"):
        SASRecParams(heads=3)
    assert SASRecParams(heads=3, channels=48)


def test_without_the_strongest_film_the_pick_falls() -> None:
    data = chain(viewers=120)
    made = default_engine(data)
    made.fit(data, Ear())
    named = 0
    for viewer in range(10):
        history = data.history(viewer)
        picks = [pick.item for pick in made.recommend([history], 3)[0]]
        for item, reason in zip(picks, made.explain(history, picks), strict=True):
            if reason.because:
                named += 1
                keep = history.items != reason.because[0][0]
                less = History(history.items[keep], history.times[keep], history.ratings[keep])
                before, after = made.scores([history, less])[:, item]
                assert after < before
    assert named > 25
