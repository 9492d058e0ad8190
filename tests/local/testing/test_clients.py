"""The pytest fixture `local_azure`, and the clients that docs/clients.md points at it."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError
from azure.mgmt.batch import BatchManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.storage.blob import BlobClient, ContainerClient, ContainerSasPermissions, generate_container_sas

from local.testing.azure import BatchAccount, LocalAzure

ROOT = Path(__file__).resolve().parents[3]
READY_SECONDS = 2.0


def run_a_job(account: BatchAccount) -> list[str | None]:
    account.pool()
    with account.batch_client() as batch:
        batch.create_job(models.BatchJobCreateOptions(id="job", pool_info=models.BatchPoolInfo(pool_id="pool")))
        tasks = [models.BatchTaskCreateOptions(id=f"t{number}", command_line="hostname") for number in range(3)]
        batch.create_tasks("job", tasks)
        for _ in range(200):
            states = [task.state for task in batch.list_tasks("job")]
            if set(states) == {"completed"}:
                break
            time.sleep(0.01)
        return [task.id for task in batch.list_tasks("job") if task.state == "completed"]


def test_each_test_has_an_account_of_its_own(local_azure: BatchAccount, local_azure_cloud: LocalAzure) -> None:
    assert run_a_job(local_azure) == ["t0", "t1", "t2"]
    with local_azure_cloud.account() as other, other.batch_client() as batch:
        assert list(batch.list_jobs()) == [] and other.url != local_azure.url


def test_an_account_goes_with_its_test(local_azure_cloud: LocalAzure) -> None:
    with local_azure_cloud.account("gone") as account:
        accounts = account.management_client(BatchManagementClient).batch_account
        assert [one.name for one in accounts.list()] == ["gone"]
    assert not [one for one in local_azure_cloud.cloud.resources.list() if "gone" in one.id.lower()]


def test_the_fixture_is_ready_soon() -> None:
    """Processor time from the first import to a client's first answer, which other work on the machine does not change
    much; the time on an idle machine is in docs/clients.md."""
    program = (
        "import time\n"
        "from local.testing.azure import LocalAzure\n"
        "with LocalAzure() as azure, azure.account() as account:\n"
        "    account.key\n"
        "    print(time.process_time())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)
    assert float(done.stdout) < READY_SECONDS * 2


def upload(url: str, content: bytes, ca: str) -> None:
    with BlobClient.from_blob_url(url, connection_verify=ca) as blob:
        blob.upload_blob(content, overwrite=True)


@pytest.mark.parametrize("by_identity", [False, True], ids=["keys", "identity"])
def test_an_application_package_is_uploaded_activated_and_used(local_azure: BatchAccount, by_identity: bool) -> None:
    storage = local_azure.storage_account()
    if by_identity:
        _link_by_identity(local_azure, storage)
    client = local_azure.management_client(BatchManagementClient)
    where = (local_azure.resource_group, local_azure.name)
    made = client.application.create(*where, "My_App")
    assert (made.name, made.allow_updates, made.default_version) == ("My_App", True, None)
    package = client.application_package.create(*where, "My_App", "1.0")
    assert (package.state, package.format) == ("Pending", None) and "sp=rw" in package.storage_url
    assert f"/{storage}/app-my-app-" in package.storage_url
    with pytest.raises(HttpResponseError) as early:
        client.application_package.activate(*where, "My_App", "1.0", {"format": "zip"})
    assert early.value.error is not None and early.value.error.code == "ApplicationPackageNotUploaded"
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("run.sh", "echo")
    upload(package.storage_url, content.getvalue(), local_azure.ca)
    active = client.application_package.activate(*where, "My_App", "1.0", {"format": "zip"})
    assert (active.state, active.format) == ("Active", "zip") and active.last_activation_time is not None
    shown = client.application_package.get(*where, "My_App", "1.0")
    assert "sp=r&" in shown.storage_url + "&"
    client.application.update(*where, "My_App", {"allow_updates": False, "default_version": "1.0"})
    with pytest.raises(HttpResponseError) as fixed:
        client.application_package.create(*where, "My_App", "1.0")
    assert fixed.value.error is not None and fixed.value.error.code == "ApplicationUpdatesNotAllowed"
    with local_azure.batch_client() as batch:
        assert [(one.id, one.versions) for one in batch.list_applications()] == [("My_App", ["1.0"])]
        _pool_with(local_azure, "packaged", made.id)
        assert batch.get_pool("packaged").application_package_references
    client.application_package.delete(*where, "My_App", "1.0")
    client.application.delete(*where, "My_App")
    assert list(client.application.list(*where)) == []


def _pool_with(account: BatchAccount, name: str, application: str) -> None:
    account.pool(name, 0, applicationPackages=[{"id": application}])
    with pytest.raises(RuntimeError, match="InvalidApplicationPackageReferences"):
        account.pool("other", 0, applicationPackages=[{"id": application, "version": "2.0"}])


def _link_by_identity(account: BatchAccount, storage: str) -> None:
    """As a program does it: the account's own identity, with a role on the storage account."""
    version, path = "2024-07-01", f"{account.group_id}/providers/Microsoft.Storage/storageAccounts/{storage}"
    body: dict[str, Any] = {"identity": {"type": "SystemAssigned"}}
    shown = account.azure.arm("PATCH", account.id, version, body)
    role = f"{account.azure.cloud.subscription_scope}/providers/Microsoft.Authorization/roleDefinitions"
    properties = {
        "roleDefinitionId": f"{role}/ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "principalId": shown["identity"]["principalId"], "principalType": "ServicePrincipal",
    }  # fmt: skip
    name = f"{path}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000001"
    account.azure.arm("PUT", name, "2022-04-01", {"properties": properties})
    linked = {"storageAccountId": path, "authenticationMode": "BatchAccountManagedIdentity"}
    account.azure.arm("PATCH", account.id, version, {"properties": {"autoStorage": linked}})
    account.management_client(StorageManagementClient).storage_accounts.update(
        account.resource_group, storage, {"properties": {"allowSharedKeyAccess": False}}
    )


