"""What surrounds every answer: security headers, trusted hosts and proxies, and the same-site rule for changes."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, request
from werkzeug.middleware.proxy_fix import ProxyFix

from movierec.config import LOOPBACK, loopback

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; "
    "frame-ancestors 'none'"
)
ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
LARGEST_MB = 1  # of a request; no form of ours takes a file
ANY_ADDRESS = "*"  # among the names: whatever address of this machine was asked
SAFE = ("GET", "HEAD", "OPTIONS")
VERSIONED = re.compile(r"-\d+\.\d+")  # a version in the file's name: vendor/inter-5.3.0-latin.woff2


def init_app(app: Flask) -> None:
    """Limits, hosts, proxies, and the two hooks."""
    config = app.config
    config["MAX_CONTENT_LENGTH"] = config["MAX_FORM_MEMORY_SIZE"] = LARGEST_MB * 1024 * 1024
    config["MAX_FORM_PARTS"] = 200
    # Flask's own check of the key knows no IPv6 address and no capital letters: ours is `_our_name`.
    config["HOST_NAMES"], config["TRUSTED_HOSTS"] = _names(config), None
    app.url_map.merge_slashes = False  # its redirect would be built from the Host header; //x is no address of ours
    proxies = config["TRUSTED_PROXIES"]
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]
    app.before_request_funcs.setdefault(None, [])[:0] = [_our_name, _same_site]
    app.after_request(_add)


def _names(config: Mapping[str, Any]) -> frozenset[str]:
    """The host names to answer to: those that were listed, PUBLIC_URL's, and this machine's own loopback names.

    Where others may connect but no name was listed, also the machine's name; addresses are `_our_name`'s.
    """
    names = {_host_name(f"//{host.strip()}") for host in str(config["TRUSTED_HOSTS"]).split(",")}
    names |= {_host_name(str(config["PUBLIC_URL"]))}
    if not names - {""} and not loopback(str(config["HOST"])):
        machine = socket.gethostname().lower()
        names |= {machine, f"{machine.partition('.')[0]}.local", ANY_ADDRESS}
    return frozenset(names | LOOPBACK) - {""}


def _host_name(url: str) -> str:
    """Lower case, without port and brackets."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _our_name() -> None:
    """A request under another site's name (DNS rebinding, a poisoned cache) is refused. An address is nobody's name."""
    names, asked = current_app.config["HOST_NAMES"], _host_name(f"//{request.host}")
    ours = asked in names or any(name.startswith(".") and asked.endswith(name) for name in names)
    if not ours and not (ANY_ADDRESS in names and _is_address(asked)):
        abort(400, "This site does not answer to that host name. Whoever runs it: list the name in TRUSTED_HOSTS.")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same_site() -> None:
    """A change that another site's page sends is refused before the form token is even looked at."""
    if request.method in SAFE or request.routing_exception is not None:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site:
        foreign = site not in ("same-origin", "none")
    else:  # plain http on a home network: browsers leave Sec-Fetch-Site out there, not Origin
        ours = (request.host_url.rstrip("/"), current_app.config["PUBLIC_URL"])
        foreign = origin is not None and origin not in ours
    if foreign:
        abort(403, "This change came from another site and was not made.")


def _add(answer: Response) -> Response:
    for name, value in ALWAYS.items():
        answer.headers.setdefault(name, value)
    if request.is_secure or current_app.config["HTTPS"]:
        answer.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if request.endpoint == "static" and answer.status_code in (200, 206, 304):
        for_ever = "v" in request.args or VERSIONED.search(request.path)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if for_ever else "no-cache"
    elif "Cache-Control" not in answer.headers:
        answer.headers["Cache-Control"] = "no-store"
        answer.vary.add("Cookie")
    return answer
