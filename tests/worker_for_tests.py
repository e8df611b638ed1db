"""The house's worker with the test engines and quick clocks: `python tests/worker_for_tests.py`, PYTHONPATH=."""

from __future__ import annotations

import os
import sys
from datetime import timedelta

import engines_for_tests

from movierec import worker
from movierec.services import attempt, first_run, runs, sweeping

engines_for_tests.register_all()
worker.TEND_EVERY = 1
attempt.BEAT_EVERY = 0.4
runs.SILENT_AFTER = timedelta(seconds=float(os.environ["SILENT_AFTER"]))
sweeping.WAITS_UNSEEN = timedelta(seconds=1)
first_run.ENGINE = "quick"
sys.exit(worker.main())
