"""Blobs of job containers. The only importer of azure.storage.blob."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from .connection import Connection
from .errors import Forbidden, NotFound, ServiceError, Unreachable

_FORBIDDEN: Final = "Have yourself added to the stack's `submitters` (role Storage Blob Data Reader)"


@dataclass(frozen=True)
class Blob:
    name: str
    size: int


class Blobs(Protocol):
    """What the verbs need of storage."""

    def list(self, container: str, prefix: str) -> Iterator[Blob]: ...
    def read(self, container: str, name: str) -> Iterator[bytes]: ...


class AzureBlobs:
    """Blobs by azure-storage-blob, with the caller's own identity (Storage Blob Data Reader)."""

    def __init__(self, connection: Connection) -> None:
        from azure.storage.blob import BlobServiceClient

        from .credentials import token_credential

        assert connection.outputs is not None
        verify: dict[str, Any] = {} if connection.ca is None else {"connection_verify": str(connection.ca)}
        self._client = BlobServiceClient(
            connection.outputs.blob_endpoint, credential=token_credential(connection), **verify
        )

    def list(self, container: str, prefix: str) -> Iterator[Blob]:
        """All blobs whose names begin so."""
        try:
            for blob in self._client.get_container_client(container).list_blobs(name_starts_with=prefix):
                yield Blob(blob.name, blob.size or 0)
        except Exception as error:
            raise _translated(error, f"container {container}") from error

    def read(self, container: str, name: str) -> Iterator[bytes]:
        """The blob in pieces."""
        try:
            yield from self._client.get_blob_client(container, name).download_blob().chunks()
        except Exception as error:
            raise _translated(error, f"blob {container}/{name}") from error


def _translated(error: Exception, what: str) -> Exception:
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

    code = str(getattr(error, "error_code", "") or "")
    said = str(getattr(error, "message", error)).splitlines()[0] if isinstance(error, AzureError) else ""
    if isinstance(error, ResourceNotFoundError):
        return NotFound(f"{what} does not exist ({said})", code)
    if isinstance(error, ClientAuthenticationError) or (
        isinstance(error, HttpResponseError) and error.status_code == 403
    ):
        why = f"{code}: {said}" if code else said
        return Forbidden(f"{what}: you may not read it ({why}). {_FORBIDDEN}", code)
    if isinstance(error, HttpResponseError):
        return ServiceError(f"{what}: {said}", code)
    if isinstance(error, AzureError):
        return Unreachable(f"{what}: the storage account does not answer: {said}")
    return error
