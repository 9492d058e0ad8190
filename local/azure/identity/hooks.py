"""The ARM hooks of user-assigned managed identities (a record, with a service principal made once) and of the federated
credentials that let tokens of another issuer stand for one.

Source: https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
"""

from __future__ import annotations

import uuid

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import FEDERATED_CREDENTIALS
from local.azure.control_plane.resource_types import RecordHooks
from local.azure.control_plane.resources import Resource
from local.azure.identity.errors import BadFederatedCredential

MOST_CREDENTIALS = 20
"""Federated credentials of one identity."""


class IdentityHooks(RecordHooks):
    """A managed identity gets a service principal of its own when it is made, and keeps it."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Give the identity its ids before the resource can be read."""
        made = {
            "tenantId": self._cloud.settings.tenant_id,
            "principalId": str(uuid.uuid4()),
            "clientId": str(uuid.uuid4()),
        }
        kept = made if old is None else {key: old.properties[key] for key in made}
        new.properties.update(kept)


class FederationHooks(RecordHooks):
    """A federated credential: which issuer's tokens, with which subject, stand for the identity. One audience."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """No two credentials of an identity may have the same issuer and subject."""
        properties = new.properties
        if len(properties.get("audiences") or ()) != 1:
            raise BadFederatedCredential("The federated identity credential must have exactly one audience.")
        identity = new.id.rsplit("/", 2)[0].lower()
        others = [
            one
            for one in self._cloud.resources.list(FEDERATED_CREDENTIALS)
            if one.id.lower().startswith(f"{identity}/") and one.id.lower() != new.id.lower()
        ]
        if any(all(one.properties.get(key) == properties.get(key) for key in ("issuer", "subject")) for one in others):
            raise BadFederatedCredential(
                f"Issuer '{properties.get('issuer')}' and subject combination already exists for this Managed Identity."
            )
        if len(others) >= MOST_CREDENTIALS:
            raise BadFederatedCredential(f"Too many Federated Identity Credentials: {MOST_CREDENTIALS} are allowed.")
