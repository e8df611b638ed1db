"""The limits on failed sign-ins: by name and address, by name, by address, across threads, and their end."""

import pytest
from kit import together
from sqlalchemy import func, select, update

from movierec.extensions import db, writing
from movierec.services import throttle
from movierec.services.errors import TooMany
from movierec.tables import LoginAttempt, now

HOME, AWAY = "192.0.2.1", "198.51.100.7"


def admitted(tries, name="ana", address=HOME):
    """How many of so many tries get through."""
    passed = 0
    for _ in range(tries):
        try:
            throttle.admit(name, address)
            passed += 1
        except TooMany:
            continue
    return passed


@pytest.fixture(autouse=True)
def _in_app(app_context):
    return app_context


def test_ten_tries_for_a_name_from_one_address():
    assert admitted(15) == throttle.PER_NAME_AND_ADDRESS == 10
    assert admitted(1, name="ben") == 1
    with pytest.raises(TooMany) as caught:
        throttle.admit("ana", HOME)
    assert caught.value.retry_after == 5 * 60


def test_twenty_tries_for_a_name_from_anywhere_and_its_owner_still_gets_in_at_home():
    throttle.admit("ana", HOME)
    throttle.forgive("ana", HOME)  # signed in
    assert sum(admitted(1, address=f"203.0.113.{number}") for number in range(50)) == throttle.PER_NAME == 20
    assert admitted(15, address=HOME) == 10
    assert admitted(1, name="ben", address=HOME) == 1
    assert sum(admitted(1, name="ben", address=f"203.0.113.{number}") for number in range(50)) == 19
    assert admitted(1, name="ben", address=HOME) == 0  # ana signed in from there, ben never did


def test_a_place_is_known_for_ninety_days_and_once():
    for _ in range(3):
        throttle.forgive("ana", HOME)
    with writing() as session:
        session.execute(update(LoginAttempt).values(at=now() - throttle.REMEMBERED + throttle.WINDOW))
    assert sum(admitted(1, address=f"203.0.113.{number}") for number in range(50)) == 20
    assert admitted(1) == 1
    assert db.session.execute(select(func.count()).select_from(LoginAttempt)).scalar() == 1 + 20 + 1
    with writing() as session:
        session.execute(
            update(LoginAttempt)
            .where(LoginAttempt.name_key.startswith(throttle.KNOWN))
            .values(at=now() - throttle.REMEMBERED)
        )
    assert admitted(1) == 0


def test_a_hundred_tries_from_one_address():
    assert sum(admitted(1, name=f"name {number}") for number in range(120)) == throttle.PER_ADDRESS == 100
    assert admitted(1, name="ana", address=AWAY) == 1


def test_one_network_of_ipv6_is_one_address_and_so_are_two_spellings():
    assert sum(admitted(1, address=f"2001:db8::{number:x}") for number in range(1, 16)) == 10
    assert admitted(1, address="2001:db8:0:1::1") == 1
    assert admitted(10, name="ben", address="::ffff:192.0.2.1") == 10
    assert admitted(1, name="ben", address="192.0.2.1") == 0
    assert admitted(1, name="ben", address="no address at all") == 1


def test_parallel_tries_do_not_slip_through(app):
    def act(_):
        with app.app_context():
            return admitted(1)

    assert sum(together(30, act)) == 10


def test_the_right_password_clears_only_this_address():
    admitted(10)
    admitted(5, address=AWAY)
    throttle.forgive("ana", HOME)
    assert admitted(15) == 10
    rows = select(func.count()).select_from(LoginAttempt).where(LoginAttempt.address == AWAY)
    assert db.session.execute(rows).scalar() == 5


def test_after_five_minutes_all_is_forgotten():
    admitted(10)
    with writing() as session:
        session.execute(update(LoginAttempt).values(at=now() - throttle.WINDOW))
    assert admitted(1) == 1
    assert db.session.execute(select(func.count()).select_from(LoginAttempt)).scalar() == 1
