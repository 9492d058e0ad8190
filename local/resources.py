"""What exists in the local Azure, asked of ARM as any client would: with the deployer's credentials, over TLS."""

from __future__ import annotations

from typing import Any

from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient

from local.paths import Paths
from local.processes.running import read_cloud


def deployed(paths: Paths) -> list[str]:
    """Names of all resource groups and resources of the subscription."""
    cloud = read_cloud(paths)
    with client(cloud) as arm:
        groups = [f"group {group.name}" for group in arm.resource_groups.list()]
        return groups + [f"{one.type} {one.name}" for one in arm.resources.list()]


def client(cloud: dict[str, Any]) -> ResourceManagementClient:
    """An ARM client for the running local Azure."""
    ca = cloud["ca"]
    credential = ClientSecretCredential(
        cloud["tenant_id"],
        cloud["client_id"],
        cloud["client_secret"],
        authority=cloud["authority"],
        disable_instance_discovery=True,
        connection_verify=ca,
    )
    return ResourceManagementClient(
        credential,
        cloud["subscription_id"],
        base_url=cloud["arm"],
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=ca,
    )
