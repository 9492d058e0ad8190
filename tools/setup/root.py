"""What needs root: done as root, or by sudo, which asks for the password once and is told what for.

sudo remembers a password for a terminal, so its programs stay in this session; `setsid` takes what may not be stopped
half way out of the reach of a Ctrl-C instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

from tools.errors import SetupError
from tools.setup.progress import Say

PROMPT = "    password of %p for sudo: "


def is_root() -> bool:
    return os.geteuid() == 0


def available() -> bool:
    """Whether something can be done as root: by a user whom sudo asks nothing, or who can be asked."""
    return is_root() or (shutil.which("sudo") is not None and (_asks_nothing() or sys.stdin.isatty()))


def ask(reasons: Sequence[str], say: Say) -> None:
    """Say what root is needed for, and let sudo ask, if it has to. `SetupError` when this user may not."""
    if not reasons or is_root():
        return
    for reason in reasons:
        say(f"needs root: {reason}")
    if _asks_nothing():
        return
    if subprocess.run(["sudo", "-v", "-p", PROMPT], check=False).returncode:
        raise SetupError(
            "sudo did not let this user become root",
            cause=f"root is needed for this: {'; '.join(reasons)}",
            next_step="try again with the password, or let root run `make setup` once",
        )


def command(argv: Sequence[str], *, settings: Mapping[str, str] | None = None, whole: bool = False) -> list[str]:
    """The program as root, after `ask`. `settings`: variables that it gets. `whole`: not to be stopped half way."""
    if is_root():
        return list(argv)
    variables = ["env", *(f"{name}={value}" for name, value in settings.items())] if settings else []
    return ["sudo", "-n", *(["setsid", "--wait"] if whole else []), *variables, *argv]


def _asks_nothing() -> bool:
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
