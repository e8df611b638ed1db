"""One question over HTTP, bounded in time and bytes whatever the other side does: the only code that uses the key."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from os import environ
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import DecodeError
from urllib3.exceptions import TimeoutError as LineTimeout
from urllib3.response import BaseHTTPResponse

from movierec.services.llm.address import Place
from movierec.services.llm.answers import Kind, Lost, Reply
from movierec.tables import now

CONNECT = 3.0  # seconds, all addresses together
CAP = 64 * 1024  # bytes of an answer, decoded
PIECE = 8 * 1024


class _TooLarge(Exception):
    """More than CAP bytes."""


class _Cut(Exception):
    """The one who waited has left."""


class Exchange:
    """One POST, in a thread of its own: looking a name up and slow headers can't be given a time limit otherwise.

    The thread hands back a value, never an exception, so that no traceback with the key in its frames gets out.
    """

    def __init__(self, place: Place, key: str, body: bytes) -> None:
        self._place, self._key, self._body = place, key, body
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._cut = False
        self._seconds = 0.0
        self._outcome: Future[Reply | Lost] = Future()

    def within(self, seconds: float) -> Reply | Lost:
        """Send the question and wait at most so long. Raises nothing."""
        self._seconds = seconds
        threading.Thread(target=self._work, name="language model", daemon=True).start()
        try:
            return self._outcome.result(seconds)
        except FutureTimeout:
            return Lost("slow", self._leave(), "deadline")

    def _leave(self) -> bool:
        """End the thread's waiting; whether anything was sent. Whatever it still gets is dropped."""
        with self._lock:
            self._cut = True
            if self._socket is None:
                return False
            with suppress(OSError):  # the other side may have been quicker
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # below TLS, which another thread is using
            return True

    def _hold(self, line: socket.socket) -> None:
        """The line stands: from here on the question counts as sent. Raises _Cut where nobody waits any more."""
        with self._lock:
            if self._cut:
                raise _Cut
            self._socket = line

    def _work(self) -> None:
        try:
            self._outcome.set_result(self._post())
        except Exception as error:  # of requests, urllib3, http.client, ssl, the resolver: all mean "no reply"
            self._outcome.set_result(Lost(self._kind(error), self._socket is not None, type(error).__name__))

    def _kind(self, error: Exception) -> Kind:
        if self._socket is None:
            return "unreachable"
        if isinstance(error, (requests.Timeout, LineTimeout)):
            return "slow"
        return "garbage" if isinstance(error, (_TooLarge, DecodeError)) else "failed"

    def _post(self) -> Reply:
        addresses = self._place.resolve()
        for address in addresses[:-1]:
            try:
                return self._send(address, CONNECT / len(addresses))
            except requests.RequestException:
                if self._socket is not None:
                    raise
        return self._send(addresses[-1], CONNECT / len(addresses))

    def _send(self, address: str, connect: float) -> Reply:
        headers = {"Host": self._place.netloc, "Accept": "application/json", "Accept-Encoding": "identity"}
        headers |= {"Content-Type": "application/json", "User-Agent": "movierec"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        with requests.Session() as session:
            session.trust_env = False  # no proxy and no .netrc of the machine gets between
            session.mount(f"{self._place.scheme}://", _Adapter(self._place, self._hold))
            with session.post(
                self._place.url(address),
                data=self._body,
                headers=headers,
                timeout=(min(connect, self._seconds), self._seconds),
                allow_redirects=False,
                stream=True,
                verify=environ.get("REQUESTS_CA_BUNDLE") or True,
            ) as answer:
                return Reply(answer.status_code, _read(answer.raw), _retry_after(answer.headers.get("Retry-After")))


class _Adapter(HTTPAdapter):
    """Connects to a checked address, but proves the certificate for the name; shows each line before it is used."""

    def __init__(self, place: Place, hold: Callable[[socket.socket], None]) -> None:
        self._place, self._hold = place, hold
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does it, with our kind of connection."""
        if self._place.scheme == "https":
            kwargs["server_hostname"] = self._place.host
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _watched(HTTPConnectionPool, self._hold),
            "https": _watched(HTTPSConnectionPool, self._hold),
        }


def _watched(pool: type[HTTPConnectionPool], hold: Callable[[socket.socket], None]) -> type[HTTPConnectionPool]:
    base: Any = pool.ConnectionCls

    class Connection(base):
        debuglevel = 0  # http.client would print the key where somebody set its own to 1

        def connect(self) -> None:
            super().connect()
            hold(self.sock)

    return type("Pool", (pool,), {"ConnectionCls": Connection})


def _read(raw: BaseHTTPResponse) -> bytes:
    """The body, decoded in small pieces so that a bomb never unfolds. Raises _TooLarge."""
    body = bytearray()
    for piece in raw.stream(PIECE, decode_content=True):
        body += piece
        if len(body) > CAP:
            raise _TooLarge
    return bytes(body)


def _retry_after(header: str | None, moment: Callable[[], datetime] = now) -> float | None:
    """Seconds from now, given as a number or as a date; None where it is neither."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header.strip()[:9])
    try:
        return max(0.0, (parsedate_to_datetime(header) - moment()).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a zone
        return None
