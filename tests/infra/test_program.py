"""`__main__.py` under the real SDK: what it registers, in which order it must be made, and what it exports."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

import pytest

from infra.settings.cloud import EXAMPLE_DIGEST
from infra.settings.problems import SettingsError
from infra.settings.types import EXAMPLE_ID
from tests.infra.recording import (
    CLIENT_TOKEN,
    DIGEST,
    PASSWORDS,
    REFRESH_TOKEN,
    ROOT,
    SUBSCRIPTION,
    TENANT,
    Run,
    run_program,
    stack_config,
    waits_for,
)

Program = Callable[..., Run]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"submitters": [{"object_id": EXAMPLE_ID, "type": "Group"}]}, "submitters[0].object_id"),
        ({"worker": {"image": f"docker-worker@{EXAMPLE_DIGEST}"}}, "worker.image"),
    ],
)
def test_an_example_is_previewed_but_never_deployed(change: dict[str, Any], key: str) -> None:
    config, run = stack_config("dev") | change, Run()
    assert run_program("dev", config=config, preview=True).of_type("batch:Pool")
    with pytest.raises(SettingsError, match=re.escape(f"{key}: expected your own value before `up`")):
        run_program("dev", config=config, run=run)
    assert run.resources == []


def test_the_batch_account_waits_for_its_identitys_right_on_the_storage_account(dev: Run) -> None:
    assert "account-access-storage" in waits_for(dev.only("batch:BatchAccount"))


def test_the_pool_waits_for_the_image_and_for_all_of_the_node_identitys_rights(dev: Run) -> None:
    expected = {"worker", "node-access-registry", "node-access-repositories", "node-access-hello"}
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


def test_preview_and_up_agree_on_every_name(program: Program) -> None:
    def names(run: Run) -> dict[str, list[Any]]:
        keys = ("resourceGroupName", "accountName", "registryName", "poolName", "roleAssignmentName")
        return {item.urn: [item.inputs.get(key) for key in keys] for item in run.resources}

    assert names(program("dev", preview=True)) == names(program("dev"))


def test_outputs_are_the_contract_with_those_who_submit_work(dev: Run) -> None:
    outputs = dict(dev.outputs)
    pool = outputs["pools"]["default"]
    generations = outputs.pop("pool_generations")
    assert set(generations["default"]) == {"current", "kept", "made_of"}
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
        "subscription_id": SUBSCRIPTION,
        "resource_group": "rg-abp-dev",
        "location": "westeurope",
        "batch_account": account,
        "batch_endpoint": f"https://{account}.westeurope.batch.azure.com",
        "pools": {"default": pool},
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
    assert len(components) == 10
    assert {kind.split(":")[0] for kind in components} == {"batch-platform"}


def test_every_child_belongs_to_a_component_but_the_group(dev: Run) -> None:
    loose = [item.name for item in dev.resources if item.custom and "pulumi:pulumi:Stack::" in item.parent]
    assert loose == ["group"]


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
