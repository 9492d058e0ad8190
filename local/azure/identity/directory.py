"""The tenant's directory: which principals exist and which applications have a secret.

Owns lookups by client id and object id. Managed identities are ARM resources, or belong to one (system-assigned);
applications other than the deployer and users can be added (tests and `submitters` need them).
"""

from __future__ import annotations

import hmac
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import USER_ASSIGNED_IDENTITIES
from local.azure.control_plane.resources import SYSTEM_IDENTITY

_APPLICATIONS = "application"
_USERS = "user"
SERVICE_PRINCIPAL, USER = "ServicePrincipal", "User"


@dataclass(frozen=True)
class Application:
    """A service principal with a client secret. `id` is the object id of the application itself, as Graph has it."""

    client_id: str
    object_id: str
    name: str
    secret: str = field(repr=False)
    id: str = ""

    def has_secret(self, given: str) -> bool:
        """Compare without telling how much of it was right."""
        return bool(self.secret) and hmac.compare_digest(self.secret.encode(), given.encode())


@dataclass(frozen=True)
class Principal:
    """What a role can be assigned to. `client_id` is None for users, `login` the user principal name."""

    object_id: str
    name: str
    kind: str
    client_id: str | None = None
    login: str | None = None
    resource_id: str | None = None  # of a managed identity


class Directory:
    """A view on the cloud; it keeps nothing itself."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def application(self, client_id: str) -> Application | None:
        """The application with this client id."""
        wanted = client_id.lower()
        return next((one for one in self.applications() if one.client_id.lower() == wanted), None)

    def applications(self) -> list[Application]:
        """The deployer's application and those that were added."""
        settings = self._cloud.settings
        deployer = Application(
            settings.client_id,
            settings.deployer_object_id,
            "deployer",
            settings.client_secret,
            _own_id(settings.client_id),
        )
        added = [body for _, body in self._cloud.store.items(_APPLICATIONS)]
        return [
            deployer,
            *(Application(**{"id": _own_id(body["client_id"]), **body}) for body in added),
        ]

    def create_application(self, name: str, *, with_secret: bool = True) -> Application:
        """Register a new application; it has no rights until a role is assigned to its object id."""
        client_id = str(uuid.uuid4())
        made = Application(
            client_id, str(uuid.uuid4()), name, secrets.token_urlsafe(30) if with_secret else "", _own_id(client_id)
        )
        self._keep(made)
        return made

    def renew_secret(self, application: Application) -> Application:
        """The application with a new secret; the old one is not good any more."""
        made = Application(**{**asdict(application), "secret": secrets.token_urlsafe(30)})
        self._keep(made)
        return made

    def delete_application(self, application: Application) -> bool:
        """Forget an application; the deployer's stays (False)."""
        return self._cloud.store.delete(_APPLICATIONS, application.client_id.lower())

    def create_user(self, login: str, name: str) -> Principal:
        """Add a user, who cannot sign in here: roles can be assigned to it."""
        made = Principal(str(uuid.uuid4()), name, USER, login=login)
        self._cloud.store.put(_USERS, made.object_id, asdict(made))
        return made

    def principals(self) -> Iterator[Principal]:
        """Everything that a role can be assigned to."""
        for application in self.applications():
            yield Principal(application.object_id, application.name, SERVICE_PRINCIPAL, client_id=application.client_id)
        for resource in self._cloud.resources.list():
            made = (
                resource.properties
                if resource.type == USER_ASSIGNED_IDENTITIES
                else resource.system.get(SYSTEM_IDENTITY)
            )
            if made:
                yield Principal(
                    str(made["principalId"]),
                    resource.name,
                    SERVICE_PRINCIPAL,
                    client_id=str(made["clientId"]),
                    resource_id=resource.id,
                )
        for _, body in self._cloud.store.items(_USERS):
            yield Principal(**body)

    def principal_type(self, object_id: str) -> str | None:
        """`ServicePrincipal` or `User`; None for an id that is not in the directory."""
        wanted = object_id.lower()
        return next((one.kind for one in self.principals() if one.object_id.lower() == wanted), None)

    def _keep(self, application: Application) -> None:
        self._cloud.store.put(_APPLICATIONS, application.client_id.lower(), asdict(application))


def _own_id(client_id: str) -> str:
    """The application's own object id, which differs from its service principal's."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, client_id))
