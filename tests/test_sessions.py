"""Signed-in browsers, S1-S6: nothing outlives the account, its role, its password, the sign-out or its time."""

import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from kit import PASSWORD, together
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from movierec.extensions import db, writing
from movierec.services import accounts, sessions
from movierec.services.errors import NotFound, Refused
from movierec.tables import Session, User, now

MINUTE = timedelta(minutes=1)


def sign_in(app, name, **form):
    """A new browser, signed in through the door."""
    browser = app.test_client()
    answer = browser.submit("/login", {"name": name, "password": PASSWORD} | form)
    assert answer.status_code == 303
    return browser


def token_of(browser):
    return browser.get_cookie(browser.application.config["LOGIN_COOKIE"]).value


def replay(app, token):
    """Another browser that holds a copied cookie."""
    browser = app.test_client()
    browser.carry(token)
    return browser


def signed_in(browser):
    answer = browser.get("/account")
    assert answer.status_code in (200, 302)
    return answer.status_code == 200


def set_times(app, **columns):
    with app.app_context(), writing() as session:
        session.execute(update(Session).values(**columns))


def count(app, **wanted):
    with app.app_context():
        return len(db.session.execute(select(Session).filter_by(**wanted)).all())


def test_a_lowered_role_holds_from_the_next_request(app, as_admin, people):
    people("other admin", "admin")
    assert as_admin.get("/admin/people").status_code == 200
    with app.app_context():
        accounts.set_role(as_admin.user_id, "user")
    assert as_admin.get("/admin/people").status_code == 403
    assert signed_in(as_admin)


def test_a_changed_role_renews_the_token_with_the_next_page(app, as_admin, people):
    """ASVS 7.2.4. The session stays: nobody is signed out, and a form that lies open can still be sent."""
    ben = people("ben")
    browser = app.test_client().enter(ben, remember=True)
    before, form = token_of(browser), browser.csrf_token
    assert browser.get("/static/mark.svg").status_code == 200
    assert as_admin.submit(f"/admin/people/{ben}/role", {"role": "scientist"}).status_code == 303
    assert "Set-Cookie" not in browser.get("/static/mark.svg").headers  # what caches keep carries no cookie
    page = browser.get("/lab")
    assert page.status_code == 200  # the new role, at once
    after = token_of(browser)
    assert after != before
    assert any("movierec_session=" in line and "Max-Age" in line for line in page.headers.getlist("Set-Cookie"))
    assert not signed_in(replay(app, before))
    assert signed_in(browser)
    assert token_of(browser) == after  # once
    assert browser.post("/logout", data={"csrf_token": form}).status_code == 303
    as_admin.submit(f"/admin/people/{as_admin.user_id}/active", {"active": "on"})
    assert not any("session=" in line for line in as_admin.get("/account").headers.getlist("Set-Cookie"))


def test_the_same_role_again_renews_nothing(app, as_viewer):
    before = token_of(as_viewer)
    with app.app_context():
        accounts.set_role(as_viewer.user_id, "user")
    assert signed_in(as_viewer)
    assert token_of(as_viewer) == before


def test_a_renewal_waits_for_nobody_and_is_made_once(app, as_viewer):
    before = token_of(as_viewer)
    with app.app_context():
        accounts.set_role(as_viewer.user_id, "scientist")
        path = app.config["INSTANCE_DIR"] / "movierec.sqlite3"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert sessions.renew(sessions.viewer(before)) is None
            other.execute("ROLLBACK")
        viewer = sessions.viewer(before)
        answers = [sessions.renew(viewer) for _ in range(2)]
        assert answers[1] is None
        assert sessions.viewer(answers[0]).renew is False
        with closing(sqlite3.connect(path)) as other:
            other.execute("ALTER TABLE sessions RENAME TO gone")
            other.commit()
        with pytest.raises(OperationalError, match="no such table"):
            sessions.renew(viewer)


def test_every_token_on_a_page_is_the_sessions_own(app, as_viewer, people):
    """The first page after signing in: its body's, for htmx, and those of its forms."""
    for browser in (as_viewer, sign_in(app, "vera"), app.test_client()):
        text = browser.get("/account", follow_redirects=True).text
        tokens = set(re.findall(r'name="csrf_token" value="([^"]+)"|"X-CSRFToken": "([^"]+)"', text))
        assert len({"".join(pair) for pair in tokens}) == 1
        token = "".join(tokens.pop())
        assert browser.post("/logout", headers={"X-CSRFToken": token}).status_code == 303


