"""The metrics against an independent implementation, trec_eval by way of ir_measures, on random rankings.

ir_measures (a test dependency only) because it brings one package besides itself, pytrec_eval-terrier: numpy and
scipy are here anyway. ranx, the other candidate, brings eighteen, numba, pandas and seaborn among them.
trec_eval breaks ties by the documents' names, where this house takes the middle: so there are no ties here.
"""

import ir_measures
import numpy as np
import pytest
from evaluation_kit import Scorer, dataset, parted
from ir_measures import RR, Qrel, R, ScoredDoc, Success, nDCG

from movierec.evaluation import harness, protocol

N_ITEMS = 300
MEASURES = {"ndcg": nDCG, "recall": R, "hr": Success, "mrr": RR}


def scored(engine, history):
    """Everything unseen with its score, as a run of trec_eval."""
    row = engine.score(history)
    unseen = np.setdiff1d(np.arange(1, N_ITEMS + 1), history.items)
    return [(str(item), float(row[item])) for item in unseen]


def second_opinion(engine, held):
    """(metric, k) -> viewer's row -> value."""
    viewers = np.unique(held.test.viewers)
    qrels = [Qrel(str(v), str(i), 1) for v, i in zip(held.test.viewers, held.test.items, strict=True)]
    run = [
        ScoredDoc(str(viewer), item, score)
        for viewer in viewers
        for item, score in scored(engine, held.test_history.history(int(viewer)))
    ]
    wanted = {measure @ k: (name, k) for name, measure in MEASURES.items() for k in (5, 10, 20)}
    found = {}
    for told in ir_measures.iter_calc(list(wanted), qrels, run):
        found.setdefault(wanted[told.measure], {})[int(told.query_id)] = told.value
    return {key: [values[int(viewer)] for viewer in viewers] for key, values in found.items()}


@pytest.mark.parametrize("seed", range(3))
def test_several_targets_agree_with_trec_eval(seed):
    rng = np.random.default_rng(seed)
    whole = [rng.permutation(np.arange(1, N_ITEMS + 1))[: rng.integers(2, 120)] for _ in range(60)]
    cuts = [int(rng.integers(1, row.size)) for row in whole]
    held = parted(
        [row[:cut] for row, cut in zip(whole, cuts, strict=True)],
        [row[cut:] for row, cut in zip(whole, cuts, strict=True)],
        N_ITEMS,
    )
    engine = Scorer(lambda history: np.random.default_rng(len(history)).permutation(N_ITEMS + 1))
    card, other = harness.evaluate(engine, held, "ratio-full", timed=0), second_opinion(engine, held)
    assert set(other) == {key for key in card.values if key[0] in MEASURES}
    for key, values in other.items():
        np.testing.assert_allclose(card.values[key], values, atol=1e-12, err_msg=str(key))
    assert 0.02 < card.values["ndcg", 10].mean() < 0.98


def test_one_target_agrees_with_trec_eval():
    rng = np.random.default_rng(9)
    held = protocol.split_loo(dataset(*[rng.permutation(60)[:20] + 1 for _ in range(80)], n_items=N_ITEMS))
    popular = np.where(np.arange(N_ITEMS + 1) <= 60, 1000, 0)  # where the targets are, so that some are found
    engine = Scorer(lambda history: popular + np.random.default_rng(history.items.sum()).permutation(N_ITEMS + 1))
    card, other = harness.evaluate(engine, held, timed=0), second_opinion(engine, held)
    for key in (key for key in card.values if key[0] in MEASURES):
        np.testing.assert_allclose(card.values[key], other[key], atol=1e-12, err_msg=str(key))
    assert card.values["hr", 10].mean() > 0.05
