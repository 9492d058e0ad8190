"""What azure-native does beyond its documentation, as the real CLI shows it (known from the plugin's source)."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any

import pytest

from tests.plugins.cli.stack import Stack
from tests.plugins.fake_arm import SUBSCRIPTION, Answer, FakeArm

pytestmark = pytest.mark.thorough

GROUP_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
ID = f"{GROUP_ID}/providers/Microsoft.Batch/batchAccounts/acc"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def account(name: str = "acc", extra: str = "", options: str = "") -> str:
    return (
        f"account = batch.BatchAccount('a', resource_group_name='rg', location='westeurope', account_name='{name}'"
        f"{', ' + extra if extra else ''}, opts=pulumi.ResourceOptions({options}))"
    )


def writes(arm: FakeArm) -> list[tuple[str, str]]:
    """PUTs and DELETEs in order, by the last part of their path."""
    requests = [(m, t.split("?")[0].rsplit("/", 1)[1]) for m, t, _ in arm.requests if m in ("PUT", "DELETE")]
    arm.requests.clear()
    return requests


def begins(arm: FakeArm, pause: str = "0") -> Answer:
    """ARM takes a PUT, and the account is there, being created."""
    arm.resources[ID] = {"id": ID, "name": "acc", "properties": {"provisioningState": "Creating"}}
    return 202, {"Azure-AsyncOperation": f"{arm.url}/operations/1", "Retry-After": pause}, None


def finishes(arm: FakeArm) -> None:
    arm.forget_scripts()
    arm.resources[ID] = {"id": ID, "name": "acc", "properties": {"provisioningState": "Succeeded"}}


BROKEN: Answer = (500, {"Retry-After": "0"}, {"error": {"code": "InternalServerError", "message": "try later"}})
FAULTS: dict[str, list[Answer]] = {
    "server errors": [BROKEN] * 4,
    "pages of a gateway": [(200, {}, b"<html>")] * 3,
    "a refused token": [(401, {}, {"error": {"code": "ExpiredAuthenticationToken", "message": "old"}})],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_arm_took_is_in_the_state_when_the_wait_fails_and_the_next_up_takes_it_over(
    stack: Stack, arm: FakeArm, fault: str
) -> None:
    stack.program(account())
    arm.script("PUT", ID, begins)
    arm.script("GET", "/operations/1", *FAULTS[fault])
    stack.up(fails=True)
    resource = stack.resources()["a"]
    assert resource["id"] == ID
    assert resource["initErrors"]
    finishes(arm)
    stack.up()
    assert not stack.resources()["a"].get("initErrors")
    assert ("DELETE", "acc") not in writes(arm)


def test_an_interrupt_while_azure_works_keeps_the_resource(stack: Stack, arm: FakeArm) -> None:
    stack.program(account())
    is_accepted = threading.Event()
    arm.script("PUT", ID, lambda fake: (is_accepted.set(), begins(fake, pause="3600"))[1])
    running = stack.start("up", "--yes", "--skip-preview", "--stack", "s")
    assert is_accepted.wait(120)
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=60)
    assert running.returncode != 0, output
    assert stack.resources()["a"]["id"] == ID, output
    finishes(arm)
    assert "already existing" not in stack.up()


def test_a_replacement_deletes_first_unless_the_name_is_random_or_the_program_says_otherwise(
    stack: Stack, arm: FakeArm
) -> None:
    group = "resources.ResourceGroup('g', location='{}')"
    stack.program(account("one"), group.format("westeurope"))
    stack.up()
    arm.requests.clear()
    stack.program(account("two"), group.format("northeurope"))
    stack.up()
    order = writes(arm)
    accounts = [write for write in order if write[1] in ("one", "two")]
    groups = [method for method, name in order if name.startswith("g")]
    assert accounts == [("DELETE", "one"), ("PUT", "two")]
    assert groups == ["PUT", "DELETE"]
    stack.program(account("three", options="delete_before_replace=False"), group.format("northeurope"))
    stack.up()
    assert writes(arm) == [("PUT", "three"), ("DELETE", "two")]


def test_a_preview_knows_what_stays_and_says_unknown_of_the_rest(stack: Stack, arm: FakeArm) -> None:
    tags = "tags={'endpoint': account.account_endpoint, 'location': account.location}"
    stack.program(account(), f"resources.ResourceGroup('g', location='westeurope', {tags})")
    steps = {step["urn"].rsplit("::", 1)[1]: step for step in stack.preview()}
    assert steps["a"]["op"] == steps["g"]["op"] == "create"
    assert steps["g"]["newState"]["inputs"]["tags"] == {"endpoint": UNKNOWN, "location": "westeurope"}
    assert writes(arm) == []


def test_drift_is_taken_over_by_a_refresh_and_undone_by_the_next_up(stack: Stack, arm: FakeArm) -> None:
    stack.program(account(extra="tags={'owner': 'us'}"))
    stack.up()
    arm.resources[ID]["tags"] = {"owner": "somebody else"}
    stack.run("refresh", "--yes", "--skip-preview", "--stack", "s")
    refreshed = stack.resources()["a"]
    assert refreshed["inputs"]["tags"] == refreshed["outputs"]["tags"] == {"owner": "somebody else"}
    stack.up()
    assert arm.resources[ID]["tags"] == {"owner": "us"}
    del arm.resources[ID]
    stack.run("refresh", "--yes", "--skip-preview", "--stack", "s")
    assert "a" not in stack.resources()


def test_a_hand_made_resource_is_imported_by_its_arm_id(stack: Stack, arm: FakeArm) -> None:
    arm.resources[ID] = {"id": ID, "name": "acc", "location": "westeurope", "properties": {"poolAllocationMode": "x"}}
    token = "azure-native:batch:BatchAccount"
    options = ("--generate-code=false", "--yes", "--skip-preview", "--protect=false", "--stack", "s")
    stack.run("import", token, "a", ID, *options)
    imported = stack.resources()["a"]
    assert imported["id"] == ID
    assert imported["inputs"]["accountName"] == "acc"
    assert imported["inputs"]["resourceGroupName"] == "rg"
    wrong = stack.run("import", token, "b", GROUP_ID, *options, fails=True)
    assert "is not the id of a azure-native:batch:BatchAccount" in wrong


def test_outputs_that_the_program_calls_secret_are_encrypted_in_the_state(stack: Stack, arm: FakeArm) -> None:
    stack.program(account(extra="tags={'a': 'hunter2'}", options="additional_secret_outputs=['tags']"))
    stack.up()
    state: Any = stack.resources()["a"]
    assert "ciphertext" in state["outputs"]["tags"]
    assert "hunter2" not in json.dumps(state["outputs"])


def test_unknown_properties_types_and_settings_are_refused_by_name_before_anything_is_made(
    stack: Stack, arm: FakeArm
) -> None:
    stack.program(account(extra="auto_storage={'storageAcountId': 'x'}"))
    refused = stack.up(fails=True)
    assert "'autoStorage.storageAcountId' is not a property of AutoStorageBaseProperties" in refused
    assert "did you mean 'storageAccountId'?" in refused
    stack.program("batch.Application('x', resource_group_name='rg', account_name='acc')")
    assert "does not know resource type azure-native:batch:Application" in stack.up(fails=True)
    assert writes(arm) == []
