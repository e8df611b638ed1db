"""Who asks: the session cookie, and Flask-Login's `current_user` made from it at each request."""

from __future__ import annotations

import hmac

from flask import Flask, Request, Response, current_app, request, session
from flask_login import current_user
from flask_wtf.csrf import generate_csrf

from movierec.extensions import login
from movierec.services import sessions
from movierec.services.sessions import Viewer


def init_app(app: Flask) -> None:
    """Name the cookies. Over https they are bound to the host and to https; on plain http they can't be.

    Flask-Login is bound by hand: its own init_app adds a hook for its remember cookie that reads the form session
    after every answer, so that even static files would vary by cookie. Nothing here uses that cookie, and a stray
    one of another site on the same host must not stand in for ours.
    """
    secure = app.config["HTTPS"]
    app.config.update(
        LOGIN_COOKIE="__Host-session" if secure else "movierec_session",
        SESSION_COOKIE_NAME="__Host-form" if secure else "movierec_form",  # form tokens and flashed sentences only
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # as long as the browser's session; bound to it
        WTF_CSRF_SSL_STRICT=False,  # the Sec-Fetch-Site rule in headers.py is stricter
        REMEMBER_COOKIE_NAME="\0",  # no browser can send it
    )
    app.login_manager = login  # type: ignore[attr-defined]
    app.context_processor(lambda: {"current_user": current_user})
    login.request_loader(_viewer)
    login.session_protection = None
    app.before_request_funcs.setdefault(None, []).insert(0, _bind_form)  # before the form token is looked at
    app.after_request(_renew)
    app.jinja_env.globals["csrf_token"] = _form_token  # for macros; pages have it from the context, as Flask-WTF's
    app.context_processor(lambda: {"csrf_token": _form_token})


def _viewer(request: Request) -> Viewer | None:
    token = request.cookies.get(current_app.config["LOGIN_COOKIE"])
    return sessions.viewer(token) if token else None


def form_secret(viewer: Viewer, key: str) -> str:
    """What the form tokens of a session hold: it follows from the session's row, and no other cookie can replace it."""
    row = f"form\0{viewer.id}\0{viewer.begun_at.isoformat()}"
    return hmac.digest(key.encode(), row.encode(), "sha256").hex()


def _bind_form() -> None:
    """Who is signed in sends form tokens of this very session; another one's, or a planted cookie's, don't count."""
    if request.method not in ("GET", "HEAD", "OPTIONS") and request.endpoint:
        _bind()


def _form_token() -> str:
    _bind()
    return str(generate_csrf())


def _bind() -> None:
    if current_user.is_authenticated:
        bound = form_secret(current_user, str(current_app.config["SECRET_KEY"]))
        if session.get("csrf_token") != bound:
            session["csrf_token"] = bound


def _renew(answer: Response) -> Response:
    """A new token in place of the one from before a change of role. Only with a page: a file may be kept by caches."""
    if answer.mimetype == "text/html" and current_user and current_user.is_authenticated and current_user.renew:
        token = sessions.renew(current_user)
        if token is not None:
            keep(answer, token, remember=current_user.remember)
    return answer


def keep(answer: Response, token: str, *, remember: bool) -> Response:
    """Put the session's token into the browser: until it is closed or, remembered, as long as a session can last."""
    answer.set_cookie(
        current_app.config["LOGIN_COOKIE"],
        token,
        max_age=int(sessions.ABSOLUTE.total_seconds()) if remember else None,
        secure=current_app.config["HTTPS"],
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return answer


def forget(answer: Response) -> Response:
    """Take the token out of the browser."""
    answer.delete_cookie(
        current_app.config["LOGIN_COOKIE"], path="/", secure=current_app.config["HTTPS"], httponly=True, samesite="Lax"
    )
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer
