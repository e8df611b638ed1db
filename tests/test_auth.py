"""The pages of signing in, setting up, registering and one's own account; where they lead, and what they refuse."""

import json
from datetime import timedelta

import pytest
from hostile import ELSEWHERE, NAUGHTY
from kit import PASSWORD, dump, password_hash
from sqlalchemy import select

from movierec.extensions import db, writing
from movierec.services import accounts, names, passwords, settings
from movierec.services.errors import Refused
from movierec.tables import Session, User, now

HERE = {
    "/account": "/account",
    "/search?q=alien&page=2": "/search?q=alien&page=2",
    "/search?q=am%C3%A9lie": "/search?q=am%C3%A9lie",
    "/search?next=https://evil.test": "/search?next=https://evil.test",
    "/%2Fevil.test": "/%2Fevil.test",
}


@pytest.fixture
def cheap(monkeypatch):
    """Hashes and checks that cost nothing, where the test is about something else."""
    monkeypatch.setattr(passwords, "hash_password", lambda _: password_hash())
    monkeypatch.setattr(passwords, "matches", lambda stored, password: stored is not None and password == PASSWORD)


@pytest.fixture
def ada(people):
    """An administrator, so that the site is set up."""
    return people("ada", "admin")


def link(app):
    with app.app_context():
        return accounts.new_setup_token()


def forget_tries(app):
    with app.app_context(), writing() as session:
        session.connection().exec_driver_sql("DELETE FROM login_attempts")


def test_a_fresh_site_says_how_to_open_it(client):
    answer = client.get("/login")
    assert answer.status_code == 200
    assert "flask setup-link" in answer.text
    assert "<input" not in answer.text
    assert client.get("/setup").status_code == 404
    assert client.get("/setup?token=guess").status_code == 404
    assert client.submit("/setup", {"token": "guess", "name": "eve", "password": PASSWORD}).status_code == 404


