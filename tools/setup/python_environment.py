"""The virtual environment, made from hash-pinned requirements."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable

from tools.setup import places
from tools.setup.errors import SetupError
from tools.setup.process import run

OLDEST = (3, 11)


def fingerprint() -> str:
    """What the environment depends on: the pinned requirements and the interpreter."""
    return hashlib.sha256(places.REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()


def is_current() -> bool:
    stamp = places.VENV / "requirements.sha256"
    return places.PYTHON.exists() and stamp.exists() and stamp.read_text() == fingerprint()


def ensure(say: Callable[[str], None]) -> None:
    """Make `.venv` hold exactly what `requirements-dev.txt` pins."""
    if sys.version_info[:2] < OLDEST:
        raise SetupError(
            f"this is Python {sys.version.split()[0]}; the project needs 3.11, 3.12 or 3.13",
            next_step="install Python 3.11 and call: make PYTHON=python3.11",
        )
    if is_current():
        return
    places.unlink_shared(places.VENV)
    say("creating .venv from requirements-dev.txt (hash-pinned)")
    stamp = places.VENV / "requirements.sha256"
    if places.VENV.exists() and not stamp.exists():
        shutil.rmtree(places.VENV)  # an earlier set-up was interrupted
    stamp.unlink(missing_ok=True)
    run(
        [sys.executable, "-m", "venv", "--clear", str(places.VENV)],
        what="creating the virtual environment",
        next_step="on Debian: apt-get install python3-venv",
    )
    run(
        [
            str(places.PYTHON),
            "-m",
            "pip",
            "install",
            "--require-hashes",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--requirement",
            str(places.REQUIREMENTS),
        ],
        what="installing the pinned Python packages",
        next_step="check that a Python package index is reachable",
    )
    stamp.write_text(fingerprint())
