"""People: names that look alike, the first and the last administrator, the door and its throttle."""

import statistics
import time
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from kit import PASSWORD, password_hash, together
from sqlalchemy import func, select, update

from movierec.extensions import db, writing
from movierec.services import accounts, passwords, sessions, settings
from movierec.services.errors import Conflict, Forbidden, NotFound, Refused, TooMany
from movierec.tables import LoginAttempt, Run, Session, Setting, User, View, now

LOOK_ALIKES = [
    "admin", "Admin", "ADMIN", "aDmIn", " admin", "admin ", "\tadmin\n", "\u00a0admin\u3000", "ａｄｍｉｎ",
    "ＡＤＭＩＮ",
    "𝐚𝐝𝐦𝐢𝐧", "𝒶𝒹𝓂𝒾𝓃", "𝔞𝔡𝔪𝔦𝔫", "𝚊𝚍𝚖𝚒𝚗", "ⓐⓓⓜⓘⓝ", "ad\u200bmin", "ad\u00admin", "\u202eadmin", "adm\u0131n",
    "ADM\u0130N",
    "\ufeffadmin", "ad\u2060min", "ᵃᵈᵐⁱⁿ",
]  # fmt: skip
ALICE = "192.0.2.1"


@pytest.fixture(autouse=True)
def _in_app(app_context):
    return app_context


@pytest.fixture
def cheap(monkeypatch):
    """Hashes that cost nothing, where the test is about something else."""
    once = password_hash()  # before the patch: it hashes too
    monkeypatch.setattr(passwords, "hash_password", lambda _: once)


def people_count(**wanted):
    return db.session.execute(select(func.count()).select_from(User).filter_by(**wanted)).scalar()


def test_a_name_that_looks_like_another_is_taken(people, cheap):
    people("admin")
    for name in LOOK_ALIKES:
        with pytest.raises(Conflict) as caught:
            accounts.create(name, PASSWORD)
        assert (caught.value.field, people_count()) == ("name", 1), ascii(name)
        assert accounts.by_name(name).name == "admin"


def test_names_that_nobody_can_read_or_tell_apart_are_refused():
    unreadable = ["", " ", "\u200b", "x" * 41, "a\0b", "a\x1b[31m", "\ud800", "\ue000", "\U000e0fff", "ﷺ" * 10]
    for name in [*unreadable, "аdmin", "αdmin", "pаypаl"]:
        with pytest.raises(Refused) as caught:
            accounts.create(name, PASSWORD)
        assert (caught.value.field, people_count()) == ("name", 0), ascii(name)


def test_people_of_all_scripts_have_names(cheap):
    scripts = ["ana", "Zoë", "José María", "Ольга", "Ελένη", "محمد", "דוד", "宮崎 駿", "สมชาย", "नेहा"]
    for name in [*scripts, "O'Brien-Smith", "🎬 Mina", "x" * 40]:
        assert accounts.create(f"  {name} ", PASSWORD).name == name
        assert accounts.by_name(name.upper()).name == name


def test_a_role_that_is_none_is_refused():
    with pytest.raises(Refused, match="user, admin, scientist"):
        accounts.create("ana", PASSWORD, "root")
    with pytest.raises(Refused):
        accounts.set_role(1, "root")


def test_a_refused_password_makes_nobody():
    with pytest.raises(Refused):
        accounts.create("ana", "password")
    assert people_count() == 0


def test_of_twenty_that_set_up_at_once_one_succeeds(app, cheap):
    token = accounts.new_setup_token()

    def act(number):
        with app.app_context():
            return accounts.set_up(token, f"admin {number}", PASSWORD).id

    results = together(20, act)
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, NotFound) for result in results) == 19
    assert people_count() == people_count(role="admin") == 1
    assert accounts.new_setup_token() is None


