"""A whole house in a folder of its own, run by the real supervisor, and real Chromium windows to visit it with."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from house_kit import ROOT, House, wait_for, write_data
from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The site as `make run` starts it, on a free port, with nobody in it yet; each file of tests has its own."""
    folder = tmp_path_factory.mktemp("house")
    write_data(folder / "datasets" / "ml-tiny")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = os.environ | {
        "INSTANCE_DIR": str(folder / "i"), "DATA_DIR": str(folder / "data"), "MODELS_DIR": str(folder / "models"),
        "MOVIEREC_DATASETS": str(folder / "datasets"), "PORT": str(port), "FLASK_APP": "wsgi", "REDIS_URL": "",
        "DATABASE_URL": "", "SECRET_KEY": secrets.token_urlsafe(48), "WEB_CONCURRENCY": "2", "PUBLIC_URL": "",
    }  # fmt: skip
    console = folder / "console.txt"
    with console.open("w") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "movierec.supervisor"], cwd=ROOT, env=env, stdout=output, stderr=output
        )
        try:
            wait_for(lambda: "movierec is running" in console.read_text() or supervisor.poll() is not None)
            assert supervisor.poll() is None, console.read_text()
            yield House(f"http://localhost:{port}", console, env)
        finally:
            supervisor.send_signal(signal.SIGTERM)
            supervisor.wait(30)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Debian's Chromium, kept from calling home."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    return {"executable_path": CHROMIUM, "args": [*flags, "--disable-component-update", "--disable-sync"]}


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser's console said; the test fails at its end unless the list is empty."""
    heard: list[str] = []
    yield heard
    assert not heard, f"the console says {heard}"


@pytest.fixture
def window(browser: Browser, house: House, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """`window(dark=..., width=..., script=...)`: a fresh browser window on the house; its console must stay silent."""
    opened: list[BrowserContext] = []

    def open_one(*, dark: bool = True, width: int = 1280, script: bool = True) -> Page:
        context = browser.new_context(
            base_url=house.address,
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        opened.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_one
    for context in opened:
        context.close()
