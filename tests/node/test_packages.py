"""Application packages on a node: unpacked once, found by their variables, and refused in the service's words."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from local.node.agent.packages import variables
from local.node.contract import ApplicationPackage, NodeState, RunEnded
from tests.node.blob_service import Blobs
from tests.node.local_node import LocalNode, LocalNodes
from tests.node.specs import run

FOLDER = "my_app1.0-b2026-01-02-03-04"
SCRIPT = "#!/bin/sh\necho tool of $0\n"


def archive(entries: Mapping[str, str], mode: int = 0o755) -> bytes:
    """A zip file with these entries."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name, text in entries.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            made.writestr(info, text)
    return content.getvalue()


def package(blobs: Blobs, content: bytes | None = None) -> ApplicationPackage:
    """A package that the blob service has."""
    blobs.blobs["app/My_App"] = archive({"bin/tool": SCRIPT, "empty/": ""}) if content is None else content
    return ApplicationPackage(application="My_App", version="1.0-b", folder=FOLDER, url=f"{blobs.url}/app/My_App")


async def failed(node: LocalNode, packages: tuple[ApplicationPackage, ...], run_id: str = "t") -> RunEnded:
    """How a task with these packages ended."""
    await node.nodes.start_run(node.config.node.node_id, run(run_id, "true", application_packages=packages))
    return await node.events.ended(run_id)


def files_below(folder: str | Path) -> list[str]:
    """What is in a folder."""
    return [path.name for path in Path(folder).iterdir()]


def test_linux_variables_keep_the_case_and_flatten_the_rest() -> None:
    one = ApplicationPackage(application="My_App-x", version="1.0-b#2", folder="f")
    assert variables("/root", [one]) == {"AZ_BATCH_APP_PACKAGE_My_App_x_1_0_b_2": "/root/applications/f"}


def test_the_variable_without_a_version_means_the_default_version() -> None:
    one = ApplicationPackage(application="blender", version="2.7", folder="f", is_default=True)
    assert set(variables("/r", [one])) == {"AZ_BATCH_APP_PACKAGE_blender", "AZ_BATCH_APP_PACKAGE_blender_2_7"}


async def test_a_task_finds_its_package_by_the_variable(local_node: LocalNode, blobs: Blobs) -> None:
    command = "sh -c 'exec \"$AZ_BATCH_APP_PACKAGE_My_App_1_0_b/bin/tool\"'"
    spec = run("t", command, application_packages=(package(blobs),))
    folder = local_node.root / "applications" / FOLDER
    assert await local_node.do(spec) == f"tool of {folder}/bin/tool\n"
    assert (folder / "empty").is_dir() and (folder / "bin/tool").stat().st_mode & 0o777 == 0o755


async def test_a_package_that_is_on_the_node_is_not_downloaded_again(local_node: LocalNode, blobs: Blobs) -> None:
    found = package(blobs)
    assert (await failed(local_node, (found,), "first")).exit_code == 0
    blobs.blobs.clear()
    assert (await failed(local_node, (found,), "second")).exit_code == 0
    anew = replace(found, folder="my_app1.0-b2026-02-02-02-02")  # activated again: another package
    assert (await failed(local_node, (anew,), "third")).failure is not None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"no zip file", "File is not a zip file"),
        (archive({"../outside": ""}), "'../outside' leads out of the package"),
        (archive({"/etc/outside": ""}), "'/etc/outside' leads out of the package"),
    ],
    ids=["no-zip", "above", "absolute"],
)
async def test_a_broken_package_fails_the_task(local_node: LocalNode, blobs: Blobs, content: bytes, text: str) -> None:
    ended = await failed(local_node, (package(blobs, content),))
    assert ended.exit_code is None and ended.failure is not None
    assert (ended.failure.category, ended.failure.code) == ("usererror", "ApplicationPackageError")
    assert dict(ended.failure.details)["ApplicationPackageReference"] == "My_App:1.0-b"
    assert text in dict(ended.failure.details)["Message"]
    assert files_below(local_node.root / "applications") == []
    assert not [name for name in files_below(local_node.config.state) if name.startswith("package-")]


async def test_a_missing_package_fails_the_task(local_node: LocalNode, blobs: Blobs) -> None:
    missing = replace(package(blobs), url=f"{blobs.url}/app/other")
    ended = await failed(local_node, (missing,), "missing")
    assert ended.failure is not None and "404" in dict(ended.failure.details)["Message"]
    ended = await failed(local_node, (replace(missing, url=""),), "deleted")
    assert ended.failure is not None and "deleted" in dict(ended.failure.details)["Message"]


async def test_a_pools_package_is_there_before_its_start_task_and_in_every_task(
    local_nodes: LocalNodes, blobs: Blobs
) -> None:
    command = "sh -c 'cat $AZ_BATCH_APP_PACKAGE_My_App_1_0_b/bin/tool'"
    start = replace(run("start", command), directory="startup")
    node = await local_nodes.boot(application_packages=(package(blobs),), start_task=start)
    assert (await node.events.node(NodeState.IDLE)).start_task_exit_code == 0
    assert (node.root / "startup/stdout.txt").read_text() == SCRIPT
    assert await node.do(run("t", command)) == SCRIPT


async def test_a_node_without_its_pools_package_is_unusable_until_a_reboot_installs_it(
    local_nodes: LocalNodes, blobs: Blobs
) -> None:
    found = package(blobs)
    kept = blobs.blobs.pop("app/My_App")
    node = await local_nodes.boot(application_packages=(found,))
    ((code, message),) = (await node.events.node(NodeState.UNUSABLE)).errors
    assert code == "ApplicationPackageError"
    assert message.startswith("One or more application packages specified for the pool are invalid: My_App:1.0-b")
    await local_nodes.shut_down(node)
    blobs.blobs["app/My_App"] = kept
    again = await local_nodes.boot(application_packages=(found,))
    await again.events.node(NodeState.IDLE)
