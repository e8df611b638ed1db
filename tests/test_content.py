"""What films are about: likeness by hand arithmetic, wishes in words, an index that no disk and no change breaks."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from movierec.content import asking
from movierec.content.index import WEIGHTS, ContentIndex, Film, build
from movierec.content.lengths import Span
from movierec.content.wish import LONGEST, Wish, read
from movierec.content.words import stem, terms
from movierec.extensions import writing
from movierec.services import content, films
from movierec.services.films import Enrichment
from movierec.tables import Movie


def film(movie_id: int, title: str, year: int | None, genres: str = "", about: str = "", **more: Any) -> Film:
    people = {name: more.pop(name, "").split(";") if name in more else [] for name in ("directors", "actors")}
    return Film(
        movie_id, [title, *more.pop("others", [])], year, genres.split(), **people,
        countries=more.pop("countries", []), keywords=more.pop("keywords", []), runtime=more.pop("runtime", None),
        overview=about or None, rank=more.pop("rank", movie_id),
    )  # fmt: skip


FILMS = [
    film(10, "Alien", 1979, "Horror Sci-Fi", "A crew meets a creature in space.", directors="Ridley Scott",
         runtime=117, countries=["UK", "USA"]),
    film(20, "Aliens", 1986, "Action Horror Sci-Fi", "Marines fight the creatures in space.", directors="James Cameron",
         runtime=137, countries=["USA"]),
    film(30, "Amélie", 2001, "Comedy Romance", "A shy waitress in Paris.", directors="Jean-Pierre Jeunet",
         actors="Audrey Tautou", runtime=122, countries=["France"], others=["Le fabuleux destin d'Amélie Poulain"]),
    film(40, "Stolen Kisses", 1968, "Comedy Romance", "A young man in Paris falls in love.",
         directors="François Truffaut", runtime=91, countries=["France"]),
    film(50, "Paris Killer", 1990, "Comedy Romance", "A killer in Paris.", runtime=80, countries=["France"]),
    film(60, "The Third Man", 1949, "Film-Noir Mystery", "A writer in Vienna.", directors="Carol Reed", runtime=104),
    film(70, "Big", 1988, "Comedy Fantasy", "A boy wakes up grown.", runtime=104),
    film(80, "Solaris", 1972, "Drama Sci-Fi", "A ghost in space.", runtime=167, countries=["USSR"]),
    film(90, "Solaris", 2002, "Drama Sci-Fi", "A ghost above a planet.", runtime=99, rank=5),
    film(100, "千と千尋の神隠し", 2001, "Animation Children", "", others=["Spirited Away"]),
    film(110, "Blank", None),
]  # fmt: skip


INDEX = build(FILMS)


@pytest.fixture
def index() -> ContentIndex:
    return INDEX


def wished(index: ContentIndex, text: str, k: int = 5) -> list[int]:
    return [hit.movie_id for hit in asking.search(index, read(text, index), k)]


def said(ideas: list[Any]) -> list[str]:
    return [idea.said for idea in ideas]


# --- the index ---


def test_weights_are_tf_idf_within_a_field_and_fields_have_their_share() -> None:
    index = build([film(1, "Ball", 2000, "Drama", "ball ball cat"), film(2, "Cat", 2000, "Drama", "dog")])
    idf = {"ball": math.log(3 / 2) + 1, "cat": math.log(3 / 3) + 1, "drama": math.log(3 / 3) + 1}
    length = math.hypot((1 + math.log(2)) * idf["ball"], idf["cat"])
    expected = {
        "ball": math.sqrt(WEIGHTS["title"]) + math.sqrt(WEIGHTS["overview"]) * (1 + math.log(2)) * idf["ball"] / length,
        "cat": math.sqrt(WEIGHTS["overview"]) * idf["cat"] / length,
        "g:drama": math.sqrt(WEIGHTS["genre"]),
    }
    found = {bytes(index.terms[term]).decode(): weight for term, weight in index.vector(0).items()}
    assert found == pytest.approx(expected, rel=1e-5)
    wanted = index.vector(0)
    by_hand = expected["cat"] * index.vector(1)[index.term("cat")] + WEIGHTS["genre"]
    assert index.likeness(wanted)[1] == pytest.approx(by_hand, rel=1e-5)


def test_keywords_are_words_of_a_field_of_their_own() -> None:
    index = build([film(1, "A", 2000, keywords=["time travel", "dark comedy"]), film(2, "B", 2000, "Comedy", "travel")])
    found = {bytes(index.terms[term]).decode(): weight for term, weight in index.vector(0).items()}
    idf = {"travel": 1, "dark": math.log(3 / 2) + 1, "comedy": math.log(3 / 2) + 1}
    length = math.hypot(*idf.values())
    assert found == pytest.approx(
        {word: math.sqrt(WEIGHTS["keyword"]) * idf[word] / length for word in idf}, rel=1e-5
    )  # "time" is a word that says nothing, and no genre is made of a tag


def test_a_wish_finds_keywords_and_can_forbid_them() -> None:
    index = build([film(1, "One", 2000, "Drama", keywords=["zombies"]), film(2, "Two", 2000, "Drama"),
                   film(3, "Three", 2000, "Drama", keywords=["violence"])])  # fmt: skip
    assert wished(index, "a zombie film") == [1]
    assert wished(index, "drama, no zombies") == [2, 3]
    assert wished(index, "drama, nothing violent") == [1, 2]


def test_fields_weigh_one_in_all() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_inverted_lists_say_what_the_films_say(index: ContentIndex) -> None:
    dense = np.zeros((len(index), index.terms.size))
    for at in range(len(index)):
        for term, weight in index.vector(at).items():
            dense[at, term] = weight
    for term in range(index.terms.size):
        assert sorted(index.films_of(term)) == np.flatnonzero(dense[:, term]).tolist()
    assert index.likeness(index.vector(2)) == pytest.approx(dense @ dense[2], abs=1e-6)


def test_words_are_folded_stemmed_and_the_empty_ones_left_out() -> None:
    assert list(terms("The Families' Élan, a film of 7 aliens")) == [
        ("family", "families"), ("elan", "elan"), ("alien", "aliens")]  # fmt: skip
    assert [stem(word) for word in ("glass", "bus", "cats", "is", "parties")] == ["glass", "bus", "cat", "is", "party"]
    assert stem("zombies") == stem("zombie")


@pytest.mark.parametrize("catalogue", [[], [film(1, "Blank", None)], [film(1, "!!!", 1999)]])
def test_the_smallest_catalogues_have_an_index(catalogue: list[Film]) -> None:
    index = ContentIndex.of(build(catalogue).arrays())
    assert len(index) == len(catalogue)
    assert asking.similar(index, 1, 5) == []
    assert wished(index, "a comedy like Blank, no horror") == []


# --- similar films ---


def test_the_likest_come_first_and_say_what_they_share(index: ContentIndex) -> None:
    hits = asking.similar(index, 10, 3)
    assert hits[0].movie_id == 20
    assert set(hits[0].shared) == {"Horror", "Sci-Fi", "USA"}
    assert 10 not in [hit.movie_id for hit in hits]
    assert {hit.movie_id for hit in asking.similar(index, 10, 99)} <= {20, 80, 90}  # nothing else shares a word


def test_of_films_equally_alike_the_nearer_in_time_and_the_better_known_come_first() -> None:
    index = build([film(1, "A", 1990, "War"), film(2, "B", 1950, "War", rank=2), film(3, "C", 1990, "War", rank=9),
                   film(4, "D", 1990, "War", rank=3)])  # fmt: skip
    assert [hit.movie_id for hit in asking.similar(index, 1, 3)] == [4, 3, 2]


def test_a_film_of_which_little_is_known_does_not_win_by_that() -> None:
    index = build([film(1, "A", 1990, "War", "a sniper in snow"), film(2, "B", 1990, "War", rank=3),
                   film(3, "C", 1990, "War", "a sniper in sand", rank=3)])  # fmt: skip
    assert [hit.movie_id for hit in asking.similar(index, 1, 2)] == [3, 2]


def test_a_film_nobody_knows_anything_of_has_no_likeness(index: ContentIndex) -> None:
    assert asking.similar(index, 110, 5) == []
    assert asking.similar(index, 31337, 5) == []
    assert asking.similar(index, 10, 0) == []


def test_neighbours_of_several_films_leave_these_out(index: ContentIndex) -> None:
    assert [hit.movie_id for hit in asking.neighbours(index, [10, 31337], 2, without=[80])] == [20, 90]
    assert asking.neighbours(index, [], 2) == []


def test_a_word_of_two_fields_counts_in_both() -> None:
    one, two = (Film(1, ["Alien"], None, [], [], [], [], keywords, None, "alien", 1) for keywords in ([], ["alien"]))
    lengths = [sum(weight**2 for weight in build([film]).vector(0).values()) for film in (one, two)]
    fields = [WEIGHTS[field] ** 0.5 for field in ("title", "overview", "keyword")]
    assert lengths == pytest.approx([sum(fields[:2]) ** 2, sum(fields) ** 2])


# --- wishes ---


def test_the_wish_of_the_issue(index: ContentIndex) -> None:
    wish = read("something like Amélie but shorter, nothing violent", index)
    assert [int(index.movie_ids[at]) for at in wish.like] == [30]
    assert wish.runtime == Span(high=121)
    assert said(wish.unwanted) == ["violent"]
    found = wished(index, wish.text)
    assert found[0] == 40  # Paris Killer is as short and as French, but has a killer in it
    assert 50 not in found
    assert 30 not in found


@pytest.mark.parametrize(("text", "like"), [
    ("like alien", [10]), ("alien", [10]), ("similar to the third man or big", [60, 70]), ("third man", [60]),
    ("i loved Spirited Away and Aliens", [100, 20]), ("“Big”", [70]), ("big", [70]), ("a big creature", []),
    ("solaris", [90]), ("Solaris 1972", [80]), ("like solaris (1972), but funny", [80]),
    ("le fabuleux destin d’Amelie Poulain", [30]), ("千と千尋の神隠し", [100]), ("like nothing", []),
    ("shy aliens", []),
])  # fmt: skip
def test_films_named_in_a_wish(index: ContentIndex, text: str, like: list[int]) -> None:
    assert [int(index.movie_ids[at]) for at in read(text, index).like] == like


def test_what_it_should_not_be_like_counts_against(index: ContentIndex) -> None:
    wish = read("space, but nothing like Alien", index)
    assert ([int(index.movie_ids[at]) for at in wish.unlike], wish.like) == ([10], [])
    assert wished(index, wish.text)[0] in (80, 90)
    assert 10 not in wished(index, wish.text)


@pytest.mark.parametrize(("text", "wanted", "unwanted"), [
    ("a funny film, not scary", ["funny"], ["scary"]),
    ("no horror but space", ["space"], ["horror"]),
    ("without blood or killers, set in Paris", ["Paris"], ["blood", "killers"]),
    ("comedy by Truffaut", ["comedy", "Truffaut"], []),
    ("french romance with audrey tautou", ["french", "romance", "Audrey Tautou"], []),
    ("film noir", ["film noir"], []), ("love story in vienna", ["love story", "vienna"], []),
    ("no Ridley Scott", [], ["Ridley Scott"]), ("a film from the UK", ["UK"], []),
])  # fmt: skip
def test_ideas_and_what_must_not_be(index: ContentIndex, text: str, wanted: list[str], unwanted: list[str]) -> None:
    wish = read(text, index)
    assert (said(wish.wanted), said(wish.unwanted), wish.unknown) == (wanted, unwanted, [])


@pytest.mark.parametrize(("text", "runtime"), [
    ("under 100 minutes", Span(high=100)), ("less than 2 hours", Span(high=120)), ("at most 90min", Span(high=90)),
    ("longer than 3h", Span(low=180)), ("over two hours", Span(low=120)), ("about 90 minutes", Span(75, 105)),
    ("two hours and a half", Span(135, 165)), ("1 h 30", Span(75, 105)), ("short", Span(high=100)),
    ("long", Span(low=140)), ("not too long", Span(high=120)), ("not shorter than 100 minutes", Span(low=100)),
    ("no more than 100 minutes", Span(high=100)), ("no longer than 2 hours", Span(high=120)),
    ("like Alien but shorter", Span(high=116)), ("like Alien but longer", Span(low=118)), ("longer", Span(low=140)),
    ("9999 minutes", None), ("90", None), ("0 minutes", None),
])  # fmt: skip
def test_lengths(index: ContentIndex, text: str, runtime: Span | None) -> None:
    assert read(text, index).runtime == runtime


@pytest.mark.parametrize(("text", "years"), [
    ("from the 1990s", Span(1990, 1999)), ("90s comedy", Span(1990, 1999)), ("the sixties", Span(1960, 1969)),
    ("the 20s", Span(2020, 2029)), ("from 1949", Span(1949, 1949)), ("before 1980", Span(high=1979)),
    ("until 1980", Span(high=1980)), ("after 1980", Span(low=1981)), ("since 1980", Span(low=1980)),
    ("between 1970 and 1990", Span(1970, 1990)), ("from 1990 to 1970", Span(1970, 1990)),
    ("between 1970-1990", Span(1970, 1990)), ("old films", Span(high=1969)), ("recent", Span(low=1993)),
    ("an old man", None), ("3000", None), ("1500s", None),
])  # fmt: skip
def test_years(index: ContentIndex, text: str, years: Span | None) -> None:
    assert read(text, index).years == years


def test_what_is_asked_for_holds_for_every_film_found(index: ContentIndex) -> None:
    assert wished(index, "comedy under 100 minutes") == [40, 50]
    assert wished(index, "something before 1970") == [40, 60]
    assert wished(index, "since 1986 and at most 104 minutes") == [90, 50, 70]  # the best known first
    assert wished(index, "no comedy, no sci-fi, no animation", 9) == [60, 110]
    assert wished(index, "french film", 9) == [30, 40, 50]
    assert wished(index, "horror, not horror") == []


def test_an_unwanted_mood_spares_what_is_asked_for(index: ContentIndex) -> None:
    wish = read("a horror film, nothing violent", index)
    (violent,) = wish.unwanted
    assert "Horror" not in violent.means
    assert 10 in wished(index, "a horror film, nothing violent")


def test_having_all_of_it_beats_having_much_of_one(index: ContentIndex) -> None:
    assert wished(index, "romance in Paris with a waitress")[0] == 30
    assert asking.search(index, read("romance in Paris with a waitress", index), 1)[0].shared[-3:] == (
        "waitress", "Romance", "paris")  # fmt: skip


def test_last_names_are_looked_for_a_few_times_only(index: ContentIndex) -> None:
    assert said(read("zorg " * 5 + "jeunet", index).wanted) == ["jeunet"]
    assert said(read("zorg " * 6 + "jeunet", index).wanted) == []


@pytest.mark.parametrize("text", ["", "   ", "the a of", "zorglub", "!?", "no", "nothing", "‮", "\x00"])
def test_a_wish_that_says_nothing_finds_nothing(index: ContentIndex, text: str) -> None:
    wish = read(text, index)
    assert wish.empty
    assert asking.search(index, wish, 5) == []
    assert wish.unknown == (["zorglub"] if text == "zorglub" else [])


def test_a_long_wish_is_read_to_its_limit(index: ContentIndex) -> None:
    wish = read("comedy " * 100, index)
    assert len(wish.text) == LONGEST
    assert wished(index, wish.text)


def test_seen_films_are_left_out(index: ContentIndex) -> None:
    assert [hit.movie_id for hit in asking.search(index, read("comedy", index), 9, without=[30, 31337])] == [40, 50, 70]


def test_films_from_elsewhere_are_held_to_the_wish_too(index: ContentIndex) -> None:
    assert asking.fitting(index, read("nothing violent", index), [10, 30, 50, 31337, 40]) == [30, 40]


TELLING = (
    "like not no nothing without between and from 1990 90s 2 h hours minutes under shorter alien the big third man "
    "violent comedy , . but or paris a half 千と千尋の神隠し"
)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=400) | st.lists(st.sampled_from(TELLING.split()), max_size=40).map(" ".join))
def test_no_wish_breaks_it(text: str) -> None:
    wish = read(text, INDEX)
    hits = asking.search(INDEX, wish, 5)
    assert len({hit.movie_id for hit in hits}) == len(hits) <= 5
    assert all(math.isfinite(hit.score) for hit in hits)
    assert isinstance(wish, Wish)


# --- what lies on a disk may be anything ---


SPOILT = [
    (name, change)
    for name in ("movie_ids", "film_at", "film_terms", "film_weights", "term_at", "term_films", "title_films", "fame")
    for change in ("missing", "cut", "wild")
]


@pytest.mark.parametrize(("name", "change"), SPOILT)
def test_arrays_that_do_not_fit_are_refused(index: ContentIndex, name: str, change: str) -> None:
    arrays = dict(index.arrays())
    if change == "missing":
        del arrays[name]
    elif change == "cut":
        arrays[name] = arrays[name][: len(arrays[name]) // 2]
    elif name == "movie_ids":
        return  # any numbers are ids
    else:
        arrays[name] = arrays[name].copy()
        arrays[name][-1] = np.nan if arrays[name].dtype.kind == "f" else 10**6
    with pytest.raises(ValueError):
        ContentIndex.of(arrays)


# --- the site's own index ---


@pytest.fixture
def shelf(app_context: Flask, catalogue: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> content.Shelf:
    monkeypatch.setattr(content, "LOOK_EVERY", 0.0)
    return content.shelf()


def test_before_it_is_built_there_is_none_and_nobody_waits(shelf: content.Shelf) -> None:
    assert content.index() is None
    assert content.similar(1214, 1, 6) == []


def test_it_is_built_from_the_catalogue_stored_and_mapped(shelf: content.Shelf) -> None:
    made = content.rebuild()
    assert len(made) == 12
    found = content.similar(1214, 1, 6)
    assert (found[0][0].title, found[0][1]) == ("Aliens", "Horror, Sci-Fi, Sigourney Weaver")
    shelf.held = None  # as another process
    mapped = content.index()
    assert isinstance(mapped.film_weights, np.memmap)
    assert [array.tolist() for array in mapped.arrays().values()] == [
        array.tolist() for array in made.arrays().values()
    ]


def test_a_changed_catalogue_is_another_index_and_the_older_answers_meanwhile(shelf: content.Shelf) -> None:
    before = content.rebuild()
    with writing() as session:
        films.enrich(session, Enrichment(1, 1, [{"id": 9000, "overview": "A zeppelin."}]))
    assert content.index() is before
    after = content.rebuild()
    assert content.index() is after
    assert after.term("zeppelin") is not None
    assert len(list((content._root()).glob("[0-9a-f]*"))) == 1  # the index of before is gone from the disk


def test_an_enrichment_that_changes_nothing_keeps_the_index(shelf: content.Shelf) -> None:
    made = content.rebuild()
    with writing() as session:
        films.enrich(session, Enrichment(1, 0, []))
    assert content.index() is made


@pytest.mark.parametrize("damage", ["cut", "garbage", "gone"])
def test_a_damaged_index_is_made_anew(shelf: content.Shelf, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    content.rebuild()
    path = next(content._root().glob("*/film_terms.npy"))
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-7] if damage == "cut" else b"\x80\x04rm -rf")
    shelf.held = None
    assert content.index() is None
    assert "made anew" in caplog.text
    assert len(content.rebuild()) == 12


def test_it_is_built_in_the_background_once(
    shelf: content.Shelf, app_context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    original, go = content.build, threading.Event()
    monkeypatch.setattr(content, "build", lambda films: (go.wait(20) and built.append(1)) or original(films))
    app_context.testing = False
    assert [content.index() for _ in range(5)] == [None] * 5
    go.set()
    shelf._building.join(20)
    assert len(content.index()) == 12
    assert built == [1]


def test_a_building_that_fails_is_told_and_not_tried_again_at_once(
    shelf: content.Shelf, app_context: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[int] = []

    def fail(films: object) -> None:
        tried.append(1)
        raise OSError("the disk is full")

    monkeypatch.setattr(content, "build", fail)
    app_context.testing = False
    assert content.index() is None
    shelf._building.join(20)
    assert content.index() is None
    shelf._building.join(20)
    assert tried == [1]
    assert "the disk is full" in caplog.text


def test_while_another_process_builds_this_one_does_not(shelf: content.Shelf, app_context: Flask) -> None:
    with content._alone(wait=True):
        with pytest.raises(BlockingIOError):
            content.rebuild(wait=False)
        content._build(app_context, shelf)  # in the background the same is no fault
    assert shelf.held is None
    assert shelf.failed == float("-inf")


def test_films_that_left_the_catalogue_are_not_shown(shelf: content.Shelf) -> None:
    content.rebuild()
    with writing() as session:
        session.execute(update(Movie).where(Movie.id == 9000).values(title="still there"))
        session.execute(delete(Movie).where(Movie.id == 5618))
    assert all(card.id != 5618 for card, _ in content.similar(5952, 1, 12))
