"""The table of ARM resources: what exists, by id, kept in the store.

Owns identity of resources (ids compare without case) and their records; not how they are made. One process writes (the
azure process); others that open the store see what was there when they opened it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from local.azure.platform.store import Store

_KIND = "resource"
SYSTEM_IDENTITY = "identity"
"""In `Resource.system`: principalId and clientId of the resource's system-assigned identity."""


@dataclass
class Resource:
    """One resource. `system` holds facts made by the server (principalId, endpoint, keys): never shown as they are."""

    id: str
    type: str
    name: str
    location: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] | None = None
    sku: dict[str, Any] | None = None
    kind: str | None = None
    tags: dict[str, str] | None = None
    envelope: dict[str, Any] = field(default_factory=dict)  # other top-level fields: zones, managedBy, ...
    system: dict[str, Any] = field(default_factory=dict)
    state: str = "Succeeded"  # provisioning state
    created: str = ""
    changed: str = ""
    etag: str = ""

    def copy(self) -> Resource:
        """A deep copy, safe to change."""
        return copy.deepcopy(self)


class Resources:
    """The table. Records handed out are copies: change one, then `put` it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table = {key: Resource(**body) for key, body in store.items(_KIND)}
        self._listeners: list[Callable[[Resource, bool], None]] = []

    def get(self, resource_id: str) -> Resource | None:
        """The resource with this id, whatever its case."""
        found = self._table.get(_key(resource_id))
        return None if found is None else found.copy()

    def list(self, type: str | None = None, scope: str | None = None) -> list[Resource]:
        """Resources of a type and under a scope (the scope itself included), in order of their ids."""
        wanted = None if type is None else type.lower()
        prefix = None if scope is None else _key(scope)
        return [
            resource.copy()
            for key, resource in sorted(self._table.items())
            if (wanted is None or resource.type.lower() == wanted)
            and (prefix is None or key == prefix or key.startswith(prefix + "/"))
        ]

    def by_name(self, type: str, name: str) -> Resource | None:
        """The resource of a type whose names are unique in all Azure (accounts, registries)."""
        for resource in self._table.values():
            if resource.type.lower() == type.lower() and resource.name.lower() == name.lower():
                return resource.copy()
        return None

    def put(self, resource: Resource) -> None:
        """Record the resource."""
        record = resource.copy()
        self._store.put(_KIND, _key(record.id), asdict(record))
        self._table[_key(record.id)] = record
        self._tell(record, True)

    def delete(self, resource_id: str) -> bool:
        """Forget the resource; False when there was none."""
        record = self._table.pop(_key(resource_id), None)
        self._store.delete(_KIND, _key(resource_id))
        if record is None:
            return False
        self._tell(record, False)
        return True

    def on_change(self, listener: Callable[[Resource, bool], None]) -> None:
        """Call `listener(resource, exists)` after every change."""
        self._listeners.append(listener)

    def _tell(self, resource: Resource, exists: bool) -> None:
        for listener in self._listeners:
            listener(resource.copy(), exists)


def _key(resource_id: str) -> str:
    return "/" + resource_id.strip("/").lower()
