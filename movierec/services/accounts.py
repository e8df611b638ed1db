"""People: set up, register, sign in, change; the rules that keep names apart and one administrator alive."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from movierec.extensions import db, writing
from movierec.services import passwords, sessions, settings, throttle
from movierec.services.errors import Conflict, Forbidden, NotFound, Refused
from movierec.tables import ROLES, Session, Setting, User, now

SETUP = "setup_link"
SETUP_VALID = timedelta(hours=1)
WRONG = "Name or password is wrong."


def clean_name(name: str) -> tuple[str, str]:
    """The name as shown and the key by which look-alikes are one. Raises Refused."""
    shown = " ".join(unicodedata.normalize("NFKC", name).split())
    if not 1 <= len(shown) <= 40:
        raise Refused("Use a name of 1 to 40 characters.", field="name")
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn") for char in shown):
        raise Refused("The name holds a character that can't be seen. Leave it out.", field="name")
    return shown, unicodedata.normalize("NFKC", shown.casefold())


def create(name: str, password: str, role: str = "user", *, demo: bool = False) -> User:
    """A new person. Raises Refused (with the field) or Conflict where the name is taken."""
    shown, key = clean_name(name)
    if role not in ROLES:
        raise Refused(f"{role!r} is no role. There are: {', '.join(ROLES)}.", field="role")
    passwords.check(password, shown)
    hashed = passwords.hash_password(password)
    user = User(name=shown, name_key=key, password_hash=hashed, role=role, demo=demo)
    try:
        with writing() as session:
            session.add(user)
    except IntegrityError:
        raise Conflict("That name, or one that looks like it, is taken. Choose another.", field="name") from None
    return user


def register(name: str, password: str) -> User:
    """A visitor makes an account. Raises Forbidden where registration is off."""
    if not settings.registration_open():
        raise Forbidden("Registration is off on this site. Ask its administrator for an account.")
    return create(name, password)


def sign_in(name: str, password: str, address: str, *, remember: bool, agent: str = "") -> tuple[User, str]:
    """The person and a new session's token. An unknown name, a wrong password and a disabled account look alike.

    Raises Refused or TooMany.
    """
    try:
        _, key = clean_name(name)
    except Refused:
        key = ""
    throttle.admit(key, address)
    user = db.session.execute(select(User).where(User.name_key == key)).scalar_one_or_none()
    right = passwords.matches(user.password_hash if user else None, password)
    if user is None or not right or not user.active:
        raise Refused(WRONG)
    throttle.forgive(key, address)
    if passwords.outdated(user.password_hash):
        _store(user.id, passwords.hash_password(password))
    return user, sessions.begin(user.id, remember=remember, agent=agent)


def prove(viewer: sessions.Viewer, password: str, address: str) -> None:
    """The signed-in person gives the password again, so that the account may be changed. Raises Refused or TooMany."""
    user = get(viewer.id)
    throttle.admit(user.name_key, address)
    if not passwords.matches(user.password_hash, password):
        raise Refused("That is not your password.", field="current")
    throttle.forgive(user.name_key, address)
    sessions.prove(viewer.token_sha256)


def change_password(viewer: sessions.Viewer, current: str, new: str, address: str) -> None:
    """Needs the current one; ends all the person's other sessions."""
    if viewer.demo:
        raise Forbidden("The demo accounts keep their password.")
    prove(viewer, current, address)
    passwords.check(new, viewer.name)
    _store(viewer.id, passwords.hash_password(new))
    sessions.end_all(viewer.id, but=viewer.token_sha256)


def reset_password(user_id: int) -> str:
    """A new random password, told once; every session of the person ends."""
    get(user_id)
    password = secrets.token_urlsafe(12)
    _store(user_id, passwords.hash_password(password))
    sessions.end_all(user_id)
    return password


def set_role(user_id: int, role: str) -> None:
    """Takes effect at the person's next request. Raises Conflict for the last administrator."""
    if role not in ROLES:
        raise Refused(f"{role!r} is no role. There are: {', '.join(ROLES)}.", field="role")
    with writing():
        user = _in(user_id)
        if user.role == "admin" and role != "admin":
            _keep_one_administrator(user)
        user.role = role


def set_active(user_id: int, active: bool) -> None:
    """Disabling ends all sessions at once. Raises Conflict for the last administrator."""
    with writing() as session:
        user = _in(user_id)
        if not active:
            _keep_one_administrator(user)
            session.execute(delete(Session).where(Session.user_id == user_id))
        user.active = active


def remove(user_id: int) -> None:
    """Delete the person with history and sessions; their runs stay, without a name. Raises Conflict as above."""
    with writing() as session:
        user = _in(user_id)
        _keep_one_administrator(user)
        session.delete(user)


def get(user_id: int) -> User:
    """Raises NotFound."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such account.")
    return user


def by_name(name: str) -> User:
    """Raises NotFound."""
    user = db.session.execute(select(User).where(User.name_key == clean_name(name)[1])).scalar_one_or_none()
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
        session.merge(
            Setting(key=SETUP, value={"sha256": _sha256(token), "until": (now() + SETUP_VALID).isoformat()})
        )
    return token


def setup_token_valid(token: str) -> bool:
    """Whether the set-up page may be shown for this token."""
    row = db.session.get(Setting, SETUP, populate_existing=True)
    return _valid(row, token) and not administrator_exists()


def set_up(token: str, name: str, password: str) -> User:
    """The first administrator. Of many at once exactly one succeeds. Raises NotFound once there is one."""
    shown, key = clean_name(name)
    passwords.check(password, shown)
    if not setup_token_valid(token):
        raise NotFound("This set-up link is used up or too old. `flask setup-link` prints a new one.")
    hashed = passwords.hash_password(password)
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


def _store(user_id: int, hashed: str) -> None:
    with writing():
        _in(user_id).password_hash = hashed
