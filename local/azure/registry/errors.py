"""The registry's error codes: OCI's distribution codes with Azure Container Registry's texts, and ARM's for registries.

Codes: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes. Texts as `docker` and `az acr`
users quote them (https://learn.microsoft.com/azure/container-registry/container-registry-troubleshoot-login);
those marked [guess] are ours.
"""

from __future__ import annotations

from local.azure.platform.errors import AzureError


class RegistryError(AzureError):
    """Any refusal at the registry's own endpoint; encoded by `registry/wire.py`."""


class Unauthorized(RegistryError):
    """No token, a bad one, or one without the needed right: the registry does not say which."""

    status, code = 401, "UNAUTHORIZED"
    default = "authentication required, visit https://aka.ms/acr/authorization for more information."


class Unsupported(RegistryError):
    """An operation that the registry, or its local stand-in, does not have."""

    status, code, default = 405, "UNSUPPORTED", "The operation is unsupported."


class InvalidRequest(RegistryError):
    """A token request without a needed field [guess]."""

    status, code, default = 400, "BAD_REQUEST", "The request is missing a required parameter."


class RepositoryUnknown(RegistryError):
    """No such repository."""

    status, code, default = 404, "NAME_UNKNOWN", "repository name not known to registry"


class UpstreamAway(RegistryError):
    """docker-registry does not answer, for instance while it restarts; clients try 5xx answers again."""

    status, code, default = 503, "UNAVAILABLE", "service unavailable; try again"


class TooManyRequests(RegistryError):
    """Too many requests; the distribution specification's code [guess: the text]."""

    status, code, default = 429, "TOOMANYREQUESTS", "too many requests"


class InternalError(RegistryError):
    """The registry's own mistake; 500 and this code are docker-registry's."""

    status, code, default = 500, "UNKNOWN", "unknown error"


class RegistryArmError(AzureError):
    """A refusal of ARM's Microsoft.ContainerRegistry provider."""


class CredentialOperationsRefused(RegistryArmError):
    """listCredentials and regenerateCredential on a registry without its admin user."""

    status, code = 400, "UnAuthorizedForCredentialOperations"
    default = "Cannot perform credential operations as admin user is disabled."


class UnknownRegistryAction(RegistryArmError):
    """A POST action that the local registry does not have."""

    status, code, default = 501, "NotImplemented", "The local Azure does not have this registry operation yet."
