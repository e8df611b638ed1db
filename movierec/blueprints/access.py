"""Who may call what: every endpoint's role in one place; what is not listed here is forbidden to all."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, flash, request, url_for
from flask_login import current_user

from movierec.blueprints.htmx import moved

# public: anyone. user: signed in, any role. admin, scientist: that role (each includes user).
ACCESS: dict[str, str] = {
    "static": "public",
    "health.live": "public",
    "health.ready": "admin",
    "health.version": "admin",
    "auth.login": "public",
    "auth.logout": "public",
    "auth.setup": "public",
    "auth.register": "public",
    "auth.account": "user",
    "auth.end_session": "user",
    "auth.prove": "user",
    "admin.people": "admin",
    "admin.create": "admin",
    "admin.role": "admin",
    "admin.active": "admin",
    "admin.end_sessions": "admin",
    "admin.password": "admin",
    "admin.registration": "admin",
    "viewer.home": "public",  # visitors are sent to the door
    "viewer.door": "public",
    "viewer.browse": "user",
    "viewer.find": "user",
    "viewer.suggest": "user",
    "viewer.film": "user",
    "viewer.wish": "user",
    "viewer.ask_model": "user",
    "viewer.poster": "user",
    "diary.mark": "user",
    "diary.index": "user",
    "diary.edit": "user",
    "diary.save": "user",
    "diary.remove": "user",
    "diary.undo": "user",
    "diary.confirm": "user",
    "diary.clear": "user",
    "comparing.shelf": "scientist",
    "comparing.compare": "scientist",
    "comparing.export": "scientist",
    "comparing.viewer": "scientist",
    "comparing.data": "scientist",
    "comparing.rejected": "scientist",
    "comparing.columns": "scientist",
    "comparing.details": "scientist",
    "comparing.describe": "scientist",
    "comparing.archive": "scientist",
    "comparing.delete": "scientist",
    "comparing.restore": "scientist",
    "comparing.measure": "scientist",
    "comparing.manifest": "scientist",
    "scientist.lab": "scientist",
    "scientist.progress": "scientist",
    "scientist.form": "scientist",
    "scientist.train": "scientist",
    "scientist.run": "scientist",
    "scientist.cancel": "scientist",
    "scientist.ask_on_air": "scientist",
    "scientist.put_on_air": "scientist",
    "scientist.candidates": "scientist",
    "scientist.look": "scientist",
    "series.sheet": "scientist",
    "series.cancel": "scientist",
    "scientist.roll_back": "scientist",
    "scientist.on_air": "scientist",
}

# Changes that need the password given a short while ago (sessions.FRESH), besides the role above.
FRESH = {"admin.create", "admin.role", "admin.active", "admin.password", "admin.registration"}

# What a program may ask for that holds HEALTH_TOKEN, signed in or not.
WATCHED = {"health.ready", "health.version"}


def init_app(app: Flask) -> None:
    """Check each request before anything else of it runs."""
    app.before_request(_check)


def _check() -> Response | None:
    """None lets the request through. A signed-out visitor is sent to sign in and comes back afterwards."""
    if request.endpoint is None:
        return None  # 404 and 405 are answered by the router itself
    role = ACCESS.get(request.endpoint)
    if role == "public" or (request.endpoint in WATCHED and _holds_token()):
        return None
    if role is None:
        abort(403, "This page has no role declared, so nobody may see it.")
    if not current_user.is_authenticated:
        return _sign_in_first()
    if not current_user.may(role):
        people = "administrators" if role == "admin" else "scientists"
        abort(403, f"Only {people} can open this page. Ask an administrator if you need it.")
    if request.endpoint in FRESH and not current_user.fresh:
        flash("Give your password once more, then do it again.")
        return _go("auth.prove", _asking_page())
    return None


def _holds_token() -> bool:
    """Whether the request carries `Authorization: Bearer` with the token that was set for programs that watch."""
    wanted = str(current_app.config["HEALTH_TOKEN"]).encode()
    given = request.authorization
    if not wanted or given is None or given.type != "bearer":
        return False
    return secrets.compare_digest((given.token or "").encode("utf-8", "surrogatepass"), wanted)


def _sign_in_first() -> Response:
    if _by_htmx():
        return _go("auth.login", _asking_page())
    if request.method not in ("GET", "HEAD"):
        abort(401, "You are signed out, and nothing was changed. Sign in and do it again.")
    return _go("auth.login", request.full_path.rstrip("?"))


def _go(endpoint: str, coming_back_to: str) -> Response:
    """To a page of ours with the way back; HTMX is told to leave the page, as a fragment could not show it."""
    target = url_for(endpoint, next=coming_back_to or None)
    if not _by_htmx():
        return moved(target, code=303 if request.method == "POST" else 302)
    answer = Response(status=401)
    answer.headers["HX-Redirect"] = target
    return answer


def _asking_page() -> str:
    """The path of the page that the change was asked on: what it was posted to can't be opened again."""
    try:
        parts = urlsplit(request.headers.get("HX-Current-URL") or request.referrer or "")
    except ValueError:
        return ""
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _by_htmx() -> bool:
    return request.headers.get("HX-Request") == "true"
