"""People: set up, register, sign in, change; the rules that keep names apart and one administrator alive."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError

from movierec.extensions import db, writing
from movierec.services import names, passwords, sessions, settings, throttle
from movierec.services.errors import Conflict, Forbidden, NotFound, Refused
from movierec.tables import ROLES, Session, Setting, User, now

SETUP = "setup_link"
SETUP_VALID = timedelta(hours=1)
WRONG = "Name or password is wrong."
SHORTEST_FORM_KEY = 32  # characters: 128 random bits in hexadecimal digits
REGISTERING = " registering"  # in the throttle; no name's key, as keys have no space in front


def create(name: str, password: str, role: str = "user", *, demo: bool = False) -> User:
    """A new person. Raises Refused (with the field) or Conflict where the name is taken."""
    shown, key = names.clean(name)
    if role not in ROLES:
        raise Refused(f"{role!r} is no role. There are: {', '.join(ROLES)}.", field="role")
    passwords.check(password, shown)
    hashed = _hashed(password)
    user = User(name=shown, name_key=key, password_hash=hashed, role=role, demo=demo)
    try:
        with writing() as session:
            session.add(user)
    except IntegrityError:
        raise Conflict("That name, or one that looks like it, is taken. Choose another.", field="name") from None
    return user


def register(name: str, password: str, address: str) -> User:
    """A visitor makes an account. Raises Forbidden where registration is off, TooMany, and what `create` raises."""
    if not settings.registration_open():
        raise Forbidden("Registration is off on this site. Ask its administrator for an account.")
    passwords.check(password, names.clean(name)[0])  # what is refused at once is no try
    throttle.admit(REGISTERING, address)
    return create(name, password)


def sign_in(name: str, password: str, address: str, *, remember: bool, agent: str = "") -> str:
    """A new session's token. An unknown name, a wrong password and a disabled account look alike.

    Raises Refused or TooMany.
    """
    try:
        _, key = names.clean(name)
    except Refused:
        key = ""
    throttle.admit(key, address)
    row = db.session.execute(select(User.id, User.password_hash, User.active).where(User.name_key == key)).one_or_none()
    user_id, stored, active = row or (0, None, False)
    right = _matches(stored, password)
    if stored is None or not right or not active:
        raise Refused(WRONG)
    throttle.forgive(key, address)
    if passwords.outdated(stored):
        stored = _renew(user_id, stored, _hashed(password))
    return sessions.begin(user_id, remember=remember, agent=agent, matched=stored)


def prove(viewer: sessions.Viewer, password: str, address: str) -> None:
    """The signed-in person gives the password again, so that the account may be changed. Raises Refused or TooMany."""
    row = db.session.execute(select(User.name_key, User.password_hash).where(User.id == viewer.id)).one_or_none()
    key, stored = row or ("", None)
    throttle.admit(key, address)
    if not _matches(stored, password):
        raise Refused("That is not your password.", field="current")
    throttle.forgive(key, address)
    sessions.prove(viewer.token_sha256)


def change_password(viewer: sessions.Viewer, current: str, new: str, address: str) -> None:
    """Needs the current one; ends all the person's other sessions. Raises Refused, Forbidden or TooMany."""
    if viewer.demo:
        raise Forbidden("The demo accounts keep their password.")
    passwords.check(new, viewer.name)
    prove(viewer, current, address)
    _store(viewer.id, _hashed(new), keep=viewer.token_sha256)


def create_with_password(name: str, role: str, *, demo: bool, form: str) -> tuple[User, str]:
    """A new person and a random password, told once. The same form sent twice makes one person and tells the same.

    Raises what `create` raises.
    """
    password = random_password(f"create {name}", form)
    try:
        return create(name, password, role, demo=demo), password
    except Conflict:
        user = db.session.execute(select(User).where(User.name_key == names.clean(name)[1])).scalar_one_or_none()
        if user is None or user.role != role or not _matches(user.password_hash, password):
            raise
        return user, password


def reset_password(user_id: int, form: str = "") -> str:
    """A new random password, told once; every session of the person ends. The same form sent twice tells the same.

    Raises NotFound.
    """
    get(user_id)
    password = random_password(f"reset {user_id}", form)
    _store(user_id, _hashed(password))
    return password


def random_password(what: str = "", form: str = "") -> str:
    """One to be told once and changed: 96 random bits in 16 letters, digits, - and _.

    With `form`, the random key that a page puts into its form, it follows from that key and the site's secret: where a
    form is sent twice it does not matter which answer is seen.
    """
    if len(form) < SHORTEST_FORM_KEY:
        return secrets.token_urlsafe(12)
    secret = str(current_app.config["SECRET_KEY"]).encode()
    made = hmac.digest(secret, f"password\0{what}\0{form}".encode("utf-8", "surrogatepass"), "sha256")
    return base64.urlsafe_b64encode(made[:12]).decode()


