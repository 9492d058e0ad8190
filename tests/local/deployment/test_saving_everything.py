"""A local Azure with something of every kind in it is saved, reset and restored: real processes, a node in Docker.

On the way the node shows what the service has for it: an application package, a mounted blob container, a mount that
cannot be.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytds
import pytest
import requests
from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.batch import BatchManagementClient
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.storage.blob import BlobClient, BlobServiceClient

from local.azure.sql.provision import provision
from local.node import cleanup
from local.paths import Paths
from local.processes import background
from local.testing.azure import DATA_CONTRIBUTOR
from tests.local.deployment.home import Home

pytestmark = pytest.mark.docker

GROUP = "everything"
ACCOUNT = "everything"
STORAGE = "everythingkept"
REGISTRY = "everythingacr"
REPOSITORY = "kept/image"
DATABASE = "kept"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SECONDS = 120.0
WHERE = {"location": "westeurope"}
TOOL = "#!/bin/sh\necho the tool of $1\n"
VARIABLE = "AZ_BATCH_APP_PACKAGE_My_Tool_1_0"
"""The package is found by its variable, and the mounted container below AZ_BATCH_NODE_MOUNTS_DIR."""
PACKAGE_TASK = f"sh -c '${VARIABLE}/tool $AZ_BATCH_TASK_ID'"
MOUNT_TASK = "sh -c 'cat $AZ_BATCH_NODE_MOUNTS_DIR/data/greeting && echo back > $AZ_BATCH_NODE_MOUNTS_DIR/data/answer'"


def wait(what: str, holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited {SECONDS:g} s for {what}"
        time.sleep(0.1)
    return found


class Everything:
    """The clients of one home, and what the test puts into it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.cloud = home.cloud()
        self.groups = self.cloud.management(ResourceManagementClient)
        self.storage = self.cloud.management(StorageManagementClient)
        self.accounts = self.cloud.management(BatchManagementClient)
        self.registries = self.cloud.management(ContainerRegistryManagementClient)

    @property
    def batch(self) -> BatchClient:
        endpoint = self.accounts.batch_account.get(GROUP, ACCOUNT).account_endpoint
        return BatchClient(f"https://{endpoint}", self.cloud.credential, connection_verify=self.cloud.ca)

    @property
    def key(self) -> str:
        return str(self.storage.storage_accounts.list_keys(GROUP, STORAGE).keys_property[0].value)

    @property
    def blobs(self) -> BlobServiceClient:
        url = self.storage.storage_accounts.get_properties(GROUP, STORAGE).properties.primary_endpoints.blob
        return BlobServiceClient(url, self.key, connection_verify=self.cloud.ca)

    def blob(self, name: str) -> bytes:
        return self.blobs.get_blob_client("data", name).download_blob().readall()

    def make(self) -> None:
        self.groups.resource_groups.create_or_update(GROUP, WHERE)
        account: dict[str, Any] = {**WHERE, "sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "properties": {}}
        made = self.storage.storage_accounts.begin_create(GROUP, STORAGE, account).result()
        self.storage.blob_containers.create(GROUP, STORAGE, "data", {})
        self.blobs.get_blob_client("data", "greeting").upload_blob(b"hello\n")
        linked = {**WHERE, "properties": {"autoStorage": {"storageAccountId": made.id}}}
        self.accounts.batch_account.begin_create(GROUP, ACCOUNT, linked).result()
        self.assign(DATA_CONTRIBUTOR)
        self.accounts.application.create(GROUP, ACCOUNT, "My_Tool")
        package = self.accounts.application_package.create(GROUP, ACCOUNT, "My_Tool", "1.0")
        with BlobClient.from_blob_url(package.storage_url, connection_verify=self.cloud.ca) as blob:
            blob.upload_blob(archive(), overwrite=True)
        self.accounts.application_package.activate(GROUP, ACCOUNT, "My_Tool", "1.0", {"format": "zip"})
        registry = {**WHERE, "sku": {"name": "Standard"}}
        self.registries.registries.begin_create(GROUP, REGISTRY, registry).result()

    def assign(self, role: str) -> None:
        """Give the deployer a role for the group."""
        scope = f"/subscriptions/{self.cloud.facts['subscription_id']}/resourceGroups/{GROUP}"
        definition = f"{scope}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        properties = {"roleDefinitionId": definition, "principalId": self.cloud.facts["object_id"]}
        body: Any = {"properties": {**properties, "principalType": "ServicePrincipal"}}
        self.cloud.management(AuthorizationManagementClient).role_assignments.create(scope, str(uuid.uuid4()), body)

    def pool(self, name: str, mount: dict[str, Any]) -> None:
        """A pool of one node with the package and a mount."""
        machine = models.VirtualMachineConfiguration(
            image_reference=models.BatchVmImageReference(publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2204"),
            node_agent_sku_id="batch.node.ubuntu 22.04",
        )
        reference = models.BatchApplicationPackageReference(application_id="My_Tool", version="1.0")
        self.batch.create_pool(
            models.BatchPoolCreateOptions(
                id=name, vm_size="standard_d2s_v3", target_dedicated_nodes=1, virtual_machine_configuration=machine,
                application_package_references=[reference], mount_configuration=[models.MountConfiguration(mount)],
            )
        )  # fmt: skip

    def container_mount(self, container: str = "data") -> dict[str, Any]:
        given = {
            "accountName": STORAGE, "containerName": container, "accountKey": self.key, "relativeMountPath": "data",
            "blobfuseOptions": "-o allow_other -o attr_timeout=240",
        }  # fmt: skip
        return {"azureBlobFileSystemConfiguration": given}

    def node(self, pool: str) -> models.BatchNode:
        """The pool's node when it has booted, or cannot be used."""
        over = ("idle", "running", "unusable")
        nodes = wait(f"a node of {pool}", lambda: [one for one in self.batch.list_nodes(pool) if one.state in over])
        return nodes[0]

    def task(self, task_id: str, command: str) -> None:
        self.batch.create_task("job", models.BatchTaskCreateOptions(id=task_id, command_line=command))

    def output(self, task_id: str) -> str:
        """The stdout of a task, once it is completed."""
        wait(f"the end of {task_id}", lambda: self.batch.get_task("job", task_id).state == "completed")
        task = self.batch.get_task("job", task_id)
        assert task.execution_info is not None and task.execution_info.exit_code == 0, task
        return b"".join(self.batch.download_task_file("job", task_id, "stdout.txt")).decode()

    def registry(self) -> tuple[str, dict[str, str]]:
        """The registry's URL, and the headers of somebody who may push and pull."""
        server = self.registries.registries.get(GROUP, REGISTRY).login_server
        token = self.cloud.credential.get_token("https://containerregistry.azure.net/.default").token
        form = {"grant_type": "access_token", "service": server, "access_token": token}
        refresh = self._post(f"https://{server}/oauth2/exchange", form)["refresh_token"]
        scope = f"repository:{REPOSITORY}:pull,push"
        form = {"grant_type": "refresh_token", "service": server, "scope": scope, "refresh_token": refresh}
        access = self._post(f"https://{server}/oauth2/token", form)["access_token"]
        return f"https://{server}/v2/{REPOSITORY}", {"Authorization": f"Bearer {access}"}

    def push(self) -> str:
        """An image of one small layer; its digest."""
        url, headers = self.registry()
        described = []
        for content in (json.dumps({"architecture": "amd64", "os": "linux"}).encode(), bytes(1000)):
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            begun = requests.post(f"{url}/blobs/uploads/", headers=headers, verify=self.cloud.ca, timeout=30)
            place = begun.headers["Location"]
            place = place if place.startswith("https:") else url.split("/v2/")[0] + place
            target = f"{place}{'&' if '?' in place else '?'}digest={digest}"
            done = requests.put(target, content, headers=headers, verify=self.cloud.ca, timeout=30)
            assert done.status_code == 201, done.text
            described.append({"size": len(content), "digest": digest})
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **described[0]}
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", **described[1]}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        kind = {**headers, "Content-Type": MANIFEST}
        body = json.dumps(manifest)
        done = requests.put(f"{url}/manifests/1", body, headers=kind, verify=self.cloud.ca, timeout=30)
        assert done.status_code == 201, done.text
        return done.headers["Docker-Content-Digest"]

    def digest(self) -> str:
        url, headers = self.registry()
        kind = {**headers, "Accept": MANIFEST}
        found = requests.get(f"{url}/manifests/1", headers=kind, verify=self.cloud.ca, timeout=30)
        assert found.status_code == 200, found.text
        return found.headers["Docker-Content-Digest"]

    def rows(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements in the database as the server's administrator; the rows of the last one."""
        token = self.cloud.credential.get_token("https://database.windows.net/.default").token
        port = int(self.cloud.facts["sql"]["server"].split(",")[1])
        with pytds.connect(
            "localhost", database=DATABASE, port=port, cafile=self.cloud.ca, validate_host=False, autocommit=True,
            access_token_callable=lambda: token, timeout=30, login_timeout=30,
        ) as connection, connection.cursor() as cursor:  # fmt: skip
            for statement in statements:
                cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def _post(self, url: str, form: dict[str, str]) -> dict[str, Any]:
        answer = requests.post(url, data=form, verify=self.cloud.ca, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        entry = zipfile.ZipInfo("tool")
        entry.external_attr = 0o755 << 16
        made.writestr(entry, TOOL)
    return content.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    paths = Paths(tmp_path_factory.mktemp("everything") / "home")
    try:
        yield Home(paths, executor="docker")
    finally:
        background.stop(paths)
        cleanup.remove_nodes(paths)
        shutil.rmtree(paths.sockets, ignore_errors=True)


@pytest.fixture(scope="module")
def everything(home: Home) -> Everything:
    home.done("start")
    made = Everything(home)
    made.make()
    made.pool("pool", made.container_mount())
    node = made.node("pool")
    assert node.state in ("idle", "running"), node
    job = models.BatchJobCreateOptions(id="job", pool_info=models.BatchPoolInfo(pool_id="pool"))
    made.batch.create_job(job)
    return made


def test_a_task_runs_a_program_of_its_pools_application_package(everything: Everything) -> None:
    everything.task("packaged", PACKAGE_TASK)
    assert everything.output("packaged") == "the tool of packaged\n"


def test_a_task_reads_and_writes_a_mounted_blob_container(everything: Everything) -> None:
    everything.task("mounted", MOUNT_TASK)
    assert everything.output("mounted") == "hello\n"
    container = everything.blobs.get_container_client("data")
    wait("the upload", lambda: "answer" in [one.name for one in container.list_blobs()])
    assert everything.blob("answer") == b"back\n"


@pytest.mark.parametrize(
    ("kind", "given", "text"),
    [
        ("nfsMountConfiguration", {"source": "server:/x", "relativeMountPath": "n"}, "no nfs file system"),
        ("azureBlobFileSystemConfiguration", None, "cannot be listed"),
    ],
    ids=["nfs", "no-such-container"],
)
def test_a_node_that_cannot_mount_is_unusable_and_says_why(
    everything: Everything, kind: str, given: dict[str, Any] | None, text: str
) -> None:
    mount = {kind: given} if given else everything.container_mount("absent")
    everything.pool("broken", mount)
    node = everything.node("broken")
    assert node.state == "unusable" and node.errors is not None
    assert node.errors[0].code == "MountConfigurationError" and text in str(node.errors[0].message)
    everything.batch.begin_delete_pool("broken").wait()


def test_what_was_saved_is_there_again_after_a_reset(everything: Everything, home: Home, tmp_path: Path) -> None:
    provision(home.paths, DATABASE, "CREATE TABLE dbo.kept (id int, word nvarchar(20))")
    everything.rows("INSERT INTO dbo.kept VALUES (1, N'één')")
    digest = everything.push()
    everything.task("running", "sh -c 'echo began >> began; sleep 3600'")
    wait("a running task", lambda: everything.batch.get_task("job", "running").state == "running")
    home.done("save", str(tmp_path / "file"))
    home.done("reset", "--yes")
    assert not cleanup.remaining(home.paths)
    home.done("start")
    with pytest.raises(HttpResponseError):
        Everything(home).batch.get_job("job")

    home.done("restore", str(tmp_path / "file"), "--yes")
    after = Everything(home)
    assert after.blob("greeting") == b"hello\n" and after.blob("answer") == b"back\n"
    assert after.rows("SELECT id, word FROM dbo.kept") == [(1, "één")]
    assert after.digest() == digest
    wait("the node", lambda: after.node("pool").state in ("idle", "running"))
    assert after.output("packaged") == "the tool of packaged\n", "its file is on the node again"
    wait("the task", lambda: after.batch.get_task("job", "running").state == "running")
    began = b"".join(after.batch.download_task_file("job", "running", "wd/began")).decode()
    assert began == "began\nbegan\n", "what ran was run again, in its folder"
    info = after.batch.get_task("job", "running").execution_info
    assert info is not None and info.retry_count == 0 and info.requeue_count == 1
    after.batch.terminate_task("job", "running")
    after.task("later", PACKAGE_TASK)
    assert after.output("later") == "the tool of later\n"
    after.task("mounted-again", "sh -c 'cat $AZ_BATCH_NODE_MOUNTS_DIR/data/answer'")
    assert after.output("mounted-again") == "back\n"
