"""What gunicorn is told: a client that falls silent is let go, a claim of https is not believed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def port(tmp_path: Path, empty_database: Path) -> Iterator[int]:
    """A real gunicorn of one process and four threads on an empty site."""
    (tmp_path / "i").mkdir()
    shutil.copyfile(empty_database, tmp_path / "i" / "movierec.sqlite3")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    env = os.environ | {"INSTANCE_DIR": str(tmp_path / "i"), "DATA_DIR": str(tmp_path / "d"), "PORT": str(number)}
    env |= {"MODELS_DIR": str(tmp_path / "m"), "WEB_CONCURRENCY": "1", "HOST": "127.0.0.1", "PUBLIC_URL": ""}
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    server = subprocess.Popen(command, cwd=ROOT, env=env)
    try:
        until = time.monotonic() + 30
        while not answers(number):
            assert server.poll() is None
            assert time.monotonic() < until, "gunicorn did not answer"
        yield number
    finally:
        server.terminate()
        server.wait(20)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=20) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def half_sent(port: int) -> socket.socket:
    """A request whose body never comes."""
    line = socket.create_connection(("127.0.0.1", port), timeout=20)
    line.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\na=")
    return line


def test_requests_that_never_end_do_not_hold_the_site(port: int) -> None:
    lines = [half_sent(port) for _ in range(4)]  # as many as there are threads
    assert answers(port)
    first = lines[0].recv(100)
    assert first.startswith(b"HTTP/1.1 4"), first
    for line in lines:
        line.close()


def test_nobody_may_claim_https_without_a_trusted_proxy(port: int) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/health/live", headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "1.2.3.4"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert "Strict-Transport-Security" not in answer.headers
