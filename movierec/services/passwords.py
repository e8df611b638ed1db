"""Passwords: what is accepted, and argon2id hashes made at most a few at a time."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from movierec.services.errors import Refused

SHORTEST, LONGEST = 8, 128
OBVIOUS_PARTS = ("movierec", "password", "passwort", "movie", "film", "qwertyui", "12345678")

# OWASP's minimum for argon2id: 19 MiB, two passes, one lane. About 30 ms.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, type=Type.ID)
_few_at_once = threading.BoundedSemaphore(4)  # a flood of sign-ins must not eat the machine


def check(password: str, name: str) -> None:
    """Raises Refused with what to change. Length, well-known ones, the person's own name; no composition rules."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refused(f"Use {SHORTEST} to {LONGEST} characters; a sentence is a good password.", field="password")
    folded = password.casefold()
    bare = folded.rstrip("0123456789!?.*#$ ")
    if folded in _well_known() or bare in _well_known() or bare in OBVIOUS_PARTS or len(set(folded)) < 4:
        raise Refused("That password is one of the first that people try. Choose another.", field="password")
    if len(name) > 2 and bare == name.casefold():
        raise Refused("Your name is too easy to guess as a password. Choose another.", field="password")


def hash_password(password: str) -> str:
    """The argon2id hash to store."""
    with _few_at_once:
        return _hasher.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Whether the password is the stored one. Takes the same time where there is no account (`stored` None)."""
    with _few_at_once:
        try:
            return _hasher.verify(stored or _nobody(), password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)


@cache
def _nobody() -> str:
    return _hasher.hash("the password of nobody at all")


@cache
def _well_known() -> frozenset[str]:
    return frozenset((Path(__file__).parent / "well_known_passwords.txt").read_text().split())
