"""The table of resource types: how ARM treats each, and the interface (`TypeHooks`) of the service that does the work.

One row a type. Services register their hooks on the cloud's own copy (`cloud.types.register`); a type without hooks is
refused by name (501).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol, runtime_checkable

from local.azure.control_plane.errors import (
    InvalidResourceName,
    InvalidResourceNamespace,
    InvalidResourceType,
    NotFound,
    NotImplementedHere,
    nearest,
)
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.shapes import (
    RECORD,
    Shape,
    changed_shape,
    model_shape,
    partial_shape,
    with_read_only,
)
from local.azure.control_plane.tokens import Caller
from local.azure.control_plane.versions.api_versions import changes_of, versions_of

_BATCH = "azure.mgmt.batch.models"
_STORAGE = "azure.mgmt.storage.models"
_REGISTRY = "azure.mgmt.containerregistry.models"
_MSI = "azure.mgmt.msi.v2024_11_30.models"
_RESOURCES = "azure.mgmt.resource.resources.models"
_VAULTS = "azure.mgmt.keyvault.models"
_AUTHORIZATION = "azure.mgmt.authorization.v2022_04_01.models"
_MONITOR = "azure-native:monitor"


class TypeHooks(Protocol):
    """What ARM calls of the service that owns a type. Every method must be safe to repeat: a kill repeats the call.

    A default that Azure stores goes into `new.properties` in `put`; ids and times that a reader needs as soon as the
    resource can be read go in in `validate`. A default that Azure only shows is returned by `view`, and is not stored.
    """

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Raise an AzureError to refuse the request before anything is recorded; may add ids and times."""
        ...

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Do the work; may fill `new.system` and add defaults to `new.properties`. An AzureError fails the PUT."""
        ...

    async def delete(self, resource: Resource) -> None:
        """Undo the work; what is gone already is no error."""
        ...

    async def action(
        self, resource: Resource, name: str, body: dict[str, Any], caller: Caller
    ) -> dict[str, Any] | None:
        """Do a POST action (`listKeys`, ...), None for an answer without content; an AzureError for an unknown name."""
        ...

    def view(self, resource: Resource) -> dict[str, Any]:
        """Properties shown over the stored ones: read-only ones, and defaults that are not stored. Never a secret."""
        ...


class RecordHooks:
    """For types whose record is all there is, and the base of those that only check or complete it."""

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Nothing beyond the schema."""

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Nothing to do."""

    async def delete(self, resource: Resource) -> None:
        """Nothing to do."""

    async def action(
        self, resource: Resource, name: str, body: dict[str, Any], caller: Caller
    ) -> dict[str, Any] | None:
        """No actions."""
        raise NotFound(f"{resource.type} has no action '{name}'.")

    def view(self, resource: Resource) -> dict[str, Any]:
        """Nothing to add."""
        return {}


@dataclass(frozen=True)
class Link:
    """A property that names another resource which must exist, and on which the caller needs a right of its own."""

    path: tuple[str, ...]
    type: str
    action: str


_SUBNETS = "Microsoft.Network/virtualNetworks/subnets"
_JOIN_SUBNET = f"{_SUBNETS}/join/action"


@dataclass(frozen=True)
class TypeSpec:
    """A type: its models (`module:Class`), the rule for names, and how its operations answer first.

    docs/azure-facts.md#first-answers-of-arm
    """

    type: str
    create_model: str
    update_model: str | None  # None: PATCH is not among the type's operations
    name: str
    api_version: str  # the one that we were written against
    models_of: str = ""  # the version whose models these are, where that is another one
    tracked: bool = False  # has a location and tags
    updated: int = 200  # status of a PUT that changed it
    created: int = 200  # status of a PUT that made it; 202 makes the creation a long-running operation
    slow_delete: bool = False  # DELETE answers 202
    async_header: bool = False  # sends Azure-AsyncOperation beside Location
    shows_state: bool = True  # properties.provisioningState
    shows_etag: bool = False
    extension: bool = False  # lives under any other resource
    places: tuple[str, ...] = ()  # the locations it has, where these are not Azure's regions: ("global",)
    empty_tags: bool = False  # answers `"tags": {}` where there are none; other types leave the member out
    shows_identity: bool = False  # answers an identity of type None where there is none
    shown: tuple[str, ...] = ()  # read-only properties that `create_model` lacks (paths with slashes)
    links: tuple[Link, ...] = ()
    stamped: bool = False  # answers have the headers ETag and Last-Modified
    unique: bool = False  # its name is unique in all Azure
    invalid_name: str | None = None  # the code for a name outside the rule, where the provider has its own
    actions: tuple[str, ...] = ()
    deleted_body: bool = False  # DELETE answers the resource that was
    empty_body: bool = False  # a PUT may have no body
    read_model: str | None = None  # what GET shows, where that is a class of its own: its fields may be PUT back
    hooks: TypeHooks | None = None

    @property
    def namespace(self) -> str:
        """`Microsoft.Batch`."""
        return self.type.split("/", 1)[0]

    @property
    def versions(self) -> tuple[str, ...]:
        """The api-versions that it takes, newest first."""
        return versions_of(self.type, self.api_version, self.models_of or self.api_version)

    def shape(self, *, update: bool, version: str | None = None) -> Shape:
        """What a body of an api-version must look like; a PATCH with the PUT's model needs nothing."""
        patches = update and self.update_model is not None
        shape = _versioned(self, "update" if patches else "create", (version or "").lower())
        if self.shown:
            shape = with_read_only(shape, self.shown)
        return partial_shape(shape) if update and self.update_model == self.create_model else shape

    def read_shape(self) -> Shape | None:
        """The shape of a GET's answer where a class of its own describes it; None where `create_model` does."""
        return None if self.read_model is None else model_shape(self.read_model)

    def check_name(self, name: str) -> None:
        """Raise InvalidResourceName for a name outside the type's rule."""
        if re.fullmatch(self.name, name) is None:
            if self.invalid_name is not None:
                raise InvalidResourceName(
                    f"{name} is not a valid storage account name. Storage account name must be between 3 and 24 "
                    "characters in length and use numbers and lower-case letters only.",
                    code=self.invalid_name,
                )
            raise InvalidResourceName(
                f"'{name}' is not a valid name for {self.type}; it must match the regular expression {self.name}"
            )

    def work(self) -> TypeHooks:
        """The hooks, or a refusal that names the type."""
        if self.hooks is None:
            raise NotImplementedHere(
                f"The local Azure knows {self.type} but the service behind it is not running here; nothing was changed."
            )
        return self.hooks


