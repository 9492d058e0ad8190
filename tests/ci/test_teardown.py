"""What `ci.destroy` leaves: nothing, or it says what and why. The real CLI on a local Azure whose nodes are played.

Short: some of the kills of `up`, by a seed (TEARDOWN_SEED, 1). Long, at every line of progress, every resource drifted
and every delete refused once: TEARDOWN=all.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from azure.core.exceptions import HttpResponseError

from local.deployment import offline, project, recovery, settings
from local.paths import CHECKOUT, Paths
from local.plugins.azure_native.resources import resource_type
from tests.ci import noop_azure
from tests.ci.noop_azure import NoopAzure

pytestmark = pytest.mark.thorough

ALL: Final = os.environ.get("TEARDOWN") == "all"
SEED: Final = int(os.environ.get("TEARDOWN_SEED", "1"))
LINES: Final = 44
"""Lines of progress of a whole `up`: one where a resource begins, and one where it is made."""
SHORT: Final = 3
SECONDS: Final = 240
PROGRESS: Final = re.compile(r" ?\S{1,2}  \S+ \S+ (creat|delet)")
NAME: Final = "gone"
WITHOUT_LOCKS: Final = (":RoleAssignment", ":BlobServiceProperties")
"""Types that go with their parent, or take no lock."""
CONFIG: Final[dict[str, Any]] = {
    "location": "westeurope",
    "families": ["hello", "sql-check"],
    "tags": {"environment": "gone", "owner": "team"},
    "pools": {"default": {"vm_size": "Standard_D2ads_v5", "scale": {"fixed": {"dedicated_nodes": 1}}}},
    "worker": {"image": f"docker-worker@sha256:{'a' * 64}"},
    "sql": {"server": "sql.azure.test", "database": "worklist"},
    "submitters": "deployer",
}


class Stack:
    """A stack of the program in a folder of its own."""

    def __init__(self, folder: Path, home: Path, **changes: Any) -> None:
        self._stack = project.Stack(NAME, folder, settings.cloud_environment(Paths(home)))
        config = {f"azure-batch-platform:{key}": value for key, value in {**CONFIG, **changes}.items()}
        offline.prepare_stack(self._stack, {"config": config}, {})
        self.environment = project.environment(self._stack, project.installation())

    def pulumi(self, *words: str) -> str:
        return project.ask(self._stack, *words)

    def up(self) -> None:
        self.pulumi("up", "--yes", "--skip-preview")

    def killed_up(self, lines: int) -> bool:
        """`up` whose CLI is killed after so many lines of progress; whether it was in time."""
        cli = project.installation()
        project.write_project_file(self._stack, cli)
        words = [str(cli.pulumi), "up", "--yes", "--skip-preview", "--non-interactive", "--color=never"]
        with subprocess.Popen(
            words,
            cwd=self._stack.folder,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as run:
            assert run.stdout is not None
            seen = 0
            for line in run.stdout:
                seen += bool(PROGRESS.match(line))
                if seen >= lines:
                    run.send_signal(signal.SIGKILL)
                    run.wait()
                    recovery.drop_half_written(
                        self._stack
                    )  # the pipelines' states are blobs, which are whole or not there
                    return True
        assert run.returncode == 0, f"`up` failed by itself after {seen} lines"
        return False

    def destroy(self) -> tuple[int, str]:
        """`python -m ci.destroy`: its exit code and what it says."""
        command = [sys.executable, "-m", "ci.destroy", NAME, "--typed", NAME, "--recover-lock"]
        done = subprocess.run(
            command, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stderr

    def resources(self) -> dict[str, dict[str, Any]]:
        """What the state holds of Azure, by the names in the program."""
        state = json.loads(self.pulumi("stack", "export"))["deployment"]
        return {
            one["urn"].rpartition("::")[2]: one
            for one in state.get("resources") or ()
            if one["type"].startswith("azure-native:")
        }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("teardown") / "home"


@pytest.fixture(scope="module")
def azure(home: Path) -> Iterator[NoopAzure]:
    with noop_azure.running(home) as running:
        yield running


@pytest.fixture(scope="module")
def stack(azure: NoopAzure, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return Stack(tmp_path_factory.mktemp("stack"), home)


def assert_gone(stack: Stack, azure: NoopAzure, kept: set[str] = frozenset()) -> str:  # type: ignore[assignment]
    """Destroy; nothing but `kept` is left in Azure, and nothing in the state."""
    code, told = stack.destroy()
    assert code == 0, told
    assert f"stack {NAME}: nothing is left" in told
    assert azure.exists() == kept
    assert stack.resources() == {}
    return told


def kills() -> list[int]:
    every = range(1, LINES + 1)
    return list(every) if ALL else sorted(random.Random(SEED).sample(every, SHORT))


KILLED: Final[list[bool]] = []


@pytest.mark.parametrize("lines", kills())
def test_an_up_that_was_killed_leaves_nothing_after_destroy(stack: Stack, azure: NoopAzure, lines: int) -> None:
    KILLED.append(stack.killed_up(lines))
    assert_gone(stack, azure)


def test_they_were_killed_in_time() -> None:
    assert sum(KILLED) >= len(KILLED) - 2


def lock(azure: NoopAzure, resource_id: str) -> str:
    """Somebody locks a resource; the lock's id."""
    made = f"{resource_id}/providers/Microsoft.Authorization/locks/keep"
    body = {"properties": {"level": "CanNotDelete"}}
    azure.arm.resources.begin_create_or_update_by_id(made, body, api_version="2020-05-01").result()  # type: ignore[arg-type]
    return made


