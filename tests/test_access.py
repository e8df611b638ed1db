"""Who may call what: a matrix made from the routes themselves, for everybody, and rules that hold for all routes."""

from types import SimpleNamespace

import pytest
from kit import NOON, PASSWORD, dump
from werkzeug.routing import Rule

from movierec import posters
from movierec.blueprints.access import ACCESS, FRESH
from movierec.extensions import db, writing
from movierec.services import accounts, sessions
from movierec.tables import Session, User, View, now

# Who asks, and the roles that count for them; a disabled or deleted account is nobody, whatever it was.
WHO = {
    "anonymous": (),
    "user": ("user",),
    "admin": ("user", "admin"),
    "scientist": ("user", "scientist"),
    "disabled administrator": (),
    "deleted administrator": (),
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")


@pytest.fixture
def site(app, people, catalogue):
    """Everybody, one view of the asking user and one of another, and what to put into addresses."""
    ids = {
        "user": people("uma"),
        "admin": people("ada", "admin"),
        "scientist": people("sam", "scientist"),
        "disabled administrator": people("dora", "admin"),
        "deleted administrator": people("dan", "admin"),
    }
    other, spare = people("otto"), people("spare")
    clients = {who: app.test_client().enter(user_id) for who, user_id in ids.items()}
    clients["anonymous"] = app.test_client()
    with app.app_context():
        accounts.set_active(ids["disabled administrator"], False)
        accounts.remove(ids["deleted administrator"])
        with writing() as session:
            views = {
                user_id: View(user_id=user_id, movie_id=catalogue["Amélie"], watched_at=NOON)
                for user_id in (other, *(ids[who] for who in ("user", "admin", "scientist")))
            }
            session.add_all(views.values())
    return SimpleNamespace(
        app=app, ids=ids, clients=clients, other=other, spare=spare, views={who: row.id for who, row in views.items()}
    )


def rules(app) -> list[Rule]:
    return sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, rule.endpoint))


def address(site, rule: Rule, who: str) -> str:
    """An address of this route that leads to something, one's own where it belongs to somebody."""
    given = {
        "movie_id": 1214,
        "view_id": site.views.get(site.ids.get(who), site.views[site.ids["user"]]),
        "user_id": site.spare,
        "run_id": 1,
        "number": 1,
        "engine": "popularity",
        "browser_id": "0" * 16,
        "filename": "mark.svg",
        "version": posters.VERSION,
        "place": 1,
        "kind": "csv",
    }
    missing = rule.arguments - set(given)
    assert not missing, f"{rule.endpoint}: say in tests/test_access.py what {missing} may be"
    with site.app.test_request_context():
        return site.app.url_for(rule.endpoint, **{name: given[name] for name in rule.arguments})


def test_every_route_has_its_role_and_every_role_a_route(app):
    assert {rule.endpoint for rule in rules(app)} == set(ACCESS)
    assert set(ACCESS.values()) <= {"public", "user", "admin", "scientist"}
    assert set(ACCESS) >= FRESH


def test_a_route_without_a_role_is_closed_even_to_administrators(make_app, people):
    app = make_app()
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    with app.app_context(), writing() as session:
        session.add(User(id=1, name="ada", name_key="ada", password_hash="x", role="admin"))
    answer = app.test_client().enter(1).get("/forgotten")
    assert answer.status_code == 403
    assert "secret" not in answer.text


@pytest.mark.parametrize("who", WHO)
def test_the_matrix(site, who):
    for rule in rules(site.app):
        for method in sorted(rule.methods & {"GET", "POST"}):
            role = ACCESS[rule.endpoint]
            url = address(site, rule, who)
            browser = site.clients[who]
            if site.ids.get(who) and WHO[who]:  # the call before may have signed them out
                browser.enter(site.ids[who])
            answer = browser.submit(url) if method == "POST" else browser.get(url)
            case = f"{who} {method} {url}: {answer.status_code}"
            assert answer.status_code != 500, case
            if role == "public":
                assert answer.status_code != 401, case
            elif not WHO[who] and method == "GET":
                assert answer.status_code == 302, case
                assert answer.location.startswith("/login?next="), case
            elif not WHO[who]:
                assert answer.status_code == 401, case
            elif role not in WHO[who]:
                assert answer.status_code == 403, case
            else:
                assert answer.status_code not in (401, 403, 405), case
                assert "/login" not in answer.headers.get("Location", ""), case


