"""Who may do what: role assignments of the platform's identities, of people and of pipelines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from infra.access.roles import Role
from tests.infra.recording import (
    DEPLOYER,
    SUBMITTERS,
    Run,
    assignments,
    ids_of_ours,
    run_program,
    waits_for,
)

Program = Callable[..., Run]
ACCOUNT_PRINCIPAL = "principal-of-id-abp-dev-account"
NODE_PRINCIPAL = "principal-of-id-abp-dev-node"
GROUP = f"{SUBMITTERS}555555555555"


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


def test_without_auto_storage_the_account_has_no_link_no_identity_and_no_role(program: Program) -> None:
    run = program("full")
    assert "autoStorage" not in run.only("batch:BatchAccount").inputs
    assert run.only("batch:BatchAccount").inputs["identity"] == {"type": "None"}
    assert "identity-account" not in ids_of_ours(run)
    assert not [item for item in run.of_type(":RoleAssignment") if item.name.startswith("account-access")]
