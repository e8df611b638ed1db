"""How good is an engine, and at what cost?  python benchmarks/quality.py --data ml-latest-small.zip --seeds 1 2 3

Popularity runs beside it on the same split, and each figure is printed as a multiple of popularity's too.
`val` is NDCG@10 on validation, by which things are chosen; the test columns are only ever looked at.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: its own threads would blur the CPU seconds

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from movierec.dataset import Dataset, Holdout
from movierec.engines import registry
from movierec.engines.base import Engine
from movierec.evaluation import harness, protocol
from movierec.sources.archive import open_archive
from movierec.sources.known import source_in

PEER = "popularity"
COLUMNS = ("CPU s", "p50 ms", "val", "full HR@10", "full NDCG@10", "s100 HR@10", "s100 NDCG@10")
PROTOCOLS = ("loo-full", "loo-sampled100")


def read(path: Path) -> Dataset:
    """All events of a MovieLens archive (or whatever else the house can read)."""
    with open_archive(path) as archive:
        source = source_in(archive)
        for _ in source.movies():  # films first: events of unknown films are refused
            pass
        chunks = list(source.events())
    names = ("viewers", "movie_ids", "times", "ratings")
    return Dataset.from_events(*(np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in names))


def measure(slug: str, seed: int, holdout: Holdout, knobs: dict[str, str]) -> list[float]:
    """One row of the table: an engine trained with its defaults for this data, then judged."""
    kind = registry.get(slug)
    engine: Engine = kind(kind.Params(**{**kind.defaults_for(holdout.train), **knobs, "seed": seed}))
    validate = harness.validator(holdout)
    begun = time.process_time()
    engine.fit(holdout.train, lambda step, total, **metrics: None, validate)
    spent = time.process_time() - begun
    cards = [harness.evaluate(engine, holdout, name) for name in PROTOCOLS]
    accuracy = [float(card.values[metric, 10].mean()) for card in cards for metric in ("hr", "ndcg")]
    return [spent, float(np.median(cards[0].latency_ms)), validate(engine)["ndcg@10"], *accuracy]


def line(name: str, seed: str, row: list[float]) -> str:
    """One printed row."""
    cells = [f"{row[0]:.1f}", f"{row[1]:.2f}", *(f"{value:.4f}" for value in row[2:])]
    width = [len(column) + 1 for column in COLUMNS]
    return f"{name:<16}{seed:>5} " + " ".join(f"{cell:>{w}}" for cell, w in zip(cells, width, strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--engine", default="nextitnet")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--set", nargs="*", default=[], metavar="KNOB=VALUE")
    given = parser.parse_args()
    data = read(given.data)
    holdout = protocol.split_loo(data)
    print(f"{data.n_viewers:,} viewers, {data.n_items:,} films, {data.n_events:,} views; one thread")
    print(f"{'engine':<16}{'seed':>5} " + " ".join(f"{name:>{len(name) + 1}}" for name in COLUMNS))
    peer = measure(PEER, 1, holdout, {})
    print(line(PEER, "", peer), flush=True)
    rows = []
    for seed in given.seeds:
        rows.append(measure(given.engine, seed, holdout, dict(knob.split("=", 1) for knob in given.set)))
        print(line(given.engine, str(seed), rows[-1]), flush=True)
    mean = np.mean(rows, axis=0)
    print(line(given.engine, "mean", mean.tolist()))
    print(
        f"{'x ' + PEER:<36}" + " ".join(f"{mean[i] / peer[i]:>{len(COLUMNS[i]) + 1}.2f}" for i in range(2, len(mean)))
    )


if __name__ == "__main__":
    main()
