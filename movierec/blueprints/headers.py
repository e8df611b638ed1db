"""What surrounds every answer: security headers, trusted hosts and proxies, and the same-site rule for changes."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from werkzeug.middleware.proxy_fix import ProxyFix

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
SAFE = ("GET", "HEAD", "OPTIONS")


def init_app(app: Flask) -> None:
    """Limits, hosts, proxies, and the two hooks."""
    config = app.config
    config["MAX_CONTENT_LENGTH"] = 2 * 1024 * 1024
    config["MAX_FORM_MEMORY_SIZE"] = 1024 * 1024
    config["MAX_FORM_PARTS"] = 200
    hosts = [host.strip() for host in str(config["TRUSTED_HOSTS"]).split(",") if host.strip()]
    if hosts:
        public = urlsplit(str(config["PUBLIC_URL"])).hostname
        config["TRUSTED_HOSTS"] = hosts + ([public] if public else [])
    else:
        config["TRUSTED_HOSTS"] = None
    proxies = config["TRUSTED_PROXIES"]
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]
    app.before_request(_same_site)
    app.after_request(_add)


def _same_site() -> None:
    """A change that another site's page sends is refused before the form token is even looked at."""
    if request.method in SAFE:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    foreign = (
        site not in ("same-origin", "none") if site else origin is not None and origin != request.host_url.rstrip("/")
    )
    if foreign:
        abort(403, "This change came from another site and was not made.")


def _add(answer: Response) -> Response:
    for name, value in ALWAYS.items():
        answer.headers.setdefault(name, value)
    if request.is_secure:
        answer.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if request.endpoint == "static" and answer.status_code in (200, 304):
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    elif "Cache-Control" not in answer.headers:
        answer.headers["Cache-Control"] = "no-store"
        answer.vary.add("Cookie")
    return answer
