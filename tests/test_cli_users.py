"""`flask users` and `flask setup-link`."""

import json

import pytest
from kit import PASSWORD
from sqlalchemy import func, select

from movierec.extensions import db
from movierec.services import accounts
from movierec.tables import Session, User


def person(app, name="ana"):
    with app.app_context():
        return accounts.by_name(name)


def test_create_with_the_password_from_standard_input(app, runner):
    result = runner.invoke(
        args=["users", "create", "ana", "--role", "scientist", "--password-stdin"], input=PASSWORD + "\n"
    )
    assert (result.exit_code, result.output) == (0, "ana can sign in as scientist.\n")
    assert person(app).role == "scientist"
    answer = app.test_client().submit("/login", {"name": "ana", "password": PASSWORD})
    assert answer.status_code == 303


def test_create_asks_twice(app, runner):
    result = runner.invoke(args=["users", "create", "ana"], input=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    assert person(app).role == "user"


@pytest.mark.parametrize(
    ("args", "word", "sentence"),
    [
        (["create", "ana", "--password-stdin"], "short", "8 to 128"),
        (["create", "ana", "--password-stdin"], "", "8 to 128"),
        (["create", "ana", "--password-stdin"], "password1", "first that people try"),
        (["create", "ADA", "--password-stdin"], PASSWORD, "taken"),
        (["create", "a\u202e\x07", "--password-stdin"], PASSWORD, "can't be shown"),
        (["set-role", "nobody", "user"], "", "no account called"),
        (["set-role", "ada", "user"], "", "last administrator"),
        (["disable", "ada"], "", "last administrator"),
        (["enable", "nobody"], "", "no account called"),
        (["reset-password", "nobody"], "", "no account called"),
    ],
)
def test_what_can_not_be_done_is_one_sentence_and_status_1(app, runner, people, args, word, sentence):
    people("ada", "admin")
    result = runner.invoke(args=["users", *args], input=word)
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    with app.app_context():
        assert db.session.execute(select(func.count()).select_from(User)).scalar() == 1


def test_a_role_that_is_none_is_refused(runner):
    result = runner.invoke(args=["users", "create", "ana", "--role", "root"])
    assert result.exit_code == 2
    assert "scientist" in result.stderr


def test_list_in_words_and_as_json(runner, as_admin, people):
    people("old", active=False)
    people("guest", demo=True)
    words = runner.invoke(args=["users", "list"]).output.splitlines()
    assert words[0].startswith("ada: admin, active, last seen 20")
    assert words[1] == "guest: user, active, demo, last seen never"
    assert words[2] == "old: user, disabled, last seen never"
    rows = json.loads(runner.invoke(args=["users", "list", "--json"]).output)
    assert [row["name"] for row in rows] == ["ada", "guest", "old"]
    assert (rows[0]["sessions"], rows[0]["role"], rows[2]["active"]) == (1, "admin", False)
    assert "argon2" not in json.dumps(rows)


def test_changes_are_told_to_machines_as_the_list_tells_them(app, runner, as_viewer):
    def told(*words, **more):
        return json.loads(runner.invoke(args=["users", *words, "--json"], **more).stdout)

    made = told("create", "Ana", "--role", "scientist", "--password-stdin", input=PASSWORD + "\n")
    assert (made["name"], made["role"], made["sessions"]) == ("Ana", "scientist", 0)
    assert made == told("list")[0]
    assert [told(*words)[key] for *words, key in (
        ("set-role", "vera", "scientist", "role"), ("set-role", "vera", "scientist", "sessions"),
        ("disable", "vera", "active"), ("disable", "vera", "sessions"), ("enable", "vera", "active"),
    )] == ["scientist", 1, False, 0, True]  # fmt: skip


def test_list_of_nobody_says_what_to_do(runner):
    assert "flask setup-link" in runner.invoke(args=["users", "list"]).output
    assert runner.invoke(args=["users", "list", "--json"]).output == "[]\n"


def test_roles_and_access(app, runner, as_viewer):
    assert runner.invoke(args=["users", "set-role", "VERA", "scientist"]).output == "vera has the role scientist.\n"
    assert person(app, "vera").role == "scientist"
    assert runner.invoke(args=["users", "disable", "vera"]).exit_code == 0
    assert as_viewer.get("/account").status_code == 302
    assert runner.invoke(args=["users", "enable", "vera"]).exit_code == 0
    assert person(app, "vera").active


def test_reset_password_prints_it_alone_on_standard_output(app, runner, as_viewer):
    result = runner.invoke(args=["users", "reset-password", "vera"])
    word = result.stdout.strip()
    assert len(word) == 16
    assert app.test_client().submit("/login", {"name": "vera", "password": word}).status_code == 303
    with app.app_context():
        assert db.session.execute(select(func.count()).select_from(Session)).scalar() == 1  # the new one


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        ({}, "http://localhost:5000/setup?token="),
        ({"HOST": "192.168.1.5", "PORT": "8080"}, "http://192.168.1.5:8080/setup?token="),
        ({"HOST": "2001:db8::1"}, "http://[2001:db8::1]:5000/setup?token="),
        ({"PUBLIC_URL": "https://films.example.org/"}, "https://films.example.org/setup?token="),
    ],
)
def test_setup_link_leads_to_the_set_up_page(make_app, settings, start):
    app = make_app(**settings)
    output = app.test_cli_runner().invoke(args=["setup-link"]).output
    link = output.split()[-1]
    assert link.startswith(start)
    with app.app_context():
        assert accounts.setup_token_valid(link.partition("token=")[2])


def test_setup_link_is_silent_or_says_so_once_there_is_an_administrator(runner, people):
    people("ada", "admin")
    assert "administrator already" in runner.invoke(args=["setup-link"]).output
    result = runner.invoke(args=["setup-link", "--quiet"])
    assert (result.exit_code, result.output) == (0, "")
