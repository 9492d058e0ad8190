"""After a kill: whose lock it is, and what becomes of a creation of which nobody knows whether it happened."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.deployment import project, recovery, settings
from local.deployment.project import Stack
from local.paths import Paths

URN = "urn:pulumi:local::azure-batch-platform::azure-native:resources:ResourceGroup::"
GROUP = {"urn": f"{URN}group", "type": "azure-native:resources:ResourceGroup", "inputs": {"resourceGroupName": "rg"}}
IMAGE = {
    "urn": "urn:pulumi:local::azure-batch-platform::docker:index/image:Image::worker",
    "type": "docker:index/image:Image",
    "inputs": {"imageName": "i"},
}
GROUP_ID = "/subscriptions/sub/resourceGroups/rg"


@pytest.fixture
def stack(paths: Paths) -> Stack:
    return settings.stack(paths, {"ARM_SUBSCRIPTION_ID": "sub"})


def lock(stack: Stack, **changes: Any) -> Path:
    """A lock file as the backend writes it."""
    content = {
        "pid": os.getpid(),
        "hostname": platform.node(),
        "timestamp": datetime.now(UTC).isoformat(),
        "username": "somebody",
    }
    file = stack.folder / ".pulumi" / "locks" / "organization" / "azure-batch-platform" / "local" / "one.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**content, **changes}))
    return file


def test_a_file_of_attributes_that_was_half_written_keeps_no_state_from_being_read(stack: Stack) -> None:
    folder = stack.state_file.parent
    folder.mkdir(parents=True)
    stack.state_file.write_text('{"checkpoint": {"latest": {}}}')
    contents = {"local.json.attrs": "", "local.json.bak.attrs": '{"user.cache_contr', "other.json.attrs": "{}"}
    for name, text in contents.items():
        (folder / name).write_text(text)
    recovery.repair(stack, lambda token, resource_id: False)
    assert sorted(file.name for file in folder.iterdir()) == ["local.json", "other.json.attrs"]


@pytest.fixture
def running_pulumi() -> Iterator[int]:
    """The process id of something that has `pulumi` in its command line."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "pulumi"])
    try:
        deadline = time.monotonic() + 10
        while b"pulumi" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
        yield process.pid
    finally:
        process.kill()
        process.wait()


