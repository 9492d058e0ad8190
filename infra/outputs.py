"""The stack's outputs: what `jobs/` reads to find everything. Nothing secret is in them."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import resources

from infra.batch_account import BatchAccount
from infra.identity import Identities
from infra.image import WorkerImage
from infra.pool import Pool
from infra.registry import Registry
from infra.settings import Settings
from infra.storage import Storage


def export(
    settings: Settings,
    group: resources.ResourceGroup,
    identities: Identities,
    storage: Storage,
    registry: Registry,
    image: WorkerImage,
    account: BatchAccount,
    pool: Pool,
) -> None:
    """Export what a deployed stack tells those who submit work to it (`jobs/service/connection.py` reads it)."""
    pulumi.export("resource_group", group.name)
    pulumi.export("location", group.location)
    pulumi.export("batch_account", account.name)
    pulumi.export("batch_endpoint", account.endpoint)
    pulumi.export(
        "pools",
        {
            settings.pool.name: {
                "id": pool.id,
                "image": image.reference,
                "node_identity_client_id": identities.node.client_id,
                "task_slots": settings.pool.task_slots_per_node,
            }
        },
    )
    pulumi.export("registry_server", registry.server)
    pulumi.export("worker_image", image.reference)
    pulumi.export("storage_account", storage.account.name)
    pulumi.export("blob_endpoint", storage.blob_endpoint)
    pulumi.export("job_containers", storage.container_names)
    pulumi.export("worker_identity", {"client_id": identities.node.client_id, "resource_id": identities.node.id})
    pulumi.export("sql", {"server": settings.sql.server, "database": settings.sql.database})
