"""The pool: its replacing properties, its hashed name and its options are one table seen from three sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from infra import naming, start_task
from infra.pools.properties import FIXED
from infra.worker_image import image
from local.plugins.azure_native.provider import AzureNative
from local.plugins.azure_native.resources import TYPES
from local.plugins.azure_native.translate import translate
from local.plugins.protocol.log import EngineLog
from local.plugins.protocol.provider import Naming, Target
from tests.infra.recording import PASSWORDS, SUBSCRIPTION, Registered, Run, run_program, stack_config

Program = Callable[..., Run]
PATH = {"accountName", "resourceGroupName", "poolName"}


def pools(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["pools"]["default"].update(changes)


CHANGES: Mapping[str, list[Callable[[dict[str, Any]], None]]] = {
    "vmSize": [pools(vm_size="Standard_D8ads_v5")],
    "taskSlotsPerNode": [pools(task_slots_per_node=1)],
    "taskSchedulingPolicy": [pools(fill="pack")],
    "userAccounts": [
        lambda config: config.update(adminPassword="another-password-for-tests"),
        lambda config: config.update(userPassword="another-password-for-tests"),
        lambda config: config.update(users={"admin_name": "operator"}),
    ],
    "deploymentConfiguration": [
        pools(prefetch_worker_image=True),
        pools(node_image={"sku": "2204"}),
        pools(node_image={"version": "24.04.2026092501"}),
    ],
    "networkConfiguration": [
        pools(ssh_from=["203.0.113.0/24"]),
        lambda config: config.update(network={"subnet_id": SUBNET}),
        lambda config: config.update(network={"subnet_id": SUBNET, "public_ips": False}),
    ],
    "startTask": [pools(start_steps={"jq": "apt-get install -y jq"})],
}
IN_PLACE: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "scaleSettings": pools(scale={"fixed": {"dedicated_nodes": 7}}),
    "another scenario": pools(scale={"pending_tasks": {"max_nodes": 7}}),
    "another job family": lambda config: config["families"].append("more"),
    "another base image": lambda config: config["worker"].update(base_image="python:3.13-slim-bookworm"),
    "another database": lambda config: config["sql"].update(database="other"),
    "another pool": lambda config: config["pools"].update(other=config["pools"]["default"]),
    "another submitter": lambda config: config["submitters"].clear(),
}
SUBNET = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/hub/subnets/batch"
)


@pytest.fixture
def prod_pool(program: Program) -> Registered:
    return program("prod").only("batch:Pool")


def pool_after(change: Callable[[dict[str, Any]], None]) -> Registered:
    """The prod stack's default pool after a change of its config, built from source."""
    config = stack_config("prod") | {"worker": {"base_image": "python:3.12-slim-bookworm"}}
    change(config)
    return run_program("prod", config=config, preview=True).named_like("default-")


@pytest.fixture(scope="module")
def unchanged() -> Registered:
    return pool_after(lambda config: None)


def test_every_input_is_either_fixed_or_updated_in_place_or_in_the_path() -> None:
    change = pools(ssh_from=["203.0.113.0/24"])
    assert set(pool_after(change).inputs) == set(FIXED) | PATH | {"scaleSettings"}


def test_what_is_in_the_hash_is_never_changed_in_place(prod_pool: Registered) -> None:
    assert sorted(prod_pool.ignore_changes) == sorted(FIXED)
    assert prod_pool.replace_on_changes == []


def test_another_rest_version_of_the_plugin_plans_no_change_of_a_pool(
    monkeypatch: pytest.MonkeyPatch, prod_pool: Registered
) -> None:
    provider, target = AzureNative(EngineLog()), Target(prod_pool.urn, prod_pool.type, prod_pool.name)
    before, _ = provider.check(target, {}, prod_pool.inputs, Naming(b""))
    newer = replace(TYPES[prod_pool.type], api_version="2025-06-01")
    monkeypatch.setitem(cast("dict[str, Any]", TYPES), prod_pool.type, newer)
    after, _ = provider.check(target, before, prod_pool.inputs, Naming(b""))
    assert translate(prod_pool.type, after, SUBSCRIPTION).api_version == "2025-06-01"
    assert provider.diff(target, before, after).changes == {}


