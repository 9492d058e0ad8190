"""What somebody writes who never saw this project: `.local/cloud.json` and Azure's public packages, nothing else.

Run by `test_strangers_script.py` in a process that cannot import anything of ours. Prints what it saw as JSON.
"""

# pyright: reportOptionalMemberAccess=false, reportGeneralTypeIssues=false, reportArgumentType=false
from __future__ import annotations

import json
import sys
import time
import uuid
from pathlib import Path

from azure.batch import BatchClient, models
from azure.identity import ClientSecretCredential
from azure.mgmt.batch import BatchManagementClient
from azure.storage.blob import BlobServiceClient

cloud = json.loads(Path(sys.argv[1]).read_text())
credential = ClientSecretCredential(
    cloud["tenant_id"],
    cloud["client_id"],
    cloud["client_secret"],
    authority=cloud["authority"],
    disable_instance_discovery=True,
    connection_verify=cloud["ca"],
)
management = BatchManagementClient(
    credential,
    cloud["subscription_id"],
    base_url=cloud["arm"],
    credential_scopes=["https://management.azure.com/.default"],
    connection_verify=cloud["ca"],
)
batch = BatchClient(cloud["batch"]["endpoint"], credential, connection_verify=cloud["ca"])
blobs = BlobServiceClient(cloud["storage"]["blob_endpoint"], credential, connection_verify=cloud["ca"])

(pool,) = management.pool.list_by_batch_account(cloud["resource_group"], cloud["batch"]["account"])
(identity,) = pool.identity.user_assigned_identities
seen = [node.id for node in batch.list_nodes(pool.name)]
container = blobs.get_container_client(next(one.name for one in blobs.list_containers(name_starts_with="job-")))

job_id, task_id = f"stranger-{uuid.uuid4().hex[:8]}", "hello"
batch.create_job(models.BatchJobCreateOptions(id=job_id, pool_info=models.BatchPoolInfo(pool_id=pool.name)))
batch.create_task(
    job_id,
    models.BatchTaskCreateOptions(
        id=task_id,
        command_line="-c 'echo hello from $AZ_BATCH_TASK_ID'",
        container_settings=models.BatchTaskContainerSettings(
            image_name=f"{cloud['registry']['server']}/docker-worker:local",
            container_run_options="--rm --entrypoint /bin/sh",
        ),
        output_files=[
            models.OutputFile(
                file_pattern="../std*.txt",
                destination=models.OutputFileDestination(
                    container=models.OutputFileBlobContainerDestination(
                        container_url=container.url,
                        path=job_id,
                        identity_reference=models.BatchNodeIdentityReference(resource_id=identity),
                    )
                ),
                upload_options=models.OutputFileUploadConfiguration(
                    upload_condition=models.OutputFileUploadCondition.TASK_COMPLETION
                ),
            )
        ],
    ),
)
deadline = time.monotonic() + 180
while (task := batch.get_task(job_id, task_id)).state != models.BatchTaskState.COMPLETED:
    if time.monotonic() > deadline:
        sys.exit(f"the task is {task.state} after three minutes")
    time.sleep(0.5)

print(
    json.dumps(
        {
            "pool": pool.name,
            "nodes": seen,
            "exit_code": task.execution_info.exit_code,
            "on_the_node": b"".join(batch.download_task_file(job_id, task_id, "stdout.txt")).decode(),
            "in_the_container": container.download_blob(f"{job_id}/stdout.txt").readall().decode(),
        }
    )
)
