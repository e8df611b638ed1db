"""How much faster than Cornac's is our BiVAE, a step and to equal quality?  python benchmarks/bivae.py --data FILE.zip

The peer is `cornac.models.bivaecf.bivae.learn` itself, on the same module, the same views, in the same process, one
thread. Steps: the same batches and the same noise for both, alternately, CPU seconds, medians, and how far apart the
weights are afterwards. Quality: Cornac with its own settings for so many epochs against our defaults with early
stopping and the short-history passes; both judged on ratio-full, histories folded in alike, paired viewer by viewer.
--seeds 1 2 3 4 5 --epochs 500 is the whole comparison; --seeds without a number is the steps alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: its own threads would blur the CPU seconds

import numpy as np
import torch
from cornac.data import Dataset as CornacDataset
from cornac.models.bivaecf.bivae import learn
from quality import read  # beside this file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from movierec.dataset import Dataset, Holdout
from movierec.engines.bilateral import net, views
from movierec.engines.bilateral.training import Training
from movierec.engines.bivae import Bivae
from movierec.evaluation import harness, protocol, statistics

BATCH, RATE = 128, 1e-3  # Cornac's own defaults are 100 and 1e-3
PEER = {"factors": 50, "hidden": 100, "viewer_batch": 256, "film_batch": 256, "learning_rate": RATE, "beta_kl": 1.0}
MARGIN = 0.015  # of NDCG@10, within which ours counts as no worse


def silent(step: int, total: int, **metrics: float) -> None:
    """Nobody listens."""


def spent(act: Callable[[], object]) -> float:
    """CPU seconds of `act`."""
    begun = time.process_time()
    act()
    return time.process_time() - begun


def as_cornac(data: Dataset) -> CornacDataset:
    """The same views with the same numbers: Cornac counts viewers and films by first appearance."""
    table = views.table(data)[0]
    viewers, films = ({at: at for at in range(size)} for size in table.shape)
    rows, columns = table.tocoo().coords
    return CornacDataset.build(
        zip(rows.tolist(), columns.tolist(), [1.0] * rows.size, strict=True),
        global_uid_map=viewers,
        global_iid_map=films,
    )


def trained(data: Dataset, **knobs: float) -> Training:
    """A training whose batches come in Cornac's order."""
    training, table = Training(data, Bivae.Params(**{**PEER, **knobs})), views.table(data)[0]
    training.viewer_batches = views.batches(table, int(knobs["viewer_batch"]), np.arange(table.shape[0]))
    training.film_batches = views.batches(table.T.tocsr(), int(knobs["film_batch"]), np.arange(table.shape[1]))
    return training


def compare_steps(data: Dataset, repeats: int) -> None:
    """Print the milliseconds of a step, each repeat one epoch of both."""
    theirs = as_cornac(data)
    same = {"viewer_batch": BATCH, "film_batch": BATCH}
    with net.quiet_torch(1):
        peer = net.bivae(*views.table(data)[0].shape, [100], 50)
    with net.quiet_torch(1):
        ours = trained(data, **same)
    steps = len(ours.viewer_batches) + len(ours.film_batches)
    with net.quiet_torch(1):
        learn(peer, theirs, 1, BATCH, RATE, 1.0, verbose=False)
    with net.quiet_torch(1):
        ours.epoch(silent)
    apart = max(float((a - b).abs().max()) for a, b in ((ours.net.theta, peer.theta), (ours.net.beta, peer.beta)))
    took: list[tuple[float, float]] = []
    with net.quiet_torch(1):
        for _ in range(repeats):
            one, two = (spent(lambda n=n: learn(peer, theirs, n, BATCH, RATE, 1.0, verbose=False)) for n in (1, 2))
            took.append((two - one, spent(lambda: ours.epoch(silent))))  # what `learn` does once cancels out
    cornac, mine = np.median(took, axis=0) / steps * 1000
    print("\n| step | CPU ms | ratio |\n|---|---|---|")
    print(f"| Cornac | {cornac:.2f} | |\n| ours | {mine:.2f} | {cornac / mine:.1f} |")
    print(f"\n{steps} steps an epoch, batches of {BATCH}, {repeats} epochs of each; after one epoch the factors differ")
    print(f"by at most {apart:.1e}.")


def cornac_engine(data: Dataset, seed: int, epochs: int) -> tuple[Bivae, float]:
    """Cornac's training, and an engine that serves its weights as ours are served; the CPU seconds of the former."""
    with net.quiet_torch(seed):
        training = trained(data, **PEER, seed=seed)
        module, theirs = net.bivae(*views.table(data)[0].shape, [100], 50), as_cornac(data)
        cpu = spent(lambda: learn(module, theirs, epochs, 256, RATE, 1.0, verbose=False))
        training.viewers = net.Side(module.user_encoder, module.user_mu, module.user_std, RATE)
        engine = Bivae(Bivae.Params(**PEER, seed=seed))
        engine.restore(training.folding(module.mu_beta).arrays(), data.index)
    return engine, cpu


def compare_quality(holdout: Holdout, seeds: list[int], epochs: int) -> None:
    """Print NDCG@10 and CPU seconds of both, a row a seed, and the verdict over the viewers' means."""
    print("\n| seed | Cornac NDCG@10 | CPU s | ours NDCG@10 | CPU s | ratio |\n|---|---|---|---|---|---|", flush=True)
    values, costs = [], []
    for seed in seeds:
        peer, theirs = cornac_engine(holdout.train, seed, epochs)
        ours = Bivae(Bivae.Params(**Bivae.defaults_for(holdout.train), seed=seed))
        mine = spent(lambda ours=ours: ours.fit(holdout.train, silent, harness.validator(holdout)))
        cards = [harness.evaluate(engine, holdout, "ratio-full", timed=0) for engine in (peer, ours)]
        values.append([card.values["ndcg", 10] for card in cards])
        costs.append((theirs, mine))
        a, b = (float(np.nanmean(row)) for row in values[-1])
        print(f"| {seed} | {a:.4f} | {theirs:.1f} | {b:.4f} | {mine:.1f} | {theirs / mine:.1f} |", flush=True)
    cornac, ours_values = np.mean(values, axis=0)
    found = statistics.paired(ours_values, cornac)
    a, b = np.mean(costs, axis=0)
    print(f"| mean | {np.nanmean(cornac):.4f} | {a:.1f} | {np.nanmean(ours_values):.4f} | {b:.1f} | {a / b:.1f} |")
    word = "no worse" if found.low > -MARGIN else "not shown to be no worse"
    print(f"\nOurs - Cornac's: {found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}], {found.n} viewers,")
    print(f"{len(seeds)} seeds, {epochs} epochs of Cornac's: {word} within {MARGIN}.")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5, help="epochs for the comparison of steps")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--epochs", type=int, default=500, help="of Cornac's training")
    given = parser.parse_args()
    torch.set_num_threads(1)
    holdout = protocol.split_as(read(given.data), "ratio")
    if given.repeats:
        compare_steps(holdout.train, given.repeats)
    if given.seeds:
        compare_quality(holdout, given.seeds, given.epochs)


if __name__ == "__main__":
    main()
