"""`cloud.json`: what any client of the local Azure needs, rewritten whenever what it names comes or goes.

Owns the file's content. It holds the deployer's secret, hence mode 0600. The accounts named are those of the stack
"local", which `local/Pulumi.local.yaml` gives a tag (`STACK_TAG`): whatever else is made beside them, the file goes on
naming these. While a replacement goes on, the newest of a type counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local.azure.control_plane import ids
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import BATCH_ACCOUNTS, REGISTRIES, STORAGE_ACCOUNTS
from local.azure.control_plane.resources import Resource
from local.azure.platform.ports import HOST
from local.paths import write_private

_NAMED = (BATCH_ACCOUNTS, STORAGE_ACCOUNTS, REGISTRIES)
STACK_TAG = ("stack", "local")
SQL_NAME = "sql.azure.test"  # what nodes call it (and its certificate)
SQL_DATABASE = "worklist"


def document(cloud: Cloud) -> dict[str, Any]:
    """The file's content now."""
    settings = cloud.settings
    found: dict[str, Any] = {
        "arm": cloud.arm_url,
        "authority": cloud.arm_url,
        "imds": f"http://{HOST}:{cloud.ports.reserve('imds')}",
        "ca": str(cloud.paths.ca),
        "tenant_id": settings.tenant_id,
        "subscription_id": settings.subscription_id,
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
        "object_id": settings.deployer_object_id,
        "location": settings.location,
        "sql": {
            "server": f"{HOST},{cloud.ports.reserve('sql')}",
            "server_from_nodes": f"{SQL_NAME},{cloud.ports.reserve('sql')}",
            "database": SQL_DATABASE,
        },
    }
    batch, storage, registry = (_of_stack(cloud, one) for one in _NAMED)
    if batch is not None:
        found["resource_group"] = ids.split(ids.group_of(batch.id) or "")[-1]
        endpoint = _view(cloud, batch).get("accountEndpoint")
        found["batch"] = {"account": batch.name} | ({"endpoint": f"https://{endpoint}"} if endpoint else {})
    if storage is not None:
        blob = _view(cloud, storage).get("primaryEndpoints", {}).get("blob")
        found["storage"] = {"account": storage.name} | ({"blob_endpoint": blob} if blob else {})
    if registry is not None:
        server = _view(cloud, registry).get("loginServer")
        found["registry"] = {"server": server} if server else {}
    return found


def write(cloud: Cloud) -> None:
    """Write the file at once, mode 0600."""
    write_private(cloud.paths.cloud_json, json.dumps(document(cloud), indent=2).encode() + b"\n")


def keep_written(cloud: Cloud) -> Callable[[Resource, bool], None]:
    """Write now and after every change of what the file names."""

    def changed(resource: Resource, exists: bool) -> None:
        if resource.type in _NAMED and (not exists or resource.state == "Succeeded"):
            write(cloud)

    cloud.resources.on_change(changed)
    write(cloud)
    return changed


def _of_stack(cloud: Cloud, kind: str) -> Resource | None:
    name, value = STACK_TAG
    ready = [
        one for one in cloud.resources.list(kind) if one.state == "Succeeded" and (one.tags or {}).get(name) == value
    ]
    return max(ready, key=lambda one: one.created, default=None)


def _view(cloud: Cloud, resource: Resource) -> dict[str, Any]:
    hooks = cloud.types.get(resource.type).hooks
    return {} if hooks is None else hooks.view(resource)
