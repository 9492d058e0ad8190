"""Azurite, the blob service: from npm, by its lock file."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable

from tools.setup import places
from tools.setup.errors import SetupError
from tools.setup.process import run


def fingerprint() -> str:
    return hashlib.sha256((places.AZURITE / "package-lock.json").read_bytes()).hexdigest()


def is_current() -> bool:
    stamp = places.AZURITE / "node_modules" / ".lock.sha256"
    return stamp.exists() and stamp.read_text() == fingerprint()


def ensure(say: Callable[[str], None]) -> None:
    if is_current():
        return
    if not shutil.which("npm"):
        raise SetupError(
            "npm is not on this machine",
            cause="Azurite, the blob service, comes from npm",
            next_step="install Node.js 20 with npm",
        )
    places.unlink_shared(places.AZURITE / "node_modules")
    say("installing Azurite from its npm lock file")
    run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(places.AZURITE)],
        what="installing Azurite",
        next_step="check that an npm registry is reachable",
        env=dict(os.environ),
    )
    (places.AZURITE / "node_modules" / ".lock.sha256").write_text(fingerprint())
