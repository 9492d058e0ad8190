"""The tenant's directory: which principals exist and which applications have a secret.

Owns lookups by client id and object id. Managed identities are ARM resources; applications other than the deployer can
be added (tests and `submitters` need them).
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from dataclasses import asdict, dataclass, field

from local.azure.control_plane.cloud import Cloud

_KIND = "application"
_IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"


@dataclass(frozen=True)
class Application:
    """A service principal with a client secret."""

    client_id: str
    object_id: str
    name: str
    secret: str = field(repr=False)

    def has_secret(self, given: str) -> bool:
        """Compare without telling how much of it was right."""
        return hmac.compare_digest(self.secret.encode(), given.encode())


class Directory:
    """A view on the cloud; it keeps nothing itself."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def application(self, client_id: str) -> Application | None:
        """The application with this client id."""
        settings = self._cloud.settings
        if client_id.lower() == settings.client_id.lower():
            return Application(settings.client_id, settings.deployer_object_id, "deployer", settings.client_secret)
        body = self._cloud.store.get(_KIND, client_id.lower())
        return None if body is None else Application(**body)

    def create_application(self, name: str) -> Application:
        """Register a new application; it has no rights until a role is assigned to its object id."""
        made = Application(str(uuid.uuid4()), str(uuid.uuid4()), name, secrets.token_urlsafe(30))
        self._cloud.store.put(_KIND, made.client_id.lower(), asdict(made))
        return made

    def principal_type(self, object_id: str) -> str | None:
        """`ServicePrincipal` for applications and managed identities, None for what the directory does not know."""
        wanted = object_id.lower()
        known = {self._cloud.settings.deployer_object_id.lower()}
        known.update(str(body["object_id"]).lower() for _, body in self._cloud.store.items(_KIND))
        known.update(str(one.properties.get("principalId")).lower() for one in self._cloud.resources.list(_IDENTITIES))
        return "ServicePrincipal" if wanted in known else None
