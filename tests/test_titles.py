"""Titles taken apart: inverted articles, other titles, years in every disguise, and how lists sort and fold them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.sources import titles


@pytest.mark.parametrize(
    ("raw", "text", "year", "others"),
    [
        ("American President, The (1995)", "The American President", 1995, ()),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            "The City of Lost Children", 1995, ("La Cité des enfants perdus",),
        ),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura", 1960, ("The Adventure",)),
        ("Vitelloni, I (a.k.a. The Young and the Passionate) (1953)", "I Vitelloni", 1953,
         ("The Young and the Passionate",)),
        ("Topo, El (1970)", "El Topo", 1970, ()),
        ("Boot, Das (Boat, The) (1981)", "Das Boot", 1981, ("The Boat",)),
        ("Wave, The (Welle, Die) (2008)", "The Wave", 2008, ("Die Welle",)),
        ("Himmel über Berlin, Der (1987)", "Der Himmel über Berlin", 1987, ()),
        ("Divo, Il (2008)", "Il Divo", 2008, ()),
        ("Thieves (Voleurs, Les) (1996)", "Thieves", 1996, ("Les Voleurs",)),
        ("Seventh Seal, The (Sjunde inseglet, Det) (1957)", "The Seventh Seal", 1957, ("Det Sjunde inseglet",)),
        ("Cabinet of Dr. Caligari, The (Cabinet des Dr. Caligari., Das) (1920)",
         "The Cabinet of Dr. Caligari", 1920, ("Das Cabinet des Dr. Caligari",)),
        ("Men in Black II (a.k.a. MIIB) (a.k.a. MIB 2) (2002)", "Men in Black II", 2002, ("MIIB", "MIB 2")),
        ("Léon: The Professional (a.k.a. The Professional) (Léon) (1994)",
         "Léon: The Professional", 1994, ("The Professional", "Léon")),
        ("Evangelion: 1.0 You Are (Not) Alone (Evangerion: Jo) (2007)",
         "Evangelion: 1.0 You Are (Not) Alone", 2007, ("Evangerion: Jo",)),
        ("Birdman: Or (The Unexpected Virtue of Ignorance) (2014)",
         "Birdman: Or (The Unexpected Virtue of Ignorance)", 2014, ()),
        ("Hotel Chevalier (Part 1 of 'The Darjeeling Limited') (2007)",
         "Hotel Chevalier (Part 1 of 'The Darjeeling Limited')", 2007, ()),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009, ()),
        ("Frontière(s) (2007)", "Frontière(s)", 2007, ()),
        ("Assembly (Ji jie hao) (2007) ", "Assembly", 2007, ("Ji jie hao",)),
        ("Death Note: Desu nôto (2006–2007)", "Death Note: Desu nôto", 2006, ()),
        ("Some Show (2011- )", "Some Show", 2011, ()),
        ("Broken Bracket (1983))", "Broken Bracket", 1983, ()),
        ("Turbo (1997) (V)", "Turbo", 1997, ()),
        ("Moonlight", "Moonlight", None, ()),
        ("1984 (1984)", "1984", 1984, ()),
        ("(1999)", "(1999)", None, ()),
        ("Space Odyssey (2525)", "Space Odyssey", None, ("2525",)),
        ("Lust, Caution (Se, jie) (2007)", "Lust, Caution", 2007, ("Se, jie",)),
        ("Die, Mommie, Die (2003)", "Die, Mommie, Die", 2003, ()),
        ("I Love You, Man (2009)", "I Love You, Man", 2009, ()),
        ("Amelie (Amélie) (2001)", "Amelie", 2001, ()),
        ("Unclosed (bracket (1990)", "Unclosed (bracket", 1990, ()),
        ("Closed too often) (1990)", "Closed too often)", 1990, ()),
    ],
)  # fmt: skip
def test_a_title_comes_apart(raw: str, text: str, year: int | None, others: tuple[str, ...]) -> None:
    title = titles.parse(raw)
    assert (title.text, title.year, title.others) == (text, year, others)


@pytest.mark.parametrize(
    ("raw", "sort"),
    [
        ("Third Man, The (1949)", "third man"),
        ("Strada, La (1954)", "strada"),
        ("Die Hard (1988)", "die hard"),
        ("A Nous la Liberté (1931)", "nous la liberte"),
        ("The (2000)", "the"),
        ("'burbs, The (1989)", "burbs"),
        ("8 ½ (1963)", "8 1 2"),
        ("千と千尋の神隠し (2001)", "千と千尋の神隠し"),
        ("$ (1971)", "$"),
    ],
)
def test_lists_sort_without_the_article(raw: str, sort: str) -> None:
    assert titles.parse(raw).sort == sort


def test_folding_forgets_case_accents_and_punctuation() -> None:
    assert titles.fold("Amélie's  WALL·E") == "amelies wall e"
    assert titles.fold("Łódź & Søren's Straße") == "lodz and sorens strasse"
    assert titles.fold("Ærø – II") == "aero ii"
    assert titles.fold("ＦＵＬＬ ½") == "full 1 2"
    assert titles.fold("Schindler’s List") == titles.fold("schindlers list")
    assert titles.fold("Ångström") == titles.fold("Ångström".lower())


def test_composed_and_decomposed_letters_are_the_same_title() -> None:
    assert titles.parse("Ame\u0301lie (2001)").text == "Amélie"


@given(st.text())
def test_no_text_whatever_makes_it_fail(raw: str) -> None:
    title = titles.parse(raw)
    assert title.year is None or 1870 <= title.year <= 2100
