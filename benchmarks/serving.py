"""How long is a recommendation for one viewer, and its explanation, and how do both grow with the catalogue?

python benchmarks/serving.py --data ml-latest-small.zip
python benchmarks/serving.py --items 10000 100000 1000000

CPU milliseconds of `recommend([history], 10)` and of `explain` of its ten films, one viewer at a time, one thread,
after a warm-up. With --data the histories are those of the archive's viewers, whole; with --items they are made up,
like the views (as many for each number of films). Two peers in the same run: popularity, which copies one row of scores
and is the floor of what masking and taking the best ten cost, and the forward pass of the same NextItNet in PyTorch,
eager, at the last position, with the same masking: the usual way to serve such a net.

What is counted is counted from the data. The weights of nets and of BiVAE are random: a product takes as long whatever
its numbers are, and nothing of a large catalogue could be trained here in a reasonable time. The blend is NextItNet,
transitions and EASE in equal shares; the language model's row is its shortlist alone, without a model.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: its own threads would blur the CPU seconds

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from quality import read  # beside this file

from movierec.dataset import Dataset, History, ItemIndex
from movierec.engines import registry
from movierec.engines.base import Engine, best
from movierec.engines.bilateral.folding import log_odds, shapes
from movierec.engines.nets import crossfit, start, steps
from movierec.engines.nets.body import Start
from movierec.engines.nets.export import to_onnx

K = 10
VIEWS, VIEWERS = 300_000, 3_000  # of the made-up data
MOST, SECONDS = 300, 20.0  # viewers asked, and CPU seconds for one row at most
TORCH = "NextItNet in PyTorch, eager, features off"


def made_up(items: int, views: int, viewers: int) -> Dataset:
    """Views of films whose fame falls as Zipf's law has it; some viewers watch much more than others."""
    random = np.random.default_rng(1)
    fame = np.arange(1, items + 1) ** -0.8
    lengths = random.lognormal(0, 0.8, viewers)
    who = np.repeat(np.arange(viewers), np.maximum(2, lengths / lengths.sum() * views).astype(int))
    what = random.permutation(items)[np.searchsorted(np.cumsum(fame / fame.sum()), random.random(who.size))]
    return Dataset.from_events(who, what + 1, np.arange(who.size), index=ItemIndex(np.arange(1, items + 1)))


def silent(step: int, total: int, **metrics: float) -> None:
    """Nobody listens."""


def made(slug: str, data: Dataset, **knobs: Any) -> Engine:
    """An engine of that kind with its defaults for the data, not trained."""
    kind = registry.get(slug)
    return kind(kind.Params(**{**kind.defaults_for(data), **knobs}))


def counted(slug: str, data: Dataset) -> Engine:
    """An engine that only counts, trained."""
    engine = made(slug, data)
    engine.fit(data, silent)
    return engine


def random_net(slug: str, data: Dataset, features: bool) -> tuple[Any, Any]:
    """A sequence net's engine and its net, with counted features and random weights."""
    engine: Any = made(slug, data, features=features)
    knobs, prior = engine.params, start.log_popularity(data)
    generator = torch.Generator().manual_seed(1)
    table = torch.randn((data.n_items + 1, knobs.channels), generator=generator) * 0.1
    table[0] = 0
    net = engine.net(Start(table, torch.from_numpy(prior), features, knobs.gaps, knobs.ratings, generator))
    arrays = {"onnx": np.frombuffer(to_onnx(net), dtype=np.uint8), "prior": prior}
    if features:
        exact = not knobs.sampled_for(data.n_items)
        arrays |= crossfit.table(data, knobs.ease_regularisation, exact, lambda share: None).arrays()
    engine.restore(arrays, data.index)
    return engine, net


def random_bivae(data: Dataset) -> Engine:
    """BiVAE with random weights and the data's own popularity."""
    engine, random = made("bivae", data), np.random.default_rng(1)
    knobs: Any = engine.params
    wanted = shapes(data.n_items, [knobs.hidden] * knobs.layers, knobs.factors)
    arrays = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in wanted.items()}
    arrays["prior"] = log_odds(data.popularity, data.n_viewers)
    arrays["prior"][0] = arrays["prior"].min()
    engine.restore(arrays, data.index)
    return engine


