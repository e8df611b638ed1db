"""How fast are autocomplete and typo search, beside LIKE?  python benchmarks/search.py [titles ...]"""

from __future__ import annotations

import csv
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from movierec import config, create_app
from movierec.extensions import db, writing
from movierec.services import search, storage
from movierec.sources.titles import fold

LIKE = "SELECT id FROM movies WHERE title LIKE ? ORDER BY rank LIMIT 6"
STARTER = Path(__file__).resolve().parent.parent / "data" / "starter"
EMPTY = {"other_titles": "[]", "directors": "[]", "actors": "[]"}
SHOWN = 6  # films under the search field
QUESTIONS = {10_000: 1500, 1_000_000: 300}


def words_of_titles() -> Counter[str]:
    """The words of the starter catalogue's real titles, with how often each comes."""
    counted: Counter[str] = Counter()
    for path in sorted(STARTER.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            counted.update(word for row in csv.DictReader(file) for word in fold(row["title"]).split())
    return counted


def vocabulary(count: int, rng: random.Random) -> list[str]:
    """The real words, most common first, then made ones whose letters follow each other as in the real ones."""
    real = words_of_titles()
    follow: dict[str, list[str]] = defaultdict(list)
    for word in real:
        for at in range(len(word) + 1):
            follow[f"  {word}"[at : at + 2]].append(word[at : at + 1])
    words = dict.fromkeys(word for word, _ in real.most_common())
    while len(words) < count:
        made = ""
        while (letter := rng.choice(follow[f"  {made}"[-2:]])) and len(made) < 14:
            made += letter
        if len(made) > 2:
            words[made] = None
    return list(words)


def titles(count: int, seed: int) -> list[str]:
    """Different titles of one to six words, words as unevenly common as in real ones."""
    rng = random.Random(seed)
    words = vocabulary(max(8_000, count // 10), rng)
    weights = list(itertools.accumulate(1 / (rank + 8) for rank in range(len(words))))
    made: dict[str, None] = {}
    while len(made) < count:
        for many in rng.choices((1, 2, 3, 4, 5, 6), (10, 26, 28, 18, 12, 6), k=count // 4):
            made[" ".join(rng.choices(words, cum_weights=weights, k=many)).title()] = None
    return list(made)[:count]


def misspelt(word: str, rng: random.Random) -> str:
    """One letter swapped with the next, dropped, doubled or replaced."""
    at = rng.randrange(1, len(word) - 1)
    head, letter, tail = word[:at], word[at], word[at + 1 :]
    return rng.choice((head + tail[0] + letter + tail[1:], head + tail, head + 2 * letter + tail, head + "x" + tail))


def timed(ask: Callable[[str], object], questions: list[str]) -> tuple[float, float]:
    """p50 and p95 in milliseconds of CPU, so that what else the machine does counts little."""
    taken = []
    for question in questions:
        begun = time.thread_time()
        ask(question)
        taken.append(1000 * (time.thread_time() - begun))
    cuts = statistics.quantiles(taken, n=20)
    return statistics.median(taken), cuts[18]


def measure(size: int) -> None:
    """Build a catalogue of that size and print its rows of the table."""
    rng = random.Random(7)
    names = titles(size, seed=1)
    with writing() as session:
        session.connection().exec_driver_sql(
            "INSERT INTO movies (id, title, sort_title, other_titles, genres, directors, actors, countries, keywords, "
            "events, rank) VALUES (?, ?, ?, '[]', '[]', '[]', '[]', '[]', '[]', 0, ?)",
            [(number, name, name, number) for number, name in enumerate(names, 1)],
        )
    begun = time.perf_counter()
    search.fill([EMPTY | {"id": number, "title": name} for number, name in enumerate(names, 1)])
    with writing() as session:
        search.swap(session, beyond=size)
    built = time.perf_counter() - begun
    asked = rng.choices(names, k=QUESTIONS.get(size, 500))
    typed = [name[: rng.randint(1, len(name))] for name in asked]
    number = {name: at for at, name in enumerate(names, 1)}
    wrong = [(misspelt(name, rng), number[name]) for name in asked if len(name) > 4][: QUESTIONS.get(size, 500) // 3]

    def like(question: str) -> None:
        db.session.connection().connection.cursor().execute(LIKE, (f"%{question}%",)).fetchall()

    like50, like95 = timed(like, typed[: max(60, len(typed) // 8)])
    ours50, ours95 = timed(lambda question: search.find(question, SHOWN), typed)
    typo50, typo95 = timed(search.find, [question for question, _ in wrong])
    recall = statistics.mean(wanted in search.find(question).movie_ids for question, wanted in wrong)
    print(
        f"| {size:,} | {built:.1f} | {like50:.2f} / {like95:.2f} | {ours50:.3f} / {ours95:.3f} "
        f"| 1/{like50 / ours50:.0f} / 1/{like95 / ours95:.0f} | {typo50:.2f} / {typo95:.2f} | {recall:.3f} |"
    )


def main() -> None:
    """Print the table; each size has a database of its own."""
    print("| titles | indexes built, s | LIKE p50 / p95 CPU ms | ours p50 / p95 | of LIKE | typos p50 / p95 | recall |")
    print("|---|---|---|---|---|---|---|")
    for size in [int(text) for text in sys.argv[1:]] or [10_000, 1_000_000]:
        with tempfile.TemporaryDirectory() as folder:
            places = {key: Path(folder) / key.lower() for key in ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR")}
            app = create_app({key: default for key, (default, _) in config.KEYS.items()} | places)
            storage.prepare(app)
            with app.app_context():
                measure(size)
                db.session.remove()
                db.engine.dispose()


if __name__ == "__main__":
    main()
