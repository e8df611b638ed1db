"""Passwords: what is accepted, and argon2id hashes made at most a few at a time."""

from __future__ import annotations

import threading
import unicodedata
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from movierec.services.errors import Refused

SHORTEST, LONGEST = 8, 128
OBVIOUS_PARTS = ("movierec", "password", "passwort", "movies", "movie", "films", "film", "cinema")
TRIMMINGS = "0123456789!?.,*#$@&+-_ "  # what people hang on a word to make it look strong

# OWASP's minimum for argon2id: 19 MiB, two passes, one lane. About 30 ms.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)
_few_at_once = threading.BoundedSemaphore(4)  # a flood of sign-ins must not eat the machine

# Checked where there is no account, so that an unknown name takes as long as a known one; no password gives it.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGF0IGFsbC4uLg$VGhpcyBpcyBub3QgYSBwYXNzd29yZC4gSXQgaXMgbm8"


def check(password: str, name: str) -> None:
    """Raises Refused with what to change. Length, well-known ones, the person's own name; no composition rules."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refused(f"Use {SHORTEST} to {LONGEST} characters; a sentence is a good password.", field="password")
    if any(unicodedata.category(char) == "Cs" for char in password):
        raise Refused("The password holds half a character. Type it again.", field="password")
    folded = password.casefold()
    core = folded.strip(TRIMMINGS)
    if folded in _well_known() or core in _well_known() or len(set(folded)) < 4:
        raise Refused("That password is one of the first that people try. Choose another.", field="password")
    if len(name) > 2 and core == name.casefold():
        raise Refused("Your name is too easy to guess as a password. Choose another.", field="password")
    rest = core
    for part in (*OBVIOUS_PARTS, name.casefold()):
        rest = rest.replace(part, "") if len(part) > 2 else rest
    if rest != core and len(rest.strip(TRIMMINGS)) < 4:
        raise Refused("That is little more than this site's name or yours. Choose another.", field="password")


def hash_password(password: str) -> str:
    """The argon2id hash to store."""
    with _few_at_once:
        return _hasher.hash(_typed(password))


def matches(stored: str | None, password: str) -> bool:
    """Whether the password is the stored one. Takes the same time where there is no account (`stored` None)."""
    with _few_at_once:
        try:
            return _hasher.verify(stored or NOBODY, _typed(password[: LONGEST + 1])) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


def _typed(password: str) -> bytes:
    """The same bytes however the keyboard composes its accents. Nothing is trimmed."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


@cache
def _well_known() -> frozenset[str]:
    return frozenset((Path(__file__).parent / "well_known_passwords.txt").read_text("utf-8").split())
