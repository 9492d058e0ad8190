"""Microsoft's own clients of a deployed stack: what the assertions ask instead of our code."""

from __future__ import annotations

from typing import Any

from azure.batch import BatchClient, models
from azure.core.credentials import TokenCredential
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.storage.blob import BlobServiceClient


class Clients:
    """Batch's data plane, blobs and ARM, for one deployed stack."""

    def __init__(
        self, outputs: dict[str, Any], credential: TokenCredential, arm: ResourceManagementClient, **verify: Any
    ) -> None:
        self.arm = arm
        self.batch = BatchClient(outputs["batch_endpoint"], credential, **verify)
        self.blobs = BlobServiceClient(outputs["blob_endpoint"], credential, **verify)

    def tasks(self, job: str) -> dict[str, models.BatchTask]:
        return {str(task.id): task for task in self.batch.list_tasks(job)}

    def nodes(self, pool: str) -> list[models.BatchNode]:
        return list(self.batch.list_nodes(pool))

    def task_stdout(self, job: str, task: str) -> str:
        return b"".join(self.batch.download_task_file(job, task, "stdout.txt")).decode()

    def start_task_stdout(self, pool: str, node: str) -> str:
        return b"".join(self.batch.download_node_file(pool, node, "startup/stdout.txt")).decode()

    def blob(self, container: str, name: str) -> str:
        return self.blobs.get_blob_client(container, name).download_blob().readall().decode()

    def groups(self) -> set[str]:
        return {str(group.name) for group in self.arm.resource_groups.list()}
