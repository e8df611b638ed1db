"""Which passwords are taken, and how they are kept."""

import pytest
from kit import PASSWORD, password_hash

from movierec.services import passwords
from movierec.services.errors import Refused


@pytest.mark.parametrize(
    "password",
    [
        "a" * 7, "seven c", "x" * 129, "", "password", "Password1", "PASSWORD123!", "passw0rd", "12345678",
        "1234567890", "qwertyuiop", "iloveyou!!", "movierec", "MovieRec2026", "movierec-movies", "my movies 1",
        "films2024!!", "mymovies1",
        "aaaaaaaaaaaa", "abababababab", "letmein123", "correcthorsebatterystaple", "dragon99", "Sunshine2024!",
        "vera1234", "VERA!!!!!", "2024vera2024", "vera-movies", "half \ud800 a character",
    ],
)  # fmt: skip
def test_refused_with_what_to_do(password):
    with pytest.raises(Refused) as caught:
        passwords.check(password, "vera")
    assert caught.value.field == "password"
    assert caught.value.message.endswith((".", "again."))


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD, "a tree near my house", "zq7 Kd!pW", "only lower case letters here", "93847561029384",
        "x" * 32 + "yz!?" * 24, "filmnoir in vienna 1949", "密码是一个很长的句子", "пароль из многих слов",
        "🎬🍿🎥🎞🎭🎪🎨🎤", " leading and trailing ", "veranda-in-june",
    ],
)  # fmt: skip
def test_taken(password):
    passwords.check(password, "vera")


def test_short_names_do_not_forbid_their_letters():
    passwords.check("al dente pasta", "al")


def test_kept_as_argon2id_with_explicit_parameters():
    stored = password_hash()
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.hash_password(PASSWORD) != stored  # salted
    assert not passwords.outdated(stored)
    assert not passwords.outdated(passwords.NOBODY)  # the dummy costs what a real one costs


def test_only_the_password_matches():
    stored = password_hash()
    assert passwords.matches(stored, PASSWORD)
    wrong = (PASSWORD + " ", " " + PASSWORD, PASSWORD.upper(), PASSWORD + "\0", PASSWORD + "x" * 1000, "", "\ud800")
    assert not any(passwords.matches(stored, other) for other in wrong)
    assert not passwords.matches(None, PASSWORD)
    assert not passwords.matches("not a hash", PASSWORD)


def test_one_password_however_the_keyboard_composes_it():
    assert passwords.matches(passwords.hash_password("Ame\u0301lie la reveuse"), "Am\u00e9lie la reveuse")


def test_older_parameters_are_noticed():
    assert passwords.outdated("$argon2id$v=19$m=8,t=1,p=1$bm9ib2R5IGF0$VGhpcyBpcyBub3QgYSBwYXNzd29yZC4")


def test_the_list_holds_what_the_length_does_not_refuse():
    words = passwords._well_known()
    assert len(words) > 1500
    assert all(word == word.casefold() for word in words)
