"""What ARM's applications and their packages do here: a package is a blob in the account's auto-storage.

Recorded (azure-mgmt-batch's own tests, 2020-09-01 and 2024-02-01): a new version is `Pending` and shows a URL to upload
to; `activate` makes it `Active`; later answers show a URL to read from.
Source: https://learn.microsoft.com/azure/batch/batch-application-packages.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

from local.azure.batch import errors
from local.azure.batch.account.auto_storage import AutoStorage
from local.azure.batch.account.node_storage import ACTIVE, blob_path, container_name
from local.azure.batch.errors import BatchError
from local.azure.batch.hooks.pool_checks import refused
from local.azure.batch.model.durations import stamp
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resource_types import RecordHooks
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import Caller

_PENDING = "Pending"


class ApplicationHooks(RecordHooks):
    """`TypeHooks` of Microsoft.Batch/batchAccounts/applications."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """The default version is one that there is [guess: how another one is refused]."""
        version = new.properties.get("defaultVersion")
        if version and self._cloud.resources.get(f"{new.id}/versions/{version}") is None:
            raise refused("defaultVersion", f"The application has no version '{version}'.", version)

    async def put(self, new: Resource, old: Resource | None) -> None:
        """A body that does not say whether its packages may be updated allows it."""
        new.properties.setdefault("allowUpdates", True)


class PackageHooks(RecordHooks):
    """`TypeHooks` of Microsoft.Batch/batchAccounts/applications/versions."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """The account has auto-storage, and a version that is active is replaced only where updates are allowed."""
        self._storage(new)
        application = self._cloud.resources.get(new.id.rsplit("/versions/", 1)[0])
        fixed = application is not None and application.properties.get("allowUpdates") is False
        if old is not None and fixed and old.system.get("state") == ACTIVE:
            raise errors.ApplicationUpdatesNotAllowed

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Make the container for its upload; a version that is put again waits for another upload."""
        new.system = {"state": _PENDING, "rights": "rw"}
        await self._storage(new).make_container(container_name(new))

    async def delete(self, resource: Resource) -> None:
        """Delete the blob, too, where the storage account is still there and lets Batch in [guess]."""
        with contextlib.suppress(BatchError):
            await self._storage(resource).delete(blob_path(resource))

    async def action(
        self, resource: Resource, name: str, body: dict[str, Any], caller: Caller
    ) -> dict[str, Any] | None:
        """activate: the upload is there and can be used."""
        kind = body.get("format")
        if not isinstance(kind, str) or kind.lower() != "zip":
            raise refused("format", "The format of an application package is 'zip'.", kind)
        if not await self._storage(resource).has(blob_path(resource)):
            raise errors.ApplicationPackageNotUploaded
        now = self._cloud.clock.now()
        resource.system |= {"state": ACTIVE, "format": kind, "activated": stamp(now), "rights": "r"}
        resource.etag = f'W/"0x{uuid.uuid4().hex[:15].upper()}"'
        resource.changed = now.isoformat()
        self._cloud.resources.put(resource)
        properties = {**resource.properties, **self._shown(resource, "rw")}
        shown = {"id": resource.id, "name": resource.name, "type": resource.type, "etag": resource.etag}
        return {**shown, "properties": properties}

    def view(self, resource: Resource) -> dict[str, Any]:
        """State, and a URL to upload to (while it is pending) or to read from."""
        return self._shown(resource, str(resource.system.get("rights", "rw")))

    def _shown(self, resource: Resource, rights: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"state": resource.system.get("state", _PENDING)}
        for name, kept in (("format", "format"), ("lastActivationTime", "activated")):
            if kept in resource.system:
                shown[name] = resource.system[kept]
        try:
            url, until = self._storage(resource).url(blob_path(resource), rights)
        except BatchError:  # the link was taken away after the package was made
            return shown
        return {"storageUrl": url, "storageUrlExpiry": stamp(until), **shown}

    def _storage(self, package: Resource) -> AutoStorage:
        account = self._cloud.resources.get(package.id.split("/applications/")[0])
        if account is None:
            raise errors.InvalidAutoStorage("The Batch account is gone.")
        return AutoStorage(self._cloud, account)
