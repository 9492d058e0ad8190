"""Codes of ARM's own operations; those that other services share are in `control_plane/errors.py`.

Sources: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors and the
RPC contract's `error{code,message}`; texts are those that ARM sends, as public issue threads quote them.
"""

from __future__ import annotations

from typing import ClassVar

from local.azure.platform.errors import AzureError


class ResourceNotFound(AzureError):
    """No such resource."""

    status = 404
    code = "ResourceNotFound"


class ResourceGroupNotFound(AzureError):
    """No such resource group."""

    status = 404
    code = "ResourceGroupNotFound"


class ParentResourceNotFound(AzureError):
    """The resource's parent does not exist."""

    status = 404
    code = "ParentResourceNotFound"


class SubscriptionNotFound(AzureError):
    """No such subscription."""

    status = 404
    code = "SubscriptionNotFound"


class MissingSubscriptionRegistration(AzureError):
    """The resource's provider is not registered (error-register-resource-provider)."""

    status = 409
    code = "MissingSubscriptionRegistration"


class CannotUnregister(AzureError):
    """The provider has resources, or cannot be unregistered at all. [guess: code and text]"""

    status = 409
    code = "CannotUnregisterResourceProvider"


class MethodNotAllowed(AzureError):
    """The path is known, the method is not."""

    status = 405
    code = "MethodNotAllowed"


class MissingApiVersionParameter(AzureError):
    """No api-version in the query."""

    status = 400
    code = "MissingApiVersionParameter"
    default: ClassVar[str] = "The api-version query parameter (?api-version=) is required for all requests."


class InvalidApiVersionParameter(AzureError):
    """An api-version that is no date, or older than anything the type ever had."""

    status = 400
    code = "InvalidApiVersionParameter"


class NoRegisteredProviderFound(AzureError):
    """The type has no such api-version or is not in that location."""

    status = 400
    code = "NoRegisteredProviderFound"


class LocationNotAvailableForResourceType(AzureError):
    """A location Azure does not have."""

    status = 400
    code = "LocationNotAvailableForResourceType"


class LocationRequired(AzureError):
    """A tracked resource without a location."""

    status = 400
    code = "LocationRequired"
    default: ClassVar[str] = "The location property is required for this definition."


class InvalidResourceLocation(AzureError):
    """A resource with this name exists in another location."""

    status = 409
    code = "InvalidResourceLocation"


class InvalidResourceGroupLocation(AzureError):
    """A group cannot move."""

    status = 409
    code = "InvalidResourceGroupLocation"


class NameTaken(AzureError):
    """A name that is unique in all Azure belongs to a resource in another group.

    The codes are each provider's own: StorageAccountAlreadyTaken, AlreadyInUse (registries); Batch's is a guess.
    """

    status = 409

    def __init__(self, type: str, name: str) -> None:
        known = {"storageaccounts": "StorageAccountAlreadyTaken", "registries": "AlreadyInUse"}
        self.code = known.get(type.rsplit("/", 1)[-1].lower(), "AccountAlreadyExists")
        super().__init__(f"The {type} name '{name}' is already in use. Please choose another name.")


class InvalidQueryParameter(AzureError):
    """A query parameter this path does not have."""

    status = 400
    code = "InvalidQueryParameter"


class UnmatchedPrincipalType(AzureError):
    """principalType contradicts the directory."""

    status = 400
    code = "UnmatchedPrincipalType"


class InvalidRequestContent(AzureError):
    """The body is no JSON object, or does not fit the type's schema."""

    status = 400
    code = "InvalidRequestContent"


class RequestContentTooLarge(AzureError):
    """The body is larger than ARM takes (4 MB: learn.microsoft.com/azure/azure-resource-manager/management/
    azure-subscription-service-limits). The code is a GUESS."""

    status = 413
    code = "RequestContentTooLarge"


class ResourceGroupBeingDeleted(AzureError):
    """Writes to a group on its way out."""

    status = 409
    code = "ResourceGroupBeingDeleted"


class AnotherOperationInProgress(AzureError):
    """One operation at a time on a resource."""

    status = 409
    code = "AnotherOperationInProgress"


class PreconditionFailed(AzureError):
    """If-Match or If-None-Match does not hold."""

    status = 412
    code = "PreconditionFailed"


class FailedIdentityOperation(AzureError):
    """An identity to be attached does not exist."""

    status = 400
    code = "FailedIdentityOperation"


class RoleAssignmentExists(AzureError):
    """The same principal, role and scope under another name."""

    status = 409
    code = "RoleAssignmentExists"
    default: ClassVar[str] = "The role assignment already exists."


class RoleAssignmentUpdateNotPermitted(AzureError):
    """Principal, role and scope of an assignment never change."""

    status = 400
    code = "RoleAssignmentUpdateNotPermitted"
    default: ClassVar[str] = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."


class PrincipalNotFound(AzureError):
    """The principal is not in the directory."""

    status = 400
    code = "PrincipalNotFound"


class RoleDefinitionDoesNotExist(AzureError):
    """No such role."""

    status = 404
    code = "RoleDefinitionDoesNotExist"


class RoleDefinitionIsBuiltIn(AzureError):
    """A built-in role is written or deleted. The code is a GUESS."""

    status = 400
    code = "RoleDefinitionIsBuiltIn"


class InvalidRoleDefinition(AzureError):
    """A custom role without a name or permissions. The code is a GUESS."""

    status = 400
    code = "InvalidRoleDefinition"


class InvalidAssignableScopes(AzureError):
    """A custom role that could be assigned nowhere, or elsewhere. The code is a GUESS."""

    status = 400
    code = "InvalidAssignableScopes"


class RoleDefinitionWithSameNameExists(AzureError):
    """Another role has the name."""

    status = 409
    code = "RoleDefinitionWithSameNameExists"


class RoleDefinitionHasAssignments(AzureError):
    """A custom role that is assigned is not deleted."""

    status = 400
    code = "RoleDefinitionHasAssignments"


class InvalidRoleAssignmentId(AzureError):
    """The assignment's name is no GUID."""

    status = 400
    code = "InvalidRoleAssignmentId"


class ScopeLocked(AzureError):
    """A management lock forbids it."""

    status = 409
    code = "ScopeLocked"


class InvalidLockLevel(AzureError):
    """A lock that would lock nothing. The code is a GUESS."""

    status = 400
    code = "InvalidLockLevel"


class BadRequest(AzureError):
    """Azure Monitor's and Network's refusal of a body that fits its schema, where no better code is known."""

    status = 400
    code = "BadRequest"


class Conflict(AzureError):
    """Azure Monitor's refusal of what another setting has already."""

    status = 409
    code = "Conflict"


class InvalidResourceReference(AzureError):
    """A property names a resource that does not exist (Microsoft.Network's code)."""

    status = 400
    code = "InvalidResourceReference"


class InvalidFilterInQueryString(AzureError):
    """A `$filter` that cannot be read."""

    status = 400
    code = "InvalidFilterInQueryString"


class InvalidTag(AzureError):
    """A tag that breaks a documented limit. The code is that of name limits as users report them."""

    status = 400
    code = "InvalidTagNameCharacters"


class TooManyRequests(AzureError):
    """ARM's throttling: https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
    [guess: the text]."""

    status, code, default = 429, "TooManyRequests", "The request is being throttled. Retry it later."
