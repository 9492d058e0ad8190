"""`__main__.py` under the real SDK: what it registers, in which order it must be made, and what it exports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from infra.access.roles import Role
from infra.settings.cloud import EXAMPLE_DIGEST, WorkerSettings
from infra.settings.problems import SettingsError
from infra.settings.types import EXAMPLE_ID
from infra.worker_image import login
from infra.worker_image.image import build_args
from infra.worker_image.source import revision
from tests.infra.recording import (
    CLIENT_TOKEN,
    DEPLOYER,
    DIGEST,
    PASSWORDS,
    REFRESH_TOKEN,
    ROOT,
    SUBMITTERS,
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
GROUP = f"{SUBMITTERS}555555555555"


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
        (NODE_PRINCIPAL, Role.CONTAINER_REGISTRY_REPOSITORY_READER, registry),
        (GROUP, Role.AZURE_BATCH_DATA_CONTRIBUTOR, account),
        (GROUP, Role.STORAGE_BLOB_DATA_READER, storage),
        (GROUP, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "job-hello"),
        (GROUP, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "job-sql-check"),
    }
    assert len(dev.of_type(":RoleAssignment")) == 9


@pytest.mark.parametrize("stack", ["dev", "prod", "local", "full"])
def test_assignments_give_the_principals_type_and_deterministic_guids(program: Program, stack: str) -> None:
    names = [item.inputs["roleAssignmentName"] for item in program(stack).of_type(":RoleAssignment")]
    groups = {f"{SUBMITTERS}55555555555{'5' if stack == 'dev' else '6'}"}
    for item in program(stack).of_type(":RoleAssignment"):
        expected = "Group" if item.inputs["principalId"] in groups else "ServicePrincipal"
        assert item.inputs["principalType"] == expected
        assert item.delete_before_replace is False
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", item.inputs["roleAssignmentName"])
    assert len(set(names)) == len(names)


def test_who_may_submit_gets_no_right_on_pools_and_who_operates_does(program: Program) -> None:
    storage = {Role.STORAGE_BLOB_DATA_READER, Role.STORAGE_BLOB_DATA_CONTRIBUTOR}

    def roles(number: str) -> set[Role]:
        return {role for principal, role, _ in assignments(program("prod")) if principal == f"{SUBMITTERS}{number}"}

    assert roles("555555555555") == {
        Role.AZURE_BATCH_JOB_SUBMITTER,
        Role.AZURE_BATCH_ACCOUNT_READER,
        *storage,
    }
    assert roles("555555555556") == {Role.AZURE_BATCH_DATA_CONTRIBUTOR, *storage}


@pytest.mark.parametrize("stack", ["dev", "prod", "full"])
def test_two_deployers_get_one_plan(stack: str) -> None:
    def registered(deployer: str) -> list[tuple[str, str, dict[str, Any]]]:
        run = run_program(stack, preview=True, deployer=deployer)
        return sorted(((item.name, item.type, item.inputs) for item in run.resources), key=lambda one: one[:2])

    assert registered(DEPLOYER) == registered("00000000-0000-4000-8000-00000000dddd")


def test_the_word_deployer_stands_for_whoever_deploys_under_one_name(program: Program) -> None:
    other = "00000000-0000-4000-8000-00000000dddd"
    runs = [program("local", preview=True), run_program("local", preview=True, deployer=other)]
    names = [{item.name for item in run.of_type(":RoleAssignment")} for run in runs]
    assert names[0] == names[1]
    assert "submitter-access-azure-batch-data-contributor-deployer" in names[0]
    assert other in {item.inputs["principalId"] for item in runs[1].of_type(":RoleAssignment")}


def test_who_is_named_as_pusher_may_push_in_both_modes_of_a_registry(program: Program) -> None:
    pusher = f"{SUBMITTERS}555555555557"
    found = {role for principal, role, _ in assignments(program("full")) if principal == pusher}
    assert found == {Role.ACR_PUSH, Role.CONTAINER_REGISTRY_REPOSITORY_WRITER}
    assert waits_for(program("full").only(":Image")) >= {
        f"pusher-access-acr-push-{pusher}",
        f"pusher-access-container-registry-repository-writer-{pusher}",
    }


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


def test_an_image_by_digest_needs_no_engine_and_is_found_in_the_stacks_registry(program: Program) -> None:
    run = program("prod")
    assert [item.type for item in run.resources if item.type.startswith("docker:")] == []
    server = run.outputs["registry_server"]
    assert run.outputs["worker_image"] == f"{server}/docker-worker@{DIGEST}"
    assert run.outputs["pools"]["default"]["image"] == run.outputs["worker_image"]


def test_an_image_with_a_server_is_taken_as_it_is() -> None:
    image = f"shared.example.net:5000/team/docker-worker@{DIGEST}"
    run = run_program("prod", config=stack_config("prod") | {"worker": {"image": image}}, preview=True)
    assert run.outputs["worker_image"] == image


def waits_for(resource: Registered) -> set[str]:
    return {urn.rsplit("::", 1)[-1] for urn in resource.dependencies}


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


def test_a_refused_login_ends_the_program_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(server: str, token: str) -> str:
        raise login.RegistryLoginError(server, "HTTP 401", "ask for the right")

    monkeypatch.setattr(login, "exchange", refuse)
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


def ids_of_ours(run: Run) -> set[str]:
    return {item.name for item in run.resources if item.custom and ":RoleAssignment" not in item.type}


EXISTING = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-shared/providers"
BROUGHT: dict[str, Any] = {
    "registry": {"id": f"{EXISTING}/Microsoft.ContainerRegistry/registries/shared"},
    "storage": {"id": f"{EXISTING}/Microsoft.Storage/storageAccounts/shared"},
    "node_identity": {
        "id": f"{EXISTING}/Microsoft.ManagedIdentity/userAssignedIdentities/nodes",
        "client_id": "11111111-2222-3333-4444-0000000000c1",
        "principal_id": "11111111-2222-3333-4444-0000000000b1",
    },
    "network": {"subnet_id": f"{EXISTING}/Microsoft.Network/virtualNetworks/hub/subnets/batch"},
}


def test_what_is_brought_along_is_used_and_nothing_of_it_is_made() -> None:
    run = run_program("prod", config=stack_config("prod") | BROUGHT)
    assert ids_of_ours(run) == {"group", "identity-account", "batch", run.only("batch:Pool").name}
    named = {(role, scope) for principal, role, scope in assignments(run) if principal.endswith("b1")}
    assert named == {
        (Role.ACR_PULL, "shared"),
        (Role.CONTAINER_REGISTRY_REPOSITORY_READER, "shared"),
        *((Role.STORAGE_BLOB_DATA_CONTRIBUTOR, f"job-{family}") for family in ("hello", "sql-check", "nightly-load")),
    }
    pool = run.only("batch:Pool").inputs
    assert pool["identity"]["userAssignedIdentities"] == [BROUGHT["node_identity"]["id"]]
    assert pool["networkConfiguration"]["subnetId"] == BROUGHT["network"]["subnet_id"]
    assert run.outputs["registry_server"] == "shared.azurecr.io"
    assert run.outputs["blob_endpoint"] == "https://shared.blob.core.windows.net/"
    assert run.outputs["worker_identity"]["client_id"] == BROUGHT["node_identity"]["client_id"]
    assert run.outputs["job_containers"]["hello"] == "job-hello"


def test_the_spelling_of_an_id_is_no_change() -> None:
    shouted = {"network": {"subnet_id": BROUGHT["network"]["subnet_id"].replace("/providers/", "/PROVIDERS/") + "/"}}
    assert plan("prod", **BROUGHT) == plan("prod", **{**BROUGHT, **shouted})


def test_without_auto_storage_the_account_has_no_link_no_identity_and_no_role(program: Program) -> None:
    run = program("full")
    assert "autoStorage" not in run.only("batch:BatchAccount").inputs
    assert run.only("batch:BatchAccount").inputs["identity"] == {"type": "None"}
    assert "identity-account" not in ids_of_ours(run)
    assert not [item for item in run.of_type(":RoleAssignment") if item.name.startswith("account-access")]


def test_a_private_stack_allows_the_given_networks_and_has_endpoints_in_the_given_zones(program: Program) -> None:
    run = program("full")
    account = run.only("batch:BatchAccount").inputs
    assert account["publicNetworkAccess"] == "Enabled"
    assert account["networkProfile"] == {
        "accountAccess": {"defaultAction": "Deny", "ipRules": [{"action": "Allow", "value": "203.0.113.0/24"}]}
    }
    assert run.only("containerregistry:Registry").inputs["sku"] == {"name": "Premium"}
    groups = [item.inputs["privateLinkServiceConnections"][0]["groupIds"] for item in run.of_type(":PrivateEndpoint")]
    assert sorted(groups) == [["batchAccount"], ["blob"], ["nodeManagement"], ["registry"]]
    zones = {
        item.inputs["privateDnsZoneConfigs"][0]["privateDnsZoneId"].rpartition("/")[2]
        for item in run.of_type(":PrivateDnsZoneGroup")
    }
    assert zones == {"privatelink.batch.azure.com", "privatelink.azurecr.io", "privatelink.blob.core.windows.net"}


def test_with_no_network_allowed_only_private_endpoints_lead_to_the_account() -> None:
    run = run_program("dev", config=stack_config("dev") | {"network": {"allowed_ips": []}}, preview=True)
    assert run.only("batch:BatchAccount").inputs["publicNetworkAccess"] == "Disabled"


def test_nodes_without_public_addresses_say_so() -> None:
    network = {**BROUGHT["network"], "public_ips": False}
    pool = run_program("dev", config=stack_config("dev") | {"network": network}, preview=True).only("batch:Pool")
    assert pool.inputs["networkConfiguration"]["publicIPAddressConfiguration"] == {"provision": "NoPublicIPAddresses"}


def test_five_alerts_and_a_budget_go_to_the_given_addresses(program: Program) -> None:
    run = program("full")
    alerts = {item.inputs["ruleName"]: item for item in run.resources if item.type.endswith(("Alert", "QueryRule"))}
    assert set(alerts) == {
        f"abp-full-{name}"
        for name in ("start-task-failed", "unusable-nodes", "resize-errors", "task-failure-rate", "active-jobs")
    }
    assert [item["emailAddress"] for item in run.only(":ActionGroup").inputs["emailReceivers"]] == [
        "batch-team@example.com"
    ]
    budget = run.only(":Budget").inputs
    assert (budget["amount"], budget["timePeriod"]) == (500, {"startDate": "2026-12-01T00:00:00Z"})
    assert {item["threshold"] for item in budget["notifications"].values()} == {80, 100}
    assert len(run.of_type(":DiagnosticSetting")) == 3


@pytest.mark.parametrize("stack", ["dev", "prod", "local"])
def test_a_stack_without_the_section_has_no_resource_of_it_not_even_a_component(program: Program, stack: str) -> None:
    names = " ".join(item.type for item in program(stack).resources)
    assert not [
        word for word in ("monitor", "Monitoring", "consumption", "network", "PrivateEndpoints") if word in names
    ]


def test_a_preview_loads_no_module_of_azure_native_that_the_stack_does_not_use() -> None:
    code = """if True:
        import sys
        sys.path.insert(0, ".")
        from tests.infra.recording import run_program
        run_program("prod", preview=True)
        names = ("network", "monitor", "consumption")
        used = [name for name in names if f"pulumi_azure_native.{name}._inputs" in sys.modules]
        print(used, "pulumi_docker" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] False"