def test_form_tokens_belong_to_the_session(app, as_viewer, people):
    """A form cookie that somebody planted, or that another session left, makes no token good."""
    mine, other = as_viewer.csrf_token, app.test_client().enter(people("otto"))
    as_viewer.get("/account")
    for foreign in (other.csrf_token, app.test_client().enter(as_viewer.user_id).csrf_token):
        assert as_viewer.post("/logout", data={"csrf_token": foreign}).status_code == 400
    other.get("/account")
    planted = other.get_cookie("movierec_form").value
    as_viewer.set_cookie("movierec_form", planted)
    assert as_viewer.post("/logout", data={"csrf_token": other.csrf_token}).status_code == 400
    assert as_viewer.post("/logout", data={"csrf_token": mine}).status_code == 303


def test_a_disabled_person_is_out_at_once_and_an_enabled_one_signs_in_anew(app, as_viewer):
    token = token_of(as_viewer)
    with app.app_context():
        accounts.set_active(as_viewer.user_id, False)
    assert not signed_in(as_viewer)
    with app.app_context():
        accounts.set_active(as_viewer.user_id, True)
    assert not signed_in(replay(app, token))
    assert signed_in(sign_in(app, "vera"))


def test_a_deleted_person_is_out_at_once_and_leaves_no_session(app, as_viewer, people):
    people("ada", "admin")
    with app.app_context():
        accounts.remove(as_viewer.user_id)
    assert not signed_in(as_viewer)
    assert count(app) == 0


def test_a_changed_password_ends_every_other_session(app, as_viewer):
    elsewhere, remembered = sign_in(app, "vera"), sign_in(app, "vera", remember="1")
    new = "a staple of horse batteries"
    answer = as_viewer.submit("/account", {"current": PASSWORD, "password": new, "again": new})
    assert (answer.status_code, answer.location) == (303, "/account")
    assert signed_in(as_viewer)
    assert not signed_in(elsewhere)
    assert not signed_in(remembered)
    old = app.test_client().submit("/login", {"name": "vera", "password": PASSWORD})
    assert old.status_code == 422


def test_a_reset_password_ends_all_sessions(app, as_viewer):
    with app.app_context():
        word = accounts.reset_password(as_viewer.user_id)
    assert not signed_in(as_viewer)
    assert app.test_client().submit("/login", {"name": "vera", "password": word}).status_code == 303


def test_signing_out_makes_the_copied_cookie_worthless(app, as_viewer):
    token, elsewhere = token_of(as_viewer), sign_in(app, "vera")
    answer = as_viewer.submit("/logout")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert not signed_in(replay(app, token))
    assert signed_in(elsewhere)


def test_signing_out_everywhere_ends_every_session(app, as_viewer, people):
    elsewhere, other = sign_in(app, "vera"), app.test_client().enter(people("otto"))
    as_viewer.submit("/logout", {"everywhere": "1"})
    assert not signed_in(as_viewer)
    assert not signed_in(elsewhere)
    assert signed_in(other)


def test_one_of_ones_own_browsers_can_be_signed_out(app, as_viewer):
    elsewhere = sign_in(app, "vera")
    with app.app_context():
        mine = sessions.viewer(token_of(as_viewer))
        assert [browser.current for browser in sessions.browsers(mine)].count(True) == 1
        other = next(browser for browser in sessions.browsers(mine) if not browser.current)
        with pytest.raises(NotFound):
            sessions.end_one(mine, "0" * 16)
    assert as_viewer.submit(f"/account/sessions/{other.id}/end").location == "/account"
    assert not signed_in(elsewhere)
    with app.app_context():
        this = sessions.browsers(mine)[0]
    answer = as_viewer.submit(f"/account/sessions/{this.id}/end")
    assert answer.location == "/login"
    assert "Clear-Site-Data" in answer.headers
    assert not signed_in(as_viewer)


def test_the_token_is_new_at_each_sign_in_and_the_one_before_is_dead(app, people):
    """S5: a planted token stays nobody's, and signing in again ends the session before."""
    people("ada", "admin")
    people("vera")
    browser = app.test_client()
    browser.carry("planted")
    form_token = browser.csrf_token
    browser.submit("/login", {"name": "vera", "password": PASSWORD})
    first = token_of(browser)
    assert first != "planted"
    assert not signed_in(replay(app, "planted"))
    assert browser.post("/logout", data={"csrf_token": form_token}).status_code == 400  # renewed with the session
    browser.submit("/login", {"name": "ada", "password": PASSWORD})
    assert token_of(browser) != first
    assert not signed_in(replay(app, first))
    assert count(app) == 1


def test_the_database_never_holds_a_token(app, as_viewer):
    token = token_of(as_viewer)
    assert len(token) >= 43  # 256 bits
    folder = Path(app.config["INSTANCE_DIR"])
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    assert all(token.encode() not in file.read_bytes() for file in folder.iterdir())


