"""Names of people: what is left out, what is refused, and which names are one."""

from __future__ import annotations

import pytest

from movierec.services import names
from movierec.services.errors import Refused

UNSEEN = ["adm\u2800", "adm\u3164", "adm\u115f", "adm\u034f", "adm\ufe0f", "adm\u17b4", "\u200badm", "ADM\u0345"]
SHAPED = ["  ADM ", "ａｄｍ", "ɑdm", "ᴀdm"]


@pytest.mark.parametrize("name", [*UNSEEN, *SHAPED], ids=ascii)
def test_it_looks_like_adm_and_is_one_with_it(name: str) -> None:
    assert names.clean(name)[1] == "adm"


def test_a_name_of_another_alphabet_alone_is_one_with_what_it_looks_like() -> None:
    assert names.clean("\u0430\u0441\u0435")[1] == names.clean("ace")[1]  # Cyrillic


@pytest.mark.parametrize(
    "name", ["", "   ", "\u3164", "\u2800\u2800", "\u200b", "...", "x" * 41, "a\0b", "a\ud800"], ids=ascii
)
def test_nothing_to_see_or_nothing_to_say_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        names.clean(name)


@pytest.mark.parametrize("name", ["Zoë", "Иван", "李小龙", "עדה", "Ödön", "O'Brien", "ana 2", "Ἀθηνᾶ"])
def test_real_names_are_shown_as_given(name: str) -> None:
    assert names.clean(name)[0] == name


def test_marks_on_letters_tell_names_apart() -> None:
    assert names.clean("Zoë")[1] != names.clean("Zoe")[1]