def set_role(user_id: int, role: str) -> User:
    """Takes effect at the person's next request, which also renews the token of the session.

    Raises Refused, NotFound, or Conflict for the last administrator.
    """
    if role not in ROLES:
        raise Refused(f"{role!r} is no role. There are: {', '.join(ROLES)}.", field="role")
    with writing() as session:
        user = _in(user_id)
        if user.role == "admin" and role != "admin":
            _keep_one_administrator(user)
        if user.role != role:
            session.execute(update(Session).where(Session.user_id == user_id).values(renew=True))
        user.role = role
    return user


def set_active(user_id: int, active: bool) -> User:
    """Disabling ends all sessions at once. Raises Conflict for the last administrator."""
    with writing() as session:
        user = _in(user_id)
        if not active:
            _keep_one_administrator(user)
            session.execute(delete(Session).where(Session.user_id == user_id))
        user.active = active
    return user


def remove(user_id: int) -> None:
    """Delete the person with history and sessions; their runs stay, without a name. Raises Conflict as above."""
    with writing() as session:
        user = _in(user_id)
        _keep_one_administrator(user)
        throttle.forget(user.name_key)
        session.delete(user)


def get(user_id: int) -> User:
    """Raises NotFound."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such account.")
    return user


def changeable(viewer: sessions.Viewer, user_id: int) -> User:
    """The account, for an administrator to change. A demo one changes demo accounts only: its password is no secret.

    Raises NotFound or Forbidden.
    """
    user = get(user_id)
    if viewer.demo and not user.demo:
        raise Forbidden("A demo account can't change the account of a real person.")
    return user


def by_name(name: str) -> User:
    """Raises NotFound."""
    user = db.session.execute(select(User).where(User.name_key == names.clean(name)[1])).scalar_one_or_none()
    if user is None:
        raise NotFound(f"There is no account called {name!r}.")
    return user


def everyone() -> list[User]:
    """All people by name."""
    return list(db.session.execute(select(User).order_by(User.name_key)).scalars())


def administrator_exists() -> bool:
    """Whether anybody can administer the site yet."""
    query = select(func.count()).where(User.role == "admin", User.active)
    return bool(db.session.execute(query).scalar_one())


def new_setup_token() -> str | None:
    """A one-time token for the set-up page, valid for an hour; None once an administrator exists. Older ones die."""
    token = secrets.token_urlsafe(24)
    with writing() as session:
        if administrator_exists():
            return None
        session.merge(Setting(key=SETUP, value={"sha256": _sha256(token), "until": (now() + SETUP_VALID).isoformat()}))
    return token


def setup_token_valid(token: str) -> bool:
    """Whether the set-up page may be shown for this token."""
    row = db.session.get(Setting, SETUP, populate_existing=True)
    return _valid(row, token) and not administrator_exists()


def set_up(token: str, name: str, password: str) -> User:
    """The first administrator. Of many at once exactly one succeeds. Raises NotFound once there is one."""
    shown, key = names.clean(name)
    passwords.check(password, shown)
    if not setup_token_valid(token):
        raise NotFound("This set-up link is used up or too old. `flask setup-link` prints a new one.")
    hashed = _hashed(password)
    try:
        with writing() as session:
            row = session.get(Setting, SETUP, populate_existing=True)
            if administrator_exists() or not _valid(row, token):
                raise NotFound("This set-up link is used up. Somebody else has just set the site up.")
            session.delete(row)
            user = User(name=shown, name_key=key, password_hash=hashed, role="admin")
            session.add(user)
    except IntegrityError:
        raise Conflict("That name is taken. Choose another.", field="name") from None
    return user


def _hashed(password: str) -> str:
    """Outside of any transaction: the hash waits for its turn, and a reader that stays open keeps the journal long."""
    db.session.rollback()
    return passwords.hash_password(password)


def _matches(stored: str | None, password: str) -> bool:
    """Outside of any transaction, as above."""
    db.session.rollback()
    return passwords.matches(stored, password)


def _valid(row: Setting | None, token: str) -> bool:
    if row is None or not secrets.compare_digest(row.value["sha256"], _sha256(token)):
        return False
    return now() < datetime.fromisoformat(row.value["until"])


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _in(user_id: int) -> User:
    user = db.session.get(User, user_id, populate_existing=True)
    if user is None:
        raise NotFound("There is no such account.")
    return user


def _keep_one_administrator(user: User) -> None:
    others = select(func.count()).where(User.role == "admin", User.active, User.id != user.id)
    if user.role == "admin" and not db.session.execute(others).scalar_one():
        raise Conflict(f"{user.name} is the last administrator. Make somebody else one first.")


def _store(user_id: int, hashed: str, keep: str = "") -> None:
    """The new password and the end of every session that knew only the old one, in one step."""
    with writing() as session:
        _in(user_id).password_hash = hashed
        session.execute(delete(Session).where(Session.user_id == user_id, Session.token_sha256 != keep))


def _renew(user_id: int, old: str, hashed: str) -> str:
    """Replace a hash made with yesterday's parameters, unless the password was changed meanwhile; says which stands."""
    with writing() as session:
        same = (User.id == user_id, User.password_hash == old)
        changed = session.execute(update(User).where(*same).values(password_hash=hashed)).rowcount
    return hashed if changed else old
