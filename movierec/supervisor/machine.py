"""What must be true of the machine before anything is started: folders, disk, port; each lack is one sentence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

LEAST_DISK = 200 * 1024 * 1024


class CannotStart(Exception):
    """Why the house can't start, in one sentence that says what to do."""


def check_folder(key: str, folder: Path) -> None:
    """Raises CannotStart unless the folder can be written and has some room."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"x")
        probe.unlink()
        state = os.statvfs(folder)
    except OSError as error:
        raise CannotStart(f"The folder {folder} can't be written ({error.strerror}): free it or set {key}.") from None
    free = state.f_bavail * state.f_frsize
    if free < LEAST_DISK:
        raise CannotStart(
            f"Only {free // 2**20} MB are free at {folder}: movierec needs at least {LEAST_DISK // 2**20} MB there."
        )


def check_port(host: str, port: int) -> None:
    """Raises CannotStart unless a server could listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise CannotStart(f"HOST is {host!r}, which is no address of this machine: try 127.0.0.1.") from None
    except OSError as error:
        raise CannotStart(
            f"Port {port} on {host} can't be used ({error.strerror}): stop what uses it, or choose another with "
            "PORT=5001 make run."
        ) from None