def test_what_is_somebody_elses_is_not_there(site):
    """S12: another person's entry or session answers as one that does not exist, and stays."""
    mine, others = site.views[site.ids["user"]], site.views[site.other]
    browser = site.clients["user"]
    found = 0
    for rule in rules(site.app):
        if "view_id" not in rule.arguments:
            continue
        found += 1
        for method in sorted(rule.methods & {"GET", "POST"}):
            with site.app.test_request_context():
                own, foreign = (site.app.url_for(rule.endpoint, view_id=view_id) for view_id in (mine, others))
            before = dump(site.app)["views"]
            assert browser.open(foreign, method=method, data={"csrf_token": browser.csrf_token}).status_code == 404
            assert dump(site.app)["views"] == before
            assert browser.open(own, method=method, data={"csrf_token": browser.csrf_token}).status_code < 500
    assert found
    with site.app.app_context():
        token = sessions.begin(site.other, remember=False)
        theirs = sessions.browsers(sessions.viewer(token))[0].id
    assert browser.submit(f"/account/sessions/{theirs}/end").status_code == 404
    with site.app.app_context():
        assert sessions.viewer(token) is not None


def test_htmx_is_sent_to_sign_in_and_back_to_its_page(client, people):
    people("ada", "admin")
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/search?q=alien"}
    for answer in (client.get("/account", headers=headers), client.submit("/movies/1/watched", headers=headers)):
        assert answer.status_code == 401
        assert answer.headers["HX-Redirect"] == "/login?next=/search?q%3Dalien"
        assert not answer.data
    broken = client.get("/account", headers={"HX-Request": "true", "HX-Current-URL": "http://[::1"})
    assert broken.headers["HX-Redirect"] == "/login"


def test_methods_that_a_route_lacks_are_405(site):
    browser = site.clients["admin"]
    adapter = site.app.url_map.bind("localhost")
    for rule in rules(site.app):
        url = address(site, rule, "admin")
        for method in set(METHODS) - set(adapter.allowed_methods(url)):
            answer = browser.open(url, method=method)
            assert answer.status_code == 405, f"{method} {url}: {answer.status_code}"
            assert "GET" in answer.headers["Allow"] or "POST" in answer.headers["Allow"]


def test_a_change_needs_a_token_and_must_come_from_this_site(site):
    for rule in rules(site.app):
        if "POST" not in rule.methods:
            continue
        role = ACCESS[rule.endpoint]
        who = role if role != "public" else "user"
        browser, url = site.clients[who], address(site, rule, who)
        before = dump(site.app)
        assert browser.post(url).status_code == 400, url
        assert browser.post(url, data={"csrf_token": "made-up"}).status_code == 400, url
        assert browser.post(url, data={"csrf_token": site.clients["scientist"].csrf_token}).status_code == 400 or (
            who == "scientist"
        ), url
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.test"},
            {"Origin": "null"},
        ):
            assert browser.submit(url, headers=headers).status_code == 403, (url, headers)
        assert dump(site.app) == before, url


def test_changes_from_our_own_pages_pass(as_viewer):
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://localhost"}):
        answer = as_viewer.submit("/account", {"current": "x"}, headers=headers)
        assert answer.status_code == 422, headers


@pytest.mark.parametrize("who", ["user", "admin", "scientist"])
def test_no_get_changes_the_database(site, who):
    """Slates are left out: they are the log of what was shown. Last-seen times are too."""
    before = dump(site.app, leave_out=("slates",))
    for rule in rules(site.app):
        if "GET" in rule.methods:
            url = address(site, rule, who)
            assert site.clients[who].get(url).status_code < 500, url
            assert site.clients[who].fragment(url).status_code < 500, url
            form = {"name": "uma", "password": PASSWORD, "current": PASSWORD, "again": PASSWORD}
            answer = site.clients[who].head(url, data=form)  # a HEAD with a form is no change either
            assert answer.status_code < 500, url
            assert not any("session=" in cookie for cookie in answer.headers.getlist("Set-Cookie")), url
            assert dump(site.app, leave_out=("slates",)) == before, url


def test_changes_of_accounts_need_a_fresh_password(app, as_admin, people):
    spare = people("spare")
    with app.app_context(), writing() as session:
        session.query(Session).update({"proven_at": now() - sessions.FRESH})
    changes = {
        f"/admin/people/{spare}/role": {"role": "scientist"},
        f"/admin/people/{spare}/active": {"active": "off"},
        f"/admin/people/{spare}/password": {},
        "/admin/people": {"name": "new", "role": "user"},
        "/admin/registration": {"registration": "on"},
    }
    before = dump(app)
    for url, form in changes.items():
        answer = as_admin.submit(url, form, headers={"Referer": "http://localhost/admin/people"})
        assert (answer.status_code, answer.location) == (303, "/account/prove?next=/admin/people"), url
    assert dump(app) == before
    wrong = as_admin.submit("/account/prove", {"current": "wrong", "next": "/admin/people"})
    assert wrong.status_code == 422
    right = as_admin.submit("/account/prove", {"current": PASSWORD, "next": "/admin/people"})
    assert (right.status_code, right.location) == (303, "/admin/people")
    for url, form in changes.items():
        assert as_admin.submit(url, form).status_code in (200, 303), url
    with app.app_context():
        user = db.session.get(User, spare)
        assert (user.role, user.active) == ("scientist", False)
