"""`python3 -m tools.setup [all|browser|preview|offline|stop-engine|cache|uv]`: prepare this machine (see `steps`).

Only the version of Python is looked at here, before an older one stumbles over the other modules.
"""

from __future__ import annotations

import signal
import sys

OLDEST = (3, 11)


def main(argv: list[str]) -> int:
    if sys.version_info[:2] < OLDEST:
        print(
            "error: this is Python %d.%d (%s); the project needs 3.11, 3.12 or 3.13\n"  # noqa: UP031
            "  next:  install Python 3.11 and call: make PYTHON=python3.11"
            % (sys.version_info[0], sys.version_info[1], sys.executable),
            file=sys.stderr,
        )
        return 1
    from tools.exits import Exit

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.TERMINATED))  # ends what runs, as a Ctrl-C does
    from tools.setup import steps

    return steps.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
