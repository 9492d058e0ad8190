"""Resource ids: taking a request's path apart and building ids in their canonical case.

Owns the grammar `/subscriptions/S/resourceGroups/G/providers/NS/type/name/...`, and the names of the types that more
than one part of the code asks for; not what exists, nor what ARM knows of a type (`resource_types.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from local.azure.control_plane.errors import NotFound

# Types, as ARM spells them.
RESOURCE_GROUPS: Final = "Microsoft.Resources/resourceGroups"
TAGS: Final = "Microsoft.Resources/tags"
USER_ASSIGNED_IDENTITIES: Final = "Microsoft.ManagedIdentity/userAssignedIdentities"
FEDERATED_CREDENTIALS: Final = f"{USER_ASSIGNED_IDENTITIES}/federatedIdentityCredentials"
ROLE_ASSIGNMENTS: Final = "Microsoft.Authorization/roleAssignments"
ROLE_DEFINITIONS: Final = "Microsoft.Authorization/roleDefinitions"
LOCKS: Final = "Microsoft.Authorization/locks"
BATCH_ACCOUNTS: Final = "Microsoft.Batch/batchAccounts"
POOLS: Final = f"{BATCH_ACCOUNTS}/pools"
STORAGE_ACCOUNTS: Final = "Microsoft.Storage/storageAccounts"
BLOB_SERVICES: Final = f"{STORAGE_ACCOUNTS}/blobServices"
BLOB_CONTAINERS: Final = f"{BLOB_SERVICES}/containers"
REGISTRIES: Final = "Microsoft.ContainerRegistry/registries"
PRIVATE_ENDPOINTS: Final = "Microsoft.Network/privateEndpoints"
VIRTUAL_NETWORKS: Final = "Microsoft.Network/virtualNetworks"
SUBNETS: Final = f"{VIRTUAL_NETWORKS}/subnets"
PRIVATE_DNS_ZONES: Final = "Microsoft.Network/privateDnsZones"
DIAGNOSTIC_SETTINGS: Final = "Microsoft.Insights/diagnosticSettings"
ACTION_GROUPS: Final = "Microsoft.Insights/actionGroups"


@dataclass(frozen=True)
class Target:
    """What a path names. `names` is one shorter than `types` when it ends with a collection or an action."""

    scope: str  # what stands before the last "providers": "", a subscription, a group, or another resource
    namespace: str = ""
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """As written in the path: "Microsoft.Batch/batchAccounts/pools"."""
        return "/".join((self.namespace, *self.types))

    @property
    def is_item(self) -> bool:
        """Whether it ends with a name."""
        return len(self.names) == len(self.types) and bool(self.names)


def parse(path: str) -> Target:
    """Take a path apart (without the query)."""
    segments = [unquote(part) for part in path.strip("/").split("/") if part]
    lower = [part.lower() for part in segments]
    if "providers" not in lower:
        return _resources_target(segments, lower, path)
    at = len(lower) - 1 - lower[::-1].index("providers")
    scope, rest = segments[:at], segments[at + 1 :]
    if not rest:
        return Target(join(scope), "Microsoft.Resources", ("providers",), ())
    if len(rest) == 1:
        return Target(join(scope), "Microsoft.Resources", ("providers",), (rest[0],))
    return Target(join(scope), rest[0], tuple(rest[1::2]), tuple(rest[2::2]))


def _resources_target(segments: list[str], lower: list[str], path: str) -> Target:
    """Paths without a provider are ARM's own: subscriptions, groups, tenants."""
    match lower:
        case ["subscriptions"] | ["tenants"] | ["providers"]:
            return Target("", "Microsoft.Resources", (lower[0],), ())
        case ["subscriptions", _]:
            return Target("", "Microsoft.Resources", ("subscriptions",), (segments[1],))
        case ["subscriptions", _, "resourcegroups"]:
            return Target(join(segments[:2]), "Microsoft.Resources", ("resourceGroups",), ())
        case ["subscriptions", _, "resourcegroups", _]:
            return Target(join(segments[:2]), "Microsoft.Resources", ("resourceGroups",), (segments[3],))
        case ["subscriptions", _, ("locations" | "resources" | "operationresults" | "tagnames") as last]:
            return Target(join(segments[:2]), "Microsoft.Resources", (last,), ())
        case ["subscriptions", _, "operationresults", _]:
            return Target(join(segments[:2]), "Microsoft.Resources", ("operationresults",), (segments[3],))
        case ["subscriptions", _, "resourcegroups", _, ("resources" | "exporttemplate") as last]:
            return Target(join(segments[:4]), "Microsoft.Resources", (last,), ())
    raise NotFound(f"The request path '{path}' is not one of Azure Resource Manager's.")


def join(segments: list[str] | tuple[str, ...]) -> str:
    """Segments as an absolute path; the empty list is the root, ""."""
    return "/" + "/".join(segments) if segments else ""


def split(resource_id: str) -> list[str]:
    """An absolute id as segments."""
    return [part for part in resource_id.strip("/").split("/") if part]


def group_of(resource_id: str) -> str | None:
    """The id of the resource group that a resource is in."""
    segments = split(resource_id)
    inside = len(segments) >= 4 and segments[2].lower() == "resourcegroups"
    return join(segments[:4]) if inside else None


def parent_of(resource_id: str) -> str | None:
    """The id of the parent of a child resource (`.../batchAccounts/a/pools/p` -> `.../batchAccounts/a`)."""
    segments = split(resource_id)
    lower = [part.lower() for part in segments]
    if "providers" not in lower:
        return None
    at = len(lower) - 1 - lower[::-1].index("providers")
    return join(segments[:-2]) if len(segments) - at > 4 else None
