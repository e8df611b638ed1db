"""How gunicorn serves movierec: few processes, one model thread each, limits on what a request may be."""

import ctypes
import gc
import os
import signal
import socket
import struct
import sys
from pathlib import Path

from movierec.config import BadConfig, read  # gunicorn takes every name here for a setting: no `config`

try:
    settings = read()
except BadConfig as error:
    sys.exit(f"movierec can't start. {error}")

bind = f"{settings['HOST']}:{settings['PORT']}"
if ":" in settings["HOST"]:
    bind = f"[{settings['HOST']}]:{settings['PORT']}"
workers = settings["WEB_CONCURRENCY"]
worker_class = "gthread"
threads = 4
# Preloaded, as long as the web process holds nothing that a fork breaks: no torch, no thread, no open database (wsgi.py
# closes its own). Measured with two workers on two busy cores, three starts each: first answer after 0.9-2.2 s instead
# of 1.8-2.9, 129 MB instead of 185 (PSS); and what is wrong with the database is said once, by the master, which ends.
preload_app = True
timeout = 60
graceful_timeout = 5
keepalive = 5
max_requests = 20_000
max_requests_jitter = 2_000
limit_request_line = 8190
limit_request_fields = 64
forwarded_allow_ips = "*" if settings["TRUSTED_PROXIES"] else ""  # else anybody on this machine could claim https
SILENCE = 5  # seconds that a client may pause while it sends a request
if Path("/dev/shm").is_dir():  # noqa: S108
    worker_tmp_dir = "/dev/shm"  # noqa: S108  (a slow disk must not look like a hung worker)
control_socket_disable = True  # a second door that nobody asked for
loglevel = {"INFO": "warning"}.get(settings["LOG_LEVEL"], settings["LOG_LEVEL"]).lower()  # its INFO is about itself
accesslog = None
errorlog = "-"
os.environ.setdefault("OMP_NUM_THREADS", "1")


def when_ready(server):
    """What is loaded before the fork is left out of garbage collections: its pages stay shared, and ending is quick.

    Two workers end in 0.6 s instead of 2.5 and hold 126 MB. Accepted connections inherit the limit on silence (on
    Linux): a thread must not wait for ever for the rest of a form.
    """
    gc.freeze()
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SILENCE, 0))


def post_worker_init(worker):
    """After the fork: what is on air is loaded before anybody asks, and followed while nobody does."""
    from movierec.services.station import follow

    follow(worker.wsgi)


def post_fork(_server, _worker):
    """A worker whose master was killed would keep the port: it ends with its master."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