@pytest.mark.parametrize(("remember", "idle"), [(False, timedelta(hours=12)), (True, timedelta(days=30))])
def test_a_session_ends_when_idle_too_long(app, as_viewer, remember, idle):
    set_times(app, remember=remember, last_seen_at=now() - idle + MINUTE)
    assert signed_in(as_viewer)
    set_times(app, remember=remember, last_seen_at=now() - idle)
    assert not signed_in(as_viewer)


def test_a_session_ends_after_90_days_however_busy_and_whatever_the_clock_does(app, as_viewer):
    with app.app_context():
        row = db.session.execute(select(Session)).scalar_one()
        assert row.expires_at - row.created_at - timedelta(days=90) < timedelta(seconds=1)
    set_times(app, last_seen_at=now() + timedelta(days=1))  # seen by a clock that was a day ahead
    assert signed_in(as_viewer)
    set_times(app, expires_at=now(), last_seen_at=now() + timedelta(days=1))
    assert not signed_in(as_viewer)


def test_only_living_sessions_are_counted(app, as_viewer):
    for columns, number in (
        ({"remember": False}, 1),
        ({"last_seen_at": now() - timedelta(hours=13)}, 0),
        ({"remember": True}, 1),
        ({"last_seen_at": now() - timedelta(days=31)}, 0),
        ({"last_seen_at": now(), "expires_at": now()}, 0),
    ):
        set_times(app, **columns)
        with app.app_context():
            assert sessions.counts().get(as_viewer.user_id, (0, None))[0] == number, columns


def test_sessions_past_their_end_are_swept_at_the_next_sign_in(app, as_viewer, people):
    set_times(app, expires_at=now() - MINUTE)
    sign_in(app, "vera")
    assert count(app) == 1


def test_a_visit_is_noted_at_most_every_five_minutes(app, as_viewer):
    recent, past = now() - 4 * MINUTE, now() - 6 * MINUTE
    set_times(app, last_seen_at=recent)
    as_viewer.get("/account")
    assert count(app, last_seen_at=recent) == 1
    set_times(app, last_seen_at=past)
    as_viewer.get("/account")
    with app.app_context():
        assert now() - db.session.execute(select(Session.last_seen_at)).scalar_one() < MINUTE


def test_a_visit_that_cannot_be_noted_is_still_served(app, as_viewer):
    past = now() - 6 * MINUTE
    set_times(app, last_seen_at=past)
    path = Path(app.config["INSTANCE_DIR"]) / "movierec.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        started = now()
        assert signed_in(as_viewer)
        assert now() - started < timedelta(seconds=2)  # it did not wait the five seconds of a writer
    assert count(app, last_seen_at=past) == 1
    with app.app_context():
        db.engine.dispose()
        event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
    assert signed_in(as_viewer)


def test_a_defect_while_noting_a_visit_is_not_hidden(app, as_viewer):
    token = token_of(as_viewer)
    set_times(app, last_seen_at=now() - 6 * MINUTE)
    with app.app_context():
        with writing() as session:
            session.connection().exec_driver_sql(
                "CREATE TRIGGER broken BEFORE UPDATE ON sessions BEGIN SELECT no_such_function(); END"
            )
        with pytest.raises(OperationalError):
            sessions.viewer(token)


def test_no_session_begins_where_the_account_changed_meanwhile(app, people):
    """A sign-in that checked the old password may not outlive its change."""
    user_id = people("vera")
    with app.app_context():
        matched = db.session.get(User, user_id).password_hash
        accounts.reset_password(user_id)
        with pytest.raises(Refused):
            sessions.begin(user_id, remember=False, matched=matched)
        for nobody in (4711, people("gone", active=False)):
            with pytest.raises(Refused):
                sessions.begin(nobody, remember=False)
    assert count(app) == 0


def test_sign_ins_and_a_reset_at_once_leave_only_sessions_of_the_new_password(app, people):
    people("ada", "admin")
    user_id = people("vera")

    def act(number):
        with app.app_context():
            if number == 0:
                return accounts.reset_password(user_id)
            return accounts.sign_in("vera", PASSWORD, f"10.0.0.{number}", remember=False)

    results = together(6, act)
    assert isinstance(results[0], str)
    with app.app_context():
        alive = [sessions.viewer(token) for token in results[1:] if isinstance(token, str)]
    assert alive == [None] * len(alive)


def test_one_request_reads_the_viewer_once(app, as_viewer):
    statements = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    as_viewer.get("/account")
    assert sum("token_sha256 = ?" in sql and "users" in sql for sql in statements) == 1


def test_a_browser_is_named_in_words():
    agents = {
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "Firefox on Linux",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0": "Edge on Windows",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1": "Safari on iPhone",
        "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36": "Chrome on Android",
        "": "A browser",
        "<script>": "A browser",
    }
    for agent, words in agents.items():
        assert sessions.Browser("", agent, False, now(), now(), False).where == words
