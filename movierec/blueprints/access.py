"""Who may call what: every endpoint's role in one place; what is not listed here is forbidden to all."""

from __future__ import annotations

from flask import Flask, Response, abort, redirect, request, url_for
from flask_login import current_user

# public: anyone. user: signed in, any role. admin, scientist: that role (each includes user).
ACCESS: dict[str, str] = {
    "static": "public",
    "auth.login": "public",
    "auth.logout": "public",
    "auth.setup": "public",
    "auth.register": "public",
    "auth.account": "user",
}


def init_app(app: Flask) -> None:
    """Check each request before anything else of it runs."""
    app.before_request(_check)


def _check() -> Response | None:
    """None lets the request through. A signed-out visitor is sent to sign in and comes back afterwards."""
    if request.endpoint is None:
        return None  # 404 and 405 are answered by the router itself
    role = ACCESS.get(request.endpoint)
    if role == "public":
        return None
    if role is None:
        abort(403, "This page has no role declared, so nobody may see it.")
    if not current_user.is_authenticated:
        if request.headers.get("HX-Request") == "true":
            answer = Response(status=401)
            answer.headers["HX-Redirect"] = url_for("auth.login")
            return answer
        if request.method not in ("GET", "HEAD"):
            abort(401, "You are signed out. Sign in and do it again.")
        return redirect(url_for("auth.login", next=request.full_path.rstrip("?")))
    if not current_user.may(role):
        abort(403, f"This page is for the role {role}; yours is {current_user.role}.")
    return None