def ended_pid() -> int:
    """The process id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lock_whose_process_is_gone_is_stale(stack: Stack) -> None:
    pid = ended_pid()
    lock(stack, pid=pid)
    assert [one.pid for one in recovery.stale_locks(stack)] == [pid]


def test_a_lock_that_its_writer_had_no_time_to_write_is_stale(stack: Stack) -> None:
    lock(stack).write_text('{"pid":')
    assert len(recovery.stale_locks(stack)) == 1


def test_a_lock_of_a_living_cli_is_left_alone(stack: Stack, running_pulumi: int) -> None:
    lock(stack, pid=running_pulumi)
    assert recovery.stale_locks(stack) == []


def test_a_cli_that_has_worked_for_a_while_still_holds_its_lock(stack: Stack) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "pulumi"]) as process:
        lock(stack, pid=process.pid)
        time.sleep(1.5)  # /proc is looked at for the first time after more than the second that clocks may differ
        stale = recovery.stale_locks(stack)
        process.kill()
    assert stale == []


def test_a_process_that_has_the_number_of_a_dead_cli_by_now_does_not_hold_its_lock(
    stack: Stack, running_pulumi: int
) -> None:
    lock(stack, pid=running_pulumi, timestamp="2001-01-01T00:00:00+00:00")
    assert len(recovery.stale_locks(stack)) == 1


def test_a_process_of_another_program_does_not_hold_a_lock(stack: Stack) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        lock(stack, pid=process.pid)
        stale = recovery.stale_locks(stack)
        process.kill()
    assert [one.pid for one in stale] == [process.pid]


def test_a_lock_of_another_machine_is_left_alone(stack: Stack) -> None:
    lock(stack, pid=ended_pid(), hostname="elsewhere")
    assert recovery.stale_locks(stack) == []


def test_without_locks_and_pending_operations_the_cli_is_not_asked(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "ask", lambda *_words, **_more: pytest.fail("the CLI was asked"))
    recovery.repair(stack, lambda *_: pytest.fail("the cloud was asked"))
    state(stack, pending=[])
    recovery.repair(stack, lambda *_: pytest.fail("the cloud was asked"))


def state(stack: Stack, *, pending: list[dict[str, Any]], resources: list[dict[str, Any]] | None = None) -> None:
    """The state file that a killed CLI left."""
    stack.state_file.parent.mkdir(parents=True, exist_ok=True)
    latest = {"resources": resources or [], "pending_operations": pending}
    stack.state_file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": latest}}))


class Cli:
    """Exports the state file, and keeps what is imported."""

    def __init__(self, stack: Stack) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.imported: dict[str, Any] = {}
        self._stack = stack

    def __call__(self, _stack: Stack, *arguments: str, stdin: str | None = None) -> str:
        self.calls.append(arguments)
        if arguments == ("stack", "export"):
            latest = json.loads(self._stack.state_file.read_text())["checkpoint"]["latest"]
            return json.dumps({"version": 3, "deployment": latest})
        if arguments == ("stack", "import"):
            assert stdin is not None
            self.imported = json.loads(stdin)["deployment"]
        return ""


def repaired(stack: Stack, monkeypatch: pytest.MonkeyPatch, *existing: str) -> Cli:
    cli = Cli(stack)
    monkeypatch.setattr(project, "ask", cli)
    recovery.repair(stack, lambda _type, resource_id: resource_id in existing)
    return cli


def test_what_the_cloud_has_is_taken_over_with_the_inputs_of_its_creation(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state(stack, pending=[{"type": "creating", "resource": GROUP}])
    cli = repaired(stack, monkeypatch, GROUP_ID)
    (resource,) = cli.imported["resources"]
    assert resource["id"] == GROUP_ID and resource["inputs"] == GROUP["inputs"] and resource["custom"]
    assert "pending_operations" not in cli.imported
    assert cli.calls[-1] == ("refresh", "--yes", "--skip-preview", f"--target={GROUP['urn']}")
    assert "creating azure-native:resources:ResourceGroup group: it exists and is taken over" in capsys.readouterr().err


def test_what_the_cloud_does_not_have_is_forgotten_and_so_created_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state(stack, pending=[{"type": "creating", "resource": GROUP}, {"type": "creating", "resource": IMAGE}])
    cli = repaired(stack, monkeypatch)
    assert cli.imported["resources"] == [] and "pending_operations" not in cli.imported
    assert not [call for call in cli.calls if call[0] == "refresh"]
    assert capsys.readouterr().err.count("does not exist and is created again") == 2


@pytest.mark.parametrize("kind", ["updating", "deleting"])
def test_what_was_being_changed_or_deleted_is_read_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    there = {**GROUP, "id": GROUP_ID, "custom": True}
    state(stack, pending=[{"type": kind, "resource": there}], resources=[there])
    cli = repaired(stack, monkeypatch)
    assert "pending_operations" not in cli.imported and cli.imported["resources"] == [there]
    assert cli.calls[-1] == ("refresh", "--yes", "--skip-preview", f"--target={GROUP['urn']}")


def test_a_replacement_that_was_made_leaves_the_old_resource_to_be_deleted(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {**GROUP, "id": "/subscriptions/sub/resourceGroups/old", "custom": True}
    state(stack, pending=[{"type": "creating", "resource": GROUP}], resources=[old])
    resources = repaired(stack, monkeypatch, GROUP_ID).imported["resources"]
    assert [(one["id"], one.get("delete", False)) for one in resources] == [(old["id"], True), (GROUP_ID, False)]


def event(kind: str, urn: str, **metadata: Any) -> str:
    new = {"urn": urn, "type": GROUP["type"], "inputs": GROUP["inputs"], "provider": "p::1"}
    return json.dumps({kind: {"metadata": {"urn": urn, "type": GROUP["type"], "new": new, **metadata}}})


BEGUN = event("resourcePreEvent", str(GROUP["urn"]), op="create")


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([BEGUN], "created"),
        ([BEGUN, event("resOpFailedEvent", str(GROUP["urn"]), op="create")], "created"),
        ([BEGUN, '{"resOutputsEvent": {"metad'], "created"),
        ([BEGUN, event("resOutputsEvent", str(GROUP["urn"]), op="create")], ""),
        ([event("resourcePreEvent", str(GROUP["urn"]), op="same")], ""),
        ([event("resourcePreEvent", str(GROUP["urn"]), op="update")], "changed"),
        ([event("resourcePreEvent", str(GROUP["urn"]), op="delete", new=None)], "changed"),
        ([event("resourcePreEvent", str(GROUP["urn"]), op="create", type="docker:index/image:Image")], ""),
        ([BEGUN, json.dumps({"diagnosticEvent": {"urn": GROUP["urn"], "message": f"{recovery.EXISTED} 'rg'"}})], ""),
    ],
    ids=["no end", "failed", "cut off", "made", "same", "update", "delete", "image", "somebody else's"],
)
def test_operations_whose_plugin_died_are_read_from_the_events(lines: list[str], left: str) -> None:
    operations = recovery.unfinished(lines)
    assert list(operations) == ([GROUP["urn"]] if left else [])
    assert [bool(new) for new in operations.values()] == ([left == "created"] if left else [])


def test_a_creation_whose_plugin_died_is_taken_over_if_the_cloud_has_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    state(stack, pending=[])
    recovery.event_log(stack).write_text(BEGUN)
    cli = repaired(stack, monkeypatch, GROUP_ID)
    (resource,) = cli.imported["resources"]
    assert resource["id"] == GROUP_ID and resource["inputs"] == GROUP["inputs"] and resource["provider"] == "p::1"
    assert not recovery.event_log(stack).exists()


def test_a_creation_that_is_in_the_state_after_all_is_not_taken_twice(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {**GROUP, "id": GROUP_ID, "custom": True}
    state(stack, pending=[], resources=[there])
    recovery.event_log(stack).write_text(BEGUN)
    assert repaired(stack, monkeypatch, GROUP_ID).imported["resources"] == [there]


def test_a_deletion_whose_plugin_died_is_read_again(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    state(stack, pending=[], resources=[{**GROUP, "id": GROUP_ID, "custom": True}])
    recovery.event_log(stack).write_text(event("resourcePreEvent", str(GROUP["urn"]), op="delete", new=None))
    assert repaired(stack, monkeypatch).calls[-1][-1] == f"--target={GROUP['urn']}"
