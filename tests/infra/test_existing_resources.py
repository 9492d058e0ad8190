"""What a stack file names by id is used and never made, and spellings that are one for Azure are one plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.access.roles import Role
from infra.worker_image import login
from tests.infra.recording import (
    BROUGHT,
    REFRESH_TOKEN,
    Run,
    assignments,
    ids_of_ours,
    run_program,
    stack_config,
)

Program = Callable[..., Run]


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
