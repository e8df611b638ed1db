"""A comparison as a file: every number of its runs with all digits and how it was made, and the verdicts."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict
from typing import Any

from movierec.services import runs
from movierec.services.side_by_side import Shown
from movierec.services.verdicts import Told

FIELDS = ("run", "engine", "protocol", "segment", "split", "metric", "k", "value", "low", "high", "n")


def as_csv(shown: Shown) -> str:
    """One line a number; what was not measured is empty."""
    text = io.StringIO()
    table = csv.DictWriter(text, FIELDS, lineterminator="\n")
    table.writeheader()
    for run in shown.found:
        table.writerows(runs.as_dicts(run, list(shown.rows.get(run.id, {}).values())))
    return text.getvalue()


def as_dict(shown: Shown, told: Told) -> dict[str, Any]:
    """The same with the verdicts; what was not measured is null."""
    asked = shown.asked
    return {
        "metric": asked.metric,
        "k": asked.k,
        "protocol": asked.protocol,
        "segment": asked.segment,
        "corrected_over_pairs": len(told.pairs),
        "problem": told.problem or None,
        "left_out": shown.missing,
        "runs": [
            {
                "run": run.id,
                "engine": run.engine,
                "params": run.params,
                "data": run.dataset_sha256,
                "split": run.split,
                "numbers": runs.as_dicts(run, list(shown.rows.get(run.id, {}).values())),
            }
            for run in shown.found
        ],
        "pairs": [
            {
                **{name: _plain(value) for name, value in asdict(pair).items() if name not in ("first", "second")},
                "first": pair.first.run,
                "second": pair.second.run,
            }
            for pair in told.pairs
        ],
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
