"""How good is each engine, and at what cost?  python benchmarks/quality.py --data ml-latest-small.zip --seeds 1 2 3

Trains every engine that can be trained here (or those named by --engine) with its defaults for the data, on each split
asked for, and judges it under all protocols of that split, popularity beside them. Prints a markdown table a protocol:
means over viewers of the mean over seeds with 95 % intervals, and a verdict against popularity, paired by viewer,
p by Holm over the engines shown. `validation` is NDCG@10 there, by which things are chosen; the rest is only looked at.

One thread. Each training has a process of its own, so that peak memory is its own (the data, shared, counts in each).
CPU seconds are those of the fit. p50 is one list for one viewer. --segments adds NDCG@10 by kind of viewer and film
and with shortened histories.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: its own threads would blur the CPU seconds

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from movierec.dataset import Dataset, Holdout
from movierec.engines import registry
from movierec.engines.base import Engine, EngineError
from movierec.evaluation import harness, protocol, statistics
from movierec.evaluation.scorecard import Scorecard
from movierec.sources.archive import open_archive
from movierec.sources.known import source_in

PEER = "popularity"
BEYOND = ("coverage", "novelty", "diversity")

HOLDOUTS: dict[str, Holdout] = {}  # by split; made before the processes part, which then share them
DEFAULTS: dict[str, dict[str, Any]] = {}  # by engine; for the size of the whole data, as the site chooses them
FILMS = harness.Films()


@dataclass(frozen=True)
class Trained:
    """One training: what it cost, what validation says, and a scorecard for each protocol of its split."""

    cpu: float
    peak: float
    validation: float
    cards: dict[str, bytes]
    note: str


@dataclass(frozen=True)
class Row:
    """One engine under one protocol, over all its seeds."""

    engine: str
    trained: list[Trained]
    protocol: str

    @cached_property
    def cards(self) -> list[Scorecard]:
        return [Scorecard.from_npz(one.cards[self.protocol]) for one in self.trained]

    def values(self, metric: str, segment: str = "all") -> Any:
        """(U,) mean over the seeds; NaN where it was not measured."""
        found = [card.of(segment).get((metric, 10)) if segment in known(card) else None for card in self.cards]
        nothing = np.full(self.cards[0].viewer_ids.size, np.nan)
        return np.mean([nothing if row is None else row for row in found], axis=0)

    def overall(self, metric: str) -> float:
        """Mean over the seeds of what is measured of all lists together, or of each viewer's."""
        totals = [card.overall.get(metric) for card in self.cards]
        return float(np.nanmean(self.values(metric))) if None in totals else float(np.mean(totals))


def known(card: Scorecard) -> set[str]:
    """Segments of a scorecard; a sample is everybody that was asked."""
    return {"all", *card.names()}


def read(path: Path) -> Dataset:
    """All events of a MovieLens archive (or whatever else the house can read)."""
    return read_all(path)[0]


def read_all(path: Path) -> tuple[Dataset, harness.Films]:
    """The events, and what the archive says about the films."""
    with open_archive(path) as archive:
        source = source_in(archive)
        movies = list(source.movies())  # films first: events of unknown films are refused
        chunks = list(source.events())
    names = ("viewers", "movie_ids", "times", "ratings")
    data = Dataset.from_events(*(np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in names))
    known = [(int(i), m) for i, m in zip(data.index.items([m.movie_id for m in movies]), movies, strict=True) if i]
    genres = {item: movie.genres for item, movie in known if movie.genres}
    return data, harness.Films(genres, {item: movie.year for item, movie in known if movie.year})


def train(slug: str, split: str, seed: int, knobs: dict[str, str]) -> Trained:
    """One engine trained with its defaults for this data and judged under every protocol of the split."""
    holdout, kind = HOLDOUTS[split], registry.get(slug)
    own = {name: value for name, value in knobs.items() if name in kind.Params.model_fields}
    engine: Engine = kind(kind.Params(**{**DEFAULTS[slug], **own, "seed": seed}))
    if engine.parts():
        raise EngineError("it is made of finished runs, which there are none of here")
    validate = harness.validator(holdout)
    begun = time.process_time()
    engine.fit(holdout.train, lambda step, total, **metrics: None, validate)
    cpu = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    cards = {how.id: harness.evaluate(engine, holdout, how.id, films=FILMS) for how in protocol.of_split(split)}
    told = {name: card.to_npz() for name, card in cards.items()}
    return Trained(cpu, peak, validate(engine)["ndcg@10"], told, engine.note)


def apart(slug: str, split: str, seed: int, knobs: dict[str, str]) -> Trained | str:
    """`train` in a process of its own; why it failed, where it did."""
    with get_context("fork").Pool(1) as pool:
        try:
            return pool.apply(train, (slug, split, seed, knobs))
        except Exception as error:  # one engine that can't be trained must not cost the others' hours
            return f"{type(error).__name__}: {error}"


def three(value: float) -> str:
    return "" if np.isnan(value) else statistics.digits(value)


