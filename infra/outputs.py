"""The stack's outputs: what `jobs/` reads to find everything, and what the next `up` must know. Nothing secret."""

from __future__ import annotations

from typing import Any, Final

import pulumi

from infra.access.identities import Identities
from infra.batch_account import BatchAccount
from infra.place import Place
from infra.pools import generations
from infra.pools.generations import Deployed
from infra.pools.pool import Pools
from infra.registry import Registry
from infra.settings.stack import Settings
from infra.storage import Storage
from infra.worker_image.image import WorkerImage

_READ_OUTPUTS: Final = "pulumi:pulumi:readStackOutputs"
"""The engine's own function, with which the SDK's StackReference was made before it was a resource."""


def deployed_pools() -> dict[str, Deployed]:
    """The pools as the last `up` of this very stack left them; empty if it was never deployed."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer: Any = pulumi.runtime.invoke(_READ_OUTPUTS, {"name": name}).value
    return Deployed.read((answer.get("outputs") or {}).get(generations.OUTPUT))


def export(
    settings: Settings,
    place: Place,
    identities: Identities,
    storage: Storage,
    registry: Registry,
    image: WorkerImage,
    account: BatchAccount,
    pools: Pools,
) -> None:
    """Export what a deployed stack tells those who submit work to it (`jobs/service/connection.py` reads it)."""
    pulumi.export("subscription_id", place.names.subscription_id)
    pulumi.export("resource_group", place.group.name)
    pulumi.export("location", place.group.location)
    pulumi.export("batch_account", account.name)
    pulumi.export("batch_endpoint", account.endpoint)
    pulumi.export(
        "pools",
        {
            name: {
                "id": pools.ids[name],
                "image": image.reference,
                "node_identity_client_id": identities.node.client_id,
                "task_slots": plan.settings.task_slots_per_node,
            }
            for name, plan in pools.plans.items()
        },
    )
    pulumi.export(
        generations.OUTPUT,
        {
            name: {"current": plan.generation, "kept": list(plan.kept), "made_of": dict(plan.made_of)}
            for name, plan in pools.plans.items()
        },
    )
    pulumi.export("registry_server", registry.server)
    pulumi.export("worker_image", image.reference)
    pulumi.export("storage_account", storage.name)
    pulumi.export("blob_endpoint", storage.blob_endpoint)
    pulumi.export("job_containers", storage.container_names)
    pulumi.export("worker_identity", {"client_id": identities.node.client_id, "resource_id": identities.node.id})
    pulumi.export("sql", {"server": settings.sql.server, "database": settings.sql.database})