def test_the_environment_points_azure_identity_here(
    local_azure: BatchAccount, local_azure_cloud: LocalAzure, monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.identity import EnvironmentCredential

    for name, value in local_azure_cloud.environment().items():
        monkeypatch.setenv(name, value)
    credential = EnvironmentCredential(disable_instance_discovery=True)
    token = credential.get_token("https://batch.core.windows.net/.default").token
    request = urllib.request.Request(f"{local_azure.url}/jobs?api-version=2025-06-01")
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def test_a_nodes_log_is_uploaded_to_the_container_that_a_client_names(local_azure: BatchAccount) -> None:
    name = local_azure.storage_account()
    local_azure.pool(nodes=1)
    storage = local_azure.management_client(StorageManagementClient)
    storage.blob_containers.create(local_azure.resource_group, name, "logs", {})
    key = storage.storage_accounts.list_keys(local_azure.resource_group, name).keys_property[0].value
    properties = storage.storage_accounts.get_properties(local_azure.resource_group, name)
    until = datetime.now(UTC) + timedelta(hours=1)
    allowed = ContainerSasPermissions(read=True, write=True, list=True)
    signed = generate_container_sas(name, "logs", account_key=key, permission=allowed, expiry=until)
    url = f"{properties.properties.primary_endpoints.blob}logs?{signed}"
    with local_azure.batch_client() as batch:
        (node,) = batch.list_nodes("pool")
        options = models.UploadBatchServiceLogsOptions(container_url=url, start_time=datetime.now(UTC))
        result = batch.upload_node_logs("pool", node.id, options)
    assert result.number_of_files_uploaded == 1
    with ContainerClient.from_container_url(url, connection_verify=local_azure.ca) as container:
        (blob,) = container.list_blobs()
        assert blob.name == f"{result.virtual_directory_name}/agent-debug.log"
        assert node.id.encode() in container.download_blob(blob.name).readall()
