"""Which resources the local Azure has: ARM is asked as by any client, with the deployer's credentials, over TLS."""

from __future__ import annotations

import time
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient

from local.errors import LocalError
from local.paths import Paths
from local.plugins.azure_native.resources import resource_type
from local.processes.running import read_cloud

CREATION_SECONDS = 120.0  # in which ARM ends a creation that it accepted
POLL_SECONDS = 0.5
ENDED = {"Succeeded", "Failed", "Canceled"}  # ARM's terminal provisioning states


def deployed(paths: Paths) -> list[str]:
    """Names of all resource groups and resources of the subscription."""
    cloud = read_cloud(paths)
    with client(cloud) as arm:
        groups = [f"group {group.name}" for group in arm.resource_groups.list()]
        return groups + [f"{one.type} {one.name}" for one in arm.resources.list()]


def exists(paths: Paths, token: str, resource_id: str) -> bool:
    """Whether ARM has this resource, once a creation that is still under way has ended. `token`: Pulumi's type."""
    deadline = time.monotonic() + CREATION_SECONDS
    with client(read_cloud(paths)) as arm:
        while True:
            try:
                resource = arm.resources.get_by_id(resource_id, api_version=resource_type(token).api_version)
            except ResourceNotFoundError:
                return False
            properties: Any = resource.properties or {}
            if properties.get("provisioningState", "Succeeded") in ENDED:
                return True
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{resource_id} is still being created after {CREATION_SECONDS:.0f} s",
                    cause=f"its provisioningState is {properties['provisioningState']}",
                    next_step="the same command again, when it is done",
                )
            time.sleep(POLL_SECONDS)


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
