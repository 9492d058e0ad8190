"""ARM's own types: resource groups and user-assigned identities. They have records and nothing behind them."""

from __future__ import annotations

import uuid
from typing import Any

from local.azure.arm.resources import Resource
from local.azure.cloud import Cloud
from local.azure.errors.arm import NotFound
from local.azure.identity.tokens import Caller


class RecordHooks:
    """For types whose record is all there is; the base of the others here."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Nothing beyond the schema."""

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Nothing to do."""

    async def delete(self, resource: Resource) -> None:
        """Nothing to do."""

    async def action(self, resource: Resource, name: str, body: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """No actions."""
        raise NotFound(f"{resource.type} has no action '{name}'.")

    def view(self, resource: Resource) -> dict[str, Any]:
        """Nothing to add."""
        return {}


class IdentityHooks(RecordHooks):
    """A managed identity gets a service principal of its own when it is made, and keeps it."""

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Give it its ids: they must be there before anybody can read the resource."""
        made = {
            "tenantId": self.cloud.settings.tenant_id,
            "principalId": str(uuid.uuid4()),
            "clientId": str(uuid.uuid4()),
        }
        kept = made if old is None else {key: old.properties[key] for key in made}
        new.properties.update(kept)
