"""The people of the site, for its administrators: roles, access, passwords, and whether visitors may register."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, Response, flash, request
from flask_login import current_user

from movierec.blueprints.htmx import back, page
from movierec.services import accounts, sessions, settings
from movierec.services.errors import Conflict, Refused, ServiceError

blueprint = Blueprint("admin", __name__, url_prefix="/admin")

PERSON = "/people/<int(max=2147483647):user_id>"


def _people(**context: Any) -> Response:
    return page(
        "admin/people.html",
        people=accounts.everyone(),
        seen=sessions.counts(),
        roles=accounts.ROLES,
        registration=settings.registration_open(),
        registration_forced=settings.registration_forced(),
        form_key=secrets.token_hex(16),
        **context,
    )


@blueprint.get("/people")
def people() -> Response:
    """Everybody, with what can be done."""
    return _people()


@blueprint.post("/people")
def create() -> Response:
    """A new account with a random password, told once on the answer (never in a redirect or a cookie)."""
    name, role = request.form.get("name", ""), request.form.get("role", "user")
    try:
        user, password = accounts.create_with_password(name, role, demo=current_user.demo, form=_form_key())
    except (Refused, Conflict) as error:
        return _people(status=error.status, error=error, name=name, role=role)
    return _people(told=user.name, password=password)


@blueprint.post(f"{PERSON}/password")
def password(user_id: int) -> Response:
    """A new random password, told once; all the person's sessions end."""
    user = accounts.changeable(current_user, user_id)
    return _people(told=user.name, password=accounts.reset_password(user.id, _form_key()))


@blueprint.post(f"{PERSON}/role")
def role(user_id: int) -> Response:
    """Another role, from the person's next request on."""
    try:
        accounts.changeable(current_user, user_id)
        user = accounts.set_role(user_id, request.form.get("role", ""))
    except (Refused, Conflict) as error:
        return _refused(error)
    flash(f"{user.name} has the role {user.role} from now on.")
    return back("admin.people" if user.id != current_user.id else "viewer.home")


@blueprint.post(f"{PERSON}/active")
def active(user_id: int) -> Response:
    """Let somebody in again, or keep them out and end their sessions."""
    try:
        accounts.changeable(current_user, user_id)
        user = accounts.set_active(user_id, request.form.get("active") == "on")
    except Conflict as error:
        return _refused(error)
    flash(f"{user.name} may sign in again." if user.active else f"{user.name} is signed out and can't sign in.")
    return back("admin.people")


@blueprint.post(f"{PERSON}/sessions/end")
def end_sessions(user_id: int) -> Response:
    """Sign somebody out everywhere."""
    user = accounts.changeable(current_user, user_id)
    ended = sessions.end_all(user_id, but=current_user.token_sha256)
    flash(f"{user.name}: {ended} {'session' if ended == 1 else 'sessions'} ended.")
    return back("admin.people")


@blueprint.post("/registration")
def registration() -> Response:
    """Whether visitors may make an account."""
    try:
        settings.open_registration(request.form.get("registration") == "on")
    except Conflict as error:
        return _refused(error)
    flash(f"Registration is {'on' if settings.registration_open() else 'off'}.")
    return back("admin.people")


def _form_key() -> str:
    """What is random about this form: the same where it is sent twice."""
    return request.form.get("form_key", "")[:64]


def _refused(error: ServiceError) -> Response:
    return _people(status=error.status, refusal=error.message)
