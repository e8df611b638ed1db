"""The supervisor's child processes: each in a session of its own, so that all it started can be found and ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from movierec import config

PR_SET_PDEATHSIG = 1
SETTLED = 60.0  # seconds; deaths longer ago are forgotten
LONGEST_PAUSE = 15.0


@dataclass
class Part:
    """One child process and how to keep it alive."""

    name: str
    command: list[str]
    env: dict[str, str]
    stdout: int | None = None
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)
    start_at: float = 0.0
    session: int = 0  # of the one that died last

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only the supervisor; it ends when that is killed."""
        parent = os.getpid()

        def end_with_parent() -> None:
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
                if os.getppid() != parent:
                    os._exit(1)

        self.process = subprocess.Popen(  # noqa: S603
            self.command,
            env=self.env,
            cwd=config.ROOT,
            stdout=self.stdout,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def died(self) -> int | None:
        """Its exit status, once, if it has ended; what it left behind is asked to end too."""
        if self.process is None or self.process.poll() is None:
            return None
        status, self.session, self.process = self.process.returncode, self.process.pid, None
        signal_session(self.session, signal.SIGTERM)
        now = time.monotonic()
        self.deaths = [moment for moment in self.deaths if now - moment < SETTLED] + [now]
        self.start_at = now + self.pause()
        return status

    def pause(self) -> float:
        """Seconds until the next start: almost none after a rare death, longer when it dies again and again."""
        return 0.2 if len(self.deaths) <= 2 else min(2.0 ** (len(self.deaths) - 3), LONGEST_PAUSE)

    def start_if_due(self) -> None:
        """Start it again after its pause. What an earlier one left behind and is still there is killed first."""
        if self.process is None and time.monotonic() >= self.start_at:
            signal_session(self.session, signal.SIGKILL)
            self.start()


def end_all(parts: list[Part], grace: float) -> None:
    """Ask every part to end, the queue last; what has not ended after `grace` seconds is killed with all it started."""
    until = time.monotonic() + grace
    for part in reversed(parts):
        if part.process is not None and part.process.poll() is None:
            if part is parts[0]:
                _wait(parts[1:], until - 1)
            part.process.terminate()
    _wait(parts, until)
    for part in parts:
        if part.session:
            signal_session(part.session, signal.SIGKILL)
        if part.process is not None:
            signal_session(part.process.pid, signal.SIGKILL)
            part.process.wait()
            if part.process.stdout is not None:
                part.process.stdout.close()


def _wait(parts: list[Part], until: float) -> None:
    while any(part.alive() for part in parts) and time.monotonic() < until:
        time.sleep(0.02)


def session_members(leader: int) -> list[int]:
    """Processes of the session that this process led: its children too, whatever group they put themselves into."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            if int(after_name[3]) == leader and after_name[0] != "Z":
                found.append(int(entry.name))
    return found


def signal_session(leader: int, number: int) -> None:
    """Send the signal to every process of that session."""
    for pid in session_members(leader):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
