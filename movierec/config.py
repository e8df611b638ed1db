"""Every setting of the house: its key, meaning, default and environment variable, in one place."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from dotenv import load_dotenv

ROOT = Path(__file__).resolve().parent.parent

# key -> (default, meaning). The environment variable has the key's name; a file .env is read, the environment wins.
KEYS: dict[str, tuple[str, str]] = {
    "HOST": ("127.0.0.1", "address the web server binds to"),
    "PORT": ("5000", "port the web server binds to"),
    "PUBLIC_URL": ("", "address people type, e.g. https://films.example.org; https turns on secure cookies and HSTS"),
    "TRUSTED_HOSTS": ("", "comma-separated host names to answer to, besides PUBLIC_URL's; empty: any"),
    "TRUSTED_PROXIES": ("0", "number of reverse proxies in front whose X-Forwarded-* headers are believed"),
    "SECRET_KEY": ("", "signs form tokens; empty: made once and kept in instance/secret_key"),
    "DATABASE_URL": ("", "SQLAlchemy URL; empty: sqlite at instance/movierec.sqlite3"),
    "REDIS_URL": ("", "Redis for the queue; empty: the embedded Valkey at instance/valkey.sock"),
    "MOVIEREC_DATASETS": ("", "folder searched for a data set at the first start, before data/"),
    "INSTANCE_DIR": ("instance", "database, secret key, socket"),
    "DATA_DIR": ("data", "starter catalogue, downloads, snapshots of events"),
    "MODELS_DIR": ("models", "artifacts of finished runs"),
    "WEB_CONCURRENCY": ("2", "gunicorn processes"),
    "REGISTRATION": ("", "on or off: may visitors make an account; empty: what the settings page says (off at first)"),
    "LOG_LEVEL": ("INFO", "DEBUG, INFO, WARNING or ERROR"),
}

PLACEHOLDERS = {
    "changeme",
    "change-me",
    "secret",
    "secret_key",
    "your-secret-key",
    "dev",
    "development",
    "!!changeme!!",
}


class BadConfig(Exception):
    """A setting can't be used; the message names the key and says what to do."""


def read(overrides: dict[str, Any] | None = None, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """The settings as Flask's config wants them: folders absolute, the secret key present, numbers numbers.

    Raises BadConfig with the key and what to do.
    """
    if environ is None:
        load_dotenv(ROOT / ".env")
        environ = dict(os.environ)
    raw = {key: environ.get(key, default) for key, (default, _) in KEYS.items()} | (overrides or {})
    config: dict[str, Any] = dict(raw)
    for key in ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR"):
        config[key] = (ROOT / str(raw[key])).resolve()
    for key, low, high in (("PORT", 0, 65535), ("TRUSTED_PROXIES", 0, 10), ("WEB_CONCURRENCY", 1, 256)):
        config[key] = _whole_number(key, raw[key], low, high)
    if raw["REGISTRATION"] not in ("", "on", "off"):
        raise BadConfig(f"REGISTRATION is {raw['REGISTRATION']!r}: set it to on, off, or leave it empty.")
    instance = config["INSTANCE_DIR"]
    _make_folder(instance)
    config["SECRET_KEY"] = (
        _usable_key(str(raw["SECRET_KEY"])) if raw["SECRET_KEY"] else _kept_key(instance / "secret_key")
    )
    config["SQLALCHEMY_DATABASE_URI"] = raw["DATABASE_URL"] or f"sqlite:///{instance / 'movierec.sqlite3'}"
    config["REDIS_URL"] = raw["REDIS_URL"] or f"unix://{instance / 'valkey.sock'}"
    config["HTTPS"] = str(raw["PUBLIC_URL"]).startswith("https://")
    return config


def _whole_number(key: str, value: Any, low: int, high: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise BadConfig(f"{key} is {value!r}: set it to a whole number from {low} to {high}.") from None
    if not low <= number <= high:
        raise BadConfig(f"{key} is {number}: set it to a whole number from {low} to {high}.")
    return number


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadConfig(
            f"The folder {folder} can't be made ({error.strerror}): make it writable or set INSTANCE_DIR."
        ) from None


def _usable_key(key: str) -> str:
    if key.lower() in PLACEHOLDERS or len(key) < 32:
        raise BadConfig(
            "SECRET_KEY is a placeholder or shorter than 32 characters: unset it (one is made) or use 32 or more."
        )
    return key


def _kept_key(path: Path) -> str:
    """The key in the file, made once. Two first starters race safely: the loser reads the winner's key."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return _usable_key(path.read_text().strip())
    except OSError as error:
        raise BadConfig(
            f"{path} can't be written ({error.strerror}): make the folder writable or set SECRET_KEY."
        ) from None
    with os.fdopen(handle, "w") as file:
        key = secrets.token_urlsafe(64)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key
