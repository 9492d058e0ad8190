"""Which operation a request is and which right it needs: one table.

Rights: https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-calling-data-operations.
Containers are read and written by control-plane actions (a Contributor can list containers), blobs by data actions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from local.azure.blobs.errors import InvalidUri, NotImplementedYet, UnsupportedHttpVerb

_SERVICE = "Microsoft.Storage/storageAccounts/blobServices"
_CONTAINERS = f"{_SERVICE}/containers"
_BLOBS = f"{_CONTAINERS}/blobs"


@dataclass(frozen=True)
class Right:
    """An operation's name in Azure's words and the action it needs."""

    operation: str
    action: str
    data: bool


def _control(operation: str, action: str) -> Right:
    return Right(operation, action, data=False)


def _data(operation: str, verb: str) -> Right:
    return Right(operation, f"{_BLOBS}/{verb}", data=True)


# (level, method, comp) -> right. `restype` is part of the level: an unknown combination is no operation.
RIGHTS: Final[Mapping[tuple[str, str, str], Right]] = {
    ("service", "GET", "list"): _control("List Containers", f"{_CONTAINERS}/read"),
    ("service", "GET", "properties"): _control("Get Blob Service Properties", f"{_SERVICE}/read"),
    ("service", "PUT", "properties"): _control("Set Blob Service Properties", f"{_SERVICE}/write"),
    ("service", "GET", "blobs"): _data("Find Blobs by Tags", "filter/action"),
    ("account", "GET", "properties"): _control("Get Account Information", f"{_SERVICE}/getInfo/action"),
    ("account", "HEAD", "properties"): _control("Get Account Information", f"{_SERVICE}/getInfo/action"),
    ("container", "GET", "list"): _data("List Blobs", "read"),
    ("container", "GET", ""): _control("Get Container Properties", f"{_CONTAINERS}/read"),
    ("container", "HEAD", ""): _control("Get Container Properties", f"{_CONTAINERS}/read"),
    ("container", "GET", "metadata"): _control("Get Container Metadata", f"{_CONTAINERS}/read"),
    ("container", "HEAD", "metadata"): _control("Get Container Metadata", f"{_CONTAINERS}/read"),
    ("container", "PUT", ""): _control("Create Container", f"{_CONTAINERS}/write"),
    ("container", "DELETE", ""): _control("Delete Container", f"{_CONTAINERS}/delete"),
    ("container", "PUT", "metadata"): _control("Set Container Metadata", f"{_CONTAINERS}/write"),
    ("container", "PUT", "lease"): _control("Lease Container", f"{_CONTAINERS}/write"),
    ("container", "GET", "acl"): _control("Get Container ACL", f"{_CONTAINERS}/getAcl/action"),
    ("container", "PUT", "acl"): _control("Set Container ACL", f"{_CONTAINERS}/setAcl/action"),
    ("blob", "GET", ""): _data("Get Blob", "read"),
    ("blob", "HEAD", ""): _data("Get Blob Properties", "read"),
    ("blob", "GET", "metadata"): _data("Get Blob Metadata", "read"),
    ("blob", "HEAD", "metadata"): _data("Get Blob Metadata", "read"),
    ("blob", "GET", "blocklist"): _data("Get Block List", "read"),
    ("blob", "GET", "pagelist"): _data("Get Page Ranges", "read"),
    ("blob", "GET", "tags"): _data("Get Blob Tags", "tags/read"),
    ("blob", "PUT", ""): _data("Put Blob", "write"),
    ("blob", "PUT", "block"): _data("Put Block", "write"),
    ("blob", "PUT", "blocklist"): _data("Put Block List", "write"),
    ("blob", "PUT", "page"): _data("Put Page", "write"),
    ("blob", "PUT", "appendblock"): _data("Append Block", "add/action"),
    ("blob", "PUT", "seal"): _data("Append Blob Seal", "write"),
    ("blob", "PUT", "metadata"): _data("Set Blob Metadata", "write"),
    ("blob", "PUT", "properties"): _data("Set Blob Properties", "write"),
    ("blob", "PUT", "snapshot"): _data("Snapshot Blob", "write"),
    ("blob", "PUT", "tier"): _data("Set Blob Tier", "write"),
    ("blob", "PUT", "lease"): _data("Lease Blob", "write"),
    ("blob", "PUT", "tags"): _data("Set Blob Tags", "tags/write"),
    ("blob", "PUT", "undelete"): _data("Undelete Blob", "write"),
    ("blob", "DELETE", ""): _data("Delete Blob", "delete"),
}
# What Azure has and this proxy cannot authorise yet: refused by name.
_LATER: Final = {
    ("service", "userdelegationkey"): "Get User Delegation Key",
    ("service", "batch"): "Blob Batch",
    ("container", "batch"): "Blob Batch",
    ("service", "stats"): "Get Blob Service Stats",
    ("blob", "query"): "Query Blob Contents",
    ("blob", "incrementalcopy"): "Incremental Copy Blob",
    ("blob", "copy"): "Abort Copy Blob",
}


_NOT_IN_NAMES: Final = re.compile("[\x00-\x1f\ufffe\uffff]")  # what XML 1.0 cannot hold, and line ends


@dataclass(frozen=True)
class Operation:
    """A request, understood."""

    account: str
    container: str | None
    blob: str | None
    right: Right


def read_operation(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Operation:
    """What the request asks for; `path` as it came over the wire. Raises for what is unknown or not there yet."""
    account, _, rest = path.lstrip("/").partition("/")
    container, _, blob = rest.partition("/")
    comp = query.get("comp", "").lower()
    level = _level(container, blob, query.get("restype", "").lower())
    if later := _LATER.get((level, comp)):
        raise NotImplementedYet(f"The local Azure does not have '{later}' yet; use another operation.")
    if "x-ms-copy-source" in {name.lower() for name in headers}:
        raise NotImplementedYet("The local Azure does not copy from URLs (x-ms-copy-source) yet; download and upload.")
    if _NOT_IN_NAMES.search(unquote(rest)):
        raise InvalidUri("The name of the blob has a control character in it, which the blob service does not take.")
    right = RIGHTS.get((level, method, comp))
    if right is None:
        raise UnsupportedHttpVerb(f"{method} of a {level} with comp={comp!r} is no operation of the blob service.")
    return Operation(account, unquote(container) or None, unquote(blob) or None, right)


def _level(container: str, blob: str, restype: str) -> str:
    """`service`, `account`, `container` or `blob`; a blob without a container is in `$root`."""
    if restype == "account":
        return "account"
    if restype == "container":
        return "container"
    if not container or restype == "service":
        return "service"
    return "blob"
