"""Bodies of api-versions before 2025-06-01, and answers to them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from azure.core.rest import HttpRequest

from local.azure.batch import errors
from local.azure.batch.data_plane.former import encode_known, without_former
from testbeds.batch_service import SUBMITTER, LocalBatch, TokenOf
from tests.azure.batch.sdk import make_job

OLD, NEW = "2024-07-01.20.0", "2025-06-01"


def test_what_changes_nothing_is_dropped_and_only_from_earlier_versions() -> None:
    disk = {"lun": 0, "diskSizeGB": 10, "storageAccountType": "standard_lrs"}
    body: dict[str, Any] = {
        "certificateReferences": [],
        "metadata": [{"name": "a", "value": "b"}],
        "resourceTags": {"a": "b"},
        "targetNodeCommunicationMode": "simplified",
        "virtualMachineConfiguration": {"dataDisks": [disk]},
    }
    moved = {"lun": 0, "diskSizeGB": 10, "managedDisk": {"storageAccountType": "standard_lrs"}}
    assert without_former(body, OLD) == {
        "metadata": body["metadata"],
        "virtualMachineConfiguration": {"dataDisks": [moved]},
    }
    assert without_former(body, NEW) == body


@pytest.mark.parametrize(
    "body",
    [
        {"certificateReferences": [{"thumbprint": "a"}]},
        {"autoPoolSpecification": {"pool": {"applicationLicenses": ["x"]}}},
        {"targetNodeCommunicationMode": "loud"},
        {"resourceTags": ["a"]},
    ],
)
def test_what_asked_for_something_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidPropertyValue):
        without_former(body, OLD)


def test_a_client_of_an_earlier_version_replaces_a_pools_properties(azure: LocalBatch) -> None:
    azure.pool(nodes=0)
    token = TokenOf(azure.cloud, SUBMITTER).get_token().token
    session = requests.Session()
    session.trust_env, session.verify = False, str(azure.paths.ca)
    body = {"certificateReferences": [], "applicationPackageReferences": [], "metadata": []}

    def update(version: str) -> int:
        return session.post(
            f"{azure.endpoint()}/pools/pool/updateproperties",
            params={"api-version": version},
            json=body,
            headers={"Authorization": f"Bearer {token}"},
        ).status_code

    assert (update(OLD), update(NEW)) == (204, 400)


DEFINITION = {
    "taskSchedulingPolicy": {"nodeFillType": "Spread", "jobDefaultOrder": "creationtime"},
    "upgradePolicy": {"mode": "manual"},
    "virtualMachineConfiguration": {
        "imageReference": {"offer": "ubuntu-hpc"},
        "securityProfile": {"encryptionAtHost": True, "proxyAgentSettings": {"enabled": True}},
        "dataDisks": [{"lun": 0, "managedDisk": {"storageAccountType": "premium_lrs", "securityProfile": {}}}],
        "containerConfiguration": {"type": "dockerCompatible", "containerImageNames": ["upgradePolicy"]},
    },
    "allowTaskPreemption": False,
    "authenticationTokenSettings": {"access": ["job"]},
}


def gone(body: Any, version: str) -> set[str]:
    """The paths that an answer of a version has not."""

    def paths(value: Any, path: str = "") -> set[str]:
        if isinstance(value, list):
            return {one for item in value for one in paths(item, path)}
        if not isinstance(value, dict):
            return set()
        return {one for name, item in value.items() for one in {f"{path}{name}", *paths(item, f"{path}{name}.")}}

    return paths(body) - paths(json.loads(encode_known(body, version)))


@pytest.mark.parametrize(
    ("version", "leaves"),
    [
        ("2025-06-01", {"authenticationTokenSettings"}),
        (
            "2024-07-01.20.0",
            {
                "taskSchedulingPolicy.jobDefaultOrder",
                "virtualMachineConfiguration.securityProfile.proxyAgentSettings",
            },
        ),
        ("2024-02-01.19.0", {"virtualMachineConfiguration.dataDisks.managedDisk.securityProfile"}),
        ("2023-11-01.18.0", {"upgradePolicy"}),
        ("2023-05-01.17.0", {"virtualMachineConfiguration.securityProfile"}),
        ("2022-10-01.16.0", {"virtualMachineConfiguration.containerConfiguration.type"}),
        ("2021-06-01.14.0", {"allowTaskPreemption"}),
    ],
)
def test_an_answer_has_nothing_that_its_version_does_not_know(version: str, leaves: set[str]) -> None:
    """Each version leaves out what it does not know, and what the versions after it do not."""
    assert leaves <= gone(DEFINITION, version)
    assert not leaves & gone(DEFINITION, "2026-01-01") or version == "2025-06-01"
    assert json.loads(encode_known(DEFINITION, version))["virtualMachineConfiguration"]["imageReference"]


def test_an_answer_on_the_wire_is_as_its_version_knows_it(azure: LocalBatch) -> None:
    azure.pool(nodes=0)
    make_job(azure.client())

    def job(version: str) -> dict[str, Any]:
        address = f"{azure.endpoint()}/jobs/job?api-version={version}"
        return azure.client().send_request(HttpRequest("GET", address)).json()

    assert "allowTaskPreemption" in job("2022-01-01.15.0") and "allowTaskPreemption" not in job("2021-06-01.14.0")
