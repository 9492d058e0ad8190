"""Which applications and packages a Batch account has, where their zip files lie, and what a node is told of them.

Nodes read packages by a signature of the auto-storage account; where the account reaches that as its own identity, as
`nodeIdentityReference` (learn.microsoft.com/azure/batch/managed-identity-pools). A node of Azure whose account has no
such reference stays in `starting` for ever; here it reads with the account's own signature [guess].
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final

from local.azure.batch.account.auto_storage import AutoStorage
from local.azure.batch.decisions.run_specs import identity_ids
from local.azure.batch.errors import BatchError
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import Resource
from local.node.contract import ApplicationPackage

APPLICATION_TYPE: Final = "Microsoft.Batch/batchAccounts/applications"
PACKAGE_TYPE: Final = f"{APPLICATION_TYPE}/versions"
ACTIVE: Final = "Active"


class ApplicationPackages:
    """The application packages of one account."""

    def __init__(self, cloud: Cloud, account_id: str) -> None:
        self._cloud = cloud
        self._account_id = account_id

    def application_id(self, reference: str) -> str:
        """The ARM id of an application that is named by its id in the account, or by its ARM id."""
        return reference if "/" in reference else f"{self._account_id}/applications/{reference}"

    def application(self, reference: str) -> Resource | None:
        """The application that a reference names."""
        found = self._cloud.resources.get(self.application_id(reference))
        return found if found is not None and found.type.lower() == APPLICATION_TYPE.lower() else None

    def active_package(self, reference: dict[str, str]) -> Resource | None:
        """The package that a reference means, the default version's without one; None unless it is active."""
        application = self.application(reference["applicationId"])
        if application is None:
            return None
        version = reference.get("version") or application.properties.get("defaultVersion") or ""
        package = self._cloud.resources.get(f"{application.id}/versions/{version}")
        return package if package is not None and package.system.get("state") == ACTIVE else None

    def for_nodes(self, references: Iterable[dict[str, str]]) -> tuple[ApplicationPackage, ...]:
        """What a node installs for these references. A package that is gone by now has no URL."""
        return tuple(self._for_node(one) for one in references)

    def _for_node(self, reference: dict[str, str]) -> ApplicationPackage:
        """The folder's name is in lower case [guess: the names that were seen have no capitals]."""
        application = self.application(reference["applicationId"])
        package = self.active_package(reference)
        if application is None or package is None:
            name, version = reference["applicationId"].rsplit("/", 1)[-1], reference.get("version", "")
            return ApplicationPackage(application=name, version=version, folder=f"{name}{version}".lower())
        url, client_id = self._source(package)
        return ApplicationPackage(
            application=application.name,
            version=package.name,
            folder=f"{application.name}{package.name}{_minute(package)}".lower(),
            url=url,
            identity_client_id=client_id,
            is_default=package.name.lower() == str(application.properties.get("defaultVersion") or "").lower(),
        )

    def _source(self, package: Resource) -> tuple[str, str | None]:
        """Where a node reads a package, and as which identity. No URL when auto-storage was taken away."""
        account = self._cloud.resources.get(self._account_id)
        try:
            storage = AutoStorage(self._cloud, account) if account is not None else None
        except BatchError:
            storage = None
        if account is None or storage is None:
            return "", None
        linked: dict[str, Any] = account.properties["autoStorage"]
        node = self._cloud.resources.get(str((linked.get("nodeIdentityReference") or {}).get("resourceId", "")))
        if storage.by_identity and node is not None:
            return storage.plain_url(blob_path(package)), identity_ids(node)[0]
        return storage.url(blob_path(package), "r")[0], None


def container_name(package: Resource) -> str:
    """`app-my-application-id-<32 digits>`: one container for the versions of an application (recorded)."""
    application = package.id.rsplit("/versions/", 1)[0]
    word = application.rsplit("/", 1)[-1].lower().replace("_", "-").strip("-")[:24].rstrip("-")
    while "--" in word:
        word = word.replace("--", "-")
    return "-".join(part for part in ("app", word, uuid.uuid5(uuid.NAMESPACE_URL, application.lower()).hex) if part)


def blob_path(package: Resource) -> str:
    """Container and blob of a package's zip file."""
    return f"{container_name(package)}/{package.name}"


def _minute(package: Resource) -> str:
    """When it was activated, as the names of folders on nodes have it: `2019-01-15-09-19` (seen on a Linux node)."""
    return str(package.system.get("activated", ""))[:16].replace("T", "-").replace(":", "-")
