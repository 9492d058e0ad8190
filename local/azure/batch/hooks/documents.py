"""What ARM answers for Batch without a resource behind it: sizes of VMs and quotas by region.

Source: https://learn.microsoft.com/rest/api/batchmanagement/location (2024-07-01).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local.azure.batch.account.vm_sizes import GENERATION_1, VmSize, vm_sizes
from local.azure.batch.errors import InvalidQueryParameterValue
from local.azure.control_plane import odata
from local.azure.control_plane.resource_types import Document, Types

_ACCOUNTS_PER_REGION = 3


def publish(types: Types) -> None:
    """Make the answers known to ARM."""
    read = "Microsoft.Batch/locations/{}/read".format
    types.publish(Document("Microsoft.Batch/locations/quotas", read("quotas"), quotas))
    types.publish(Document("Microsoft.Batch/locations/virtualMachineSkus", read("virtualMachineSkus"), skus))


def quotas(names: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
    """Batch accounts allowed in a region (a new subscription's default)."""
    return {"accountQuota": _ACCOUNTS_PER_REGION}


def skus(names: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
    """The sizes that pools may have, all in one page; `$filter` on `familyName` and `name`, `maxresults` as a limit."""
    found = sorted(vm_sizes().values(), key=lambda size: (size.family.lower(), size.vcpus, size.name))
    text = query.get("$filter", "").strip()
    if text:
        try:
            predicate = odata.parse(text, odata.Names(("familyName", "name")))
        except odata.InvalidFilter as error:
            details = [("QueryParameterName", "$filter"), ("QueryParameterValue", text), ("Reason", str(error))]
            raise InvalidQueryParameterValue(details=details) from None
        found = [size for size in found if predicate({"familyname": size.family, "name": size.name})]
    return {"value": [_shown(size) for size in found]}


def _shown(size: VmSize) -> dict[str, Any]:
    generations = "V1" if size.family in GENERATION_1 else "V1,V2"
    capabilities = {"HyperVGenerations": generations, "vCPUs": size.vcpus, "MemoryGB": f"{size.memory:g}"}
    return {
        "name": size.name,
        "familyName": size.family,
        "capabilities": [{"name": name, "value": str(value)} for name, value in capabilities.items()],
        **({"batchSupportEndOfLife": f"{size.retires}T00:00:00Z"} if size.retires else {}),
    }
