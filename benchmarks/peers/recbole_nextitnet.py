"""One epoch of RecBole's NextItNet, or its first batches, by RecBole's own trainer; run by nets.py in RecBole's venv.

recbole_nextitnet.py FOLDER BATCHES: FOLDER holds views/views.inter; 0 batches: the whole epoch. Last line: JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

WARM = 1  # batches before the clock runs


class Some:
    """The first batches of a loader."""

    def __init__(self, loader: Any, batches: int) -> None:
        self.loader, self.batches, self.shuffle = loader, batches, loader.shuffle

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self.loader), self.batches)


def main() -> None:
    """RecBole's defaults for everything but where the data lies, how it is parted, and one thread."""
    folder, batches = sys.argv[1], int(sys.argv[2])
    sys.argv = sys.argv[:1]  # RecBole reads the command line too
    torch.set_num_threads(1)
    settings = {
        "data_path": folder,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "group_by": "user", "order": "TO", "mode": "full"},
        "train_neg_sample_args": None,  # its NextItNet has a full softmax
        "use_gpu": False,
        "show_progress": False,
        "state": "ERROR",
    }
    config = Config(model="NextItNet", dataset="views", config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train, _, _ = data_preparation(config, dataset)
    model = get_model("NextItNet")(config, train.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], "NextItNet")(config, model)
    trainer._train_epoch(Some(train, WARM), 0)
    many = len(train) if not batches else min(batches, len(train))
    begun = time.process_time()
    trainer._train_epoch(Some(train, many), 0)
    told = {
        "cpu": time.process_time() - begun,
        "batches": many,
        "of": len(train),
        "targets": len(train.dataset),
        "items": dataset.item_num - 1,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "batch": config["train_batch_size"],
        "length": config["MAX_ITEM_LIST_LENGTH"],
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
