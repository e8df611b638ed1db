"""Every setting of the house: its key, meaning, default and environment variable, in one place."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from dotenv import load_dotenv

ROOT = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

# key -> (default, meaning). The environment variable has the key's name; a file .env is read, the environment wins.
KEYS: dict[str, tuple[str, str]] = {
    "HOST": ("127.0.0.1", "address the web server binds to; anything but loopback is reachable by others"),
    "PORT": ("5000", "port the web server binds to"),
    "PUBLIC_URL": ("", "address people type, e.g. https://films.example.org; https turns on secure cookies and HSTS"),
    "TRUSTED_HOSTS": ("", "comma-separated host names to answer to, besides PUBLIC_URL's; empty: this machine's own"),
    "TRUSTED_PROXIES": ("0", "number of reverse proxies in front whose X-Forwarded-* headers are believed"),
    "SECRET_KEY": ("", "signs form tokens; empty: made once and kept in instance/secret_key"),
    "HEALTH_TOKEN": ("", "lets programs ask for /health/ready and /version; empty: only administrators may"),
    "DATABASE_URL": ("", "sqlite:////absolute/path to the database; empty: instance/movierec.sqlite3"),
    "REDIS_URL": ("", "Redis for the queue; empty: the embedded Valkey at instance/valkey.sock"),
    "MOVIEREC_DATASETS": ("", "folder searched for a data set at the first start, before data/"),
    "INSTANCE_DIR": ("instance", "database, secret key, socket"),
    "DATA_DIR": ("data", "starter catalogue, downloads, snapshots of events"),
    "MODELS_DIR": ("models", "artifacts of finished runs"),
    "WEB_CONCURRENCY": ("2", "gunicorn processes"),
    "REGISTRATION": ("", "on or off: may visitors make an account; empty: what the settings page says (off at first)"),
    "MOVIEREC_PUBLIC_DEMO": ("", "1 allows the demo accounts where HOST is not loopback: anybody who reaches it is in"),
    "LOG_LEVEL": ("INFO", "DEBUG, INFO, WARNING or ERROR"),
    "LLM_PROVIDER": ("", "stub answers without a network, for demos; empty: the API at LLM_BASE_URL"),
    "LLM_BASE_URL": ("https://openrouter.ai/api/v1", "an OpenAI-compatible chat API, without /chat/completions"),
    "LLM_MODEL": ("", "the language model's name as that API knows it"),
    "LLM_API_KEY": ("", "key for LLM_BASE_URL; empty: the file instance/llm_key, if there is one"),
    "OPENROUTER_API_KEY": ("", "stands in for LLM_API_KEY, only where LLM_BASE_URL is OpenRouter's"),
    "MODEL": ("", "stands in for LLM_MODEL"),
    "LLM_ALLOW_LOCAL": (
        "",
        "1 allows LLM_BASE_URL on this machine or in a private network, http and no key too",
    ),
    "LLM_HOSTS": ("", "comma-separated host names that LLM_BASE_URL may name; empty: any"),
    "LLM_CONCURRENT": ("4", "language model calls under way at once, in all processes together"),
    "LLM_VIEWER_CALLS": ("20", "language model calls a viewer a day (UTC); 0: none"),
    "LLM_SITE_CALLS": ("500", "language model calls of all viewers a day"),
    "LLM_VIEWER_TOKENS": ("200000", "language model tokens a viewer a day, questions and answers together"),
    "LLM_SITE_TOKENS": ("3000000", "language model tokens of all viewers a day"),
    "LLM_PRICE_IN": ("0", "US dollars a million tokens of question, where the API does not tell what a call cost"),
    "LLM_PRICE_OUT": ("0", "US dollars a million tokens of answer, likewise"),
}
WHOLE_NUMBERS = {  # key -> lowest, highest
    "PORT": (1, 65535),
    "TRUSTED_PROXIES": (0, 10),
    "WEB_CONCURRENCY": (1, 256),
    "LLM_CONCURRENT": (1, 64),
    "LLM_VIEWER_CALLS": (0, 10**6),
    "LLM_SITE_CALLS": (0, 10**6),
    "LLM_VIEWER_TOKENS": (0, 10**9),
    "LLM_SITE_TOKENS": (0, 10**9),
}
PRICES = ("LLM_PRICE_IN", "LLM_PRICE_OUT")
KEYS_OF_OTHERS = ("LLM_API_KEY", "OPENROUTER_API_KEY")
CHOICES = {
    "REGISTRATION": ("", "on", "off"),
    "MOVIEREC_PUBLIC_DEMO": ("", "1"),
    "LOG_LEVEL": ("DEBUG", "INFO", "WARNING", "ERROR"),
    "LLM_PROVIDER": ("", "stub"),
    "LLM_ALLOW_LOCAL": ("", "1"),
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
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})  # this machine's own names: a site always answers to them
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (what listens on every address, and where to ask it)


class Secret(str):
    """Text that doesn't show itself where settings or local variables are printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'[hidden]'" if self else "''"


class BadConfig(Exception):
    """A setting can't be used; the message names the key and says what to do."""


