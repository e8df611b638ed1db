"""How fast are autocomplete and typo search over 10 k and 1 M titles, beside LIKE?  python benchmarks/search.py [sizes]"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from movierec import config, create_app
from movierec.extensions import db, writing
from movierec.services import search

LIKE = "SELECT id FROM movies WHERE title LIKE ? ORDER BY rank LIMIT 10"
SYLLABLES = "ba be bo ca ce co da de do el en er fa fi ga go ha he in is ka la le lo ma me mi mo na ne no or pa pe ra re ri ro sa se si so ta te ti to un va ve vi wa za".split()  # noqa: E501
SMALL = "the of and a in to for on with from".split()
QUESTIONS = {10_000: 1500, 1_000_000: 300}


def titles(count: int, seed: int) -> list[str]:
    """Different titles of one to six words, words as unevenly common as in real ones."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.choice((2, 2, 3, 3, 4)))) for _ in range(max(4000, count // 25))]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    made: dict[str, None] = {}
    while len(made) < count:
        for many in rng.choices((1, 2, 3, 4, 5, 6), (8, 26, 28, 20, 12, 6), k=count // 4):
            picked = rng.choices(words, weights, k=many)
            if rng.random() < 0.45:
                picked.insert(rng.randrange(len(picked)), rng.choice(SMALL))
            made[" ".join(picked).title()] = None
    return list(made)[:count]


def misspelt(word: str, rng: random.Random) -> str:
    """One letter swapped with the next, dropped, doubled or replaced."""
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return (swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:], word[:at] + "x" + word[at + 1 :])[kind]


def timed(ask: Callable[[str], object], questions: list[str]) -> tuple[float, float]:
    """p50 and p95 in milliseconds."""
    taken = []
    for question in questions:
        begun = time.perf_counter()
        ask(question)
        taken.append(1000 * (time.perf_counter() - begun))
    cuts = statistics.quantiles(taken, n=20)
    return statistics.median(taken), cuts[18]


def measure(size: int) -> None:
    """Build a catalogue of that size and print its rows of the table."""
    rng = random.Random(7)
    names = titles(size, seed=1)
    with writing() as session:
        session.connection().exec_driver_sql(
            "INSERT INTO movies (id, title, sort_title, other_titles, genres, directors, actors, countries, events, rank)"
            " VALUES (?, ?, ?, '[]', '[]', '[]', '[]', '[]', 0, ?)",
            [(number, name, name, number) for number, name in enumerate(names, 1)],
        )
    begun = time.perf_counter()
    with writing() as session:
        search.rebuild(session)
    built = time.perf_counter() - begun
    asked = rng.choices(names, k=QUESTIONS.get(size, 500))
    typed = [name[: rng.randint(1, len(name))] for name in asked]
    wrong = [(misspelt(name, rng), names.index(name) + 1) for name in asked if len(name) > 4][:QUESTIONS.get(size, 500) // 3]

    def like(question: str) -> None:
        db.session.connection().connection.cursor().execute(LIKE, (f"%{question}%",)).fetchall()

    like50, like95 = timed(like, typed[: max(60, len(typed) // 8)])
    ours50, ours95 = timed(search.find, typed)
    typo50, typo95 = timed(search.find, [question for question, _ in wrong])
    recall = statistics.mean(wanted in search.find(question).movie_ids for question, wanted in wrong)
    print(f"| {size:,} | {built:.1f} | {like50:.2f} / {like95:.2f} | {ours50:.3f} / {ours95:.3f} | 1/{like95 / ours95:.0f} "
          f"| {typo50:.2f} / {typo95:.2f} | {recall:.3f} |")  # fmt: skip


def main() -> None:
    """Print the table; each size has a database of its own."""
    print("| titles | indexes built, s | LIKE p50 / p95 ms | ours p50 / p95 ms | p95 of LIKE | typos p50 / p95 ms | recall@10 |")
    print("|---|---|---|---|---|---|---|")
    for size in [int(text) for text in sys.argv[1:]] or [10_000, 1_000_000]:
        with tempfile.TemporaryDirectory() as folder:
            places = {key: Path(folder) / key.lower() for key in ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR")}
            places["INSTANCE_DIR"].mkdir()
            (places["INSTANCE_DIR"] / "movierec.sqlite3").touch()
            app = create_app({key: default for key, (default, _) in config.KEYS.items()} | places)
            with app.app_context():
                db.create_all()
                with db.engine.begin() as connection:
                    for statement in search.DDL:
                        connection.exec_driver_sql(statement)
                measure(size)
                db.session.remove()
                db.engine.dispose()


if __name__ == "__main__":
    main()
