"""How fast is an epoch of our sequence nets, beside RecBole's NextItNet, and does memory grow with the films?

python benchmarks/nets.py --data ml-latest-small.zip --recbole-python recbole/bin/python
python benchmarks/nets.py --items 10000 30000 100000

The peer is RecBole 1.2.1's NextItNet with its own trainer and defaults, run by `peers/recbole_nextitnet.py` in a venv
of its own, which needs older libraries than ours (reading its checkpoints would also need torch.load patched to
weights_only=False; none is read here):

    python3 -m venv recbole
    recbole/bin/pip install "setuptools<80" "numpy<2" "scipy<1.14" "pandas<2.3" torch==2.13.0 recbole==1.2.1

Both learn to predict the same targets of the same films: each viewer's events but the first, the last two held out. One
thread each, CPU seconds. Ours: a whole epoch, the second of two, so that nothing is done for the first time. RecBole's:
its first --batches after one to warm up, scaled to the epoch; 0: the whole epoch, some minutes.

Memory: a NextItNet with features trains on made-up data with the same views for each number of films, each in a fresh
process. "before" is after its tables are made; "a step adds" is how much the peak rises while it learns: the gradient
of the weights and AdamW's two moments, and "the rest", which must not grow with the films.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: its own threads would blur the CPU seconds

import numpy as np
from quality import read  # beside this file
from serving import made_up  # likewise

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from movierec.dataset import Dataset
from movierec.engines import registry
from movierec.evaluation import protocol

NETS = {
    "nextitnet, features off": ("nextitnet", {"features": False}),
    "nextitnet": ("nextitnet", {}),
    "sasrec, features off": ("sasrec", {"features": False}),
    "sasrec": ("sasrec", {}),
}
PEER = Path(__file__).resolve().parent / "peers" / "recbole_nextitnet.py"
EPOCHS = 2
VIEWS, VIEWERS = 100_000, 1_000  # of the made-up data for the comparison of memory


class Clock:
    """A Report that notes when each epoch ended: only there it is given metrics."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def __call__(self, step: int, total: int, **metrics: float) -> None:
        if metrics:
            self.ends.append(time.process_time())


def trainer(slug: str, data: Dataset, report: Any, **knobs: Any) -> Any:
    """A training that can begin: tables counted, net made."""
    from movierec.engines.nets.training import Training

    kind = registry.get(slug)
    engine = kind(kind.Params(**{**kind.defaults_for(data), "epochs": EPOCHS, **knobs}))
    return Training(data, engine.params, engine.net, report)


def epoch(slug: str, data: Dataset, knobs: dict[str, Any]) -> tuple[float, float]:
    """CPU seconds before the first epoch, and of the last one."""
    from movierec.engines.nets import drop

    clock = Clock()
    with drop.one_thread():
        begun = time.process_time()
        training = trainer(slug, data, clock, **knobs)
        made = time.process_time()
        training.run(None)
    return made - begun, clock.ends[-1] - clock.ends[-2]


def recbole(python: Path, whole: Dataset, batches: int) -> dict[str, Any]:
    """What the peer's process says of itself. Our order of events stands in for their times."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "views").mkdir()
        with (Path(folder) / "views" / "views.inter").open("w") as file:
            file.write("user_id:token\titem_id:token\ttimestamp:float\n")
            viewers = np.repeat(np.arange(whole.n_viewers), np.diff(whole.offsets))
            for at, (viewer, item) in enumerate(zip(viewers.tolist(), whole.items.tolist(), strict=True)):
                file.write(f"{viewer}\t{item}\t{at}\n")
        command = [python, PEER, folder, str(batches)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"RecBole ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(path: Path, python: Path | None, batches: int) -> None:
    """Print CPU seconds an epoch, and the ratio to the peer."""
    whole = read(path)
    data = protocol.split_as(whole, "loo").train
    targets = int(np.maximum(np.diff(data.offsets) - 1, 0).sum())
    peer = None if python is None else recbole(python.absolute(), whole, batches)
    print("| epoch of | targets | CPU s an epoch | microseconds a target | times RecBole | CPU s before the first |")
    print("|---|---|---|---|---|---|")
    theirs = 0.0
    if peer is not None:
        theirs = peer["cpu"] * peer["of"] / peer["batches"]
        each = 1e6 * theirs / peer["targets"]
        print(f"| RecBole 1.2.1 NextItNet | {peer['targets']:,} | {theirs:.1f} | {each:.0f} | 1 | |", flush=True)
    for name, (slug, knobs) in NETS.items():
        before, cpu = epoch(slug, data, knobs)
        ratio = f"{theirs / cpu:.1f}" if peer is not None else ""
        cells = [name, f"{targets:,}", f"{cpu:.2f}", f"{1e6 * cpu / targets:.0f}", ratio, f"{before:.1f}"]
        print("| " + " | ".join(cells) + " |", flush=True)
    if peer is not None:
        print(
            f"\nRecBole: {peer['batches']} of {peer['of']} batches of {peer['batch']} targets measured, scaled to all;"
        )
        print(f"{peer['parameters']:,} parameters, windows of {peer['length']}.")


def held(items: int) -> tuple[float, float, float, bool]:
    """MB before the first step and how much more the peak rose; MB of the weights; whether films are drawn."""
    from movierec.engines.nets import drop

    data = made_up(items, VIEWS, VIEWERS)
    with drop.one_thread():
        training = trainer("nextitnet", data, lambda step, total, **metrics: None)
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far was that of making the tables
        before = peak()
        training.run(None)
    weights = sum(weight.numel() * weight.element_size() for weight in training.net.parameters()) / 1e6
    return before, peak() - before, weights, training.sampled


def peak() -> float:
    """MB held at most since the mark was last reset (VmHWM)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def compare_memory(sizes: list[int]) -> None:
    """Print what training holds, a row a number of films."""
    print("| films | softmax | weights, MB | before, MB | a step adds, MB | gradient and AdamW, MB | the rest, MB |")
    print("|---|---|---|---|---|---|---|")
    for items in sizes:
        with get_context("spawn").Pool(1) as pool:
            before, more, weights, sampled = pool.apply(held, (items,))
        kind = "drawn films" if sampled else "all films"
        cells = [
            f"{items:,}",
            kind,
            *(f"{part:.0f}" for part in (weights, before, more, 3 * weights, more - 3 * weights)),
        ]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument(
        "--recbole-python", type=Path, help="python of RecBole's venv; without it only ours is measured"
    )
    parser.add_argument("--batches", type=int, default=8, help="of RecBole's epoch; 0: all")
    parser.add_argument("--items", type=int, nargs="*", default=[], help="numbers of films to compare memory at")
    given = parser.parse_args()
    if given.data:
        compare(given.data, given.recbole_python, given.batches)
    if given.items:
        compare_memory(given.items)


if __name__ == "__main__":
    main()
