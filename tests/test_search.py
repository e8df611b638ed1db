"""Search by words: prefixes, any order, accents, years, people, typos; and questions that are none."""

from __future__ import annotations

import random

import pytest
from flask import Flask

from movierec.extensions import db, writing
from movierec.services import search
from movierec.tables import Movie


def found(question: str, limit: int = 10) -> list[str]:
    ids = search.find(question, limit).movie_ids
    return [db.session.get(Movie, movie_id).title for movie_id in ids]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("matrix the", "The Matrix"),
        ("amelie", "Amélie"),
        ("AMÉLIE", "Amélie"),
        ("lord rings two", "The Lord of the Rings: The Two Towers"),
        ("two lord", "The Lord of the Rings: The Two Towers"),
        ("alien", "Alien"),
        ("aliens", "Aliens"),
        ("vita e bella", "La vita è bella"),
        ("千と", "千と千尋の神隠し"),
        ("third man 1949", "The Third Man"),
        ("nuit brouil", "Nuit et brouillard"),
        ("ridley scott", "Alien"),
        ("orson welles", "The Third Man"),
    ],
)
def test_words_find_their_film(app_context: Flask, catalogue: dict[str, int], question: str, first: str) -> None:
    assert found(question)[0] == first
    assert not search.find(question).guessed


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("matrxi", "The Matrix"),
        ("the marix", "The Matrix"),
        ("alein", "Alien"),
        ("alian", "Alien"),
        ("amelei", "Amélie"),
        ("lord of the rigns", "The Lord of the Rings: The Two Towers"),
        ("thrid man", "The Third Man"),
        ("brouilard nuit", "Nuit et brouillard"),
    ],
)
def test_misspelt_words_find_it_too_and_say_so(
    app_context: Flask, catalogue: dict[str, int], question: str, first: str
) -> None:
    assert found(question)[0] == first
    assert search.find(question).guessed


@pytest.mark.parametrize(
    ("question", "order"),
    [
        ("star wrs", ["Star Wars: A New Hope", "Star Wars: The Last Jedi"]),
        ("godfater", ["The Godfather", "The Godfather: Part II"]),
        ("toy stroy", ["Toy Story", "Toy Story 2"]),
        ("terminater 2", ["Terminator 2: Judgment Day"]),
        ("shawshnk redemption", ["The Shawshank Redemption"]),
    ],
)
def test_each_word_is_compared_with_a_word_of_its_own(app_context: Flask, question: str, order: list[str]) -> None:
    """A short title that lies within the question is not meant: "water" (nearly) in "godfater", "Tár" in "star"."""
    known = (
        "Toy Story 2", "The Godfather", "Star Wars: A New Hope", "Water", "Tár", "Troy", "Redemption", "Toy Story",
        "Star Trek: Nemesis", "The Godfather: Part II", "Kickboxer 2: The Road Back", "Star Wars: The Last Jedi",
        "Terminator 2: Judgment Day", "The Shawshank Redemption", "Star",
    )  # fmt: skip
    with writing() as session:
        for rank, title in enumerate(known, 1):
            session.add(Movie(id=rank, title=title, sort_title=title, rank=rank))
        session.flush()
        search.rebuild(session)
    assert found(question)[: len(order)] == order


def test_likeness_is_arithmetic() -> None:
    # wrs and wars share three letters of seven: 2 * 3 / 7; star counts four letters of seven, wrs three
    assert search.likeness(["star", "wrs"], ["star", "wars"]) == pytest.approx((4 * 100 + 3 * 600 / 7) / 7)
    assert search.likeness(["alien"], ["the", "alien"]) == 100  # "the" is no word more
    assert search.likeness(["alien"], ["alien", "covenant", "again"]) == 100 - search.MORE_WORDS
    assert search.likeness(["toy", "toy"], ["toy"]) == 50  # a word is taken once
    assert search.likeness(["xyz"], ["alien"]) == -search.MORE_WORDS


def test_among_equals_the_best_known_comes_first(app_context: Flask, catalogue: dict[str, int]) -> None:
    assert found("ali") == ["Alien", "Aliens"]
    assert found("t", 2) == ["The Matrix", "The Lord of the Rings: The Two Towers"]


def test_an_exact_title_comes_before_better_known_ones(app_context: Flask, catalogue: dict[str, int]) -> None:
    with writing() as session:
        session.add_all(
            [
                Movie(id=1, title="It Happened", sort_title="it happened", rank=0),
                Movie(id=2, title="It", sort_title="it", rank=900),
            ]
        )
        session.flush()
        search.rebuild(session)
    assert found("it")[:2] == ["It", "It Happened"]


def test_a_wrong_year_finds_nothing(app_context: Flask, catalogue: dict[str, int]) -> None:
    assert found("third man 1950") == []


def test_other_titles_count(app_context: Flask, catalogue: dict[str, int]) -> None:
    with writing() as session:
        session.get(Movie, catalogue["Cidade de Deus"]).other_titles = ["City of God"]
        session.flush()
        search.rebuild(session)
    assert found("city god") == ["Cidade de Deus"]


def test_rebuilding_changes_nothing_and_forgets_what_is_gone(app_context: Flask, catalogue: dict[str, int]) -> None:
    before = found("a", 20)
    with writing() as session:
        search.rebuild(session)
    assert found("a", 20) == before
    with writing() as session:
        session.delete(session.get(Movie, catalogue["Apur Sansar"]))
        session.flush()
        search.rebuild(session)
    assert found("apur") == []


@pytest.mark.parametrize(
    "question",
    ["", " ", "\x00", "'\"*()", "\ud800", "a" * 10_000_000, "AND OR NOT", "NEAR(a b)", "folded:x", "-", "^a", '"',
     "🎬🍿", "\u202ealien", "e\u0301" * 400, "%", "_", "SELECT 1; --", "\n\t", "*" * 500],
)  # fmt: skip
def test_hostile_questions_are_only_questions(app_context: Flask, catalogue: dict[str, int], question: str) -> None:
    assert isinstance(search.find(question).movie_ids, list)
    assert isinstance(search.highlight("Alien", question), list)


def test_any_text_at_all_is_survived(app_context: Flask, catalogue: dict[str, int]) -> None:
    rng = random.Random(5)
    for _ in range(300):
        text = "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0x10FFFF)))) for _ in range(rng.randrange(40)))
        search.find(text)


def test_highlight_marks_the_beginnings_of_words() -> None:
    assert search.highlight("Star Wars: A New Hope", "war st") == [
        ("St", True), ("ar", False), (" ", False), ("War", True), ("s", False), (": ", False), ("A", False),
        (" ", False), ("New", False), (" ", False), ("Hope", False),
    ]  # fmt: skip
    assert "".join(text for text, _ in search.highlight("Ærø & Łódź", "ae lo")) == "Ærø & Łódź"


def test_a_row_of_years_is_a_question_like_any_other(app_context: Flask, catalogue: dict[str, int]) -> None:
    assert search.find("zqxj" + " 1999" * 38, 60).movie_ids == []