def test_a_setup_link_is_good_once_for_an_hour_and_only_the_newest():
    first = accounts.new_setup_token()
    second = accounts.new_setup_token()
    assert not accounts.setup_token_valid(first)
    assert accounts.setup_token_valid(second)
    assert not any(accounts.setup_token_valid(other) for other in ("", "x", second + "x", "\ud800"))
    with writing() as session:
        row = session.get(Setting, accounts.SETUP)
        assert second not in str(row.value)
        row.value = row.value | {"until": now().isoformat()}
    assert not accounts.setup_token_valid(second)
    with pytest.raises(NotFound):
        accounts.set_up(second, "ada", PASSWORD)
    third = accounts.new_setup_token()
    accounts.set_up(third, "ada", PASSWORD)
    assert not accounts.setup_token_valid(third)
    with pytest.raises(NotFound):
        accounts.set_up(third, "eve", PASSWORD)


def test_setting_up_under_a_taken_name_keeps_the_link(people):
    people("ana")
    token = accounts.new_setup_token()
    with pytest.raises(Conflict):
        accounts.set_up(token, "ANA", PASSWORD)
    assert accounts.setup_token_valid(token)


def test_the_last_administrator_stays_one(people):
    ada = people("ada", "admin")
    people("off", "admin", active=False)
    for act in (
        lambda: accounts.set_role(ada, "user"),
        lambda: accounts.set_active(ada, False),
        lambda: accounts.remove(ada),
    ):
        with pytest.raises(Conflict, match="last administrator"):
            act()
    assert accounts.administrator_exists()
    accounts.set_role(ada, "admin")  # nothing changes, nothing is lost
    people("eve", "admin")
    accounts.set_role(ada, "scientist")


def test_two_administrators_who_go_at_once_leave_one(app, people):
    ids = [people(f"admin {number}", "admin") for number in range(6)]
    ways = (lambda who: accounts.set_role(who, "user"), lambda who: accounts.set_active(who, False), accounts.remove)

    def act(number):
        with app.app_context():
            ways[number % 3](ids[number])

    results = together(len(ids), act)
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert people_count(role="admin", active=True) == 1


def test_a_deleted_person_takes_history_and_sessions_along_and_leaves_the_runs(catalogue):
    mina = accounts.by_name("mina").id
    sessions.begin(mina, remember=True)
    with writing() as session:
        session.add(Run(engine="popularity", params={}, code_version="1", created_by=mina, state="done"))
    accounts.sign_in("mina", PASSWORD, ALICE, remember=False)
    refusal("mina", "wrong")
    accounts.remove(mina)
    assert db.session.execute(select(func.count()).select_from(LoginAttempt)).scalar() == 0
    assert db.session.execute(select(func.count()).select_from(View)).scalar() == 0
    assert db.session.execute(select(Run.created_by)).all() == [(None,)]
    with pytest.raises(NotFound):
        accounts.get(mina)
    with pytest.raises(NotFound):
        accounts.remove(mina)
    with pytest.raises(NotFound):
        accounts.set_role(mina, "user")


def test_registration_is_off_until_the_site_opens_it(app, cheap):
    with pytest.raises(Forbidden):
        accounts.register("ana", PASSWORD, ALICE)
    settings.open_registration(True)
    assert accounts.register("ana", PASSWORD, ALICE).role == "user"
    app.config["REGISTRATION"] = "off"
    with pytest.raises(Forbidden):
        accounts.register("ben", PASSWORD, ALICE)
    with pytest.raises(Conflict):
        settings.open_registration(True)
    app.config["REGISTRATION"] = "on"
    for number in range(9):
        accounts.register(f"ben {number}", PASSWORD, ALICE)
    with pytest.raises(TooMany):
        accounts.register("one too many", PASSWORD, ALICE)


def test_a_refused_password_or_name_is_no_try(app, cheap):
    """Who is still looking for a password that is taken must not be locked out for it."""
    app.config["REGISTRATION"] = "on"
    for _ in range(30):
        for name, password in (("ana", "short"), ("ana", "password1"), ("", PASSWORD)):
            with pytest.raises(Refused):
                accounts.register(name, password, ALICE)
    assert accounts.register("ana", PASSWORD, ALICE).name == "ana"


def refusal(name, password=PASSWORD, address=ALICE):
    with pytest.raises(Refused) as caught:
        accounts.sign_in(name, password, address, remember=False)
    return caught.value.message, caught.value.field


