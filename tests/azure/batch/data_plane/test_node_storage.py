"""What nodes are told of storage accounts: mounts, containers of auto-storage; and what a body may say of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local.azure.batch.data_plane.checks import check_mounts
from local.azure.batch.errors import BatchError
from local.azure.batch.model import Pool
from local.azure.batch.model.pool import take_secrets
from local.azure.control_plane.resources import Resource
from testbeds.batch_service import LocalBatch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BLOB = "azureBlobFileSystemConfiguration"
KEY = "a2V5"


class StorageView:
    """What the blob service shows of an account."""

    def view(self, resource: Resource) -> dict[str, Any]:
        return {"primaryEndpoints": {"blob": f"https://blobs/{resource.name}/"}}


@pytest.fixture
def batch(azure: LocalBatch) -> LocalBatch:
    """With a storage account `stmine` and an identity `who`."""
    accounts = "Microsoft.Storage/storageAccounts"
    azure.cloud.types.register(accounts, StorageView())  # type: ignore[arg-type]
    scope = f"{azure.cloud.subscription_scope}/resourceGroups/g/providers"
    storage = f"{scope}/{accounts}/stmine"
    azure.cloud.resources.put(Resource(id=storage, type=accounts, name="stmine", system={"keys": [KEY, KEY]}))
    identities = "Microsoft.ManagedIdentity/userAssignedIdentities"
    system = {"clientId": "client", "principalId": "principal"}
    azure.cloud.resources.put(Resource(id=f"{scope}/{identities}/who", type=identities, name="who", system=system))
    return azure


def mounts(batch: LocalBatch, *given: dict[str, Any], identities: tuple[str, ...] = ()) -> list[Any]:
    """What the nodes of a pool with these mounts are told."""
    body = {
        "mountConfiguration": list(given),
        "virtualMachineConfiguration": {},
        "identity": {"userAssignedIdentities": [{"resourceId": one} for one in identities]},
    }
    shown, secrets = take_secrets(body)
    assert "a2V5" not in str(shown) and "hush" not in str(shown)
    pool = Pool(
        id="p",
        body=shown,
        secrets=secrets,
        number=1,
        created=NOW,
        state_since=NOW,
        changed=NOW,
        allocation_since=NOW,
    )
    account = batch.service.accounts.account("mybatch")
    assert account is not None
    return list(account.storage.mounts(pool))


def blob(**credential: Any) -> dict[str, Any]:
    return {BLOB: {"accountName": "stmine", "containerName": "data", "relativeMountPath": "in", **credential}}


def identity_of(batch: LocalBatch) -> str:
    (found,) = batch.cloud.resources.list("Microsoft.ManagedIdentity/userAssignedIdentities")
    return found.id


def test_a_container_is_mounted_by_the_key_that_the_pool_was_given(batch: LocalBatch) -> None:
    (one,) = mounts(batch, blob(accountKey=KEY, blobfuseOptions="-o allow_other"))
    assert (one.kind, one.path, one.container, one.options) == ("blobfuse", "in", "data", "-o allow_other")
    assert one.url.startswith("https://blobs/stmine/data?") and one.refusal == ""
    query = parse_qs(urlsplit(one.url).query)
    assert query["sr"] == ["c"] and query["sp"] == ["racwdl"] and "skoid" not in query


def test_a_container_is_mounted_by_the_signature_that_the_pool_was_given(batch: LocalBatch) -> None:
    (one,) = mounts(batch, blob(sasKey="?sv=1&sig=hush"))
    assert one.url == "https://blobs/stmine/data?sv=1&sig=hush" and "hush" not in repr(one)


def test_a_container_is_mounted_in_the_name_of_an_identity_of_the_pool(batch: LocalBatch) -> None:
    who = identity_of(batch)
    (one,) = mounts(batch, blob(identityReference={"resourceId": who}), identities=(who,))
    assert parse_qs(urlsplit(one.url).query)["skoid"] == ["principal"]
    (other,) = mounts(batch, blob(identityReference={"resourceId": who}))
    assert other.url == "" and "not one of the pool's" in other.refusal


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({BLOB: {**blob(accountKey=KEY)[BLOB], "accountName": "strange"}}, "storage account is not in the local Azure"),
        ({"nfsMountConfiguration": {"source": "s:/x", "relativeMountPath": "in"}}, "no nfs file system"),
        (
            {"cifsMountConfiguration": {"relativeMountPath": "in", "password": "hush", "username": "u", "source": "s"}},
            "no cifs file system",
        ),
        (
            {"azureFileShareConfiguration": {"relativeMountPath": "in", "accountKey": "hush", "accountName": "a"}},
            "no fshare file system",
        ),
    ],
    ids=["account", "nfs", "cifs", "share"],
)
def test_what_local_nodes_cannot_mount_says_why(batch: LocalBatch, given: dict[str, Any], reason: str) -> None:
    (one,) = mounts(batch, given)
    assert one.url == "" and reason in one.refusal


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ([blob(accountKey=KEY)] * 11, "mountConfiguration"),
        ([{**blob(accountKey=KEY), "nfsMountConfiguration": {"relativeMountPath": "n"}}], "mountConfiguration[0]"),
        ([{}], "mountConfiguration[0]"),
        ([blob()], "mountConfiguration[0]"),
        ([blob(accountKey=KEY, sasKey="s")], "mountConfiguration[0]"),
        ([blob(accountKey=KEY, relativeMountPath="../up")], "mountConfiguration[0].relativeMountPath"),
        ([blob(accountKey=KEY, relativeMountPath="/abs")], "mountConfiguration[0].relativeMountPath"),
    ],
    ids=["eleven", "two-kinds", "none", "no-credential", "two-credentials", "above", "absolute"],
)
def test_a_mount_that_cannot_be_meant_is_refused(given: list[dict[str, Any]], where: str) -> None:
    check_mounts({"mountConfiguration": [blob(accountKey=KEY), blob(sasKey="s")]})
    with pytest.raises(BatchError) as caught:
        check_mounts({"mountConfiguration": given})
    assert where in str(caught.value.details)
