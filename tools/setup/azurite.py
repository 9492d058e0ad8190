"""Azurite, the blob service: from npm, by its lock file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil

from tools.errors import SetupError
from tools.setup import places
from tools.setup.process import run
from tools.setup.progress import Say, Show

QUIETLY = ("--ignore-scripts", "--no-audit", "--no-fund")


def fingerprint() -> str:
    return hashlib.sha256((places.AZURITE / "package-lock.json").read_bytes()).hexdigest()


def is_current() -> bool:
    stamp = places.AZURITE / "node_modules" / ".lock.sha256"
    return stamp.exists() and stamp.read_text() == fingerprint()


def check() -> None:
    """`SetupError` if Azurite has to be installed and cannot be."""
    if not is_current() and not shutil.which("npm"):
        raise SetupError(
            "npm is not on this machine",
            cause="Azurite, the blob service, comes from npm",
            next_step="install Node.js 20 with npm",
        )


def ensure(say: Say, show: Show) -> None:
    if is_current():
        return
    check()
    places.unlink_shared(places.AZURITE / "node_modules")
    say("installing Azurite from its npm lock file")
    packages = json.loads((places.AZURITE / "package-lock.json").read_text())["packages"]
    wanted = len([name for name in packages if name])  # "" is our own
    looked_up = fetched = 0

    def watch(line: str) -> None:
        nonlocal looked_up, fetched
        if "http fetch GET" in line:  # without addresses in the lock file, npm asks for each package's first
            fetched += ".tgz" in line
            looked_up += ".tgz" not in line
            show(f"{looked_up} looked up, {fetched} fetched of {wanted} packages")

    run(
        ["npm", "ci", *QUIETLY, "--loglevel=http", "--prefix", str(places.AZURITE)],
        what="installing Azurite",
        next_step="check that an npm registry is reachable",
        env=dict(os.environ),
        watch=watch,
    )
    (places.AZURITE / "node_modules" / ".lock.sha256").write_text(fingerprint())