def test_the_hash_covers_exactly_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    covered: list[set[str]] = []
    real = naming.generation
    monkeypatch.setattr(naming, "generation", lambda fixed: (covered.append(set(fixed)), real(fixed))[1])
    pool_after(pools(ssh_from=["203.0.113.0/24"]))
    assert covered == [set(FIXED)]


@pytest.mark.parametrize(("what", "change"), [(what, one) for what, all_of in CHANGES.items() for one in all_of])
def test_a_change_of_a_fixed_property_makes_a_new_name(
    unchanged: Registered, what: str, change: Callable[[dict[str, Any]], None]
) -> None:
    new = pool_after(change)
    assert new.inputs.get(what) != unchanged.inputs.get(what)
    assert new.inputs["poolName"] != unchanged.inputs["poolName"]
    assert new.name == new.inputs["poolName"]


def test_a_changed_start_task_makes_a_new_name(monkeypatch: pytest.MonkeyPatch, unchanged: Registered) -> None:
    monkeypatch.setattr(start_task, "command_line", lambda steps, admin: "/bin/sh -c 'true'")
    assert pool_after(lambda config: None).inputs["poolName"] != unchanged.inputs["poolName"]


def test_a_prefetched_image_makes_a_new_name_when_its_source_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    for tree in ("1" * 40, "2" * 40):
        monkeypatch.setattr(image, "tree_id", lambda folder, tree=tree: tree)
        names.append(pool_after(pools(prefetch_worker_image=True)).inputs["poolName"])
    assert len(set(names)) == 2


@pytest.mark.parametrize("what", IN_PLACE)
def test_other_changes_keep_the_name(unchanged: Registered, what: str) -> None:
    assert pool_after(IN_PLACE[what]).inputs["poolName"] == unchanged.inputs["poolName"]


def test_the_order_of_networks_is_no_change() -> None:
    ways = [["203.0.113.0/24", "198.51.100.7"], ["198.51.100.7/32", "203.0.113.0/24"]]
    one, other = (pool_after(pools(ssh_from=networks)).inputs["poolName"] for networks in ways)
    assert one == other


def test_two_passwords_cost_two_slow_fingerprints_however_many_pools_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = naming.hashlib.scrypt
    naming.fingerprint.cache_clear()
    monkeypatch.setattr(naming.hashlib, "scrypt", lambda *args, **options: (made.append(1), real(*args, **options))[1])
    pool_after(lambda config: config["pools"].update(other=config["pools"]["default"]))
    assert len(made) == 2


def test_the_name_is_known_in_the_first_preview_of_a_new_stack(program: Program) -> None:
    assert program("dev", preview=True).only("batch:Pool").inputs["poolName"].startswith("default-")


def test_the_worker_image_is_in_the_pool_only_with_prefetch_and_then_by_digest(program: Program) -> None:
    def images(run: Run) -> list[str] | None:
        machine = run.named_like("default-").inputs["deploymentConfiguration"]["virtualMachineConfiguration"]
        return machine["containerConfiguration"].get("containerImageNames")

    assert images(program("prod")) is None
    assert images(program("full")) == [program("full").outputs["worker_image"]]
    assert "@sha256:" in program("full").outputs["worker_image"]


def test_ssh_is_open_to_the_named_networks_and_closed_to_the_rest(program: Program) -> None:
    (nat,) = (
        program("full")
        .named_like("default-")
        .inputs["networkConfiguration"]["endpointConfiguration"]["inboundNatPools"]
    )
    assert (nat["protocol"], nat["backendPort"]) == ("TCP", 22)
    assert [(rule["access"], rule["sourceAddressPrefix"]) for rule in nat["networkSecurityGroupRules"]] == [
        ("Allow", "198.51.100.7/32"),
        ("Allow", "203.0.113.0/24"),
        ("Deny", "*"),
    ]
    priorities = [rule["priority"] for rule in nat["networkSecurityGroupRules"]]
    assert priorities == sorted(set(priorities))
    assert min(priorities) >= 150


