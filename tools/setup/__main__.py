"""`python3 -m tools.setup [all|offline|stop-engine]`: prepare this machine, or stop the engine that was started.

`offline` prepares what needs neither root nor Docker (for previews and `make test-fast`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tools.setup import azurite, debian_packages, docker_engine, python_environment
from tools.setup.errors import SetupError


def prepare_python(say: Callable[[str], None]) -> None:
    try:
        import ensurepip  # noqa: F401
    except ImportError:  # Debian ships venv without it
        debian_packages.ensure(debian_packages.FOR_VENV, say)
    python_environment.ensure(say)


STEPS: dict[str, Callable[[Callable[[str], None]], None]] = {
    "python packages": prepare_python,
    "Debian packages": lambda say: debian_packages.ensure(debian_packages.ALWAYS, say),
    "Azurite": azurite.ensure,
    "Docker engine": docker_engine.ensure,
}
MODES = {"all": tuple(STEPS), "offline": ("python packages",)}


def say(text: str) -> None:
    print(f"    {text}", file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    mode = argv[0] if argv else "all"
    if mode not in (*MODES, "stop-engine") or len(argv) > 1:
        print(f"usage: python3 -m tools.setup [{'|'.join(MODES)}|stop-engine]; got: {' '.join(argv)}", file=sys.stderr)
        return 2
    try:
        if mode == "stop-engine":
            docker_engine.stop(say)
            return 0
        begin = time.monotonic()
        for name in MODES[mode]:
            before = time.monotonic()
            STEPS[name](say)
            if (took := time.monotonic() - before) > 1:
                say(f"{name}: ready ({took:.1f}s)")
        print(f"==> set-up: ready ({time.monotonic() - begin:.1f}s)", file=sys.stderr, flush=True)
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"error: {error.filename or 'a system call'}: {error.strerror or error}\n"
            "  next:  mend that, then the same command again",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next call goes on where this one stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
