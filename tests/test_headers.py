"""What surrounds every answer: headers, caching, cookies' flags, host names, proxies, methods, sizes."""

import socket

import pytest
from flask import request
from kit import PASSWORD

from movierec.services import accounts

WANTED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def explode():
    raise ZeroDivisionError("canary-4711")


@pytest.fixture
def broken_route(app, monkeypatch):
    """One page that fails."""
    monkeypatch.setitem(app.view_functions, "auth.register", explode)


def test_every_kind_of_answer_carries_them(app, client, as_viewer, as_admin, broken_route):
    css = client.get("/static/mark.svg")
    answers = {
        "a page": as_viewer.get("/account"),
        "a fragment": as_viewer.fragment("/account"),
        "a redirect": client.get("/account"),
        "401": client.submit("/account"),
        "403": as_viewer.get("/admin/people"),
        "404": client.get("/nowhere"),
        "404 of a file": client.get("/static/nothing.css"),
        "405": client.delete("/login"),
        "400 without a token": client.post("/login"),
        "413": client.post("/login", data={"name": "x" * 10_000_000}),
        "500": client.get("/register"),
        "a file": css,
        "304": client.get("/static/mark.svg", headers={"If-None-Match": css.headers["ETag"]}),
        "OPTIONS": client.options("/login"),
        "HEAD": client.head("/login"),
    }
    statuses = {what: answer.status_code for what, answer in answers.items()}
    assert [statuses[what] for what in ("413", "500", "304", "OPTIONS", "HEAD")] == [413, 500, 304, 200, 200]
    for what, answer in answers.items():
        assert {name: answer.headers.get(name) for name in WANTED} == WANTED, what
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "object-src 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "Access-Control-Allow-Origin" not in answer.headers, what
        assert "Strict-Transport-Security" not in answer.headers, what


