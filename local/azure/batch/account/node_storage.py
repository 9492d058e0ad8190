"""What nodes read of storage accounts, and how: application packages, containers of auto-storage, mounted containers.

Nodes read auto-storage by a signature of the account's key; where the Batch account reaches it as its own identity, as
`nodeIdentityReference` (learn.microsoft.com/azure/batch/managed-identity-pools). A node of Azure whose account has no
such reference stays in `starting` for ever; here it reads with the account's own signature [guess].
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from local.azure.batch.account.auto_storage import AutoStorage
from local.azure.batch.decisions.run_specs import identity_ids
from local.azure.batch.errors import BatchError
from local.azure.batch.model import Pool
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.shared_access import blob_service_query
from local.node.contract import ApplicationPackage, FileSystemMount

APPLICATION_TYPE: Final = "Microsoft.Batch/batchAccounts/applications"
PACKAGE_TYPE: Final = f"{APPLICATION_TYPE}/versions"
ACTIVE: Final = "Active"
MOUNT_KINDS: Final = {
    "azureBlobFileSystemConfiguration": "blobfuse",
    "azureFileShareConfiguration": "fshare",
    "nfsMountConfiguration": "nfs",
    "cifsMountConfiguration": "cifs",
}
"""Kinds of `mountConfiguration`, and how the names of their log files begin (`fshare` and `cifs` are documented)."""
_STORAGE_TYPE: Final = "Microsoft.Storage/storageAccounts"
_MOUNT_RIGHTS: Final = "racwdl"
_KEY_LIFE: Final = timedelta(days=365)
_DELEGATION_LIFE: Final = timedelta(days=7)  # the longest that there is
_EARLIER: Final = timedelta(minutes=5)


class NodeStorage:
    """One Batch account's."""

    def __init__(self, cloud: Cloud, account_id: str) -> None:
        self._cloud = cloud
        self._account_id = account_id

    # -- application packages ----------------------------------------------------------------------------------------

    def application(self, reference: str) -> Resource | None:
        """The application that is named by its id in the account, or by its ARM id."""
        resource_id = reference if "/" in reference else f"{self._account_id}/applications/{reference}"
        found = self._cloud.resources.get(resource_id)
        return found if found is not None and found.type.lower() == APPLICATION_TYPE.lower() else None

    def active_package(self, reference: dict[str, str]) -> Resource | None:
        """The package that a reference means, the default version's without one; None unless it is active."""
        application = self.application(reference["applicationId"])
        if application is None:
            return None
        version = reference.get("version") or application.properties.get("defaultVersion") or ""
        package = self._cloud.resources.get(f"{application.id}/versions/{version}")
        return package if package is not None and package.system.get("state") == ACTIVE else None

    def packages(self, references: Iterable[dict[str, str]]) -> tuple[ApplicationPackage, ...]:
        """What a node installs for these references. A package that is gone by now has no URL."""
        return tuple(self._package(one) for one in references)

    def _package(self, reference: dict[str, str]) -> ApplicationPackage:
        """The folder's name is in lower case [guess: the names that were seen have no capitals]."""
        application = self.application(reference["applicationId"])
        package = self.active_package(reference)
        if application is None or package is None:
            name, version = reference["applicationId"].rsplit("/", 1)[-1], reference.get("version", "")
            return ApplicationPackage(application=name, version=version, folder=f"{name}{version}".lower())
        url, client_id = self._auto_storage_url(blob_path(package), "r")
        return ApplicationPackage(
            application=application.name,
            version=package.name,
            folder=f"{application.name}{package.name}{_minute(package)}".lower(),
            url=url,
            identity_client_id=client_id,
            is_default=package.name.lower() == str(application.properties.get("defaultVersion") or "").lower(),
        )

    # -- auto-storage ------------------------------------------------------------------------------------------------

    def auto_storage_container(self, name: str) -> tuple[str, str | None]:
        """The URL of a container that nodes list and read, and as which identity; no URL without auto-storage."""
        return self._auto_storage_url(name, "rl")

    def _auto_storage_url(self, path: str, permissions: str) -> tuple[str, str | None]:
        account = self._cloud.resources.get(self._account_id)
        if account is None:
            return "", None
        try:
            storage = AutoStorage(self._cloud, account)
        except BatchError:  # there is none, or it was taken away
            return "", None
        linked: dict[str, Any] = account.properties["autoStorage"]
        node = self._cloud.resources.get(str((linked.get("nodeIdentityReference") or {}).get("resourceId", "")))
        if storage.by_identity and node is not None:
            return storage.plain_url(path), identity_ids(node)[0]
        return storage.url(path, permissions)[0], None

    # -- mounts ------------------------------------------------------------------------------------------------------

    def mounts(self, pool: Pool) -> tuple[FileSystemMount, ...]:
        """The file systems of a pool's `mountConfiguration`."""
        found = []
        for given in pool.body.get("mountConfiguration") or ():
            for name, kind in MOUNT_KINDS.items():
                if name in given:
                    found.append(self._mount(kind, given[name], pool))
        return tuple(found)

    def _mount(self, kind: str, given: dict[str, Any], pool: Pool) -> FileSystemMount:
        path = given["relativeMountPath"]
        if kind != "blobfuse":
            reason = f"local nodes mount blob containers of the local Azure only, no {kind} file system"
            return FileSystemMount(kind=kind, path=path, refusal=reason)
        url = self._container_url(given, pool)
        if url is None:
            reason = "its storage account is not in the local Azure, or its identity is not one of the pool's"
            return FileSystemMount(kind=kind, path=path, refusal=reason)
        options = given.get("blobfuseOptions") or ""
        return FileSystemMount(kind=kind, path=path, container=given["containerName"], url=url, options=options)

    def _container_url(self, given: dict[str, Any], pool: Pool) -> str | None:
        """The signed URL of the container to mount: by the key or signature that the pool was given, or in the name of
        an identity of the pool, whose rights the blob service looks up at each request."""
        wanted = given["accountName"].lower()
        accounts = self._cloud.resources.list(_STORAGE_TYPE)
        storage = next((one for one in accounts if one.name.lower() == wanted), None)
        if storage is None:
            return None
        view = self._cloud.types.get(storage.type).work().view(storage)
        base = f"{view['primaryEndpoints']['blob']}{quote(given['containerName'])}"
        secrets = pool.secrets.get("mounts", {}).get(given["relativeMountPath"], {})
        if "sasKey" in secrets:
            return f"{base}?{secrets['sasKey'].removeprefix('?')}"
        start, user, key, life = self._cloud.clock.now() - _EARLIER, None, secrets.get("accountKey"), _KEY_LIFE
        if key is None:
            reference = str((given.get("identityReference") or {}).get("resourceId", ""))
            identity = self._cloud.resources.get(reference)
            known = [
                one["resourceId"].lower() for one in pool.body.get("identity", {}).get("userAssignedIdentities", ())
            ]
            if identity is None or reference.lower() not in known:
                return None
            user = (identity_ids(identity)[1], self._cloud.settings.tenant_id)
            key, life = str(storage.system["keys"][0]), _DELEGATION_LIFE - _EARLIER
        resource = f"{storage.name}/{given['containerName']}"
        return f"{base}?{blob_service_query(resource, key, _MOUNT_RIGHTS, start, start + life, user)}"


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