def test_protected_locked_and_drifted_resources(stack: Stack, azure: NoopAzure) -> None:
    """One deployment: refused while something is protected, going on after a refused delete, and minding no drift."""
    stack.up()
    made = stack.resources()
    before = azure.exists()
    stack.pulumi("state", "protect", made["storage"]["urn"], "--yes")
    code, told = stack.destroy()
    assert code == 2 and "has protected resources: azure-native:storage:StorageAccount storage" in told
    assert azure.exists() == before
    stack.pulumi("state", "unprotect", made["storage"]["urn"], "--yes")

    for name in reversed([name for name in made if name != "group"] if ALL else ["registry", "storage-hello"]):
        drift(azure, made[name])
    refused_once(stack, azure, "group" if ALL else "storage", made)
    assert_gone(stack, azure)


def test_a_delete_that_azure_refuses_once_is_told_and_done_by_the_next_run(stack: Stack, azure: NoopAzure) -> None:
    stack.up()
    made = stack.resources()
    names = sorted(name for name, one in made.items() if not one["type"].endswith(WITHOUT_LOCKS))
    assert len(names) > 6
    for number, name in enumerate(names if ALL else random.Random(SEED).sample(names, 1)):
        if number:
            stack.up()
        refused_once(stack, azure, name, made)
        assert_gone(stack, azure)


def refused_once(stack: Stack, azure: NoopAzure, name: str, made: dict[str, dict[str, Any]]) -> None:
    """Destroy while somebody's lock is on a resource: what is left is named with the reason."""
    kept = lock(azure, made[name]["id"])
    code, told = stack.destroy()
    assert code == 1, told
    assert "ScopeLocked" in told, "why"
    assert re.search(rf"^left: \S+ {name}$", told, re.MULTILINE), "what"
    azure.arm.resources.begin_delete_by_id(kept, api_version="2020-05-01").result()


def drift(azure: NoopAzure, resource: dict[str, Any]) -> None:
    """Somebody deletes it behind Pulumi's back."""
    version = resource_type(resource["type"]).api_version
    try:
        azure.arm.resources.begin_delete_by_id(resource["id"], api_version=version).result()
    except HttpResponseError as error:
        assert error.status_code in (404, 405, 409), (
            error
        )  # gone with another one, or the type is not deleted by itself


def test_what_a_team_brought_along_stays_and_is_named(azure: NoopAzure, home: Path, tmp_path: Path) -> None:
    group = f"/subscriptions/{azure.cloud['subscription_id']}/resourceGroups/rg-of-the-company"
    azure.arm.resource_groups.create_or_update(group.rpartition("/")[2], {"location": "westeurope"})  # type: ignore[arg-type]
    registry = f"{group}/providers/Microsoft.ContainerRegistry/registries/ofthecompany"
    body = {"location": "westeurope", "sku": {"name": "Basic"}}
    azure.arm.resources.begin_create_or_update_by_id(registry, body, api_version="2023-07-01").result()  # type: ignore[arg-type]
    theirs = azure.exists()
    stack = Stack(tmp_path, home, registry={"id": registry})
    stack.up()
    told = assert_gone(stack, azure, theirs)
    assert f"kept: {registry}, which the stack only used" in told
    azure.arm.resource_groups.begin_delete(group.rpartition("/")[2]).result()