def test_what_is_personal_is_kept_nowhere_and_versioned_files_for_ever(client, as_viewer):
    for answer in (as_viewer.get("/account"), client.get("/login"), client.get("/nowhere"), client.get("/account")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Cookie" in answer.headers["Vary"]
    for url in ("/static/mark.svg?v=1", "/static/vendor/inter-5.3.0-latin.woff2"):
        assert client.get(url).headers["Cache-Control"] == "public, max-age=31536000, immutable"
    plain = as_viewer.get("/static/mark.svg")
    assert plain.headers["Cache-Control"] == "no-cache"
    assert "Cookie" not in plain.headers.get("Vary", "")
    assert "Set-Cookie" not in plain.headers
    assert client.get("/static/nothing.css?v=1").headers["Cache-Control"] == "no-store"


def cookies(answer):
    return {line.partition("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}


def test_cookies_on_plain_http(client, people):
    people("ada", "admin")
    for form, lasts in (({}, False), ({"remember": "1"}, True)):
        found = cookies(client.submit("/login", {"name": "ada", "password": PASSWORD} | form))
        login = found["movierec_session"]
        assert "HttpOnly" in login
        assert "SameSite=Lax" in login
        assert "Path=/" in login
        assert "Secure" not in login
        assert "Domain" not in login
        assert ("Max-Age=7776000" in login) is lasts  # 90 days
    form_cookie = cookies(client.get("/account"))["movierec_form"]
    assert "HttpOnly" in form_cookie
    assert "SameSite=Lax" in form_cookie
    assert "movierec_session=;" in cookies(client.submit("/logout"))["movierec_session"]


def test_cookies_and_hsts_over_https(make_app):
    app = make_app(PUBLIC_URL="https://localhost")
    token = setup_token(app)
    browser = app.test_client()
    first = browser.get(f"/setup?token={token}")
    assert first.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    answer = browser.submit("/setup", {"token": token, "name": "ada", "password": PASSWORD})
    assert answer.status_code == 303
    for found in (cookies(first), cookies(answer)):
        for name, line in found.items():
            assert name.startswith("__Host-")
            assert "Secure" in line
            assert "HttpOnly" in line
            assert "SameSite=Lax" in line
            assert "Path=/" in line
            assert "Domain" not in line
    assert "__Host-session" in cookies(answer)
    assert browser.get("/account").status_code == 200
    gone = cookies(browser.submit("/logout"))["__Host-session"]
    assert "Secure" in gone  # a browser drops a __Host- cookie's removal without it
    assert browser.get("/account").status_code == 302


def setup_token(app):
    with app.app_context():
        return accounts.new_setup_token()


def test_a_cookie_of_another_site_on_this_host_does_no_harm(as_viewer):
    as_viewer.set_cookie("remember_token", "1|" + "0" * 128)
    as_viewer.set_cookie("session", "eyJfdXNlcl9pZCI6IjEifQ.x.y")
    assert as_viewer.get("/account").status_code == 200


@pytest.mark.parametrize("cookie", ["", "x", "é" * 50, "a" * 4000, "\\", "'; DROP TABLE sessions; --", '"quoted"'])
def test_a_made_up_cookie_is_nobodys(client, people, cookie):
    people("ada", "admin")
    client.carry(cookie)
    assert client.get("/account").status_code == 302
    client.set_cookie("movierec_form", cookie)
    assert client.get("/login").status_code == 200


def test_foreign_host_names_are_refused_where_the_site_knows_its_own(make_app):
    app = make_app(TRUSTED_HOSTS="films.example.org:8443, .home.arpa", PUBLIC_URL="http://public.example.org:5000")
    client = app.test_client()
    good = (
        "films.example.org", "films.example.org:8443", "FILMS.example.org", "public.example.org:5000", "tv.home.arpa",
        "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "[::1]",
    )  # fmt: skip
    for host in good:
        assert client.get("/login", headers={"Host": host}).status_code == 200, host
    for host in (
        "evil.test",
        "films.example.org.evil.test",
        "xfilms.example.org",
        "127.0.0.2",
        "a b",
        "evil.test:5000",
    ):
        answer = client.get("/login", headers={"Host": host})
        assert answer.status_code == 400, host
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "evil" not in answer.text
        assert client.post("/login", headers={"Host": host}).status_code == 400


def test_a_site_that_was_told_no_name_answers_to_this_machines_own(make_app, monkeypatch):
    """On loopback only to its names; on a home network also to addresses and the machine's name."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Attic.fritz.box")
    here, network = make_app().test_client(), make_app(HOST="0.0.0.0").test_client()
    for host, on_loopback, on_network in (
        ("localhost:5000", 200, 200),
        ("127.0.0.1:5000", 200, 200),
        ("[::1]:5000", 200, 200),
        ("192.168.1.5:5000", 400, 200),
        ("[fd00::5]:5000", 400, 200),
        ("attic.fritz.box:5000", 400, 200),
        ("attic.local", 400, 200),
        ("attic", 400, 400),
        ("evil.test", 400, 400),
        ("192.168.1.5.evil.test", 400, 400),
        ("*", 400, 400),
        ("", 400, 400),
    ):
        assert here.get("/login", headers={"Host": host}).status_code == on_loopback, host
        assert network.get("/login", headers={"Host": host}).status_code == on_network, host


def test_no_redirect_is_built_from_the_host_header(client, as_viewer):
    for path in ("/static//mark.svg", "/static//x", "/movies//1", "/login/", "/history//"):
        answer = client.open(base_url="http://localhost", path=path)
        assert answer.status_code == 404, path
    for path in ("/account", "/", "/history"):
        assert not client.get(path).location.startswith("http"), path


def test_forwarded_headers_count_only_with_proxies(make_app, people):
    seen = []
    for proxies in ("0", "1"):
        app = make_app(TRUSTED_PROXIES=int(proxies))
        app.view_functions["health.live"] = lambda: seen.append((request.remote_addr, request.is_secure)) or "ok"
        headers = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}
        app.test_client().get("/health/live", headers=headers)
    assert seen == [("127.0.0.1", False), ("198.51.100.7", True)]


def test_a_made_up_forwarded_address_does_not_open_the_throttle(client, people):
    people("ada", "admin")
    statuses = [
        client.submit(
            "/login", {"name": "ada", "password": "x"}, headers={"X-Forwarded-For": f"10.0.0.{n}"}
        ).status_code
        for n in range(12)
    ]
    assert statuses == [422] * 10 + [429] * 2


def test_trace_and_unknown_methods_are_405(client):
    for method in ("TRACE", "TRACK", "CONNECT", "BREW"):
        for url in ("/login", "/"):
            assert client.open(url, method=method).status_code == 405


def test_the_debugger_is_not_there(client):
    assert client.get("/console").status_code == 404
    assert "debugger" not in client.get("/login?__debugger__=yes&cmd=resource&f=debugger.js").text


def test_too_much_is_413_in_every_shape(client):
    def multipart(*parts):
        body = b"".join(b"--x\r\nContent-Disposition: form-data; name=" + part + b"\r\n" for part in parts)
        return client.post("/login", data=body + b"--x--\r\n", content_type="multipart/form-data; boundary=x")

    answers = [
        client.post("/login", data={"password": "x" * 10_000_000}),
        client.post("/login", data=b"\0" * 2_200_000, content_type="application/octet-stream"),
        multipart(b'"password"\r\n\r\n' + b"x" * 1_500_000),
        multipart(b'"a"; filename="a.bin"\r\n\r\n' + b"x" * 3_000_000),
        multipart(*[b'"a%d"\r\n\r\nx' % number for number in range(300)]),
    ]
    assert [answer.status_code for answer in answers] == [413] * 5
    assert all(answer.headers["X-Frame-Options"] == "DENY" for answer in answers)


def test_a_failure_shows_no_detail(client, broken_route, caplog):
    answer = client.get("/register?secret=1")
    assert answer.status_code == 500
    assert "canary-4711" not in answer.text
    assert "Traceback" not in answer.text
    assert "canary-4711" in caplog.text
