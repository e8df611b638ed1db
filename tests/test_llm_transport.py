"""One exchange with a server that is slow, broken, too large or not who it says it is (L1, L2, L5)."""

from __future__ import annotations

import http.client
import resource
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from llm_stub import (
    CANARY,
    CERTIFICATE,
    Stub,
    chat,
    drips,
    floods,
    replies,
    resets,
    running,
    says,
    waits,
)  # fmt: skip

from movierec.services.llm import address, transport
from movierec.services.llm.answers import Lost, Reply
from movierec.services.llm.transport import Exchange

SHORT = 0.3  # seconds that these tests wait where production waits 20


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running() as server:
        yield server


def exchange(stub: Stub, seconds: float = 5.0, url: str = "") -> Reply | Lost:
    place = address.check(url or stub.url, allow_local=True)
    return Exchange(place, CANARY, b'{"model": "tiny"}').within(seconds)


def threads() -> int:
    return sum(thread.name == "language model" for thread in threading.enumerate())


def soon(condition: Any) -> bool:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(condition())


def test_a_good_reply_comes_whole(stub: Stub) -> None:
    stub.play(says("hello", pad="x" * 50_000))
    reply = exchange(stub)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.retry_after) == (200, None)
    assert b"hello" in reply.body
    (asked,) = stub.calls
    assert asked.line == "POST /v1/chat/completions HTTP/1.1"
    assert asked.headers["authorization"] == f"Bearer {CANARY}"
    assert asked.headers["host"] == f"127.0.0.1:{stub.port}"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.body == {"model": "tiny"}


