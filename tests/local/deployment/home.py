"""A local Azure of a test's own, as processes, by the commands that people use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from azure.identity import ClientSecretCredential

from local.paths import CHECKOUT, HOME_VARIABLE, Paths


class Home:
    """The commands on one home."""

    def __init__(self, paths: Paths, executor: str = "noop") -> None:
        self.paths = paths
        self._environment = {**os.environ, HOME_VARIABLE: str(paths.home), "LOCAL_AZURE_EXECUTOR": executor}

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "local", *words],
            cwd=CHECKOUT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def done(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command that must succeed."""
        result = self.command(*words)
        assert result.returncode == 0, result.stderr
        return result

    def cloud(self) -> RunningCloud:
        return RunningCloud(self.paths)


class RunningCloud:
    """A running local Azure by its `cloud.json`, as any client sees it."""

    def __init__(self, paths: Paths) -> None:
        self.facts: dict[str, Any] = json.loads(paths.cloud_json.read_text())
        self.ca = str(paths.ca)
        self.credential = ClientSecretCredential(
            self.facts["tenant_id"], self.facts["client_id"], self.facts["client_secret"],
            authority=self.facts["authority"], disable_instance_discovery=True, connection_verify=self.ca,
        )  # fmt: skip

    def management(self, kind: Any) -> Any:
        return kind(
            self.credential, self.facts["subscription_id"], base_url=self.facts["arm"], connection_verify=self.ca,
            credential_scopes=["https://management.azure.com/.default"],
        )  # fmt: skip
