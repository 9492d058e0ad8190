"""An `up` that fails or is killed half-way, several times over, on one stack; the next `up` makes it whole.

The tests are one story and run in this order: each goes on from where the one before left the stack.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.mgmt.storage import StorageManagementClient

from tests.scenarios.checkout import Checkout
from tests.scenarios.deployed.stack import Stack, eventually

pytestmark = pytest.mark.docker
failed_steps: list[str] = []
"""Tests after a failed one are skipped (`conftest.py` of the scenarios)."""

ACCESS = "infra/access.py"
ROLE_OF_THE_ACCOUNT = """        assign(
            f"{name}-storage",
            role=Role.STORAGE_BLOB_DATA_CONTRIBUTOR,
            scope=args.storage.account.id,
            principal_id=args.identities.account.principal_id,
            principal_type=PrincipalType.SERVICE_PRINCIPAL,
            parent=self,
        )
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout with a running local Azure and no stack yet."""
    checkout = Checkout(tmp_path_factory.mktemp("interrupted"))
    try:
        checkout.module("local", "start")
        yield checkout
    finally:
        checkout.run(str(checkout.python), "-m", "local", "reset", "--yes")


def kill_up_at(place: Checkout, words: str) -> None:
    """Run `up` until it says these words, then kill -9 the engine. What it started must end by itself."""
    up = place.start(str(place.python), "-m", "local", "up")
    assert up.stdout is not None
    said = []
    for line in up.stdout:
        said.append(line)
        if words in line:
            break
    os.kill(up.pid, signal.SIGKILL)
    up.communicate()
    assert words in said[-1], f"up never said {words!r}:\n{''.join(said)}"
    eventually(lambda: session_of(up.pid), lambda left: not left, "ended: the engine's plugins and the program")


def session_of(leader: int) -> list[str]:
    """Command lines of the living processes that this one started: each has a group of its own, all one session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, session = (folder / "stat").read_text().rsplit(") ", 1)[1].split()[:4]
            if int(session) == leader and state != "Z":
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_without_the_account_identitys_role_the_batch_account_is_refused(place: Checkout) -> None:
    program = (place.root / ACCESS).read_text()
    place.edit(ACCESS, ROLE_OF_THE_ACCOUNT, "")
    done = place.run(str(place.python), "-m", "local", "tour")
    (place.root / ACCESS).write_text(program)
    assert done.code not in (0, 130), done.text
    assert "AutoStorageAccountAuthorizationFailed" in done.text
    assert "assign it the role Storage Blob Data Contributor" in done.text
    assert "Traceback" not in done.text


@pytest.mark.parametrize(
    "words",
    [
        "azure-native:batch:BatchAccount  batch  creating",
        "docker:index/image:Image  worker  pushing",
        "azure-native:batch:Pool  pool  creating",
    ],
)
def test_up_may_be_killed_while_it_is(place: Checkout, words: str) -> None:
    if "pushing" in words:  # pushed already, so there must be something new to push
        dockerfile = place.root / "worker" / "Dockerfile"
        dockerfile.write_text(dockerfile.read_text() + "\nLABEL changed-by=test_interrupted_up\n")
    kill_up_at(place, words)


def test_then_up_converges_and_nothing_is_doubled(place: Checkout) -> None:
    place.module("local", "up")
    place.module("local", "up", "--expect-no-changes")
    stack = Stack(place)
    state = json.loads(place.module("local", "export").out)["deployment"]
    assert not state.get("pending_operations")
    assert [urn for urn, count in Counter(one["urn"] for one in state["resources"]).items() if count > 1] == []
    assert sorted(in_state(state)) == sorted(in_cloud(stack))
    stack.steady(stack.pool_id, 2)


def in_state(state: dict[str, Any]) -> list[str]:
    return [one["id"].lower() for one in state["resources"] if one["type"].startswith("azure-native:")]


def in_cloud(stack: Stack) -> list[str]:
    """Everything of the stack that ARM lists."""
    account = stack.cloud["batch"]["account"]
    storage = stack.management(StorageManagementClient)
    found = [one.id for one in stack.resources.resource_groups.list()]
    found += [one.id for one in stack.resources.resources.list_by_resource_group(stack.group)]
    found += [one.id for one in stack.batch_management.pool.list_by_batch_account(stack.group, account)]
    found += [one.id for one in storage.blob_containers.list(stack.group, stack.cloud["storage"]["account"])]
    found += [one.id for one in stack.assignments()]
    return [str(one).lower() for one in found]
