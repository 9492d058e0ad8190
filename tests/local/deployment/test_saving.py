"""Saving a local Azure that runs, and restoring it into an empty home: the real processes, nodes without processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.identity import ClientSecretCredential
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.resource.resources import ResourceManagementClient

from local.exits import Exit
from local.paths import CHECKOUT, HOME_VARIABLE, Paths
from local.processes import background


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Paths, Paths]]:
    monkeypatch.setenv("LOCAL_AZURE_EXECUTOR", "noop")
    made = Paths(tmp_path / "one"), Paths(tmp_path / "two")
    yield made
    for paths in made:
        background.stop(paths)
        shutil.rmtree(paths.sockets, ignore_errors=True)


def command(paths: Paths, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", *words], cwd=CHECKOUT, env=environment(paths), capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def environment(paths: Paths) -> dict[str, str]:
    return {**os.environ, HOME_VARIABLE: str(paths.home)}


class Cloud:
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


@pytest.mark.docker
def test_what_a_running_one_had_is_there_again_in_another_home(homes: tuple[Paths, Paths], tmp_path: Path) -> None:
    one, two = homes
    assert command(one, "start").returncode == 0
    before = Cloud(one)
    before.management(ResourceManagementClient).resource_groups.create_or_update("kept", {"location": "westeurope"})
    made = before.management(ManagedServiceIdentityClient).user_assigned_identities.create_or_update(
        "kept", "who", {"location": "westeurope"}
    )
    saved = command(one, "save", str(tmp_path / "file"))
    assert saved.returncode == 0, saved.stderr
    assert "started again" in saved.stderr
    assert background.status(one)
    before.management(ResourceManagementClient).resource_groups.create_or_update("later", {"location": "westeurope"})
    assert command(one, "stop").returncode == 0

    assert command(two, "restore", str(tmp_path / "file")).returncode == 0
    assert command(two, "start").returncode == 0
    after = Cloud(two)
    assert [one.name for one in after.management(ResourceManagementClient).resource_groups.list()] == ["kept"]
    found = after.management(ManagedServiceIdentityClient).user_assigned_identities.get("kept", "who")
    assert found.principal_id == made.principal_id
    assert after.facts["client_secret"] == before.facts["client_secret"]

    refused = command(two, "restore", str(tmp_path / "file"))  # it is not empty any more, and nobody can be asked
    assert refused.returncode == Exit.FAILED and "--yes" in refused.stderr
    assert background.status(two), "it went on running"
    again = command(two, "restore", str(tmp_path / "file"), "--yes")
    assert again.returncode == 0 and background.status(two), again.stderr


def test_there_is_nothing_to_save_and_no_file_to_restore(paths: Paths, tmp_path: Path) -> None:
    for words, told in (
        (("save", str(tmp_path / "file")), "there is nothing to save"),
        (("restore", str(tmp_path / "absent")), "there is no file"),
    ):
        done = command(paths, *words)
        assert done.returncode == Exit.FAILED and told in done.stderr and "Traceback" not in done.stderr
