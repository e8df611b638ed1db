"""Which language model this site may ask, with which key: from the environment or a private file, never from a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from movierec.services.llm import address
from movierec.services.llm.answers import NoAnswer

OPENROUTER = "openrouter.ai"
KEY_FILE = "llm_key"
MILLION = 1_000_000
LONGEST_MODEL = 100  # characters of a model's name that are kept


@dataclass(frozen=True)
class Access:
    """All that a call needs to know. The key is empty where a local server wants none; it is never shown."""

    place: address.Place
    model: str
    key: str = field(repr=False)
    price_in: float = 0.0  # US dollars a token
    price_out: float = 0.0

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars by the prices in the settings."""
        return prompt_tokens * self.price_in + completion_tokens * self.price_out


def stub(config: Mapping[str, Any]) -> bool:
    """Whether the stub provider answers instead of a language model."""
    return bool(config["LLM_PROVIDER"] == "stub")


def begun(config: Mapping[str, Any]) -> bool:
    """Whether anything is set that only a language model needs."""
    named = ("LLM_PROVIDER", "LLM_MODEL", "LLM_API_KEY", "OPENROUTER_API_KEY", "LLM_ALLOW_LOCAL", "LLM_HOSTS")
    return any(config[key] for key in named) or (Path(config["INSTANCE_DIR"]) / KEY_FILE).exists()


def read(config: Mapping[str, Any]) -> Access:
    """What the settings say. Raises NoAnswer("absent") with what to set."""
    allow_local = config["LLM_ALLOW_LOCAL"] == "1"
    hosts = [host.strip().lower() for host in str(config["LLM_HOSTS"]).split(",") if host.strip()]
    try:
        place = address.check(str(config["LLM_BASE_URL"]), allow_local=allow_local, hosts=hosts)
    except address.BadAddress as error:
        raise NoAnswer("absent", str(error)) from None
    model = str(config["LLM_MODEL"] or config["MODEL"]).strip()
    key = _key(config, place)
    if not key and not allow_local:
        raise NoAnswer("absent", "There is no key for a language model: set LLM_API_KEY or OPENROUTER_API_KEY.")
    if not model:
        raise NoAnswer("absent", "No language model is chosen: set LLM_MODEL to the name its server knows it by.")
    return Access(
        place,
        model[:LONGEST_MODEL],
        key,
        float(config["LLM_PRICE_IN"]) / MILLION,
        float(config["LLM_PRICE_OUT"]) / MILLION,
    )


def _key(config: Mapping[str, Any], place: address.Place) -> str:
    """OpenRouter's own key is sent to OpenRouter only. Raises NoAnswer where one can't be used."""
    named = ["LLM_API_KEY", *(["OPENROUTER_API_KEY"] if place.host == OPENROUTER else [])]
    for name in named:
        if config[name]:
            return _usable(str(config[name]), name)
    file = Path(config["INSTANCE_DIR"]) / KEY_FILE
    try:
        if not file.exists():
            return ""
        if file.stat().st_mode & 0o077:
            raise NoAnswer("absent", f"Others on this machine can read {file}: `chmod 600` it.")
        return _usable(file.read_text(), str(file))
    except (OSError, UnicodeDecodeError):
        raise NoAnswer("absent", f"{file} can't be read: mend its owner, or set LLM_API_KEY.") from None


def _usable(key: str, where: str) -> str:
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key or len(key) < 8:
        raise NoAnswer("absent", f"{where} holds no usable key: letters, digits and signs, 8 or more, without spaces.")
    return key