@cache
def _versioned(spec: TypeSpec, kind: str, version: str) -> Shape:
    """The models' shape, or that of another api-version."""
    reference = spec.update_model if kind == "update" else spec.create_model
    shape, changes = model_shape(str(reference)), changes_of(spec.type, version, kind)
    return changed_shape(shape, changes) if changes else shape


# Name rules: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
TABLE: tuple[TypeSpec, ...] = (
    TypeSpec(
        "Microsoft.Resources/resourceGroups", f"{_RESOURCES}:ResourceGroup", f"{_RESOURCES}:ResourceGroupPatchable",
        r"[-\w._()]{0,89}[-\w_()]", "2022-09-01", tracked=True, created=201, slow_delete=True,
    ),
    TypeSpec(
        "Microsoft.ManagedIdentity/userAssignedIdentities", f"{_MSI}:Identity", f"{_MSI}:IdentityUpdate",
        r"[A-Za-z0-9][-A-Za-z0-9_]{2,127}", "2024-11-30", tracked=True, created=201, shows_state=False,
        empty_tags=True,
    ),
    TypeSpec(
        "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
        f"{_MSI}:FederatedIdentityCredential", None, r"[A-Za-z0-9][-A-Za-z0-9_]{2,119}", "2024-11-30", created=201,
        shows_state=False,
    ),
    TypeSpec(
        "Microsoft.KeyVault/vaults", f"{_VAULTS}:VaultCreateOrUpdateParameters", f"{_VAULTS}:VaultPatchParameters",
        r"[A-Za-z](?!.*--)[-A-Za-z0-9]{1,22}[A-Za-z0-9]", "2024-11-01", tracked=True, created=201, unique=True,
    ),
    TypeSpec(
        "Microsoft.KeyVault/vaults/keys", f"{_VAULTS}:KeyCreateParameters", None, r"[-A-Za-z0-9]{1,127}",
        "2024-11-01", shows_state=False,
    ),
    TypeSpec(
        "Microsoft.Authorization/roleAssignments", f"{_AUTHORIZATION}:RoleAssignmentCreateParameters", None,
        r".+", "2022-04-01", created=201, shows_state=False, extension=True, deleted_body=True,
    ),
    TypeSpec(
        "Microsoft.Authorization/roleDefinitions", f"{_AUTHORIZATION}:RoleDefinition", None, r".+", "2022-04-01",
        created=201, updated=201, shows_state=False, extension=True, deleted_body=True,
    ),
    TypeSpec(
        "Microsoft.Batch/batchAccounts", f"{_BATCH}:BatchAccountCreateParameters",
        f"{_BATCH}:BatchAccountUpdateParameters", r"[a-z0-9]{3,24}", "2024-07-01", tracked=True, created=202,
        slow_delete=True, unique=True, shows_identity=True, stamped=True,
        actions=("listKeys", "regenerateKeys", "syncAutoStorageKeys"),
        read_model=f"{_BATCH}:BatchAccount",
    ),
    TypeSpec(
        "Microsoft.Batch/batchAccounts/pools", f"{_BATCH}:Pool", f"{_BATCH}:Pool", r"[-\w]{1,64}", "2024-07-01",
        slow_delete=True, shows_etag=True, stamped=True, actions=("disableAutoScale", "stopResize"),
        links=(Link(("networkConfiguration", "subnetId"), _SUBNETS, _JOIN_SUBNET),),
    ),
    TypeSpec(
        "Microsoft.Batch/batchAccounts/applications", f"{_BATCH}:Application", f"{_BATCH}:Application",
        r"[-\w]{1,64}", "2024-07-01", shows_state=False, shows_etag=True, stamped=True, empty_body=True,
    ),
    TypeSpec(
        "Microsoft.Batch/batchAccounts/applications/versions", f"{_BATCH}:ApplicationPackage", None,
        r"[-\w][-\w.]{0,63}", "2024-07-01", shows_state=False, shows_etag=True, stamped=True, empty_body=True,
        actions=("activate",),
    ),
    TypeSpec(
        "Microsoft.Storage/storageAccounts", f"{_STORAGE}:StorageAccountCreateParameters",
        f"{_STORAGE}:StorageAccountUpdateParameters", r"[a-z0-9]{3,24}", "2024-01-01", models_of="2026-09-01",
        tracked=True, created=202,
        unique=True, actions=("listKeys", "regenerateKey", "ListAccountSas", "ListServiceSas"), empty_tags=True,
        invalid_name="AccountNameInvalid",
        read_model=f"{_STORAGE}:StorageAccount",
    ),
    TypeSpec(
        "Microsoft.Storage/storageAccounts/blobServices", f"{_STORAGE}:BlobServiceProperties", None, r"default",
        "2024-01-01", models_of="2026-09-01", shows_state=False,
    ),
    TypeSpec(
        "Microsoft.Storage/storageAccounts/blobServices/containers", f"{_STORAGE}:BlobContainer",
        f"{_STORAGE}:BlobContainer", r"\$root|\$web|\$logs|[a-z0-9](?!.*--)[-a-z0-9]{1,61}[a-z0-9]", "2024-01-01",
        models_of="2026-09-01", created=201, shows_state=False, shows_etag=True,
    ),
    TypeSpec(
        "Microsoft.ContainerRegistry/registries", f"{_REGISTRY}:Registry", f"{_REGISTRY}:RegistryUpdateParameters",
        r"[A-Za-z0-9]{5,50}", "2023-07-01", models_of="2025-11-01", tracked=True, created=201, slow_delete=True,
        async_header=True, unique=True,
        actions=("listCredentials", "regenerateCredential", "generateCredentials"), empty_tags=True,
    ),
    TypeSpec(
        "Microsoft.Authorization/locks", "azure-native:authorization:ManagementLockByScope", None,
        r"[^<>%&?/]{1,89}[^<>%&?/.]", "2020-05-01", created=201, shows_state=False, extension=True,
    ),
    TypeSpec(
        "Microsoft.Insights/diagnosticSettings", "azure-native:monitor:DiagnosticSetting", None,
        r"[^<>*%&:\\?+/]{1,260}", "2021-05-01-preview", shows_state=False, extension=True,
    ),
    TypeSpec(
        "Microsoft.Insights/actionGroups", f"{_MONITOR}:ActionGroup", f"{_MONITOR}:ActionGroup",
        r"[^:<>+/&%\\?|]{1,260}", "2024-10-01-preview", tracked=True, created=201, shows_state=False,
        places=("global", "swedencentral", "germanywestcentral", "northcentralus", "southcentralus"),
        shown=("emailReceivers/status", "smsReceivers/status"),
    ),
    TypeSpec(
        "Microsoft.Insights/metricAlerts", f"{_MONITOR}:MetricAlert", f"{_MONITOR}:MetricAlert",
        r"[^*#&+:<>?@%{}\\/]{1,260}", "2018-03-01", tracked=True, shows_state=False, places=("global",),
    ),
    TypeSpec(
        "Microsoft.Insights/scheduledQueryRules", f"{_MONITOR}:ScheduledQueryRule", f"{_MONITOR}:ScheduledQueryRule",
        r"[^*#&+:<>?@%{}\\/]{1,260}", "2025-01-01-preview", tracked=True, created=201, shows_state=False,
        shown=("createdWithApiVersion", "isLegacyLogAnalyticsRule", "isWorkspaceAlertsStorageConfigured"),
    ),
    TypeSpec(
        "Microsoft.Insights/activityLogAlerts", f"{_MONITOR}:ActivityLogAlert", f"{_MONITOR}:ActivityLogAlert",
        r"[^*#&+:<>?@%{}\\/]{1,260}", "2020-10-01", tracked=True, created=201, shows_state=False,
        places=("global", "westeurope", "northeurope"),
    ),
    TypeSpec(
        "Microsoft.Consumption/budgets", "azure-native:consumption:Budget", None, r"[-\w]{1,63}", "2024-08-01",
        created=201, shows_state=False, extension=True, shown=("currentSpend", "forecastSpend"),
    ),
    TypeSpec(
        "Microsoft.Network/privateEndpoints", "azure-native:network:PrivateEndpoint", None,
        r"[A-Za-z0-9]([-\w.]{0,78}\w)?", "2024-05-01", tracked=True, created=201, slow_delete=True,
        async_header=True, shows_etag=True,
        shown=(
            "provisioningState", "networkInterfaces", "privateLinkServiceConnections/properties/provisioningState",
            "manualPrivateLinkServiceConnections/properties/provisioningState",
        ),
        links=(Link(("subnet", "id"), _SUBNETS, _JOIN_SUBNET),),
    ),
    TypeSpec(
        "Microsoft.Network/privateEndpoints/privateDnsZoneGroups", "azure-native:network:PrivateDnsZoneGroup", None,
        r"[A-Za-z0-9]([-\w.]{0,78}\w)?", "2024-05-01", created=201, slow_delete=True, async_header=True,
        shows_etag=True, shown=("provisioningState",),
    ),
    # What a company has already, and a stack only names by id: records that tests and set-ups put.
    TypeSpec(
        "Microsoft.Network/virtualNetworks", RECORD, None, r"[A-Za-z0-9]([-\w.]{0,62}\w)?", "2024-05-01",
        tracked=True, created=201, slow_delete=True, shows_etag=True,
    ),
    TypeSpec(
        _SUBNETS, RECORD, None, r"[A-Za-z0-9]([-\w.]{0,78}\w)?", "2024-05-01", created=201, slow_delete=True,
        shows_etag=True,
    ),
    TypeSpec(
        "Microsoft.Network/privateDnsZones", RECORD, None, r"[-\w]+(\.[-\w]+)+", "2024-06-01", tracked=True,
        created=201, slow_delete=True, shows_etag=True, places=("global",),
    ),
    TypeSpec(
        "Microsoft.OperationalInsights/workspaces", RECORD, None, r"[A-Za-z0-9][-A-Za-z0-9]{2,61}[A-Za-z0-9]",
        "2023-09-01", tracked=True, created=201,
    ),
)  # fmt: skip


