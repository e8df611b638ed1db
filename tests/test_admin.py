"""The administrator's page of people: its buttons, the registration switch, and what it refuses."""

from datetime import timedelta

from kit import dump, password_hash, together
from sqlalchemy import update

from movierec.extensions import writing
from movierec.services import accounts, passwords
from movierec.tables import Session, User, now


def test_names_are_shown_as_they_were_stored(app, as_admin, monkeypatch):
    monkeypatch.setattr(passwords, "hash_password", lambda _: password_hash())
    for name in ("<script>alert(1)</script>", "{{ 7 * 7 }}", "O'Brien & Söhne", "田中さん", "محمد", "🎬"):
        answer = as_admin.submit("/admin/people", {"name": name, "role": "user"})
        assert answer.status_code == 200, name
        shown = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;")
        assert f"<bdi>{shown}</bdi>" in answer.text
        with app.app_context():
            assert accounts.by_name(name).name == name


def test_the_people_page_does_what_its_buttons_say(app, as_admin, people):
    ben = people("ben")
    browser = app.test_client().enter(ben)
    text = as_admin.get("/admin/people").text
    assert "<bdi>ben</bdi>" in text
    answer = as_admin.submit(f"/admin/people/{ben}/sessions/end")
    assert answer.location == "/admin/people"
    assert "1 session ended" in as_admin.get("/admin/people").text
    assert browser.get("/account").status_code == 302
    told = as_admin.submit(f"/admin/people/{ben}/password")
    word = told.text.partition('select-all text-head">')[2].partition("</code>")[0]
    assert app.test_client().submit("/login", {"name": "ben", "password": word}).status_code == 303
    assert word not in as_admin.get("/admin/people").text
    for url in (f"/admin/people/{as_admin.user_id}/role", f"/admin/people/{as_admin.user_id}/active"):
        refused = as_admin.submit(url, {"role": "user", "active": "off"})
        assert refused.status_code == 409
        assert "last administrator" in refused.text
    assert as_admin.submit(f"/admin/people/{ben}/role", {"role": "root"}).status_code == 422
    for url in ("role", "active", "password", "sessions/end"):
        assert as_admin.submit(f"/admin/people/4711/{url}", {"role": "user", "active": "on"}).status_code == 404
    assert as_admin.submit("/admin/people", {"name": "BEN", "role": "user"}).status_code == 409
    assert as_admin.submit("/admin/people", {"name": "cleo", "role": "root"}).status_code == 422
    assert as_admin.submit(f"/admin/people/{ben}/role", {"role": "admin"}).location == "/admin/people"
    assert as_admin.submit(f"/admin/people/{as_admin.user_id}/role", {"role": "user"}).location == "/"
    assert as_admin.get("/admin/people").status_code == 403


KEY = "0123456789abcdef" * 2


def told(answer):
    return answer.text.partition('select-all text-head">')[2].partition("</code>")[0]


def signs_in(app, name, word):
    return app.test_client().submit("/login", {"name": name, "password": word}).status_code == 303


def test_a_form_sent_twice_tells_a_password_that_works(app, as_admin, people):
    """A double click: of the two answers the browser shows either, and both must hold."""
    form = {"name": "new", "role": "scientist", "form_key": KEY}
    both = [as_admin.submit("/admin/people", form) for _ in range(2)]
    assert [answer.status_code for answer in both] == [200, 200]
    assert told(both[0]) == told(both[1])
    assert signs_in(app, "new", told(both[0]))
    ben = people("ben")
    words = [told(as_admin.submit(f"/admin/people/{ben}/password", {"form_key": KEY})) for _ in range(2)]
    assert words[0] == words[1] != told(both[0])
    assert signs_in(app, "ben", words[0])


def test_double_clicks_at_the_very_same_moment(app, as_admin, people):
    ben, token = people("ben"), as_admin.get_cookie("movierec_session").value
    for url, name, form in (
        ("/admin/people", "new", {"name": "new", "role": "user", "form_key": KEY}),
        (f"/admin/people/{ben}/password", "ben", {"form_key": KEY}),
    ):
        browsers = [app.test_client() for _ in range(4)]
        for browser in browsers:
            browser.carry(token)
            form["csrf_token"] = browser.csrf_token
        answers = together(4, lambda at, url=url, form=form, browsers=browsers: browsers[at].post(url, data=form))
        assert [answer.status_code for answer in answers] == [200] * 4
        words = {told(answer) for answer in answers}
        assert len(words) == 1
        assert signs_in(app, name, words.pop())


def test_another_form_or_a_short_key_gives_another_password(as_admin, people):
    ben = people("ben")
    keys = (KEY, KEY[::-1], "", "", "short", "short")
    words = {told(as_admin.submit(f"/admin/people/{ben}/password", {"form_key": key})) for key in keys}
    assert len(words) == len(keys)
    page = as_admin.get("/admin/people").text
    assert page.count('name="form_key"') == 3  # new password for ada and ben, new account
    assert KEY not in page


def test_a_form_key_tells_nothing_of_an_account_that_was_there_before(app, as_admin, people):
    people("ben")
    for form in ({"name": "ben", "role": "user"}, {"name": "BEN", "role": "admin"}):
        assert as_admin.submit("/admin/people", form | {"form_key": KEY}).status_code == 409
    as_admin.submit("/admin/people", {"name": "new", "role": "user", "form_key": KEY})
    assert as_admin.submit("/admin/people", {"name": "new", "role": "admin", "form_key": KEY}).status_code == 409


def test_the_registration_switch_and_the_environment_that_wins(make_app):
    app = make_app(REGISTRATION="off")
    with app.app_context(), writing() as session:
        session.add(User(id=1, name="ada", name_key="ada", password_hash=password_hash(), role="admin"))
    browser = app.test_client().enter(1)
    assert "REGISTRATION" in browser.get("/admin/people").text
    assert browser.submit("/admin/registration", {"registration": "on"}).status_code == 409
    app.config["REGISTRATION"] = ""
    assert browser.submit("/admin/registration", {"registration": "on"}).status_code == 303
    assert "Registration is on" in browser.get("/admin/people").text


def test_a_stale_proof_by_htmx_sends_the_page_to_prove(app, as_admin, people):
    spare = people("spare")
    with app.app_context(), writing() as session:
        session.execute(update(Session).values(proven_at=now() - timedelta(hours=1)))
    answer = as_admin.submit(
        f"/admin/people/{spare}/role",
        {"role": "admin"},
        htmx=True,
        headers={"HX-Current-URL": "http://localhost/admin/people"},
    )
    assert answer.headers["HX-Redirect"] == "/account/prove?next=/admin/people"
    assert "once more" in as_admin.get("/account/prove").text


def test_a_demo_administrator_changes_demo_accounts_only(app, people):
    """Its password is printed for everybody, so it must not lead to a real person's account or outlive the demo."""
    real, guest = people("ada", "admin"), people("guest", demo=True)
    browser = app.test_client().enter(people("demo", "admin", demo=True))
    before = dump(app)
    forms = {"role": {"role": "user"}, "active": {"active": "off"}, "password": {}, "sessions/end": {}}
    for url, form in forms.items():
        assert browser.submit(f"/admin/people/{real}/{url}", form).status_code == 403, url
    assert dump(app) == before
    for url, form in forms.items():
        assert browser.submit(f"/admin/people/{guest}/{url}", form).status_code in (200, 303), url
    assert browser.submit("/admin/people", {"name": "new", "role": "admin"}).status_code == 200
    with app.app_context():
        assert accounts.by_name("new").demo
