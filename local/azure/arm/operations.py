"""What a request does to a resource: put, patch, get, delete, list, act. One generic implementation for all types.

Owns the order of checks, records and hooks. Work is recorded before it begins (`journal.py`), so that a kill at any
point is made good at the next start.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from typing import Any

from local.azure.arm.attach import attach_identities, check_links
from local.azure.arm.directory import location_name
from local.azure.arm.errors import (
    AnotherOperationInProgress,
    InvalidResourceGroupLocation,
    InvalidResourceLocation,
    NameTaken,
    ParentResourceNotFound,
    PreconditionFailed,
    ResourceGroupBeingDeleted,
    ResourceGroupNotFound,
    ResourceNotFound,
)
from local.azure.arm.journal import Journal, Operation
from local.azure.arm.wire import shown_etag
from local.azure.control_plane import ids
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import BLOB_CONTAINERS, BLOB_SERVICES, RESOURCE_GROUPS
from local.azure.control_plane.resource_types import GuardsDelete, TypeSpec
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import Caller

_TOP_LEVEL = ("location", "identity", "sku", "kind", "tags", "properties")
_DELETING = "Deleting"


class Operations:
    """The verbs. Callers have been authenticated, authorised and their bodies checked (`routes.py`)."""

    def __init__(self, cloud: Cloud, journal: Journal) -> None:
        self._cloud = cloud
        self._resources = cloud.resources
        self._journal = journal
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def get(self, resource_id: str, spec: TypeSpec) -> Resource:
        """The resource, or the 404 that fits what is missing."""
        found = self._resources.get(resource_id)
        if found is not None:
            return found
        if spec.type == BLOB_SERVICES and self._resources.get(ids.parent_of(resource_id) or "") is not None:
            return Resource(resource_id, spec.type, "default")
        group = ids.group_of(resource_id)
        short = ids.split(resource_id)[-1]
        if spec.type == RESOURCE_GROUPS:
            raise ResourceGroupNotFound(f"Resource group '{short}' could not be found.")
        if group is not None and self._resources.get(group) is None:
            raise ResourceGroupNotFound(f"Resource group '{ids.split(group)[-1]}' could not be found.")
        where = f"under resource group '{ids.split(group)[-1]}'" if group else "in this subscription"
        label = "/".join([spec.type, *ids.split(resource_id)[-1:]])
        raise ResourceNotFound(
            f"The Resource '{label}' {where} was not found. For more details please go to "
            "https://aka.ms/ARMResourceNotFoundFix"
        )

    async def put(
        self,
        resource_id: str,
        spec: TypeSpec,
        body: dict[str, Any],
        caller: Caller,
        match: tuple[str | None, str | None],
    ) -> tuple[Resource, int, Operation | None]:
        """Create or replace. Returns the resource, the status, and the operation when it goes on afterwards."""
        async with self._locks[resource_id.lower()]:
            old = self._resources.get(resource_id)
            self._check_surroundings(resource_id, spec)
            self._check_old(old, match, spec)
            new = self._build(resource_id, spec, body, old)
            attach_identities(self._cloud, new, caller)
            check_links(self._cloud, new, spec, caller)
            return await self._write(new, old, spec)

    async def patch(
        self,
        resource_id: str,
        spec: TypeSpec,
        body: dict[str, Any],
        caller: Caller,
        match: tuple[str | None, str | None],
    ) -> tuple[Resource, int, Operation | None]:
        """Change what the body names; properties are merged one level deep."""
        async with self._locks[resource_id.lower()]:
            old = self.get(resource_id, spec)
            self._check_surroundings(resource_id, spec)
            self._check_old(old, match, spec)
            new = old.copy()
            for key in ("sku", "kind", "tags", "identity"):
                if key in body:
                    setattr(new, key, body[key])
            new.properties.update(body.get("properties", {}))
            new.envelope.update({key: value for key, value in body.items() if key not in _TOP_LEVEL})
            if "identity" in body:  # else nothing is linked anew: tags ask for no right on identities
                attach_identities(self._cloud, new, caller)
            if "properties" in body:
                check_links(self._cloud, new, spec, caller)
            return await self._write(new, old, spec)

    async def delete(self, resource_id: str, spec: TypeSpec) -> tuple[int, Operation | None]:
        """Delete with everything under it: 204 when there was nothing, 202 with an operation, or 200."""
        async with self._locks[resource_id.lower()]:
            found = self._resources.get(resource_id)
            if found is None:
                if spec.type == RESOURCE_GROUPS:
                    self.get(resource_id, spec)
                return 204, None
            hooks = spec.work()
            if isinstance(hooks, GuardsDelete):
                await hooks.check_delete(found)
            running = self._journal.running(found.id)
            if running is not None and running.verb == "delete":
                return 202, running
            operation = self._journal.begin("delete", found, None)
            found.state = _DELETING
            self._resources.put(found)
        if spec.slow_delete:
            self._journal.run(operation)
            return 202, operation
        await self._journal.finish(operation)
        return 200, None

    async def act(
        self, resource_id: str, spec: TypeSpec, name: str, body: dict[str, Any], caller: Caller
    ) -> dict[str, Any] | None:
        """A POST action; None when its answer has no content."""
        resource = self.get(resource_id, spec)
        return await spec.work().action(resource, name, body, caller)

    def _check_surroundings(self, resource_id: str, spec: TypeSpec) -> None:
        """The group and the parent exist and stay."""
        group = ids.group_of(resource_id)
        if spec.type != RESOURCE_GROUPS and group is not None:
            holder = self._resources.get(group)
            if holder is None:
                raise ResourceGroupNotFound(f"Resource group '{ids.split(group)[-1]}' could not be found.")
            if holder.state == _DELETING:
                raise ResourceGroupBeingDeleted(
                    f"The resource group '{holder.name}' is in deprovisioning state and cannot perform this operation."
                )
        if spec.extension:
            scope = ids.join(ids.split(resource_id)[:-4])
            if scope.lower() != self._cloud.subscription_scope.lower() and self._resources.get(scope) is None:
                raise ResourceNotFound(f"The Resource '{scope}' was not found.")
        parent = None if spec.extension else ids.parent_of(resource_id)
        if parent is not None and spec.type.lower() == BLOB_CONTAINERS.lower():
            parent = ids.parent_of(parent)  # the account's one blob service always exists
        if parent is not None and self._resources.get(parent) is None:
            raise ParentResourceNotFound(
                f"Failed to perform 'write' on resource(s) of type '{spec.type.split('/', 1)[1]}', because the parent "
                f"resource '{parent}' could not be found."
            )

    def _check_old(self, old: Resource | None, match: tuple[str | None, str | None], spec: TypeSpec) -> None:
        if_match, if_none_match = match
        if (if_none_match == "*" and old is not None) or (
            if_match not in (None, "*") and (old is None or shown_etag(old, spec) != if_match)
        ):
            raise PreconditionFailed("The condition specified by the ETag is not satisfied.")
        if old is not None and old.state in (_DELETING, "Creating"):
            raise AnotherOperationInProgress(
                f"The resource '{old.id}' is in the provisioning state '{old.state}'; wait until that operation "
                "has ended."
            )

    def _build(self, resource_id: str, spec: TypeSpec, body: dict[str, Any], old: Resource | None) -> Resource:
        location = body.get("location")
        if spec.tracked:
            location = location_name(location, spec.type, spec.places)
        if spec.type == RESOURCE_GROUPS and old is not None and location != old.location:
            raise InvalidResourceGroupLocation(
                f"Invalid resource group location '{location}'. The Resource group already exists in location "
                f"'{old.location}'."
            )
        if old is not None and spec.tracked and location != old.location:
            raise InvalidResourceLocation(
                f"The resource '{old.name}' already exists in location '{old.location}' in resource group "
                f"'{ids.split(ids.group_of(old.id) or old.id)[-1]}'. A resource with the same name cannot be created "
                f"in location '{location}'. Please select a new resource name."
            )
        new = Resource(
            id=old.id if old is not None else resource_id,
            type=spec.type,
            name=old.name if old is not None else ids.split(resource_id)[-1],
            location=location,
            properties=body.get("properties", {}),
            identity=body.get("identity"),
            sku=body.get("sku"),
            kind=body.get("kind"),
            tags=body.get("tags"),
            envelope={key: value for key, value in body.items() if key not in _TOP_LEVEL},
        )
        if old is not None:
            new.system, new.created = old.system, old.created
        return new

    async def _write(
        self, new: Resource, old: Resource | None, spec: TypeSpec
    ) -> tuple[Resource, int, Operation | None]:
        hooks = spec.work()
        if old is None and spec.unique and self._resources.by_name(spec.type, new.name) is not None:
            raise NameTaken(spec.type, new.name)
        await hooks.validate(new, old)
        now = self._cloud.clock.now().isoformat()
        new.created, new.changed = new.created or now, now
        new.etag = f'W/"0x{uuid.uuid4().hex[:15].upper()}"'
        slow = old is None and spec.created == 202
        new.state = "Creating" if old is None else "Updating"
        operation = self._journal.begin("put", new, old)
        if old is None:
            self._resources.put(new)
        if slow:
            self._journal.run(operation)
            return new, 202, operation
        await self._journal.finish(operation)
        done = self._resources.get(new.id)
        return done or new, spec.updated if old is not None else spec.created, None
