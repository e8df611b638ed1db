"""`python -m movierec.supervisor [--demo]`."""

from __future__ import annotations

import sys

from movierec import config
from movierec.supervisor.house import Supervisor
from movierec.supervisor.machine import CannotStart


def main() -> int:
    """The exit status: 0 after a signal, 1 with one sentence where the house can't start."""
    try:
        return Supervisor(config.read(), demo="--demo" in sys.argv[1:]).run()
    except (config.BadConfig, CannotStart) as error:
        sys.stderr.write(f"movierec can't start. {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