def test_unknown_disabled_and_wrong_look_alike(people):
    people("ana")
    people("off", active=False)
    answers = {refusal("ana", "wrong"), refusal("off"), refusal("nobody"), refusal("\0"), refusal("")}
    assert answers == {(accounts.WRONG, None)}


def test_unknown_and_disabled_names_take_as_long_as_a_known_one(people):
    """Medians of 15, interleaved so that a busy machine slows all alike."""
    people("ana")
    people("off", active=False)
    times = {"ana": [], "off": [], "nobody": [], "\0": []}
    for number in range(15):
        for name, taken in times.items():
            start = time.perf_counter()
            refusal(name, "a wrong password", f"192.0.2.{number}")
            taken.append(time.perf_counter() - start)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    assert max(medians.values()) < 1.5 * min(medians.values()), medians


def test_parallel_guesses_are_throttled_before_they_are_hashed(app, people):
    people("ana")

    def act(number):
        with app.app_context():
            return accounts.sign_in("ana", f"guess {number}", ALICE, remember=False)

    results = together(24, act)
    assert sum(type(result) is Refused for result in results) == 10
    assert sum(type(result) is TooMany for result in results) == 14


def test_the_right_password_forgives_and_then_all_tries_are_there_again(people):
    people("ana")
    for _ in range(3):
        refusal("ana", "wrong")
    accounts.sign_in("ANA", PASSWORD, ALICE, remember=False)
    failed = select(func.count()).select_from(LoginAttempt).where(LoginAttempt.name_key == "ana")
    assert db.session.execute(failed).scalar() == 0


def test_no_transaction_is_open_while_a_password_is_hashed(people, monkeypatch):
    people("ada", "admin")
    user_id = people("ana")
    open_ones = []

    def spied(real):
        def spy(*args):
            open_ones.append(db.session().in_transaction())
            return real(*args)

        return spy

    for name in ("matches", "hash_password"):
        monkeypatch.setattr(passwords, name, spied(getattr(passwords, name)))
    viewer = sessions.viewer(accounts.sign_in("ana", PASSWORD, ALICE, remember=False))
    accounts.change_password(viewer, PASSWORD, "another good password", ALICE)
    accounts.reset_password(user_id)
    assert open_ones == [False] * 4


def test_a_hash_with_yesterdays_parameters_is_renewed_at_sign_in(people):
    old = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    user_id = people("ana")
    with writing() as session:
        session.get(User, user_id).password_hash = old
    token = accounts.sign_in("ana", PASSWORD, ALICE, remember=False)
    assert sessions.viewer(token).id == user_id
    assert db.session.get(User, user_id, populate_existing=True).password_hash.startswith("$argon2id$v=19$m=19456,t=2,")
    accounts.sign_in("ana", PASSWORD, ALICE, remember=False)
    assert accounts._renew(user_id, old, "never stored") == old  # changed meanwhile: what stands, stands


def test_giving_the_password_again_is_throttled_and_makes_fresh(people):
    people("ada", "admin")
    user_id = people("ana")
    token = sessions.begin(user_id, remember=False)
    with writing() as session:
        session.execute(update(Session).values(proven_at=now() - timedelta(hours=1)))
    viewer = sessions.viewer(token)
    assert not viewer.fresh
    accounts.prove(viewer, PASSWORD, ALICE)
    assert sessions.viewer(token).fresh
    for _ in range(10):
        with pytest.raises(Refused):
            accounts.prove(viewer, "wrong", ALICE)
    with pytest.raises(TooMany):
        accounts.prove(viewer, PASSWORD, ALICE)
    accounts.remove(user_id)
    with pytest.raises(Refused):
        accounts.prove(viewer, PASSWORD, ALICE)


def test_demo_accounts_keep_their_password(people):
    viewer = sessions.viewer(sessions.begin(people("demo", demo=True), remember=False))
    with pytest.raises(Forbidden):
        accounts.change_password(viewer, PASSWORD, "a new long password", ALICE)
