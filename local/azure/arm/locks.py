"""Management locks: what a lock forbids, for everybody and every role.

A lock holds at its scope and below. `CanNotDelete` forbids DELETE, `ReadOnly` also PUT, PATCH and POST actions (listing
keys is one). A group is not deleted while something in it is locked. Data planes do not know locks.
Source: https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources; the text as users report it.
"""

from __future__ import annotations

from local.azure.arm.errors import InvalidLockLevel, ScopeLocked
from local.azure.control_plane import ids
from local.azure.control_plane.access import covers
from local.azure.control_plane.ids import LOCKS
from local.azure.control_plane.resource_types import RecordHooks, TypeSpec
from local.azure.control_plane.resources import Resource, Resources

_READ_ONLY = "ReadOnly"


class LockHooks(RecordHooks):
    """A lock is a record; `check_locks` reads it with every request."""

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """The level is one that locks something."""
        level = new.properties["level"]
        if level not in ("CanNotDelete", _READ_ONLY):
            raise InvalidLockLevel(f"The lock level '{level}' is not valid; it must be CanNotDelete or ReadOnly.")


def check_locks(resources: Resources, method: str, spec: TypeSpec, resource_id: str) -> None:
    """Raise ScopeLocked when a lock forbids the request. Locks themselves can be changed and removed."""
    if spec.type == LOCKS:
        return
    deleting = method == "DELETE"
    locked = [
        scope
        for lock in resources.list(LOCKS)
        for scope in [scope_of(lock)]
        if (deleting or lock.properties["level"] == _READ_ONLY)
        and (covers(scope, resource_id) or (deleting and covers(resource_id, scope)))
    ]
    if locked:
        operation = "delete" if deleting else "write"
        scopes = ",".join(sorted(set(locked)))
        raise ScopeLocked(
            f"The scope '{resource_id}' cannot perform {operation} operation because following scope(s) are locked: "
            f"'{scopes}'. Please remove the lock and try again."
        )


def scope_of(extension: Resource) -> str:
    """What an extension resource stands under."""
    return ids.join(ids.split(extension.id)[:-4])
