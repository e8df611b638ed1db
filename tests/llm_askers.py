"""Eight processes that ask the language model until their budgets are used up; each prints what it got, as JSON.

Arguments: the folder of a site, the stub's URL, questions a process, budgets as KEY=VALUE. Viewers 1 to 4 share them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

from flask import Flask
from kit import settings
from llm_kit import kind

from movierec import create_app

PROCESSES, VIEWERS = 8, 4


def work(app: Flask, number: int, questions: int) -> Counter[str]:
    """Ask so many different questions; one that met a busy model is asked again."""
    found: Counter[str] = Counter()
    with app.app_context():
        for question in range(questions):
            while (got := kind(number % VIEWERS + 1, f"{number} {question}")) == "busy":
                found["busy"] += 1
                time.sleep(0.002)
            found[got] += 1
    return found


def main() -> None:
    """Fork, work, print."""
    folder, url, questions, *rest = sys.argv[1:]
    budgets = dict(pair.split("=") for pair in rest)
    local = {"LLM_BASE_URL": url, "LLM_MODEL": "tiny", "LLM_ALLOW_LOCAL": "1", "LLM_CONCURRENT": "64"}
    app = create_app(settings(Path(folder), **local, **budgets))  # opens no connection yet
    for number in range(PROCESSES):
        if os.fork() == 0:
            found = work(app, number, int(questions))
            os.write(1, (json.dumps(found) + "\n").encode())
            os._exit(0)
    for _ in range(PROCESSES):
        _, status = os.wait()
        assert status == 0


if __name__ == "__main__":
    main()
