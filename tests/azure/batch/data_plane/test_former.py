"""Bodies of api-versions before 2025-06-01."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from local.azure.batch import errors
from local.azure.batch.data_plane.former import without_former
from testbeds.batch_service import SUBMITTER, LocalBatch, TokenOf

OLD, NEW = "2024-07-01.20.0", "2025-06-01"


def test_what_changes_nothing_is_dropped_and_only_from_earlier_versions() -> None:
    disk = {"lun": 0, "diskSizeGB": 10, "storageAccountType": "standard_lrs"}
    body: dict[str, Any] = {
        "certificateReferences": [], "metadata": [{"name": "a", "value": "b"}], "resourceTags": {"a": "b"},
        "targetNodeCommunicationMode": "simplified", "virtualMachineConfiguration": {"dataDisks": [disk]},
    }  # fmt: skip
    moved = {"lun": 0, "diskSizeGB": 10, "managedDisk": {"storageAccountType": "standard_lrs"}}
    assert without_former(body, OLD) == {
        "metadata": body["metadata"], "virtualMachineConfiguration": {"dataDisks": [moved]},
    }  # fmt: skip
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
            f"{azure.endpoint()}/pools/pool/updateproperties", params={"api-version": version}, json=body,
            headers={"Authorization": f"Bearer {token}"},
        ).status_code  # fmt: skip

    assert (update(OLD), update(NEW)) == (204, 400)
