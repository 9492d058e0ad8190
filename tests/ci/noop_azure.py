"""A local Azure as a user starts it, whose nodes are played: no Docker engine, no root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.azure.executors import VARIABLE
from local.deployment.resources import client
from local.paths import CHECKOUT


class NoopAzure:
    """What tests ask of it: what exists, and changes behind Pulumi's back."""

    def __init__(self, home: Path) -> None:
        self.cloud: dict[str, Any] = json.loads((home / "cloud.json").read_text())
        self.arm = client(self.cloud)

    def exists(self) -> set[str]:
        """Ids of all groups and resources, in small letters."""
        found = [*self.arm.resource_groups.list(), *self.arm.resources.list()]
        return {str(one.id).lower() for one in found}


@contextmanager
def running(home: Path) -> Iterator[NoopAzure]:
    """Started, and stopped at the end; its state lies in `home`."""
    environment = {**os.environ, "LOCAL_AZURE_HOME": str(home), VARIABLE: "noop"}

    def local(verb: str) -> None:
        command = [sys.executable, "-m", "local", verb]
        done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    local("start")
    try:
        yield NoopAzure(home)
    finally:
        local("stop")