def blend_of(parts: dict[int, Engine], data: Dataset) -> Engine:
    """These engines in equal shares."""
    engine = made("blend", data, parts=", ".join(map(str, parts)), memory="off")
    engine.use(parts)
    engine.fit(data, silent)
    return engine


Act = Callable[[History], list[int]]  # what is asked, and the films it gives


def engines(data: Dataset) -> Iterator[tuple[str, Act, Engine | None]]:
    """A row each: its name, how it is asked, and the engine that explains, if one does."""

    def listed(engine: Engine) -> Act:
        return lambda history: [pick.item for pick in engine.recommend([history], K)[0]]

    def eager(net: Any, reach: int, history: History) -> list[int]:
        with torch.no_grad():
            scores = net.last(torch.from_numpy(steps.of_histories([history], reach)))[0].numpy()[0]
        scores[0] = scores[history.items] = -np.inf
        return best(scores, K).tolist()

    popularity = counted("popularity", data)
    yield "popularity", listed(popularity), popularity
    net_engine, net = random_net("nextitnet", data, features=False)
    yield TORCH, partial(eager, net, net_engine.reach), None
    yield "nextitnet, features off", listed(net_engine), net_engine
    del net_engine, net
    parts: dict[int, Engine] = {}
    for slug in ("transitions", "ease", "itemknn"):
        engine = counted(slug, data)
        yield slug, listed(engine), engine
        if slug != "itemknn":
            parts[len(parts) + 1] = engine
    for slug in ("nextitnet", "sasrec"):
        engine = random_net(slug, data, features=True)[0]
        yield slug, listed(engine), engine
        if slug == "nextitnet":
            parts[len(parts) + 1] = engine
    blend = blend_of(parts, data)
    yield "blend", listed(blend), blend
    del blend, parts, engine
    bivae = random_bivae(data)
    yield "bivae", listed(bivae), bivae
    shortlist = counted("llm", data)
    yield "llm, its shortlist", listed(shortlist), shortlist


def timed(acts: list[Callable[[], Any]]) -> np.ndarray:
    """CPU milliseconds of each, until SECONDS are through; the first three are asked once before."""
    for act in acts[:3]:
        act()
    took: list[float] = []
    for act in acts:
        begun = time.process_time_ns()
        act()
        took.append((time.process_time_ns() - begun) / 1e6)
        if sum(took) > 1000 * SECONDS:
            break
    return np.array(took)


def digits(milliseconds: float) -> str:
    """Three that count."""
    return f"{milliseconds:.{max(0, 2 - int(np.floor(np.log10(milliseconds))))}f}"


def measure(data: Dataset) -> None:
    """Print a row an engine."""
    rows = np.flatnonzero(np.diff(data.offsets))
    sample = [data.history(int(row)) for row in rows[np.linspace(0, rows.size - 1, min(MOST, rows.size)).astype(int)]]
    sizes = [len(history) for history in sample]
    print(f"\n{data.n_items:,} films, {data.n_events:,} views;", end=" ")
    print(
        f"{len(sample)} histories of {min(sizes)} to {max(sizes):,} films, half of them above {np.median(sizes):.0f}.\n"
    )
    print(
        "| engine | n | recommend p50 ms | p95 ms | times popularity | explain p50 ms | p95 ms | explain / recommend |"
    )
    print("|---|---|---|---|---|---|---|---|")
    floor = 0.0
    for name, ask, engine in engines(data):
        plain = timed([partial(ask, history) for history in sample])
        p50, p95 = np.percentile(plain, [50, 95])
        floor = floor or p50
        cells = [name, str(plain.size), digits(p50), digits(p95), f"{p50 / floor:.1f}"]
        if engine is None:
            cells += ["", "", ""]
        else:
            lists = [(history, ask(history)) for history in sample[: plain.size]]
            why = timed([partial(engine.explain, history, items) for history, items in lists])
            low, high = np.percentile(why, [50, 95])
            cells += [digits(low), digits(high), f"{low / p50:.1f}"]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print a table for the archive and one for each number of films."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--items", type=int, nargs="*", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.data:
        measure(read(given.data))
    for items in given.items:
        measure(made_up(items, VIEWS, VIEWERS))


if __name__ == "__main__":
    main()