SLOW = {
    "silent": waits(),
    "a drip in the first line": drips(b"HTTP/1.1 2"),
    "a drip in the headers": drips(b"HTTP/1.1 200 OK\r\nx-slow: "),
    "a drip in the body": drips(b"HTTP/1.1 200 OK\r\n\r\n{"),
    "a drip in a promised body": drips(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n{"),
    "chunks that never end": drips(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfff0\r\n"),
    "endless interim answers": drips(b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + b"HTTP/1.1 100 "),
}


@pytest.mark.parametrize("act", SLOW.values(), ids=list(SLOW))
def test_whoever_waits_leaves_at_the_deadline_and_the_line_is_cut(stub: Stub, act: Any) -> None:
    stub.play(act)
    start = time.monotonic()
    lost = exchange(stub, SHORT)
    assert time.monotonic() - start < SHORT + 2, "the machine may be busy; the other side would take for ever"
    assert isinstance(lost, Lost)
    assert (lost.kind, lost.sent) == ("slow", True)
    assert soon(lambda: threads() == 0), "no thread is left behind by a line that never falls silent"


def test_a_name_that_takes_long_to_look_up_is_not_waited_for(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    real = socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        asked.wait(5)
        return real("127.0.0.1", stub.port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    lost = exchange(stub, SHORT, f"http://llm.test:{stub.port}/v1")
    assert lost == Lost("slow", sent=False, detail="deadline")
    asked.set()
    assert soon(lambda: threads() == 0)
    assert stub.calls == [], "once nobody waits, nothing is sent any more: it would be paid for nothing"


def test_a_silent_line_is_given_up_by_itself_too(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    stub.play(waits())
    exchanged = Exchange(address.check(stub.url, allow_local=True), "", b"null")
    exchanged._seconds = 0.05
    exchanged._work()
    assert exchanged._outcome.result() == Lost("slow", sent=True, detail="ReadTimeout")
    assert "authorization" not in stub.calls[0].headers


BROKEN = {
    "reset": (resets(), "failed"),
    "closed without a word": (lambda *_: None, "failed"),
    "not HTTP": (lambda line, *_: line.sendall(b"220 smtp.example.org ESMTP\r\n\r\n"), "failed"),
    "half a body": (lambda line, *_: line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), "failed"),
    "too many headers": (lambda line, *_: line.sendall(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n"), "failed"),
    "a false gzip": (replies(200, b"not gzip", content_encoding="gzip"), "garbage"),
    "a hundred million bytes": (floods(), "garbage"),
    "a gzip bomb": (floods("gzip"), "garbage"),
    "one byte too many": (replies(200, b" " * (transport.CAP + 1)), "garbage"),
}


@pytest.mark.parametrize(("act", "kind"), BROKEN.values(), ids=list(BROKEN))
def test_broken_and_oversized_replies_are_lost_with_their_kind(stub: Stub, act: Any, kind: str) -> None:
    stub.play(act)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lost = exchange(stub)
    assert isinstance(lost, Lost), lost
    assert (lost.kind, lost.sent) == (kind, True)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KB, of the server in this process too
    assert grown < 32 * 1024


def test_exactly_the_cap_is_taken(stub: Stub) -> None:
    stub.play(replies(200, b" " * transport.CAP))
    reply = exchange(stub)
    assert isinstance(reply, Reply)
    assert len(reply.body) == transport.CAP


def test_a_redirect_is_an_answer_and_not_followed(stub: Stub) -> None:
    with running() as other:
        stub.play(replies(307, b"", location=other.url))
        reply = exchange(stub)
        assert isinstance(reply, Reply)
        assert (reply.status, other.lines, stub.lines) == (307, 0, 1)


def test_nobody_listens(stub: Stub) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        lost = exchange(stub, url=f"http://127.0.0.1:{free.getsockname()[1]}/v1")
    assert lost == Lost("unreachable", sent=False, detail="ConnectionError")


def test_the_other_address_is_tried_where_the_first_is_dead(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with IPv6 addresses and no way to the IPv6 world."""
    dead = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", stub.port, 0, 0))
    good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", stub.port))
    real = socket.getaddrinfo
    found = {"llm.test": [dead, good]}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *a, **k: found.get(host) or real(host, *a, **k))
    assert isinstance(exchange(stub, url=f"http://llm.test:{stub.port}/v1"), Reply)
    stub.play(resets())
    same = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::ffff:127.0.0.1", stub.port, 0, 0))
    found["llm.test"] = [good, same]
    lost = exchange(stub, url=f"http://llm.test:{stub.port}/v1")
    assert isinstance(lost, Lost)
    assert (lost.kind, len(stub.calls)) == ("failed", 2), "what was sent once is not sent to the other address"


def test_certificates_are_proven_for_the_name_not_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1" if host.endswith(".test") else host, *a, **k)
    )
    with running(tls=True) as stub:
        good, wrong = (f"https://{name}:{stub.port}/v1" for name in ("llm.test", "other.test"))
        assert exchange(stub, url=good) == Lost("unreachable", sent=False, detail="SSLError"), "nobody vouches for it"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
        assert exchange(stub, url=wrong) == Lost("unreachable", sent=False, detail="SSLError")
        assert stub.calls == []
        assert isinstance(exchange(stub, url=good), Reply)
        assert stub.calls[0].headers["host"] == f"llm.test:{stub.port}"


def test_the_deadline_holds_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1" if host == "llm.test" else host, *a, **k)
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with running(tls=True) as stub:
        stub.play(drips(b"HTTP/1.1 200 OK\r\n\r\n{"))
        lost = exchange(stub, SHORT, f"https://llm.test:{stub.port}/v1")
        assert lost == Lost("slow", sent=True, detail="deadline")
        assert soon(lambda: threads() == 0)


def test_no_proxy_and_no_netrc_of_the_machine_gets_between(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert isinstance(exchange(stub), Reply)
    assert stub.calls[0].headers["authorization"] == f"Bearer {CANARY}"


def test_http_client_prints_no_headers_even_where_somebody_told_it_to(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    assert isinstance(exchange(stub), Reply)
    assert CANARY not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None), ("3", 3.0), (" 7 ", 7.0), ("0", 0.0), ("9" * 400, 999_999_999.0),
        ("Sat, 01 Jun 2024 12:00:30 GMT", 30.0), ("Sat, 01 Jun 2024 11:00:00 GMT", 0.0), ("soon", None), ("-3", None),
        ("1.5", None), ("", None), ("Sat, 01 Jun 2024 12:00:30", None), ("Sat, 99 Jun 9999999 12:00:30 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    noon = datetime(2024, 6, 1, 12, tzinfo=UTC)
    assert transport._retry_after(header, lambda: noon) == seconds
    assert transport._retry_after(header, lambda: noon + timedelta(days=1)) in (None, 0.0, seconds)


def test_the_reply_says_when_to_come_again(stub: Stub) -> None:
    stub.play(replies(429, chat(""), retry_after="17"))
    reply = exchange(stub)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.retry_after) == (429, 17.0)
