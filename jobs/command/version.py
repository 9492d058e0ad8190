"""What `--version` says: the project is run from its checkout, so its version is the checkout's commit."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import Final

from ..terminal.wording import CHECKOUT, NAME

SDKS: Final = ("azure-batch", "azure-storage-blob", "azure-identity")


def version() -> str:
    """One line: the commit, Python, and the SDKs that speak to the services."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{NAME} {commit()} (Python {python}, {', '.join(f'{name} {_installed(name)}' for name in SDKS)})"


def commit() -> str:
    """The checkout's commit, `-dirty` with changes; `unknown` where git cannot tell."""
    try:
        done = subprocess.run(
            ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--tags"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "is not installed"