def test_the_set_up_link_makes_the_administrator_and_is_gone(app, client):
    token = link(app)
    assert client.get(f"/setup?token={token}").status_code == 200
    refused = client.submit("/setup", {"token": token, "name": "ada", "password": "short"})
    assert refused.status_code == 422
    assert 'value="ada"' in refused.text
    assert "8 to 128" in refused.text
    answer = client.submit("/setup", {"token": token, "name": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/")
    assert client.get("/admin/people").status_code == 200
    again = app.test_client().get(f"/setup?token={token}")
    assert again.status_code == 404
    assert "flask setup-link" in again.text
    assert "Sign in" in app.test_client().get("/login").text


def test_signing_in_leads_to_where_one_wanted_to_go(client, ada):
    wanted = client.get("/account")
    assert (wanted.status_code, wanted.location) == (302, "/login?next=/account")
    door = client.get(wanted.location)
    assert 'name="next" value="/account"' in door.text
    answer = client.submit("/login", {"name": "ada", "password": PASSWORD, "next": "/account"})
    assert (answer.status_code, answer.location) == (303, "/account")
    assert client.get("/login").location == "/"
    assert client.get("/login?next=/account").location == "/account"


def test_a_wrong_password_keeps_the_form_and_never_the_password(client, ada):
    form = {"name": "ada <b>", "password": "canary-word", "next": "/account", "remember": "1"}
    answer = client.submit("/login", form)
    assert answer.status_code == 422
    assert 'value="ada &lt;b&gt;"' in answer.text
    assert 'value="/account"' in answer.text
    assert "checked" in answer.text
    assert accounts.WRONG in answer.text
    assert "canary-word" not in answer.text


def test_too_many_tries_say_when_again(client, ada, cheap):
    answers = [client.submit("/login", {"name": "ada", "password": "x"}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert answers[-1].headers["Retry-After"] == "300"
    assert "five minutes" in answers[-1].text


@pytest.mark.parametrize("how", ["GET", "POST", "prove"])
def test_nothing_leads_off_this_site(app, as_admin, cheap, how):
    assert len(ELSEWHERE) >= 60
    for target in ELSEWHERE if how == "GET" else ELSEWHERE[::5]:
        if how == "GET":
            answer = as_admin.get("/login", query_string={"next": target.encode("utf-8", "surrogatepass")})
        elif how == "POST":
            form = {"name": "ada", "password": PASSWORD, "next": target.encode("utf-8", "surrogatepass")}
            answer = app.test_client().submit("/login", form)
        else:
            form = {"current": PASSWORD, "next": target.encode("utf-8", "surrogatepass")}
            answer = as_admin.submit("/account/prove", form)
        assert answer.status_code in (302, 303), ascii(target)
        assert answer.location == "/", ascii(target)


def test_what_is_on_this_site_is_kept(as_admin):
    for target, location in HERE.items():
        assert as_admin.get("/login", query_string={"next": target}).location == location


def test_registration_is_a_switch(app, client, ada):
    assert "Make an account" not in client.get("/login").text
    assert client.get("/register").status_code == 403
    assert client.submit("/register", {"name": "ana", "password": PASSWORD}).status_code == 403
    with app.app_context():
        settings.open_registration(True)
    assert "Make an account" in client.get("/login").text
    assert client.get("/register").status_code == 200
    taken = client.submit("/register", {"name": "ADA", "password": PASSWORD})
    assert taken.status_code == 409
    assert "taken" in taken.text
    answer = client.submit("/register", {"name": "ana", "password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/")
    assert client.get("/account").status_code == 200


def test_changing_the_password_needs_the_current_one_and_twice_the_new(as_viewer):
    new = "another good sentence"
    cases = (
        ({"current": "wrong", "password": new, "again": new}, "not your password"),
        ({"current": PASSWORD, "password": new, "again": new + "x"}, "not the same"),
        ({"current": PASSWORD, "password": "movierec1", "again": "movierec1"}, "first that people try"),
        ({}, "8 to 128"),
    )
    for form, sentence in cases:
        answer = as_viewer.submit("/account", form)
        assert answer.status_code == 422, form
        assert sentence in answer.text
        assert new not in answer.text
    assert as_viewer.submit("/account", {"current": PASSWORD, "password": new, "again": new}).status_code == 303
    assert "password is changed" in as_viewer.get("/account").text
    assert "password is changed" not in as_viewer.get("/account").text


def test_a_password_of_any_script_and_with_spaces_around_works(client, ada, app):
    for number, word in enumerate(
        (" пароль из слов ", "密码是一个很长的句子", "🎬🍿🎥🎞🎭🎪🎨🎤", "a\0b\0c\0d\0e", "y" * 60 + "abcd" * 17)
    ):
        with app.app_context():
            accounts.create(f"person {number}", word)
        answer = app.test_client().submit("/login", {"name": f"person {number}", "password": word})
        assert answer.status_code == 303, ascii(word)


def test_the_account_page_shows_no_secret(as_viewer, app):
    text = as_viewer.get("/account").text
    with app.app_context():
        row = db.session.execute(select(Session)).scalar_one()
    assert row.token_sha256 not in text
    assert as_viewer.get_cookie("movierec_session").value not in text
    assert "argon2" not in text


def test_demo_accounts_are_told_why(app, people):
    browser = app.test_client().enter(people("guest", demo=True))
    assert "Demo accounts keep" in browser.get("/account").text
    new = "another good sentence"
    assert browser.submit("/account", {"current": PASSWORD, "password": new, "again": new}).status_code == 403


# Form, its fields that take the text at once, and what else it needs to get as far as them.
FORMS = [
    ("/login", ("name", "password", "remember"), {}),
    ("/login", ("next",), {"name": "ada", "password": PASSWORD}),
    ("/setup", ("token", "name", "password"), {}),
    ("/register", ("name",), {"password": PASSWORD}),
    ("/register", ("password",), {"name": "ada"}),
    ("/account", ("current", "password", "again"), {}),
    ("/account", ("password", "again"), {"current": PASSWORD}),
    ("/account/prove", ("current", "next"), {}),
    ("/admin/people", ("name",), {"role": "user"}),
    ("/admin/people", ("role",), {"name": "new"}),
    ("/admin/registration", ("registration",), {}),
]


def test_naughty_strings_in_every_field_break_nothing(app, as_admin, cheap):
    with app.app_context():
        settings.open_registration(True)
    for url, fields, rest in FORMS:
        visitor = app.test_client()
        for text in NAUGHTY:
            browser = visitor if url == "/login" else as_admin
            form = dict.fromkeys(fields, text.encode("utf-8", "surrogatepass")) | rest
            answer = browser.submit(url, form)
            assert answer.status_code < 500, (url, fields, ascii(text))
            assert len(answer.headers.getlist("Set-Cookie")) <= 2
            assert "<script>alert" not in answer.text
            assert "<img src=x" not in answer.text
            if url == "/register":
                as_admin.enter(1)  # who registers is signed in as the new person
        forget_tries(app)


@pytest.mark.parametrize("name", NAUGHTY)
def test_naughty_names_in_the_set_up_form(name):
    """Where the link is good the name decides; the service answers with a sentence or a name that can be shown."""
    try:
        shown, key = names.clean(name)
    except Refused:
        return
    assert 1 <= len(shown) <= 40
    assert len(key) <= 128
    assert shown.isprintable()


def test_no_form_sets_what_it_does_not_show(app, as_viewer, people, cheap):
    """S11: every column of a person as an extra field of every form; only what the form is for may change."""
    other = people("other")
    people("ada", "admin")
    with app.app_context():
        settings.open_registration(True)
    extra = {
        "id": other, "user_id": other, "role": "admin", "active": "1", "is_active": "1", "demo": "1",
        "name_key": "root", "password_hash": "x", "history_version": "99", "created_at": "2000-01-01", "is_admin": "on",
        "proven_at": "2099-01-01", "token_sha256": "0" * 64, "expires_at": "2099-01-01", "remember": "1",
    }  # fmt: skip
    before = dump(app)
    for url in ("/account/prove", "/account", "/login"):
        as_viewer.submit(url, extra | {"name": "vera", "password": "wrong", "current": "wrong", "again": "other"})
    forget_tries(app)
    assert dump(app) == before
    assert app.test_client().submit("/register", extra | {"name": "new", "password": PASSWORD}).status_code == 303
    new = "another good sentence"
    form = {"current": PASSWORD, "password": new, "again": new}
    assert as_viewer.submit("/account", extra | form).status_code == 303
    with app.app_context():
        rows = {user.name: user for user in db.session.execute(select(User)).scalars()}
        for name in ("new", "vera", "other"):
            assert (rows[name].role, rows[name].active, rows[name].demo) == ("user", True, False)
            assert (rows[name].history_version, rows[name].name_key) == (0, name)
        assert rows["new"].id not in (other, 99)
        assert now() - rows["new"].created_at < timedelta(minutes=1)


def test_odd_bodies_break_nothing(client, ada):
    form = "application/x-www-form-urlencoded"
    bodies = (
        (b"{", "application/json"),
        (json.dumps({"name": "ada"}).encode(), "application/json"),
        (b"\xff\xfe", "text/plain"),
        (b"name=%ff%fe&password=%", form),
        (b"name=a;" * 5000, form),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"x", "multipart/form-data"),
        (b"", "\\"),
    )
    for body, kind in bodies:
        answer = client.post("/login", data=body, content_type=kind, headers={"X-CSRFToken": client.csrf_token})
        assert answer.status_code in (400, 413, 422), (kind, answer.status_code)
