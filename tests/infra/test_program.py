"""`__main__.py` under the real SDK: what it registers, in which order it must be made, and what it exports."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from infra import registry_login
from infra.image import build_args
from infra.roles import Role
from infra.settings import SettingsError, WorkerSettings
from infra.worker_source import revision
from tests.infra.conftest import REFRESH_TOKEN
from tests.infra.recording import (
    CLIENT_TOKEN,
    DEPLOYER,
    DIGEST,
    PASSWORDS,
    ROOT,
    SUBSCRIPTION,
    TENANT,
    Registered,
    Run,
    run_program,
    stack_config,
)
from worker.docker_worker import VERSION

Program = Callable[..., Run]
ACCOUNT_PRINCIPAL = "principal-of-id-abp-dev-account"
NODE_PRINCIPAL = "principal-of-id-abp-dev-node"


@pytest.fixture
def dev(program: Program) -> Run:
    return program("dev")


def assignments(run: Run) -> set[tuple[str, Role, str]]:
    """(principal, role, last part of the scope)"""
    return {
        (
            item.inputs["principalId"],
            Role(item.inputs["roleDefinitionId"].rsplit("/", 1)[-1]),
            item.inputs["scope"].rsplit("/", 1)[-1],
        )
        for item in run.of_type(":RoleAssignment")
    }


def test_every_identity_has_exactly_its_roles_at_the_smallest_scope(dev: Run) -> None:
    account = dev.only("batch:BatchAccount").inputs["accountName"]
    storage = dev.only("storage:StorageAccount").inputs["accountName"]
    registry = dev.only("containerregistry:Registry").inputs["registryName"]
    assert assignments(dev) == {
        (ACCOUNT_PRINCIPAL, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, storage),
        (NODE_PRINCIPAL, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "job-hello"),
        (NODE_PRINCIPAL, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "job-sql-check"),
        (NODE_PRINCIPAL, Role.ACR_PULL, registry),
        (DEPLOYER, Role.AZURE_BATCH_DATA_CONTRIBUTOR, account),
        (DEPLOYER, Role.STORAGE_BLOB_DATA_READER, storage),
    }
    assert len(dev.of_type(":RoleAssignment")) == 6


@pytest.mark.parametrize("stack", ["dev", "prod", "local"])
def test_assignments_give_the_principals_type_and_deterministic_guids(program: Program, stack: str) -> None:
    deployer = {"dev": "User", "prod": "ServicePrincipal", "local": "ServicePrincipal"}[stack]
    names = [item.inputs["roleAssignmentName"] for item in program(stack).of_type(":RoleAssignment")]
    for item in program(stack).of_type(":RoleAssignment"):
        expected = deployer if item.inputs["principalId"] == DEPLOYER else "ServicePrincipal"
        assert item.inputs["principalType"] == expected
        assert item.delete_before_replace is False
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", item.inputs["roleAssignmentName"])
    assert len(set(names)) == len(names)


def test_a_subscription_owner_may_submit_and_read_only_because_of_the_submitters_roles(dev: Run) -> None:
    own = {role for principal, role, _ in assignments(dev) if principal == DEPLOYER}
    assert own == {Role.AZURE_BATCH_DATA_CONTRIBUTOR, Role.STORAGE_BLOB_DATA_READER}


def waits_for(resource: Registered) -> set[str]:
    return {urn.rsplit("::", 1)[-1] for urn in resource.dependencies}


def test_the_batch_account_waits_for_its_identitys_right_on_the_storage_account(dev: Run) -> None:
    assert "account-access-storage" in waits_for(dev.only("batch:BatchAccount"))


def test_the_pool_waits_for_the_image_and_for_all_of_the_node_identitys_rights(dev: Run) -> None:
    expected = {"worker", "node-access-registry", "node-access-hello", "node-access-sql-check"}
    assert expected <= waits_for(dev.only("batch:Pool"))


def test_the_batch_account_takes_entra_only_and_links_storage_by_identity(dev: Run) -> None:
    inputs = dev.only("batch:BatchAccount").inputs
    identity = dev.named("identity-account"), dev.named("identity-node")
    account_id, node_id = (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-abp-dev/providers/Microsoft.ManagedIdentity"
        f"/userAssignedIdentities/{item.inputs['resourceName']}"
        for item in identity
    )
    assert inputs["allowedAuthenticationModes"] == ["AAD"]
    assert inputs["identity"] == {"type": "UserAssigned", "userAssignedIdentities": [account_id]}
    assert inputs["autoStorage"]["authenticationMode"] == "BatchAccountManagedIdentity"
    assert inputs["autoStorage"]["nodeIdentityReference"] == {"resourceId": node_id}
    assert inputs["autoStorage"]["storageAccountId"].endswith(dev.only(":StorageAccount").inputs["accountName"])


def test_nothing_is_open_that_a_key_or_nobody_could_use(dev: Run) -> None:
    storage = dev.only(":StorageAccount").inputs
    assert storage["allowSharedKeyAccess"] is False
    assert storage["allowBlobPublicAccess"] is False
    assert storage["minimumTlsVersion"] == "TLS1_2"
    assert storage["enableHttpsTrafficOnly"] is True
    registry = dev.only("containerregistry:Registry").inputs
    assert (registry["adminUserEnabled"], registry["anonymousPullEnabled"]) == (False, False)
    assert {item.inputs["publicAccess"] for item in dev.of_type(":BlobContainer")} == {"None"}


def test_each_job_family_has_its_container(program: Program) -> None:
    names = {item.inputs["containerName"] for item in program("prod").of_type(":BlobContainer")}
    assert names == {"job-hello", "job-sql-check", "job-nightly-load"}


def test_the_image_is_built_for_the_nodes_platform_and_pushed_to_the_stacks_registry(dev: Run) -> None:
    inputs = dev.only(":Image").inputs
    server = f"{dev.only('containerregistry:Registry').inputs['registryName']}.azurecr.io"
    assert inputs["imageName"] == f"{server}/docker-worker:dev"
    assert inputs["build"] == {
        "context": ".build/copy-of-worker",
        "dockerfile": ".build/copy-of-worker/Dockerfile",
        "platform": "linux/amd64",
        "args": {
            "BASE_IMAGE": "python:3.12-slim-bookworm",
            "VERSION": VERSION,
            "REVISION": revision(ROOT / "worker"),
        },
    }
    assert dev.only(":Image").ignore_changes == []


def test_the_image_is_told_where_its_source_is_kept_if_the_stack_says_so() -> None:
    settings = WorkerSettings(base_image="python:3", source="https://git.example/team/project")
    assert build_args(ROOT / "worker", settings)["SOURCE"] == "https://git.example/team/project"
    assert "SOURCE" not in build_args(ROOT / "worker", WorkerSettings(base_image="python:3"))


def test_up_logs_in_with_the_deployers_exchanged_token_as_a_secret(dev: Run) -> None:
    image = dev.only(":Image")
    server = image.inputs["registry"]["server"]
    assert image.inputs["registry"] == {
        "server": server,
        "username": "00000000-0000-0000-0000-000000000000",
        "password": f"{REFRESH_TOKEN} {server} {CLIENT_TOKEN}",
    }
    assert "registry" in image.secret_inputs
    audiences = [args for token, args in dev.invokes if token.endswith("getClientToken")]
    assert audiences == [{"endpoint": "https://containerregistry.azure.net"}]


def test_a_preview_asks_for_no_token_and_exchanges_none(program: Program) -> None:
    run = program("dev", preview=True)
    assert not [token for token, _ in run.invokes if token.endswith("getClientToken")]
    assert REFRESH_TOKEN not in run.only(":Image").inputs["registry"]["password"]
    assert "registry" in run.only(":Image").secret_inputs


def test_preview_and_up_agree_on_every_name(program: Program) -> None:
    def names(run: Run) -> dict[str, list[Any]]:
        keys = ("resourceGroupName", "accountName", "registryName", "poolName", "roleAssignmentName")
        return {item.urn: [item.inputs.get(key) for key in keys] for item in run.resources}

    assert names(program("dev", preview=True)) == names(program("dev"))


def test_outputs_are_the_contract_with_those_who_submit_work(dev: Run) -> None:
    outputs = dict(dev.outputs)
    pool = outputs["pools"].pop("default")
    account = dev.only("batch:BatchAccount").inputs["accountName"]
    image = f"{account}.azurecr.io/docker-worker@{DIGEST}"
    node = dev.named("identity-node")
    assert pool == {
        "id": dev.only("batch:Pool").inputs["poolName"],
        "image": image,
        "node_identity_client_id": "11111111-2222-3333-4444-555555555555",
        "task_slots": 2,
    }
    assert outputs == {
        "resource_group": "rg-abp-dev",
        "location": "westeurope",
        "batch_account": account,
        "batch_endpoint": f"https://{account}.westeurope.batch.azure.com",
        "pools": {},
        "registry_server": f"{account}.azurecr.io",
        "worker_image": image,
        "storage_account": account,
        "blob_endpoint": f"https://{account}.blob.core.windows.net/",
        "job_containers": {"hello": "job-hello", "sql-check": "job-sql-check"},
        "worker_identity": {
            "client_id": "11111111-2222-3333-4444-555555555555",
            "resource_id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-abp-dev/providers/"
            f"Microsoft.ManagedIdentity/userAssignedIdentities/{node.inputs['resourceName']}",
        },
        "sql": {"server": "abp-dev.database.windows.net", "database": "worklist"},
    }


def test_no_secret_is_an_output_or_a_plain_input(dev: Run) -> None:
    hidden = {*PASSWORDS.values(), CLIENT_TOKEN, REFRESH_TOKEN}
    assert not dev.secret_outputs
    assert not [text for text in hidden if text in str(dev.outputs)]
    for resource in dev.resources:
        plain = {key: value for key, value in resource.inputs.items() if key not in resource.secret_inputs}
        assert not [text for text in hidden if text in str(plain)], resource.name


def test_components_of_the_program_carry_the_projects_prefix(dev: Run) -> None:
    components = {item.type for item in dev.resources if not item.custom}
    assert len(components) == 9
    assert {kind.split(":")[0] for kind in components} == {"batch-platform"}


def test_every_child_belongs_to_a_component_but_the_group(dev: Run) -> None:
    loose = [item.name for item in dev.resources if item.custom and "pulumi:pulumi:Stack::" in item.parent]
    assert loose == ["group"]


def test_a_refused_login_ends_the_program_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(server: str, token: str) -> str:
        raise registry_login.RegistryLoginError(server, "HTTP 401", "ask for the right")

    monkeypatch.setattr(registry_login, "exchange", refuse)
    with pytest.raises(pulumi.RunError, match=r"gave no push token: HTTP 401\. Next step: ask for the right"):
        run_program("dev")


def test_bad_settings_end_the_program_before_anything_is_asked_or_registered() -> None:
    run = Run()
    with pytest.raises(SettingsError, match="nonsense"):
        run_program("dev", config=stack_config("dev") | {"nonsense": "1"}, run=run)
    assert (run.resources, run.invokes) == ([], [])


@pytest.mark.parametrize(
    ("key", "actual"), [("subscription_id", SUBSCRIPTION), ("tenant_id", TENANT)], ids=["subscription", "tenant"]
)
def test_a_deployer_in_another_cloud_than_the_stack_names_makes_nothing(key: str, actual: str) -> None:
    other, run = "99999999-0000-4000-8000-000000000000", Run()
    with pytest.raises(SettingsError) as error:
        run_program("dev", config=stack_config("dev") | {key: other}, run=run)
    assert f"{key}: expected {other}, where this stack belongs, got a deployer that is signed in to {actual}; " in str(
        error.value
    )
    assert run.resources == []


def test_a_deployer_in_the_cloud_that_the_stack_names_goes_on() -> None:
    named = {"subscription_id": SUBSCRIPTION.upper(), "tenant_id": TENANT}
    assert run_program("dev", config=stack_config("dev") | named, preview=True).of_type("batch:Pool")


def test_prod_keeps_deleted_blobs_and_containers_and_dev_does_not(program: Program, dev: Run) -> None:
    service = program("prod").only(":BlobServiceProperties").inputs
    kept = {"enabled": True, "days": 14}
    assert (service["deleteRetentionPolicy"], service["containerDeleteRetentionPolicy"]) == (kept, kept)
    assert dev.of_type(":BlobServiceProperties") == []


def test_the_main_module_is_a_contents_page() -> None:
    source = (ROOT / "__main__.py").read_text()
    tree = ast.parse(source)
    assert len(source.splitlines()) <= 70
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.While | ast.If | ast.FunctionDef)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]


def plan(stack: str, **values: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """What a program with these settings registers: names, types and inputs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry_login, "exchange", lambda server, token: REFRESH_TOKEN)
        run = run_program(stack, config=stack_config(stack) | values)
    return sorted(((item.name, item.type, item.inputs) for item in run.resources), key=lambda one: one[:2])


