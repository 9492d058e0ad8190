"""A program that breaks every rule of the pack once: each resource is named after what is wrong with it.

Previewed by `test_planted.py` as a stack of production, where all rules hold. What looks like a secret is made up.
"""

from typing import Any

import pulumi
from pulumi_azure_native import batch, containerregistry, resources, storage

GROUP = "rg-planted"
TAGS = {"environment": "prod", "owner": "planted"}
KEPT = pulumi.ResourceOptions(protect=True)
IMAGE = {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2404", "version": "latest"}
AGENT = "batch.node.ubuntu 24.04"


def registry(name: str, **wrong: Any) -> containerregistry.Registry:
    return containerregistry.Registry(
        name, **{"resource_group_name": GROUP, "sku": {"name": "Basic"}, "tags": TAGS, **wrong}, opts=KEPT
    )


def account(name: str, **wrong: Any) -> storage.StorageAccount:
    right: dict[str, Any] = {
        "resource_group_name": GROUP,
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
        "allow_blob_public_access": False,
        "allow_shared_key_access": False,
        "minimum_tls_version": "TLS1_2",
        "tags": TAGS,
    }
    kept = {key: value for key, value in (right | wrong).items() if value is not None}
    return storage.StorageAccount(name, **kept, opts=KEPT)


def batch_account(name: str, **wrong: Any) -> batch.BatchAccount:
    right: dict[str, Any] = {"resource_group_name": GROUP, "allowed_authentication_modes": ["AAD"], "tags": TAGS}
    return batch.BatchAccount(name, **(right | wrong), opts=KEPT)


def pool(name: str, image: dict = IMAGE, agent: str = AGENT, containers: dict | None = None, **wrong: Any) -> None:
    machine: dict[str, Any] = {"image_reference": image, "node_agent_sku_id": agent}
    if containers:
        machine["container_configuration"] = {"type": "DockerCompatible", **containers}
    right: dict[str, Any] = {
        "resource_group_name": GROUP,
        "account_name": "planted",
        "vm_size": "Standard_D4ads_v5",
        "deployment_configuration": {"virtual_machine_configuration": machine},
    }
    batch.Pool(name, **(right | wrong))


good = registry("all-is-well")
registry("admin-user", admin_user_enabled=True)
registry("anonymous-pull", anonymous_pull_enabled=True)

account("public-blobs", allow_blob_public_access=True)
account("shared-keys", allow_shared_key_access=None)  # not set: keys work
account("old-tls", minimum_tls_version="TLS1_0")
account("plain-http", enable_https_traffic_only=False)
storage.BlobContainer(
    "public-container",
    resource_group_name=GROUP,
    account_name="planted",
    public_access=storage.PublicAccess.BLOB,
    opts=KEPT,
)

batch_account("account-keys", allowed_authentication_modes=["AAD", "SharedKey"])
batch_account("storage-by-key", auto_storage={"storage_account_id": "/some/id", "authentication_mode": "StorageKeys"})

pool("old-image", image={**IMAGE, "sku": "2004"}, agent="batch.node.ubuntu 20.04")
pool("old-size", vm_size="Standard_NC6s_v3")
pool("unknown-image", image={**IMAGE, "offer": "ubuntu-of-tomorrow"})
# One name is known and wrong, the other is known during `up` only.
unknown = good.login_server.apply(lambda server: f"{server}/worker@sha256:{'a' * 64}")
pool("image-by-tag", containers={"container_image_names": [unknown, "planted.azurecr.io/worker:latest"]})
pool("image-unknown", containers={"container_image_names": [unknown]})
pool(
    "registry-password",
    containers={
        "container_registries": [
            {"registry_server": "planted.azurecr.io", "user_name": "ci", "password": pulumi.Output.secret("x" * 12)}
        ]
    },
)
pool(
    "ssh-from-everywhere",
    network_configuration={
        "endpoint_configuration": {
            "inbound_nat_pools": [
                {
                    "name": "ssh",
                    "protocol": "TCP",
                    "backend_port": 22,
                    "frontend_port_range_start": 50000,
                    "frontend_port_range_end": 50099,
                    "network_security_group_rules": [
                        {"priority": 150, "access": "Allow", "source_address_prefix": "0.0.0.0/0"}
                    ],
                }
            ]
        }
    },
)

secret = {"name": "SQL_PASSWORD", "value": "correct-horse"}
pool("plain-secret", start_task={"command_line": "true", "environment_settings": [secret]})
pool("kept-secret", start_task={"command_line": "true", "environment_settings": [pulumi.Output.secret(secret)]})

resources.ResourceGroup("untagged", resource_group_name=GROUP, tags={"environment": "prod"}, opts=KEPT)
resources.ResourceGroup("unprotected", resource_group_name=f"{GROUP}-2", tags=TAGS)