def test_the_main_module_is_a_contents_page() -> None:
    source = (ROOT / "__main__.py").read_text()
    tree = ast.parse(source)
    assert len(source.splitlines()) <= 70
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.While | ast.If | ast.FunctionDef)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]


def plan(stack: str, **values: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """What a program with these settings registers: names, types and inputs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(login, "exchange", lambda server, token: REFRESH_TOKEN)
        run = run_program(stack, config=stack_config(stack) | values)
    return sorted(((item.name, item.type, item.inputs) for item in run.resources), key=lambda one: one[:2])


@pytest.mark.parametrize(
    ("key", "spellings"),
    [
        ("location", ("westeurope", "West Europe", "WestEurope", "WESTEUROPE", " west europe ")),
        ("vm_size", ("Standard_D2ads_v5", "standard_d2ads_v5", "STANDARD_D2ADS_V5", "Standard_d2ADS_V5")),
        ("vm_size", ("Standard_NC24ads_A100_v4", "standard_nc24ads_a100_v4")),
        ("pools", ("gpu", "GPU", "Gpu")),
        ("base_image", tuple(f"python@sha256:{digits}" for digits in ("ab" * 32, "AB" * 32, "aB" * 32))),
        ("submitters", ("0a0b0c0d-0000-4000-8000-00000000abcd", "0A0B0C0D-0000-4000-8000-00000000ABCD")),
    ],
)
def test_spellings_that_azure_takes_for_one_are_one_plan(key: str, spellings: tuple[str, ...]) -> None:
    """No name changes and nothing is replaced: every resource's inputs are the same."""

    def with_spelling(text: str) -> dict[str, Any]:
        config = stack_config("dev")
        if key == "vm_size":
            return {"pools": {"default": config["pools"]["default"] | {key: text}}}
        if key == "pools":
            return {key: {text: config["pools"]["default"]}}
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
