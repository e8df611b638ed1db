"""Signing in and out, the first administrator, registration, and one's own account."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, flash, request, session, url_for
from flask_login import current_user

from movierec.blueprints import identity
from movierec.blueprints.htmx import back, moved, page
from movierec.services import accounts, sessions, settings
from movierec.services.errors import Conflict, Refused, ServiceError, TooMany

blueprint = Blueprint("auth", __name__)


def _address() -> str:
    return request.remote_addr or "unknown"


def _safe_next(target: str | None) -> str:
    """Only a path of this site; anything else leads home."""
    home = url_for("viewer.home")
    if not target or len(target) > 2000 or not target.startswith("/") or target.startswith("//"):
        return home
    if "\\" in target or not target.isprintable():  # browsers read a backslash as a slash and skip tabs
        return home
    return target


def _signed_in(token: str, *, remember: bool, target: str) -> Response:
    session.clear()  # a new form token: nothing from before the sign-in carries over
    return identity.keep(moved(target, code=303), token, remember=remember)


def _refusal(template: str, error: ServiceError, **context: Any) -> Response:
    answer = page(template, status=error.status, error=error, **context)
    if error.retry_after:
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


@blueprint.get("/login")
@blueprint.post("/login")
def login() -> Response:
    """The door. Without an administrator it says how the site gets one."""
    target = request.values.get("next")
    if request.method != "POST":
        if current_user.is_authenticated:
            return moved(_safe_next(target))
        if not accounts.administrator_exists():
            return page("auth/not_set_up.html", minutes=int(accounts.SETUP_VALID.total_seconds() // 60))
        return page("auth/login.html", next=target, registration=settings.registration_open())
    name, remember = request.form.get("name", ""), bool(request.form.get("remember"))
    try:
        token = accounts.sign_in(
            name, request.form.get("password", ""), _address(), remember=remember, agent=request.user_agent.string
        )
    except (Refused, TooMany) as error:
        registration = settings.registration_open()
        return _refusal("auth/login.html", error, next=target, registration=registration, name=name, remember=remember)
    if current_user.is_authenticated:
        sessions.end(current_user.token_sha256)  # one browser, one session
    return _signed_in(token, remember=remember, target=_safe_next(target))


@blueprint.post("/logout")
def logout() -> Response:
    """End this session, or all of the person's with `everywhere`."""
    if current_user.is_authenticated:
        if request.form.get("everywhere"):
            sessions.end_all(current_user.id)
        else:
            sessions.end(current_user.token_sha256)
    session.clear()
    return identity.forget(back("auth.login"))


@blueprint.get("/setup")
@blueprint.post("/setup")
def setup() -> Response:
    """The first administrator, by the one-time link; there is no such page afterwards."""
    token = request.values.get("token", "")
    if not accounts.setup_token_valid(token):
        abort(404, "This set-up link is used up or older than an hour. `flask setup-link` prints a new one.")
    if request.method != "POST":
        return page("auth/setup.html", token=token)
    name, password = request.form.get("name", ""), request.form.get("password", "")
    try:
        user = accounts.set_up(token, name, password)
    except (Refused, Conflict) as error:
        return _refusal("auth/setup.html", error, token=token, name=name)
    token = sessions.begin(user.id, remember=False, agent=request.user_agent.string)
    return _signed_in(token, remember=False, target=url_for("viewer.home"))


@blueprint.get("/register")
@blueprint.post("/register")
def register() -> Response:
    """A visitor makes an account, where the site lets them."""
    if not settings.registration_open():
        abort(403, "Registration is off on this site. Ask its administrator for an account.")
    if request.method != "POST":
        return page("auth/register.html")
    name = request.form.get("name", "")
    try:
        user = accounts.register(name, request.form.get("password", ""), _address())
    except (Refused, Conflict, TooMany) as error:
        return _refusal("auth/register.html", error, name=name)
    token = sessions.begin(user.id, remember=False, agent=request.user_agent.string)
    return _signed_in(token, remember=False, target=url_for("viewer.home"))


@blueprint.get("/account")
@blueprint.post("/account")
def account() -> Response:
    """One's own account: password, and where one is signed in."""
    if request.method != "POST":
        return page("auth/account.html", browsers=sessions.browsers(current_user))
    new, again = request.form.get("password", ""), request.form.get("again", "")
    try:
        if new != again:
            raise Refused("The two new passwords are not the same.", field="again")
        accounts.change_password(current_user, request.form.get("current", ""), new, _address())
    except (Refused, TooMany) as error:
        return _refusal("auth/account.html", error, browsers=sessions.browsers(current_user))
    flash("Your password is changed. Every other browser is signed out.")
    return back("auth.account")


@blueprint.post("/account/sessions/<browser_id>/end")
def end_session(browser_id: str) -> Response:
    """Sign one of one's own browsers out."""
    if sessions.end_one(current_user, browser_id).current:
        session.clear()
        return identity.forget(back("auth.login"))
    flash("That browser is signed out.")
    return back("auth.account")


@blueprint.get("/account/prove")
@blueprint.post("/account/prove")
def prove() -> Response:
    """The password once more, before a change that matters; then back to where one was."""
    target = request.values.get("next")
    if request.method != "POST":
        return page("auth/prove.html", next=target)
    try:
        accounts.prove(current_user, request.form.get("current", ""), _address())
    except (Refused, TooMany) as error:
        return _refusal("auth/prove.html", error, next=target)
    return moved(_safe_next(target), code=303)