def test_without_ssh_from_no_port_is_opened(program: Program) -> None:
    assert "networkConfiguration" not in program("dev").only("batch:Pool").inputs


def test_each_pool_has_its_own_machine_slots_scale_and_fill(program: Program) -> None:
    run = program("full")
    found = {
        pool.name.rpartition("-")[0]: (
            pool.inputs["vmSize"],
            pool.inputs["taskSlotsPerNode"],
            pool.inputs["taskSchedulingPolicy"]["nodeFillType"],
            pool.inputs["deploymentConfiguration"]["virtualMachineConfiguration"]["nodeAgentSkuId"],
        )
        for pool in run.of_type("batch:Pool")
    }
    assert found == {
        "default": ("Standard_D2ads_v5", 2, "Spread", "batch.node.ubuntu 24.04"),
        "large": ("Standard_D16ads_v5", 16, "Pack", "batch.node.ubuntu 22.04"),
        "office": ("Standard_D4ads_v5", 1, "Spread", "batch.node.ubuntu 24.04"),
        "nightless": ("Standard_D4ads_v5", 4, "Spread", "batch.node.ubuntu 24.04"),
    }
    assert {name: pool["id"] for name, pool in run.outputs["pools"].items()} == {
        pool.name.rpartition("-")[0]: pool.inputs["poolName"] for pool in run.of_type("batch:Pool")
    }


def test_the_start_task_runs_as_root_before_any_task(prod_pool: Registered) -> None:
    start = prod_pool.inputs["startTask"]
    assert start["userIdentity"] == {"autoUser": {"scope": "Pool", "elevationLevel": "Admin"}}
    assert start["waitForSuccess"] is True
    assert start["commandLine"].endswith("start-task batchadmin")
    assert [item["name"] for item in start["environmentSettings"]] == [
        "step_begin",
        "step_docker",
        "step_admin",
        "step_done",
    ]


def test_a_stack_without_users_has_no_account_no_password_and_no_step_for_them(program: Program) -> None:
    run = program("dev")
    inputs = run.only("batch:Pool").inputs
    assert "userAccounts" not in inputs
    assert run.only("batch:Pool").secret_inputs == set()
    assert [item["name"] for item in inputs["startTask"]["environmentSettings"]] == [
        "step_begin",
        "step_docker",
        "step_done",
    ]
    assert inputs["startTask"]["commandLine"].endswith(" start-task")


def test_the_accounts_are_one_admin_and_one_not_with_secret_passwords(prod_pool: Registered) -> None:
    accounts = {item["name"]: (item["elevationLevel"], item["password"]) for item in prod_pool.inputs["userAccounts"]}
    assert accounts == {
        "batchadmin": ("Admin", PASSWORDS["adminPassword"]),
        "batchuser": ("NonAdmin", PASSWORDS["userPassword"]),
    }
    assert prod_pool.secret_inputs == {"userAccounts"}


def test_nodes_pull_as_the_node_identity_without_any_password(program: Program) -> None:
    run = program("dev")
    inputs = run.only("batch:Pool").inputs
    machine = inputs["deploymentConfiguration"]["virtualMachineConfiguration"]
    (registry,) = machine["containerConfiguration"]["containerRegistries"]
    node = run.outputs["worker_identity"]["resource_id"]
    assert registry == {"registryServer": run.outputs["registry_server"], "identityReference": {"resourceId": node}}
    assert inputs["identity"] == {"type": "UserAssigned", "userAssignedIdentities": [node]}
    assert machine["imageReference"] == {
        "publisher": "microsoft-dsvm",
        "offer": "ubuntu-hpc",
        "sku": "2404",
        "version": "latest",
    }
    assert machine["nodeAgentSkuId"] == "batch.node.ubuntu 24.04"


def test_the_size_is_fixed_and_shrinks_only_when_tasks_are_done(program: Program) -> None:
    assert program("dev").only("batch:Pool").inputs["scaleSettings"] == {
        "fixedScale": {
            "targetDedicatedNodes": 2,
            "targetLowPriorityNodes": 0,
            "resizeTimeout": "PT15M",
            "nodeDeallocationOption": "TaskCompletion",
        }
    }
