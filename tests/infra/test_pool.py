"""The pool: its replacing properties, its hashed name and its options are one table seen from three sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from infra import naming, pool, registry_login
from tests.infra.recording import PASSWORDS, Registered, Run, run_program, stack_config

Program = Callable[..., Run]
PATH = {"accountName", "resourceGroupName", "poolName"}
CHANGES: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "vmSize": lambda config: config["pool"].update(vm_size="Standard_D8ads_v5"),
    "taskSlotsPerNode": lambda config: config["pool"].update(task_slots_per_node=1),
    "userAccounts": lambda config: config.update(adminPassword="another-password-for-tests"),
    "deploymentConfiguration": lambda config: config["pool"].update(prefetch_worker_image=True),
}
IN_PLACE: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "scaleSettings": lambda config: config["pool"].update(dedicated_nodes=7),
    "another job family": lambda config: config["families"].append("more"),
    "another base image": lambda config: config["worker"].update(base_image="python:3.13-slim-bookworm"),
    "another database": lambda config: config["sql"].update(database="other"),
}


@pytest.fixture
def dev_pool(program: Program) -> Registered:
    return program("dev").only("batch:Pool")


def pool_after(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], None]) -> Registered:
    """The dev pool after a change of the stack's config."""
    monkeypatch.setattr(registry_login, "exchange", lambda server, token: "token")
    config = stack_config("dev")
    change(config)
    return run_program("dev", config=config).only("batch:Pool")


def test_every_input_is_either_fixed_or_updated_in_place_or_in_the_path(dev_pool: Registered) -> None:
    assert set(dev_pool.inputs) == set(pool.FIXED) | PATH | {"scaleSettings"}


def test_replacement_is_new_first_and_for_exactly_the_table(dev_pool: Registered) -> None:
    assert dev_pool.delete_before_replace is False
    assert sorted(dev_pool.replace_on_changes) == sorted(pool.FIXED)
    assert dev_pool.ignore_changes == []


def test_the_hash_covers_exactly_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    covered: list[set[str]] = []
    real = naming.pool
    monkeypatch.setattr(naming, "pool", lambda name, fixed: (covered.append(set(fixed)), real(name, fixed))[1])
    pool_after(monkeypatch, lambda config: None)
    assert covered == [set(pool.FIXED)]


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_a_fixed_property_makes_a_new_name(
    monkeypatch: pytest.MonkeyPatch, dev_pool: Registered, what: str
) -> None:
    new = pool_after(monkeypatch, CHANGES[what])
    assert new.inputs[what] != dev_pool.inputs[what]
    assert new.inputs["poolName"] != dev_pool.inputs["poolName"]


def test_a_changed_start_task_makes_a_new_name(monkeypatch: pytest.MonkeyPatch, dev_pool: Registered) -> None:
    monkeypatch.setattr(pool.start_task, "command_line", lambda admin: "/bin/sh -c 'true'")
    new = pool_after(monkeypatch, lambda config: None)
    assert new.inputs["poolName"] != dev_pool.inputs["poolName"]


@pytest.mark.parametrize("what", IN_PLACE)
def test_other_changes_keep_the_name(monkeypatch: pytest.MonkeyPatch, dev_pool: Registered, what: str) -> None:
    assert pool_after(monkeypatch, IN_PLACE[what]).inputs["poolName"] == dev_pool.inputs["poolName"]


def test_the_worker_image_is_in_the_pool_only_with_prefetch_and_then_by_digest(program: Program) -> None:
    def images(run: Run) -> list[str] | None:
        machine = run.only("batch:Pool").inputs["deploymentConfiguration"]["virtualMachineConfiguration"]
        return machine["containerConfiguration"].get("containerImageNames")

    assert images(program("dev")) is None
    assert images(program("prod")) == [program("prod").outputs["worker_image"]]
    assert "@sha256:" in program("prod").outputs["worker_image"]


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


def test_the_start_task_runs_as_root_before_any_task(dev_pool: Registered) -> None:
    start = dev_pool.inputs["startTask"]
    assert start["userIdentity"] == {"autoUser": {"scope": "Pool", "elevationLevel": "Admin"}}
    assert start["waitForSuccess"] is True
    assert start["commandLine"].endswith("start-task batchadmin")


def test_the_accounts_are_one_admin_and_one_not_with_secret_passwords(dev_pool: Registered) -> None:
    accounts = {item["name"]: (item["elevationLevel"], item["password"]) for item in dev_pool.inputs["userAccounts"]}
    assert accounts == {
        "batchadmin": ("Admin", PASSWORDS["adminPassword"]),
        "batchuser": ("NonAdmin", PASSWORDS["userPassword"]),
    }
    assert dev_pool.secret_inputs == {"userAccounts"}


def test_the_size_is_fixed_and_shrinks_only_when_tasks_are_done(program: Program) -> None:
    assert program("prod").only("batch:Pool").inputs["scaleSettings"] == {
        "fixedScale": {
            "targetDedicatedNodes": 4,
            "targetLowPriorityNodes": 4,
            "resizeTimeout": "PT15M",
            "nodeDeallocationOption": "TaskCompletion",
        }
    }
