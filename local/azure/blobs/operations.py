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
from local.azure.control_plane.ids import BLOB_SERVICES

_CONTAINERS = f"{BLOB_SERVICES}/containers"
_BLOBS = f"{_CONTAINERS}/blobs"


@dataclass(frozen=True)
class Right:
    """An operation's name in Azure's documentation, and the action that it needs."""

    operation: str
    action: str
    data: bool
    letters: str = ""  # of shared access signatures: one of them is enough; none: no signature is


def _control(operation: str, action: str, letters: str = "") -> Right:
    return Right(operation, action, data=False, letters=letters)


def _data(operation: str, verb: str, letters: str) -> Right:
    return Right(operation, f"{_BLOBS}/{verb}", data=True, letters=letters)


# (level, method, comp) -> right. `restype` is part of the level: an unknown combination is no operation.
RIGHTS: Final[Mapping[tuple[str, str, str], Right]] = {
    ("service", "GET", "list"): _control("List Containers", f"{_CONTAINERS}/read", "l"),
    ("service", "GET", "properties"): _control("Get Blob Service Properties", f"{BLOB_SERVICES}/read", "r"),
    ("service", "PUT", "properties"): _control("Set Blob Service Properties", f"{BLOB_SERVICES}/write", "w"),
    ("service", "POST", "userdelegationkey"): _control(
        "Get User Delegation Key", f"{BLOB_SERVICES}/generateUserDelegationKey/action"
    ),
    ("service", "GET", "blobs"): _data("Find Blobs by Tags", "filter/action", "f"),
    ("account", "GET", "properties"): _control(
        "Get Account Information", f"{BLOB_SERVICES}/getInfo/action", "rwdlacuptf"
    ),
    ("account", "HEAD", "properties"): _control(
        "Get Account Information", f"{BLOB_SERVICES}/getInfo/action", "rwdlacuptf"
    ),
    ("container", "GET", "list"): _data("List Blobs", "read", "l"),
    ("container", "GET", ""): _control("Get Container Properties", f"{_CONTAINERS}/read", "r"),
    ("container", "HEAD", ""): _control("Get Container Properties", f"{_CONTAINERS}/read", "r"),
    ("container", "GET", "metadata"): _control("Get Container Metadata", f"{_CONTAINERS}/read", "r"),
    ("container", "HEAD", "metadata"): _control("Get Container Metadata", f"{_CONTAINERS}/read", "r"),
    ("container", "PUT", ""): _control("Create Container", f"{_CONTAINERS}/write", "cw"),
    ("container", "DELETE", ""): _control("Delete Container", f"{_CONTAINERS}/delete", "d"),
    ("container", "PUT", "metadata"): _control("Set Container Metadata", f"{_CONTAINERS}/write", "w"),
    ("container", "PUT", "lease"): _control("Lease Container", f"{_CONTAINERS}/write", "wd"),
    ("container", "GET", "acl"): _control("Get Container ACL", f"{_CONTAINERS}/getAcl/action"),
    ("container", "PUT", "acl"): _control("Set Container ACL", f"{_CONTAINERS}/setAcl/action"),
    ("blob", "GET", ""): _data("Get Blob", "read", "r"),
    ("blob", "HEAD", ""): _data("Get Blob Properties", "read", "r"),
    ("blob", "GET", "metadata"): _data("Get Blob Metadata", "read", "r"),
    ("blob", "HEAD", "metadata"): _data("Get Blob Metadata", "read", "r"),
    ("blob", "GET", "blocklist"): _data("Get Block List", "read", "r"),
    ("blob", "GET", "pagelist"): _data("Get Page Ranges", "read", "r"),
    ("blob", "GET", "tags"): _data("Get Blob Tags", "tags/read", "t"),
    ("blob", "PUT", ""): _data("Put Blob", "write", "wc"),
    ("blob", "PUT", "block"): _data("Put Block", "write", "wc"),
    ("blob", "PUT", "blocklist"): _data("Put Block List", "write", "wc"),
    ("blob", "PUT", "page"): _data("Put Page", "write", "w"),
    ("blob", "PUT", "appendblock"): _data("Append Block", "add/action", "aw"),
    ("blob", "PUT", "seal"): _data("Append Blob Seal", "write", "w"),
    ("blob", "PUT", "metadata"): _data("Set Blob Metadata", "write", "w"),
    ("blob", "PUT", "properties"): _data("Set Blob Properties", "write", "w"),
    ("blob", "PUT", "snapshot"): _data("Snapshot Blob", "write", "wc"),
    ("blob", "PUT", "tier"): _data("Set Blob Tier", "write", "w"),
    ("blob", "PUT", "lease"): _data("Lease Blob", "write", "wd"),
    ("blob", "PUT", "tags"): _data("Set Blob Tags", "tags/write", "t"),
    ("blob", "PUT", "undelete"): _data("Undelete Blob", "write", "w"),
    ("blob", "DELETE", ""): _data("Delete Blob", "delete", "d"),
}
# What Azure has and this proxy cannot authorise yet: refused by name.
_LATER: Final = {
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
    level: str


READ_BLOB: Final = RIGHTS[("blob", "GET", "")]


def read_operation(method: str, path: str, query: Mapping[str, str]) -> Operation:
    """What the request asks for; `path` as it came over the wire. Raises for what is unknown or not there yet."""
    account, _, rest = path.lstrip("/").partition("/")
    container, _, blob = rest.partition("/")
    comp = query.get("comp", "").lower()
    level = _level(container, blob, query.get("restype", "").lower())
    if later := _LATER.get((level, comp)):
        raise NotImplementedYet(f"The local Azure does not have '{later}' yet; use another operation.")
    if _NOT_IN_NAMES.search(unquote(rest)):
        raise InvalidUri("The name of the blob has a control character in it, which the blob service does not take.")
    right = RIGHTS.get((level, method, comp))
    if right is None:
        raise UnsupportedHttpVerb(f"{method} of a {level} with comp={comp!r} is no operation of the blob service.")
    return Operation(account, unquote(container) or None, unquote(blob) or None, right, level)


def _level(container: str, blob: str, restype: str) -> str:
    """`service`, `account`, `container` or `blob`; a blob without a container is in `$root`."""
    if restype == "account":
        return "account"
    if restype == "container":
        return "container"
    if not container or restype == "service":
        return "service"
    return "blob"
