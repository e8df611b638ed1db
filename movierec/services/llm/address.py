"""Where the language model may live: the URL as written, and each address it resolves to when connecting (SSRF)."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# This machine, private networks, and the shared range that overlay networks (Tailscale) use.
LOCAL = tuple(
    map(
        ipaddress.ip_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7"),
    )
)
# Where clouds hand out credentials (169.254.169.254 is no global address anyway), and what Pythons disagree about.
NEVER = tuple(
    map(
        ipaddress.ip_network,
        ("100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128", "192.0.0.0/24", "64:ff9b:1::/48"),
    )
)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")  # as the last label: an IPv4 address in one of its odd spellings
_PATH = re.compile(r"[A-Za-z0-9._~/%+:@-]*")

SPELLING = "LLM_BASE_URL must be https://, a host name, a port if it needs one, and a path: no name, password or query."
FLAG = "For a model on this machine or in your own network set LLM_ALLOW_LOCAL=1."


class BadAddress(Exception):
    """The language model must not be looked for there; the sentence names the key and says what to do."""


@dataclass(frozen=True)
class Place:
    """A checked LLM_BASE_URL. `host` is as written, without brackets; `path` has no slash at its end."""

    scheme: str
    host: str
    port: int
    path: str
    allow_local: bool

    @property
    def netloc(self) -> str:
        """For the Host header: without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"

    def url(self, address: str) -> str:
        """Of the chat at this address, so that the name is not looked up a second time."""
        host = f"[{address}]" if ":" in address else address
        return f"{self.scheme}://{host}:{self.port}{self.path}/chat/completions"

    def resolve(self) -> list[str]:
        """At most two addresses to try, one a family where there are both. Raises BadAddress, OSError.

        One bad address among good ones is somebody's trick: all are refused.
        """
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            _judge(address, self.scheme, self.allow_local)
        others = [address for address in addresses[1:] if (":" in address) != (":" in addresses[0])]
        return [*addresses[:1], *(others or addresses[1:])[:1]]


def check(url: str, *, allow_local: bool, hosts: Collection[str] = ()) -> Place:
    """The place that this LLM_BASE_URL means, `hosts` being the only ones allowed if any are. Raises BadAddress.

    Looks nothing up: a name is judged by its addresses, when connecting.
    """
    if not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
        raise BadAddress(SPELLING)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise BadAddress(SPELLING) from None
    strange = parts.username is not None or parts.password is not None or "?" in url or "#" in url or port == 0
    if strange or parts.scheme not in ("https", "http") or not _PATH.fullmatch(parts.path):
        raise BadAddress(SPELLING)
    if parts.scheme == "http" and not allow_local:
        raise BadAddress(f"LLM_BASE_URL must begin with https://. {FLAG}")
    if hosts and host not in hosts:
        raise BadAddress("LLM_BASE_URL names a host that LLM_HOSTS does not: change one of them.")
    literal = _literal(host)
    if literal is not None:
        _judge(host, parts.scheme, allow_local)
    elif not _HOST.fullmatch(host) or _NUMBER.match(host.rpartition(".")[2]):
        raise BadAddress(SPELLING)
    elif not allow_local and (host == "localhost" or host.endswith((".localhost", ".local", ".internal"))):
        raise BadAddress(f"LLM_BASE_URL is in your own network. {FLAG}")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")  # as some documentation shows it
    return Place(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path, allow_local)


def _literal(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _judge(address: str, scheme: str, allow_local: bool) -> None:
    """Raises BadAddress unless this address may be connected to."""
    ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    if "%" in address or any(ip in network for network in NEVER):
        raise BadAddress("LLM_BASE_URL leads to an address where no language model is: correct it.")
    if any(ip in network for network in LOCAL):
        if not allow_local:
            raise BadAddress(f"LLM_BASE_URL leads into your own network. {FLAG}")
    elif not ip.is_global or ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False):
        raise BadAddress("LLM_BASE_URL leads to an address where no language model is: correct it.")
    elif scheme != "https":
        raise BadAddress("LLM_BASE_URL leads out of your own network: there it must begin with https://.")


def _unwrapped(ip: _Address) -> _Address:
    """The IPv4 address that an IPv6 one carries inside, if it does."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