def read(overrides: dict[str, Any] | None = None, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """The settings as Flask's config wants them: folders absolute, the secret key present, numbers numbers.

    A key that is set to nothing counts as not set. Raises BadConfig with the key and what to do.
    """
    if environ is None:
        environ = _environment(ROOT / ".env")
    raw = {key: environ.get(key) or default for key, (default, _) in KEYS.items()} | (overrides or {})
    config: dict[str, Any] = dict(raw)
    for key in ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR"):
        config[key] = (ROOT / str(raw[key])).resolve()
    given = str(raw["MOVIEREC_DATASETS"])
    config["MOVIEREC_DATASETS"] = str((ROOT / given).resolve()) if given else ""
    for key, (low, high) in WHOLE_NUMBERS.items():
        config[key] = _whole_number(key, raw[key], low, high)
    for key in PRICES:
        config[key] = _price(key, raw[key])
    for key in KEYS_OF_OTHERS:
        config[key] = Secret(raw[key])
    for key, choices in CHOICES.items():
        if raw[key] not in choices:
            words = " or ".join(choice for choice in choices if choice)
            raise BadConfig(f"{key} is {raw[key]!r}: set it to {words}, or leave it empty.")
    config["PUBLIC_URL"] = _public(str(raw["PUBLIC_URL"]))
    if raw["REDIS_URL"] and not str(raw["REDIS_URL"]).startswith(("redis://", "rediss://", "unix://")):
        raise BadConfig(f"REDIS_URL is {raw['REDIS_URL']!r}: it must begin with redis://, rediss:// or unix://.")
    if raw["HEALTH_TOKEN"]:
        config["HEALTH_TOKEN"] = _usable_key(str(raw["HEALTH_TOKEN"]), "HEALTH_TOKEN")
    instance = config["INSTANCE_DIR"]
    _make_folder(instance)
    config["SECRET_KEY"] = (
        _usable_key(str(raw["SECRET_KEY"]), "SECRET_KEY") if raw["SECRET_KEY"] else _kept_key(instance / "secret_key")
    )
    config["SQLALCHEMY_DATABASE_URI"] = (
        _database(str(raw["DATABASE_URL"])) or f"sqlite:///{instance / 'movierec.sqlite3'}"
    )
    config["EMBEDDED_REDIS"] = not raw["REDIS_URL"]
    config["REDIS_URL"] = raw["REDIS_URL"] or f"unix://{quote(str(instance / 'valkey.sock'))}"
    config["HTTPS"] = config["PUBLIC_URL"].startswith("https://")
    return config


def loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address(settings: Mapping[str, Any]) -> str:
    """Where a browser on this machine or, with PUBLIC_URL, anywhere reaches the site. No slash at its end."""
    host = str(settings["HOST"])
    shown = "localhost" if host in LOOPBACK or host in ANYWHERE else host
    return str(settings["PUBLIC_URL"]) or _plain(shown, settings)


def own_address(settings: Mapping[str, Any]) -> str:
    """Where this machine reaches the web server itself, whatever stands in front of it."""
    host = str(settings["HOST"])
    return _plain(ANYWHERE.get(host, host), settings)


def _plain(host: str, settings: Mapping[str, Any]) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{settings['PORT']}"


def _environment(file: Path) -> dict[str, str]:
    try:
        load_dotenv(file)
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{file} can't be read ({error}): mend it or remove it.") from None
    return dict(os.environ)


def _public(url: str) -> str:
    """The address that people type, without a slash at its end."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query):
        raise BadConfig(f"PUBLIC_URL is {url!r}: set it to http:// or https://, a host name and, if any, a port.")
    return url.rstrip("/")


def _database(url: str) -> str:
    """The URL with an absolute path, so that every process means the same file wherever it was started."""
    if not url:
        return ""
    kind, _, path = url.partition(":///")
    if kind != "sqlite" or not path or path.startswith((":memory:", "file:")):
        raise BadConfig("DATABASE_URL must be sqlite:////absolute/path/to/a/file; movierec keeps its data in SQLite.")
    return f"sqlite:///{(ROOT / path).resolve()}"


def _whole_number(key: str, value: Any, low: int, high: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise BadConfig(f"{key} is {value!r}: set it to a whole number from {low} to {high}.") from None
    if not low <= number <= high:
        raise BadConfig(f"{key} is {number}: set it to a whole number from {low} to {high}.")
    return number


def _price(key: str, value: Any) -> float:
    try:
        price = float(value)
    except (TypeError, ValueError):
        price = -1.0
    if not 0 <= price <= 10_000:
        raise BadConfig(f"{key} is {value!r}: set it to US dollars a million tokens, from 0 to 10000.")
    return price


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadConfig(
            f"The folder {folder} can't be made ({error.strerror}): make it writable or set INSTANCE_DIR."
        ) from None


def _usable_key(key: str, where: str) -> str:
    if key.lower() in PLACEHOLDERS or len(key) < 32:
        otherwise = "remove it" if where == "HEALTH_TOKEN" else "remove it (one is made)"
        raise BadConfig(f"{where} is a placeholder or shorter than 32 characters: {otherwise} or use 32 or more.")
    return key


def _kept_key(path: Path) -> str:
    """The key in the file, made once: written aside, then linked, so that no other starter ever reads half of it."""
    try:
        if not path.exists():
            _make_key(path)
        return _usable_key(path.read_text().strip(), str(path))
    except OSError as error:
        raise BadConfig(
            f"{path} can't be made or read ({error.strerror}): mend the folder's owner or set SECRET_KEY."
        ) from None


def _make_key(path: Path) -> None:
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(64))
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):  # another first starter was quicker: its key is the key
        os.link(aside, path)
    aside.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
