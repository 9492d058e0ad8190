"""The ARM hooks of user-assigned managed identities: a record, with a service principal made once."""

from __future__ import annotations

import uuid

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resource_types import RecordHooks
from local.azure.control_plane.resources import Resource


class IdentityHooks(RecordHooks):
    """A managed identity gets a service principal of its own when it is made, and keeps it."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Give it its ids: they must be there before anybody can read the resource."""
        made = {
            "tenantId": self._cloud.settings.tenant_id,
            "principalId": str(uuid.uuid4()),
            "clientId": str(uuid.uuid4()),
        }
        kept = made if old is None else {key: old.properties[key] for key in made}
        new.properties.update(kept)
