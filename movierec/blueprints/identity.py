"""Who asks: the session cookie, and Flask-Login's `current_user` made from it at each request."""

from __future__ import annotations

from flask import Flask, Request, Response, current_app
from flask_login import current_user

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


def _viewer(request: Request) -> Viewer | None:
    token = request.cookies.get(current_app.config["LOGIN_COOKIE"])
    return sessions.viewer(token) if token else None


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
