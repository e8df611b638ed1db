"""Where the language model may live: hostile URLs, hostile names, and addresses that change between two looks (L9)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llm_kit import given, kind
from llm_stub import Stub, replies, running

from movierec.services import llm
from movierec.services.llm.address import BadAddress, Place, check
from movierec.services.llm.answers import Lost
from movierec.services.llm.transport import Exchange

HOSTILE = [  # refused as written, whether local servers are allowed or not
    "http://169.254.169.254/latest/meta-data", "https://169.254.169.254/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/",
    "http://[::]/", "https://[::]:443/", "https://0.0.0.0/", "http://0/", "https://2130706433/", "https://2852039166/v1",
    "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/", "https://127.1/", "https://169.254.43518/",
    "https://[::ffff:169.254.169.254]/", "https://[::ffff:a9fe:a9fe]/", "https://[64:ff9b::a9fe:a9fe]/",
    "https://[2002:a9fe:a9fe::1]/", "https://[::a9fe:a9fe]/", "https://[fd00:ec2::254]/", "https://100.100.100.200/",
    "https://224.0.0.1/", "https://255.255.255.255/", "https://[ff02::1]/", "https://192.0.0.192/", "https://[fec0::1]/",
    "https://openrouter.ai@169.254.169.254/", "https://user:word@openrouter.ai/", "https://@openrouter.ai/",
    "https://openrouter.ai\\@169.254.169.254/", "https://openrouter.ai/?url=x", "https://openrouter.ai/#@evil.test",
    "ftp://openrouter.ai/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_FLUSHALL", "//openrouter.ai/", "a.b",
    "https://", "https:///v1", "https://openrouter.ai:0/", "https://openrouter.ai:99999/", "https://openrouter.ai:80a/",
    "https://open router.ai/", "https://openrouter.ai/\r\nHost: evil.test", "https://openrouter.ai\t.evil.test/",
    "https://①⑥⑨.254.169.254/", "https://ｏpenrouter.ai/", "https://[::1/", "https://-evil.test/", "https://a..b/",
    "https://openrouter.ai%2eevil.test/", "https://169.254.169.254./", "https://" + "a" * 300 + ".test/", "",
    "https://openrouter.ai/{path}", "https://[64:ff9b:1::a9fe:a9fe]/",
]  # fmt: skip

LOCAL = [  # refused unless LLM_ALLOW_LOCAL=1
    "http://127.0.0.1:11434/v1", "http://localhost:11434/v1", "https://localhost/", "http://[::1]:8000/v1",
    "http://192.168.1.5/v1", "https://10.0.0.7/v1", "http://172.17.0.1:11434/v1", "http://[fd12::5]/v1", "http://100.64.3.4/",
    "https://[::ffff:127.0.0.1]/", "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
    "http://gpu.local:8000/v1", "https://gpu.internal/v1", "http://gpu:8000/v1",
]  # fmt: skip


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running() as server:
        yield server


@pytest.mark.parametrize("url", HOSTILE)
def test_hostile_urls_are_refused_as_written(url: str) -> None:
    for allow_local in (False, True):
        with pytest.raises(BadAddress, match="LLM_BASE_URL") as caught:
            check(url, allow_local=allow_local)
        assert len(url) < 9 or url not in str(caught.value), "it may hold a password"
    assert len(HOSTILE) + len(LOCAL) > 60


@pytest.mark.parametrize("url", LOCAL)
def test_local_ones_only_with_the_flag(url: str) -> None:
    assert check(url, allow_local=True).allow_local
    with pytest.raises(BadAddress, match="LLM_ALLOW_LOCAL"):
        check(url, allow_local=False)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://openrouter.ai/api/v1", Place("https", "openrouter.ai", 443, "/api/v1", False)),
        ("https://OpenRouter.AI./api/v1/", Place("https", "openrouter.ai", 443, "/api/v1", False)),
        ("https://llm.example.org:8443", Place("https", "llm.example.org", 8443, "", False)),
        (
            "https://xn--bcher-kva.example/v1/chat/completions",
            Place("https", "xn--bcher-kva.example", 443, "/v1", False),
        ),
        ("https://1.1.1.1/v1", Place("https", "1.1.1.1", 443, "/v1", False)),
        ("https://[2606:4700:4700::1111]:444/", Place("https", "2606:4700:4700::1111", 444, "", False)),
    ],
)
def test_good_ones_are_taken(url: str, place: Place) -> None:
    assert check(url, allow_local=False) == place


def test_the_address_of_the_chat_and_the_host_header() -> None:
    place = check("https://llm.example.org:8443/v1", allow_local=False)
    assert (place.url("2001:db8::5"), place.netloc) == (
        "https://[2001:db8::5]:8443/v1/chat/completions",
        "llm.example.org:8443",
    )
    assert check("http://[::1]:80/v1", allow_local=True).netloc == "[::1]"
    assert check("https://[2606:4700:4700::1111]/", allow_local=False).netloc == "[2606:4700:4700::1111]"


def test_only_hosts_of_the_list_where_there_is_one(make_app: Callable[..., Any]) -> None:
    assert check("https://b.example/v1", allow_local=False, hosts=["a.example", "b.example"]).host == "b.example"
    with pytest.raises(BadAddress, match="LLM_HOSTS"):
        check("https://c.example/v1", allow_local=False, hosts=["a.example", "b.example"])
    with make_app(LLM_HOSTS="a.example, B.example", LLM_API_KEY="sk-12345678", LLM_MODEL="tiny").app_context():
        assert "LLM_HOSTS" in llm.available()
    app = make_app(LLM_HOSTS="a.example, Openrouter.ai", LLM_API_KEY="sk-12345678", LLM_MODEL="tiny")
    with app.app_context():
        assert llm.available() == ""


def names(monkeypatch: pytest.MonkeyPatch, *found: list[str]) -> list[str]:
    """llm.test resolves to each of these lists in turn; what was looked up."""
    real, looks, left = socket.getaddrinfo, list[str](), list(found)

    def look(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host != "llm.test":
            return real(host, port, *args, **kwargs)
        looks.append(host)
        addresses = left.pop(0) if len(left) > 1 else left[0]
        kinds = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [(kind, socket.SOCK_STREAM, 6, "", (a, port)) for kind, a in zip(kinds, addresses, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", look)
    return looks


@pytest.mark.parametrize(
    "addresses",
    [
        ["169.254.169.254"], ["10.0.0.1"], ["127.0.0.1"], ["::1"], ["fd00:ec2::254"], ["::ffff:127.0.0.1"], ["0.0.0.0"],
        ["64:ff9b::a9fe:a9fe"], ["1.1.1.1", "169.254.169.254"], ["2606:4700:4700::1111", "127.0.0.1"], ["fe80::1%eth0"],
        ["100.100.100.200"], ["192.168.0.1", "192.168.0.2"], ["224.0.0.1"], ["2002:7f00:1::"],
    ],
)  # fmt: skip
def test_a_name_that_leads_inside_is_not_connected_to(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    names(monkeypatch, addresses)
    lost = Exchange(check("https://llm.test/v1", allow_local=False), "", b"null").within(5)
    assert lost == Lost("unreachable", sent=False, detail="BadAddress")


def test_metadata_stays_out_of_reach_where_local_servers_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    place = check("http://llm.test/v1", allow_local=True)
    for hostile in (["169.254.169.254"], ["127.0.0.1", "169.254.169.254"], ["fd00:ec2::254"], ["0.0.0.0"], ["::"]):
        names(monkeypatch, hostile)
        with pytest.raises(BadAddress, match="no language model"):
            place.resolve()
    names(monkeypatch, ["1.1.1.1"])
    with pytest.raises(BadAddress, match="https://"):
        place.resolve()  # the key would cross the internet in the clear


def test_the_address_that_was_checked_is_the_one_connected_to(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: a second look would find another address, so there is none."""
    looks = names(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    place = check(f"http://llm.test:{stub.port}/v1", allow_local=True)
    assert not isinstance(Exchange(place, "", b"null").within(5), Lost)
    assert (looks, stub.lines) == (["llm.test"], 1)
    assert stub.calls[0].headers["host"] == f"llm.test:{stub.port}"
    assert Exchange(place, "", b"null").within(5) == Lost("unreachable", sent=False, detail="BadAddress")
    assert stub.lines == 1


def test_one_address_of_each_family_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    place = check("https://llm.test/v1", allow_local=False)
    for found, tried in (
        (["1.1.1.1"], ["1.1.1.1"]),
        (["1.1.1.1", "1.0.0.1"], ["1.1.1.1", "1.0.0.1"]),
        (["1.1.1.1", "1.1.1.1", "1.0.0.1", "2606:4700::1"], ["1.1.1.1", "2606:4700::1"]),
        (["2606:4700::1", "2606:4700::2", "1.1.1.1"], ["2606:4700::1", "1.1.1.1"]),
    ):
        names(monkeypatch, found)
        assert place.resolve() == tried


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/", "http://127.0.0.1:1/", "//evil.test/", "file:///etc/passwd"]
)
def test_a_redirect_leads_nowhere(make_app: Callable[..., Any], stub: Stub, location: str) -> None:
    stub.play(replies(302, b"", location=location))
    with make_app(**given(stub)).app_context():
        assert kind() == "failed"
    assert stub.lines == 1
