"""What Batch refuses of a pool that fits ARM's schema: sizes, numbers, images, networks and identities.

Limits: https://learn.microsoft.com/rest/api/batchmanagement/pool/create (2024-07-01) and
https://learn.microsoft.com/azure/batch/batch-quota-limit. Form of the details as users report it (Azure/Batch#85 and
#153); texts of reasons are [guess] but for the image's (recorded).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from local.azure.batch import errors
from local.azure.batch.account.images import is_supported
from local.azure.batch.account.vm_sizes import vm_size

MOST_SLOTS: Final = 256
SLOTS_PER_CORE: Final = 4
_SHORTEST_RESIZE, _LONGEST_RESIZE = timedelta(minutes=5), timedelta(days=7)
_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)
_GALLERY_IMAGE = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute/"
    r"(?:images/[^/]+|galleries/[^/]+/images/[^/]+(?:/versions/[^/]+)?)"
    r"|/(?:communityGalleries|sharedGalleries)/[^/]+/images/[^/]+(?:/versions/[^/]+)?",
    re.IGNORECASE,
)


def refused(path: str, reason: str, value: object = None) -> errors.InvalidPropertyValue:
    """The refusal of one property, by its path in ARM's body; a `value` is told where Azure tells it."""
    details = [("Reason", reason), ("PropertyName", path.rpartition(".")[2])]
    if value is not None:
        details.append(("PropertyValue", str(value)))
    return errors.InvalidPropertyValue(details=[*details, ("PropertyPath", f"properties.{path}")])


def check_pool(properties: Mapping[str, Any], identities: Mapping[str, Any]) -> None:
    """Raise for the first thing that is wrong. `identities` are the pool's own user-assigned ones, by id."""
    _check_size(properties)
    _check_scale(properties)
    _check_start_task(properties.get("startTask") or {})
    machine = (properties.get("deploymentConfiguration") or {}).get("virtualMachineConfiguration") or {}
    _check_image(machine)
    _check_network(properties.get("networkConfiguration") or {})
    own = {one.lower() for one in identities}
    for registry in (machine.get("containerConfiguration") or {}).get("containerRegistries") or ():
        identity = (registry.get("identityReference") or {}).get("resourceId")
        if identity is not None and identity.lower() not in own:
            raise refused(
                "deploymentConfiguration.virtualMachineConfiguration.containerConfiguration.containerRegistries",
                f"The identity '{identity}' of registry '{registry.get('registryServer')}' is not one of the pool's.",
            )


def _check_size(properties: Mapping[str, Any]) -> None:
    name = properties.get("vmSize")
    if not name:
        raise errors.MissingRequiredProperty(details=[("PropertyName", "vmSize")])
    size = vm_size(str(name))
    if size is None:
        raise refused("vmSize", f"The specified vmSize '{name}' is not supported by Batch.", name)
    slots, most = properties.get("taskSlotsPerNode"), min(MOST_SLOTS, SLOTS_PER_CORE * size.vcpus)
    if slots is not None and not 1 <= slots <= most:
        raise refused(
            "taskSlotsPerNode",
            f"A node of size {size.name} has {size.vcpus} cores, so it has 1 to {most} task slots.",
            slots,
        )


def _check_scale(properties: Mapping[str, Any]) -> None:
    fixed = (properties.get("scaleSettings") or {}).get("fixedScale") or {}
    for name in ("targetDedicatedNodes", "targetLowPriorityNodes"):
        count = fixed.get(name)
        if count is not None and count < 0:
            raise refused(f"scaleSettings.fixedScale.{name}", f"{name} cannot be less than 0.", count)
    timeout = fixed.get("resizeTimeout")
    if timeout is not None and not _SHORTEST_RESIZE <= _length(timeout) <= _LONGEST_RESIZE:
        raise refused(
            "scaleSettings.fixedScale.resizeTimeout",
            "The resize timeout must be between 5 minutes and 7 days.",
            timeout,
        )


def _length(duration: str) -> timedelta:
    match = _DURATION.fullmatch(str(duration))
    return (
        timedelta(**{name: float(value) for name, value in match.groupdict().items() if value})
        if match
        else timedelta()
    )


def _check_start_task(start: Mapping[str, Any]) -> None:
    if start and not str(start.get("commandLine") or "").strip():
        raise refused("startTask.commandLine", "The command line of a start task cannot be empty.")
    retries = start.get("maxTaskRetryCount")
    if retries is not None and retries < -1:
        raise refused("startTask.maxTaskRetryCount", "The retry count cannot be less than -1.", retries)


def _check_image(machine: Mapping[str, Any]) -> None:
    """An image of the marketplace that Batch lists with this node agent, or a managed or gallery image by its id."""
    path = "deploymentConfiguration.virtualMachineConfiguration"
    image, agent = machine.get("imageReference") or {}, str(machine.get("nodeAgentSkuId") or "")
    if not image:
        raise errors.MissingRequiredProperty(details=[("PropertyName", "imageReference")])
    gallery = image.get("id") or image.get("communityGalleryImageId") or image.get("sharedGalleryImageId")
    offered = [str(image.get(name) or "") for name in ("publisher", "offer", "sku")]
    if gallery and any(offered):
        raise refused(f"{path}.imageReference", "An image is named by its id or by publisher, offer and sku, not both.")
    if gallery:
        if _GALLERY_IMAGE.fullmatch(str(gallery)) is None:
            raise refused(
                f"{path}.imageReference.id",
                "The value is not the id of a managed image or of a gallery image.",
                gallery,
            )
        if not agent.lower().startswith("batch.node."):
            raise refused(f"{path}.nodeAgentSkuId", f"The specified nodeAgentSKUId '{agent}' is not supported.", agent)
    elif not is_supported(image, agent):
        publisher, offer, sku = offered
        raise refused(
            f"{path}.imageReference",
            f"The specified imageReference with publisher {publisher} offer {offer} sku {sku} is not supported"
            f"{'' if not agent else f' with nodeAgentSKUId {agent}'}.",
        )


def _check_network(network: Mapping[str, Any]) -> None:
    address = network.get("publicIPAddressConfiguration") or {}
    how, addresses = address.get("provision") or "BatchManaged", address.get("ipAddressIds") or ()
    path = "networkConfiguration.publicIPAddressConfiguration"
    if how == "NoPublicIPAddresses" and not network.get("subnetId"):
        raise refused(f"{path}.provision", "A pool without public IP addresses must be in a virtual network.", how)
    if bool(addresses) != (how == "UserManaged"):
        raise refused(f"{path}.ipAddressIds", "Public IP addresses are given with the provisioning type UserManaged.")
