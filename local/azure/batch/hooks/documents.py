"""What ARM answers for Batch to read only: sizes of VMs and quotas by region, and where an account's nodes connect to.

Sources: https://learn.microsoft.com/rest/api/batchmanagement/location and
.../batch-account/list-outbound-network-dependencies-endpoints (2024-07-01); the four categories are recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local.azure.batch.account.vm_sizes import GENERATION_1, VmSize, vm_sizes
from local.azure.batch.errors import InvalidQueryParameterValue
from local.azure.control_plane import odata
from local.azure.control_plane.resource_types import Document, Types
from local.azure.control_plane.resources import Resource

_ACCOUNTS_PER_REGION = 3


def publish(types: Types) -> None:
    """Make the answers known to ARM."""
    read = "Microsoft.Batch/locations/{}/read".format
    types.publish(Document("Microsoft.Batch/locations/quotas", read("quotas"), quotas))
    types.publish(Document("Microsoft.Batch/locations/virtualMachineSkus", read("virtualMachineSkus"), skus))
    kind = "Microsoft.Batch/batchAccounts/outboundNetworkDependenciesEndpoints"
    types.publish(Document(kind, f"{kind}/read", of=lambda account, _: outbound(types, account)))


def quotas(names: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
    """Batch accounts allowed in a region (a new subscription's default)."""
    return {"accountQuota": _ACCOUNTS_PER_REGION}


def skus(names: Sequence[str], query: Mapping[str, str]) -> dict[str, Any]:
    """The sizes that pools may have, all in one page; `$filter` on `familyName` and `name`, `maxresults` as a limit."""
    sizes = sorted(vm_sizes().values(), key=lambda size: (size.family.lower(), size.vcpus, size.name))
    text = query.get("$filter", "").strip()
    if text:
        try:
            predicate = odata.parse(text, odata.Names(("familyName", "name")))
        except odata.InvalidFilter as error:
            details = [("QueryParameterName", "$filter"), ("QueryParameterValue", text), ("Reason", str(error))]
            raise InvalidQueryParameterValue(details=details) from None
        sizes = [size for size in sizes if predicate({"familyname": size.family, "name": size.name})]
    return {"value": [_shown(size) for size in sizes]}


def outbound(types: Types, account: Resource) -> dict[str, Any]:
    """What a firewall must let nodes reach. The Batch addresses are this account's; the rest are Azure's own names."""
    shown = types.get(account.type).work().view(account)
    storage = str((account.properties.get("autoStorage") or {}).get("storageAccountId", "")).rsplit("/", 1)[-1]
    hosts = {
        "Azure Batch": [str(shown["accountEndpoint"]), str(shown["nodeManagementEndpoint"])],
        "Azure Storage": [
            f"{name}.{kind}.core.windows.net"
            for name in (storage, "sampleautostorageaccountname")[: 1 if storage else 2]
            if name
            for kind in ("blob", "table", "queue")
        ],
        "Microsoft Package Repository": ["azure.archive.ubuntu.com", "packages.microsoft.com"],
        "Azure Key Vault": ["*.vault.azure.net"],
    }
    return {
        "value": [
            {
                "category": category,
                "endpoints": [
                    {
                        "domainName": host.partition(":")[0],
                        "endpointDetails": [{"port": int(host.partition(":")[2] or 443)}],
                    }
                    for host in found
                ],
            }
            for category, found in hosts.items()
        ]
    }


def _shown(size: VmSize) -> dict[str, Any]:
    generations = "V1" if size.family in GENERATION_1 else "V1,V2"
    capabilities = {"HyperVGenerations": generations, "vCPUs": size.vcpus, "MemoryGB": f"{size.memory:g}"}
    return {
        "name": size.name,
        "familyName": size.family,
        "capabilities": [{"name": name, "value": str(value)} for name, value in capabilities.items()],
        **({"batchSupportEndOfLife": f"{size.retires}T00:00:00Z"} if size.retires else {}),
    }