@runtime_checkable
class GuardsDelete(Protocol):
    """Hooks of a type that is not always deleted."""

    async def check_delete(self, resource: Resource) -> None:
        """Raise an AzureError to refuse, before anything is recorded."""
        ...


@dataclass(frozen=True)
class Document:
    """A read-only answer below a type or a location (`Microsoft.Batch/locations/virtualMachineSkus`).

    `answer` gets the names in the path and the query, `of` (where that is given) the resource that the path is below;
    None means that there is no such thing. `action` is what the caller needs at the scope.
    """

    type: str
    action: str
    answer: Callable[[Sequence[str], Mapping[str, str]], dict[str, Any] | None] | None = None
    of: Callable[[Resource, Sequence[str]], dict[str, Any] | None] | None = None


class Types:
    """The table of one cloud, with the hooks that its services registered."""

    def __init__(self, table: tuple[TypeSpec, ...] = TABLE) -> None:
        self._table = {spec.type.lower(): spec for spec in table}
        self._documents: dict[str, Document] = {}

    def publish(self, document: Document) -> None:
        """Add a read-only answer."""
        self._documents[document.type.lower()] = document

    def document(self, type: str) -> Document | None:
        """The read-only answer at a path's type."""
        return self._documents.get(type.lower())

    def documents(self) -> list[str]:
        """The types of paths that have one."""
        return [one.type for one in self._documents.values()]

    def register(self, type: str, hooks: TypeHooks) -> None:
        """Say who does the work of a type."""
        self._table[type.lower()] = replace(self.get(type), hooks=hooks)

    def get(self, type: str) -> TypeSpec:
        """The row of a type (any case), or ARM's refusal of a namespace or type it does not know."""
        spec = self._table.get(type.lower())
        if spec is not None:
            return spec
        namespace, _, rest = type.partition("/")
        rows = self.namespaces().get(namespace.lower())
        if rows is None:
            known = {spec.namespace for spec in self._table.values()}
            raise InvalidResourceNamespace(
                f"The resource namespace '{namespace}' is invalid.{nearest(namespace, known)}"
            )
        known = {spec.type.split("/", 1)[1] for spec in rows}
        raise InvalidResourceType(
            f"The resource type '{rest}' could not be found in the namespace '{namespace}' of the local Azure."
            f"{nearest(rest, known)}"
        )

    def namespaces(self) -> Mapping[str, list[TypeSpec]]:
        """The rows by namespace in lower case."""
        found: dict[str, list[TypeSpec]] = {}
        for spec in self._table.values():
            found.setdefault(spec.namespace.lower(), []).append(spec)
        return found
