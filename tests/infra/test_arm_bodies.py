"""What ARM gets from the real stacks: golden files, and no loss in the matching management SDKs' models.

`UPDATE_GOLDEN=1 python -m pytest tests/infra/test_arm_bodies.py` writes the files anew; read the difference before you
commit it. What only the cloud knows is a labelled placeholder in them, and no password is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.naming import Names
from local.plugins.azure_native.translate import translate
from tests.infra.management_models import MODELS, batch_round_trip, problems
from tests.infra.recording import CLIENT_TOKEN, DEPLOYER, PASSWORDS, SUBSCRIPTION, Registered, Run

Program = Callable[..., Run]
GOLDEN = Path(__file__).with_name("golden")
STACKS = ("dev", "prod", "full")
LABELS = {SUBSCRIPTION: "<subscription>", DEPLOYER: "<deployer object id>"}
LABELS |= {password: f"<secret {key}>" for key, password in PASSWORDS.items()}


def requests(run: Run) -> Iterator[tuple[Registered, Any]]:
    """What ARM is sent for each resource."""
    for resource in run.resources:
        if resource.type.startswith("azure-native:"):
            yield resource, translate(resource.type, whole_numbers(resource.inputs), SUBSCRIPTION)


def bodies(run: Run) -> Iterator[tuple[Registered, Any]]:
    """The requests of those resources of which a management SDK's models are here."""
    return ((resource, request) for resource, request in requests(run) if resource.type in MODELS)


def whole_numbers(value: Any) -> Any:
    """The wire has doubles only; whole ones are integers for ARM, as azure-native sends them."""
    if isinstance(value, Mapping):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def labelled(text: str) -> str:
    for value, label in LABELS.items():
        text = text.replace(value, label)
    return text


def golden(run: Run) -> dict[str, str]:
    """File name to content."""
    files: dict[str, str] = {}
    for resource, request in requests(run):
        content = {"type": resource.type, "path": request.path, "apiVersion": request.api_version, "body": request.body}
        name = resource.name
        if resource.type.endswith("batch:Pool"):  # without its hash, so that a change is seen as one
            name = f"pool-{name.rpartition('-')[0]}"
        text = labelled(json.dumps(content, indent=2, sort_keys=True)) + "\n"
        if "containerImageNames" in text:  # the hash of a pool that fetches the image follows the worker's source
            text = text.replace(resource.name.rpartition("-")[2], "<generation>")
        files[f"{name}.json"] = text
    return files


@pytest.mark.parametrize("stack", STACKS)
def test_bodies_are_the_golden_files(program: Program, stack: str) -> None:
    folder, made = GOLDEN / stack, golden(program(stack))
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.json"):
            old.unlink()
        for name, text in made.items():
            (folder / name).write_text(text)
    assert {file.name: file.read_text() for file in folder.glob("*.json")} == made


@pytest.mark.parametrize("stack", STACKS)
def test_no_two_resources_share_a_golden_file(program: Program, stack: str) -> None:
    ours = [item for item in program(stack).resources if item.type.startswith("azure-native:")]
    assert len(golden(program(stack))) == len(ours)


@pytest.mark.parametrize("stack", (*STACKS, "local"))
def test_bodies_lose_nothing_in_the_management_models(program: Program, stack: str) -> None:
    checked = 0
    for resource, request in bodies(program(stack)):
        assert problems(MODELS[resource.type], request.body) == [], resource.name
        checked += 1
    assert checked >= 14


@pytest.mark.parametrize("stack", (*STACKS, "local"))
def test_batch_bodies_pass_through_azure_mgmt_batch_and_come_back_equal(program: Program, stack: str) -> None:
    names = set()
    for resource, request in bodies(program(stack)):
        if resource.type.startswith("azure-native:batch:"):
            assert batch_round_trip(MODELS[resource.type], request.body) == request.body
            assert request.api_version == "2024-07-01"
            names.add(resource.type)
    assert len(names) == 2


@pytest.mark.parametrize(
    ("token", "body", "words"),
    [
        ("batch:Pool", {"properties": {"vmSiez": "x"}}, "properties.vmSiez: unknown"),
        ("batch:Pool", {"properties": {"interNodeCommunication": "On"}}, "'On' is no InterNodeCommunicationState"),
        ("batch:Pool", {"properties": {"allocationState": "Steady"}}, "properties.allocationState: read-only"),
        ("batch:Pool", {"properties": {"taskSlotsPerNode": "2"}}, "expected <class 'int'>, got '2'"),
        ("batch:Pool", {"properties": {"userAccounts": [{"name": "x"}]}}, "userAccounts[0].password: required"),
        ("batch:BatchAccount", {"properties": {}}, "location: required"),
        ("storage:StorageAccount", {"kind": "StorageV3", "sku": {"name": "Standard_LRS"}}, "'StorageV3' is no Kind"),
        ("storage:StorageAccount", {"properties": {"minimumTlsVersion": "TLS9"}}, "'TLS9' is no MinimumTlsVersion"),
        ("storage:BlobContainer", {"properties": {"publik": "None"}}, "properties.publik: unknown"),
        ("authorization:RoleAssignment", {"properties": {"principalType": "Robot"}}, "'Robot' is no PrincipalType"),
        ("containerregistry:Registry", {"location": "w", "sku": {"name": "Huge"}}, "'Huge' is no SkuName"),
    ],
)
def test_the_check_finds_what_the_models_do_not_allow(token: str, body: dict[str, Any], words: str) -> None:
    assert any(words in problem for problem in problems(MODELS[f"azure-native:{token}"], body))


def test_golden_files_hold_no_secret_and_no_test_identity() -> None:
    files = list(GOLDEN.glob("*/*.json"))
    assert len(files) > 25
    for file in files:
        text = file.read_text()
        assert not [value for value in (*PASSWORDS.values(), CLIENT_TOKEN, SUBSCRIPTION, DEPLOYER) if value in text]


def test_golden_pool_names_are_those_of_this_program(program: Program) -> None:
    account = Names(prefix="abp", stack="dev", subscription_id=SUBSCRIPTION).batch_account
    identifier = program("dev").outputs["pools"]["default"]["id"]
    pool = json.loads((GOLDEN / "dev" / "pool-default.json").read_text())
    assert pool["path"].endswith(f"/batchAccounts/{account}/pools/{identifier}")
