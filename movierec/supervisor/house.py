"""The whole house run by one process: data made ready, then Valkey, web server and worker, restarted if they die."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import IO, Any

from movierec import config
from movierec.supervisor.machine import CannotStart, check_folder, check_port
from movierec.supervisor.parts import Part, end_all
from movierec.supervisor.valkey import ask_to_end, valkey_command

READY_WITHIN = 30.0  # seconds for each part to answer at first
GRACE = 6.0  # seconds for the parts to end by themselves; then they are killed


class Supervisor:
    """Starts the parts in order, keeps them running, stops them."""

    def __init__(self, settings: dict[str, Any], *, demo: bool) -> None:
        self.settings = settings
        self.demo = demo
        self.parts: list[Part] = []
        self.stopping = False
        self.lock: IO[str] | None = None
        self.valkey: list[str] = []  # the command that starts it
        self.facts: dict[str, Any] = {}  # what `flask seed` told

    def run(self) -> int:
        """Until a signal comes. Returns the exit status. Raises CannotStart."""
        os.umask(0o077)  # what the parts write is this account's alone
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup
                signal.signal(number, self._stop)
        self._check_machine()
        try:
            self._start()
            if not self.stopping:
                self._announce()
            while not self.stopping:
                self._revive()
                time.sleep(0.1)
            sys.stderr.write("\nmovierec is stopping.\n")
        finally:
            end_all(self.parts, GRACE)
        return 0

    def _stop(self, _number: int, _frame: Any) -> None:
        self.stopping = True

    def _check_machine(self) -> None:
        for key in ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR"):
            check_folder(key, self.settings[key])
        self.lock = (self.settings["INSTANCE_DIR"] / "supervisor.lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart("movierec is already running from this folder: stop that one first.") from None
        check_port(self.settings["HOST"], self.settings["PORT"])
        if self.settings["EMBEDDED_REDIS"]:  # said now, not after the data was imported
            self.valkey = valkey_command(self.settings["INSTANCE_DIR"])

    def _start(self) -> None:
        env = os.environ | {"OMP_NUM_THREADS": "1", "FLASK_APP": "wsgi", "PYTHONUNBUFFERED": "1"}
        self._seed(env)
        if self.settings["EMBEDDED_REDIS"] and not self.stopping:
            ask_to_end(self.settings["INSTANCE_DIR"])
            self._add("queue", self.valkey, env)
        if not self.stopping:
            web = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
            self._add("web", web, env)
            self._wait_for_web()
        if not self.stopping:  # last, so that it does not slow the first page down
            self._add("worker", [sys.executable, "-m", "movierec.worker"], env)

    def _seed(self, env: dict[str, str]) -> None:
        """Run `flask seed` to its end, unless we are asked to stop meanwhile."""
        command = [sys.executable, "-m", "flask", "seed", "--json", *(["--demo"] if self.demo else [])]
        seed = Part("data", command, env, stdout=subprocess.PIPE)
        self.parts.append(seed)
        seed.start()
        assert seed.process is not None
        while seed.process.poll() is None:
            if self.stopping:
                return
            time.sleep(0.02)
        self.parts.remove(seed)
        if seed.process.returncode != 0:
            raise CannotStart("The data could not be made ready; the line above says why.")
        assert seed.process.stdout is not None
        self.facts = json.loads(seed.process.stdout.read())
        seed.process.stdout.close()

    def _add(self, name: str, command: list[str], env: dict[str, str]) -> None:
        part = Part(name, command, env)
        part.start()
        self.parts.append(part)

    def _wait_for_web(self) -> None:
        web = self.parts[-1]
        until = time.monotonic() + READY_WITHIN
        while not self.stopping and not self._answers():
            if not web.alive():
                raise CannotStart("The web server ended at once; the lines above say why.")
            if time.monotonic() > until:
                raise CannotStart(f"The web server did not answer within {READY_WITHIN:.0f} s.")
            time.sleep(0.05)

    def _answers(self) -> bool:
        """By a name that the site always answers to: its address may be none of TRUSTED_HOSTS and PUBLIC_URL."""
        url = f"{config.own_address(self.settings)}/health/live"
        request = urllib.request.Request(url, headers={"Host": "localhost"})  # noqa: S310  (our own http address)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through http_proxy
        try:
            with direct.open(request, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _announce(self) -> None:
        """The address; the set-up link while nobody administers the site; the accounts of a demo."""
        address = config.address(self.settings)
        lines = ["", f"movierec is running at {address}  (Ctrl-C stops it)"]
        if self.facts.get("setup_path"):
            lines.append(f"Set it up within the hour: {address}{self.facts['setup_path']}")
        if self.facts.get("accounts"):
            lines += ["", "Demo accounts, until the next start:"]
            lines += [f"  {who['name']:<16} {who['password']:<16} {who['role']}" for who in self.facts["accounts"]]
        sys.stdout.write("\n".join(lines) + "\n\n")
        sys.stdout.flush()

    def _revive(self) -> None:
        for part in self.parts:
            status = part.died()
            if status is not None:
                when = f"in {part.pause():.0f} s" if part.pause() >= 1 else "now"
                sys.stderr.write(f"movierec: the {part.name} ended ({status}); it is started again {when}.\n")
            part.start_if_due()
