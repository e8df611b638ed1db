"""Errors as pages and fragments: the sentence, the way on, and what is said when even the page can't be made."""

import pytest
from flask import abort
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from werkzeug.exceptions import RequestTimeout, TooManyRequests

from movierec.services import errors


@pytest.fixture
def failing(app, monkeypatch):
    """`failing(error)` makes GET /health/live, which needs nobody and no database, raise it."""

    def fail_with(error):
        def view():
            if isinstance(error, int):
                abort(error)
            raise error

        monkeypatch.setitem(app.view_functions, "health.live", view)

    return fail_with


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Refused("Say it so."), 422),
        (errors.Forbidden("Say it so."), 403),
        (errors.NotFound("Say it so."), 404),
        (errors.Conflict("Say it so.", link="/account"), 409),
        (errors.TooMany("Say it so.", retry_after=7), 429),
        (errors.Unavailable("Say it so.", retry_after=7), 503),
        (errors.ServiceError("Say it so."), 500),
    ],
)
def test_what_a_service_says_reaches_the_page_and_the_fragment(as_viewer, failing, error, status):
    failing(error)
    page, fragment = as_viewer.get("/health/live"), as_viewer.fragment("/health/live")
    for answer in (page, fragment):
        assert answer.status_code == status
        assert "Say it so." in answer.text
        assert answer.headers.get("Retry-After") == ("7" if error.retry_after else None)
        assert ('href="/account">Look there' in answer.text) == bool(error.link)
        assert "HX-Request" in answer.headers["Vary"]
    assert page.text.count("<html") == 1
    assert "<html" not in fragment.text


def test_a_history_restore_gets_the_whole_page(as_viewer):
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in as_viewer.get("/nowhere", headers=headers).text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 408, 410, 413, 415, 418, 500, 501, 502])
def test_each_status_has_a_sentence_and_a_way_on(client, failing, status):
    failing(status)
    answer = client.get("/health/live")
    assert answer.status_code == status
    assert "Sign in" in answer.text
    assert "you entered the URL manually" not in answer.text


def test_headers_that_belong_to_an_error_are_kept(client, failing):
    assert client.delete("/login").headers["Allow"]
    failing(TooManyRequests(retry_after=9))
    assert client.get("/health/live").headers["Retry-After"] == "9"
    failing(RequestTimeout("Too slow for us."))
    answer = client.get("/health/live")
    assert answer.status_code == 408
    assert "Too slow for us." in answer.text


def test_a_redirect_by_the_router_stays_one(app, client):
    app.add_url_rule("/folder/", "folder", lambda: "x")
    assert client.get("/folder").status_code == 308


def test_a_defect_is_logged_and_rolled_back_and_shows_nothing(client, failing, caplog):
    for error in (RuntimeError("canary-4711"), OperationalError("SELECT canary-4711", {}, Exception("canary-4711"))):
        caplog.clear()
        failing(error)
        answer = client.get("/health/live")
        assert answer.status_code == 500
        assert "canary" not in answer.text
        assert "written to the log" in answer.text
        assert "canary-4711" in caplog.text


def test_no_free_connection_is_503(client, failing):
    failing(NoFreeConnection())
    answer = client.get("/health/live")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


def test_a_form_of_another_session_is_said_as_such(client):
    for answer in (client.post("/login"), client.post("/login", headers={"HX-Request": "true"})):
        assert answer.status_code == 400
        assert "Reload the page" in answer.text


def test_when_the_page_itself_fails_the_sentence_is_still_said(app, client, monkeypatch, caplog):
    def broken():
        raise RuntimeError("the frame is broken")

    monkeypatch.setitem(app.jinja_env.globals, "site_data", broken)
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert answer.mimetype == "text/plain"
    assert "There is no such page." in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "the frame is broken" in caplog.text


def test_services_say_their_status_field_and_link():
    refused = errors.Refused("Use a name.", field="name")
    assert (refused.status, refused.message, refused.field, refused.link, refused.retry_after) == (
        (422, "Use a name.", "name", None, 0)
    )
    assert str(errors.Conflict("Taken.", link="/x")) == "Taken."