@pytest.mark.parametrize(
    ("key", "spellings"),
    [
        ("location", ("westeurope", "West Europe", "WestEurope", "WESTEUROPE", " west europe ")),
        ("vm_size", ("Standard_D2ads_v5", "standard_d2ads_v5", "STANDARD_D2ADS_V5", "Standard_d2ADS_V5")),
        ("vm_size", ("Standard_NC24ads_A100_v4", "standard_nc24ads_a100_v4")),
        ("name", ("gpu", "GPU", "Gpu")),
        ("base_image", tuple(f"python@sha256:{digits}" for digits in ("ab" * 32, "AB" * 32, "aB" * 32))),
        ("submitters", ("0a0b0c0d-0000-4000-8000-00000000abcd", "0A0B0C0D-0000-4000-8000-00000000ABCD")),
    ],
)
def test_spellings_that_azure_takes_for_one_are_one_plan(key: str, spellings: tuple[str, ...]) -> None:
    """No name changes and nothing is replaced: every resource's inputs are the same."""

    def with_spelling(text: str) -> dict[str, Any]:
        config = stack_config("dev")
        if key in ("vm_size", "name"):
            return {"pool": config["pool"] | {key: text}}
        if key == "base_image":
            return {"worker": config["worker"] | {key: text}}
        if key == "submitters":
            return {key: [{"object_id": text, "type": "User"}]}
        return {key: text}

    plans = [plan("dev", **with_spelling(text)) for text in spellings]
    assert all(one == plans[0] for one in plans[1:])


def test_spellings_of_a_family_are_one_container() -> None:
    small, large = (plan("dev", families=[family]) for family in ("nightly", "Nightly"))
    assert small == large
