"""Saving a local Azure that runs, and restoring it into an empty home: the real processes, nodes without processes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.resource.resources import ResourceManagementClient

from local.exits import Exit
from local.paths import Paths
from local.processes import background
from tests.local.deployment.home import Home


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[tuple[Home, Home]]:
    made = Home(Paths(tmp_path / "one")), Home(Paths(tmp_path / "two"))
    yield made
    for home in made:
        background.stop(home.paths)
        shutil.rmtree(home.paths.sockets, ignore_errors=True)


@pytest.mark.docker
def test_what_a_running_one_had_is_there_again_in_another_home(homes: tuple[Home, Home], tmp_path: Path) -> None:
    one, two = homes
    one.done("start")
    before = one.cloud()
    before.management(ResourceManagementClient).resource_groups.create_or_update("kept", {"location": "westeurope"})
    made = before.management(ManagedServiceIdentityClient).user_assigned_identities.create_or_update(
        "kept", "who", {"location": "westeurope"}
    )
    saved = one.done("save", str(tmp_path / "file"))
    assert "started again" in saved.stderr
    assert background.status(one.paths)
    before.management(ResourceManagementClient).resource_groups.create_or_update("later", {"location": "westeurope"})
    one.done("stop")

    two.done("restore", str(tmp_path / "file"))
    two.done("start")
    after = two.cloud()
    assert [one.name for one in after.management(ResourceManagementClient).resource_groups.list()] == ["kept"]
    found = after.management(ManagedServiceIdentityClient).user_assigned_identities.get("kept", "who")
    assert found.principal_id == made.principal_id
    assert after.facts["client_secret"] == before.facts["client_secret"]

    refused = two.command("restore", str(tmp_path / "file"))  # it is not empty any more, and nobody can be asked
    assert refused.returncode == Exit.FAILED and "--yes" in refused.stderr
    assert background.status(two.paths), "it went on running"
    again = two.command("restore", str(tmp_path / "file"), "--yes")
    assert again.returncode == 0 and background.status(two.paths), again.stderr


def test_there_is_nothing_to_save_and_no_file_to_restore(paths: Paths, tmp_path: Path) -> None:
    for words, told in (
        (("save", str(tmp_path / "file")), "there is nothing to save"),
        (("restore", str(tmp_path / "absent")), "there is no file"),
    ):
        done = Home(paths).command(*words)
        assert done.returncode == Exit.FAILED and told in done.stderr and "Traceback" not in done.stderr