def print_table(how: protocol.Protocol, rows: list[Row]) -> None:
    """One protocol: engines downward, the peer first, with the verdicts."""
    accuracy = ("hr", "ndcg", "recall") if how.several else ("hr", "ndcg")
    beyond = () if how.drawn else BEYOND
    print(f"\n### {how.id}\n\n{how.sentence} n = {rows[0].cards[0].viewer_ids.size:,} viewers.\n")
    heads = ["engine", "seeds", "CPU s", "p50 ms", "peak MB", "validation"]
    heads += (
        [f"{name.upper() if name != 'recall' else name}@10" for name in accuracy] + list(beyond) + [f"against {PEER}"]
    )
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    against = verdicts(rows)
    for row in rows:
        costs = [np.mean([getattr(one, name) for one in row.trained]) for name in ("cpu", "peak", "validation")]
        p50 = float(np.median(np.concatenate([card.latency_ms for card in row.cards])))
        cells = [row.engine, str(len(row.trained)), f"{costs[0]:.1f}", f"{p50:.2f}", f"{costs[1]:.0f}", three(costs[2])]
        for name in accuracy:
            mean, low, high, _ = statistics.bootstrap_columns(row.values(name)[:, None])[0]
            cells.append(f"{three(mean)} [{three(low)}, {three(high)}]")
        cells += [f"{row.overall(name):.2f}" if name == "novelty" else three(row.overall(name)) for name in beyond]
        print("| " + " | ".join([*cells, against.get(row.engine, "")]) + " |")
        if len(row.trained) > 1:
            each = [three(float(np.nanmean(card.values["ndcg", 10]))) for card in row.cards]
            print(f"| {row.engine}, NDCG@10 by seed | {' '.join(each)} " + "| " * (len(heads) - 2) + "|")


def verdicts(rows: list[Row]) -> dict[str, str]:
    """Engine -> what can be said of it against the peer in NDCG@10, over the viewers that both were asked about."""
    peer, found = rows[0], {}
    for row in rows[1:]:
        _, mine, theirs = np.intersect1d(
            row.cards[0].viewer_ids, peer.cards[0].viewer_ids, assume_unique=True, return_indices=True
        )
        found[row.engine] = statistics.paired(row.values("ndcg")[mine], peer.values("ndcg")[theirs])
    corrected = statistics.holm([verdict.p for verdict in found.values()])
    told = {}
    for (name, verdict), p in zip(found.items(), corrected, strict=True):
        shown = replace(verdict, corrected=p)
        told[name] = shown.sentence(name, PEER)
        if shown.words == statistics.UNCLEAR and shown.needed is not None:
            told[name] += (
                f", {three(shown.difference)} [{three(shown.low)}, {three(shown.high)}]; {shown.needed:,} viewers"
            )
    return told


def print_segments(how: protocol.Protocol, rows: list[Row]) -> None:
    """NDCG@10 by segment, engines across."""
    names = [name for name in rows[0].cards[0].names() if ":" in name]
    print(f"\nNDCG@10 under {how.id} by segment\n\n| segment | n | " + " | ".join(row.engine for row in rows) + " |")
    print("|---" * (len(rows) + 2) + "|")
    for name in names:
        values = [row.values("ndcg", name) for row in rows]
        n = int(np.count_nonzero(~np.isnan(values[0])))
        means = [three(float(np.nanmean(row))) if not np.isnan(row).all() else "" for row in values]
        print(f"| {name} | {n:,} | " + " | ".join(means) + " |")


def chosen(names: list[str]) -> list[str]:
    """The peer, then the engines asked for, or all that can be trained here; the others are told with the reason."""
    listed = {listing.slug: listing.absent for listing in registry.listings()}
    for name in names:
        if name not in listed:
            sys.exit(f"There is no engine {name!r}. There are: {', '.join(listed)}.")
    wanted = names or list(listed)
    for name in wanted:
        if listed[name]:
            print(f"{name} is left out: {listed[name]}.")
    return [PEER, *(name for name in wanted if name != PEER and not listed[name])]


def main() -> int:
    """Print the tables; 1 where an engine could not be trained."""
    global FILMS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--engine", nargs="*", default=[], help="all that can be trained here, if none is named")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--splits", nargs="+", choices=list(protocol.SPLITS), default=["loo"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KNOB=VALUE", help="for the engines that have the knob")
    parser.add_argument("--segments", action="store_true")
    given = parser.parse_args()
    data, FILMS = read_all(given.data)
    command = " ".join(["python", *sys.argv])
    print(f"`{command}`: {data.n_viewers:,} viewers, {data.n_items:,} films, {data.n_events:,} views.")
    engines = chosen(given.engine)
    DEFAULTS.update({slug: registry.get(slug).defaults_for(data) for slug in engines})
    failed = False
    for split in given.splits:
        HOLDOUTS[split] = protocol.split_as(data, split)
        done: dict[str, list[Trained]] = {}
        for slug in engines:
            for seed in [1] if slug == PEER else given.seeds:  # counting needs no luck
                knobs = {} if slug == PEER else dict(knob.split("=", 1) for knob in given.set)
                found = apart(slug, split, seed, knobs)
                if isinstance(found, str):
                    print(f"{slug}, seed {seed}, {split}: {found}", flush=True)
                    failed = True
                    continue
                done.setdefault(slug, []).append(found)
                said = f"{slug}, seed {seed}, {split}: {found.cpu:.1f} CPU s. {found.note}"
                print(said, file=sys.stderr, flush=True)
        for how in protocol.of_split(split) if PEER in done else ():
            rows = [Row(slug, trained, how.id) for slug, trained in done.items()]
            print_table(how, rows)
            if given.segments:
                print_segments(how, rows)
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
