"""A web process without its server: says which run it plays, whenever that changes. `python station_for_tests.py`.

What comes on air as version 2 takes as long to load as there is no file `go` in the instance folder.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import engines_for_tests

from movierec import create_app
from movierec.services import station
from movierec.tables import Run

engines_for_tests.register_all()
go = Path(os.environ["INSTANCE_DIR"]) / "go"
original = station._engine


def slow(run: Run | None) -> object:
    while run is not None and run.id == 2 and not go.exists():
        if "loading" not in said:
            said.append("loading")
            print("loading", flush=True)
        time.sleep(0.01)
    return original(run)


said: list[str] = []
station._engine = slow
app = create_app()
station.follow(app)
with app.app_context():
    held = station.station()
threading.Thread(target=lambda: os._exit(len(sys.stdin.read())), daemon=True).start()  # ends with the test
last = None
while True:
    current = held.current
    if current is not last and current is not None:
        print(current.facts.run, flush=True)
    last = current
    time.sleep(0.01)
