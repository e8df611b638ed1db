"""A chat API on loopback that misbehaves on script: a real server on a real socket, one act a call."""

from __future__ import annotations

import gzip
import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CERTIFICATE = Path(__file__).with_name("llm_stub.pem")  # for llm.test
CANARY = "sk-canary-7f3a9c51e2d84b06"


@dataclass(frozen=True)
class Asked:
    """A question as it arrived."""

    line: str
    headers: dict[str, str]
    body: Any


Act = Callable[[socket.socket, Asked, threading.Event], None]


class Stub:
    """`stub.play(says("hello"), resets())`: each call gets the next act, the last one again and again."""

    def __init__(self, *, tls: bool = False) -> None:
        self.calls: list[Asked] = []
        self.lines = 0  # connections, whether anything was asked or not
        self.over = threading.Event()
        self._acts: list[Act] = [says("hello")]
        self._lock = threading.Lock()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if self._context:
            self._context.load_cert_chain(CERTIFICATE)
        stub = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # whoever asks may leave at any time
                    stub._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def play(self, *acts: Act) -> None:
        """What the next calls meet."""
        self._acts = list(acts)

    def end(self) -> None:
        """Stop, and let every act that waits go."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, line: socket.socket) -> None:
        with self._lock:
            self.lines += 1
        line.settimeout(30)
        if self._context:
            line = self._context.wrap_socket(line, server_side=True)
        with line, line.makefile("rb") as file:
            first = file.readline().decode("latin-1").strip()
            if not first:
                return
            headers = {}
            while (header := file.readline().strip()) != b"":
                name, _, value = header.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            asked = Asked(first, headers, json.loads(file.read(int(headers.get("content-length", 0))) or b"null"))
            with self._lock:
                self.calls.append(asked)
                act = self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]
            act(line, asked, self.over)


@contextmanager
def running(**kwargs: Any) -> Iterator[Stub]:
    """A stub for the length of a block."""
    stub = Stub(**kwargs)
    try:
        yield stub
    finally:
        stub.end()


def chat(text: Any, **fields: Any) -> dict[str, Any]:
    """The body of a good answer."""
    usage = {"prompt_tokens": 11, "completion_tokens": 7}
    return {"model": "stub-1", "choices": [{"message": {"content": text}}], "usage": usage} | fields


def replies(status: int, body: Any = b"", **headers: str) -> Act:
    """Any reply; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def act(line: socket.socket, asked: Asked, over: threading.Event) -> None:
        named = {"content-length": str(len(content)), "connection": "close"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        line.sendall(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + content)

    return act


def says(text: Any, **fields: Any) -> Act:
    """A good answer."""
    return replies(200, chat(text, **fields))


def echoes() -> Act:
    """Sends the key back wherever a server can: in headers, in the text, in the model's name."""

    def act(line: socket.socket, asked: Asked, over: threading.Event) -> None:
        key = asked.headers.get("authorization", "")
        replies(200, chat(f"you sent {key}", model=key), x_echo=key)(line, asked, over)

    return act


def waits() -> Act:
    """Takes the question and never says a word."""

    def act(line: socket.socket, asked: Asked, over: threading.Event) -> None:
        over.wait(30)

    return act


def drips(head: bytes, every: float = 0.02) -> Act:
    """Sends `head`, then a byte from time to time, for ever: the line never falls silent."""

    def act(line: socket.socket, asked: Asked, over: threading.Event) -> None:
        line.sendall(head)
        while not over.wait(every):
            line.sendall(b"a")

    return act


def resets() -> Act:
    """Takes the question and resets the line."""

    def act(line: socket.socket, asked: Asked, over: threading.Event) -> None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return act


def floods(encoding: str = "") -> Act:
    """A hundred million bytes, as they are or as a gzip bomb; stops once nobody reads."""
    piece = b" " * 2**20
    bomb = gzip.compress(piece * 100, 1) if encoding else b""

    def act(line: socket.socket, asked: Asked, over: threading.Event) -> None:
        coded = "content-encoding: gzip\r\n" if encoding else ""
        line.sendall(f"HTTP/1.1 200 OK\r\n{coded}connection: close\r\n\r\n".encode())
        for _ in range(1 if encoding else 100):
            line.sendall(bomb or piece)

    return act
