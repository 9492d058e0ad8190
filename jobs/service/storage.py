"""Blobs of job containers. The only importer of azure.storage.blob.

Listing is the SDK's. Reading goes by urllib3 (which requests, and so the SDK, is made of) with the same token: for many
small files the SDK's download costs several times the request itself (figures: benchmarks/collect.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, Protocol, cast
from urllib.parse import quote

from ..errors import Forbidden, NotFound, ServiceError, Unreachable
from .connection import Connection

CONNECTIONS: Final = 32  # kept open; the SDK's default of 10 would make a new TLS connection for most requests
VERSION: Final = "2021-12-02"  # of the Blob service's REST API
SCOPE: Final = "https://storage.azure.com/.default"
TRANSIENT: Final = (429, 500, 502, 503, 504)
PIECE: Final = 1 << 20
SECONDS: Final = (20, 60)  # to connect, and without a byte
_NETWORK: Final = "check the network, and that the account (or local Azure) is up"
_ADMITTED: Final = "have yourself added to the stack's `submitters` (role Storage Blob Data Reader)"
_WRITERS: Final = "have yourself added to the stack's `submitters`, and run up (role Storage Blob Data Contributor)"


@dataclass(frozen=True)
class Blob:
    """`md5` is what the service has of the content; it has none for blobs uploaded in blocks without one."""

    name: str
    size: int
    md5: bytes = b""


class Readable(Protocol):
    """A file's bytes."""

    def read(self, size: int = -1) -> bytes: ...


class Blobs(Protocol):
    """What the verbs need of storage."""

    def list(self, container: str, prefix: str) -> Iterator[Blob]: ...
    def read(self, container: str, name: str) -> Iterator[bytes]: ...
    def size_of(self, container: str, name: str) -> int | None: ...
    def write(self, container: str, name: str, content: Readable, size: int) -> None: ...


class AzureBlobs:
    """Blobs with the caller's own identity. Reading and writing may be done by many threads."""

    def __init__(self, connection: Connection) -> None:
        import certifi
        from azure.storage.blob import BlobServiceClient
        from requests import Session
        from requests.utils import get_environ_proxies
        from urllib3 import PoolManager, ProxyManager, Retry, Timeout

        from .credentials import token_credential

        assert connection.outputs is not None
        verify: dict[str, Any] = {} if connection.ca is None else {"connection_verify": str(connection.ca)}
        self._endpoint = connection.outputs.blob_endpoint.rstrip("/")
        self._credential = token_credential(connection)
        self._client = BlobServiceClient(self._endpoint, credential=self._credential, **verify)
        self._token = ""
        self._token_until = 0.0
        # What REQUESTS_CA_BUNDLE names: the SDK, which lists, trusts it, too.
        named = Session().merge_environment_settings(self._endpoint, {}, None, None, None)["verify"]
        options: dict[str, Any] = {
            "maxsize": CONNECTIONS,
            "retries": Retry(total=5, backoff_factor=0.5, status_forcelist=TRANSIENT, raise_on_status=False),
            "timeout": Timeout(connect=SECONDS[0], read=SECONDS[1]),
            "ca_certs": str(connection.ca or (named if isinstance(named, str) else certifi.where())),
        }
        # A local Azure is reached by no proxy.
        proxy = "" if connection.ca else get_environ_proxies(self._endpoint).get("https", "")
        self._http = ProxyManager(proxy, **options) if proxy else PoolManager(**options)

    def list(self, container: str, prefix: str) -> Iterator[Blob]:
        """All blobs whose names begin so."""
        try:
            for blob in self._client.get_container_client(container).list_blobs(name_starts_with=prefix or None):
                yield Blob(blob.name, blob.size or 0, bytes(blob.content_settings.content_md5 or b""))
        except Exception as error:
            raise _translated(error, f"container {container}") from error

    def read(self, container: str, name: str) -> Iterator[bytes]:
        """The blob in pieces. Fewer bytes than announced are an error (urllib3 counts them)."""
        from urllib3.exceptions import HTTPError

        what = f"blob {container}/{name}"
        headers = {"Authorization": f"Bearer {self._bearer(what)}", "x-ms-version": VERSION}
        try:
            url = f"{self._endpoint}/{container}/{blob_path(name)}"
            answer = self._http.request("GET", url, headers=headers, preload_content=False)
            try:
                if answer.status != 200:
                    raise _refusal(answer.status, answer.headers.get("x-ms-error-code") or "", what)
                while piece := answer.read(PIECE):
                    yield piece
            finally:
                answer.drain_conn()
                answer.release_conn()
        except HTTPError as error:
            raise Unreachable(f"{what}: the storage account does not answer: {error}", next_step=_NETWORK) from error

    def size_of(self, container: str, name: str) -> int | None:
        """Of a blob; None when there is none."""
        try:
            return self._client.get_blob_client(container, name).get_blob_properties().size
        except Exception as error:
            told = _translated(error, f"blob {container}/{name}")
            if isinstance(told, NotFound) and told.code != "ContainerNotFound":
                return None
            raise told from error

    def write(self, container: str, name: str, content: Readable, size: int) -> None:
        """Make a blob of so many bytes. One that was made meanwhile is left as it is."""
        from azure.core.exceptions import ResourceExistsError

        try:
            self._client.get_blob_client(container, name).upload_blob(cast(IO[bytes], content), length=size)
        except ResourceExistsError:
            return
        except Exception as error:
            raise _translated(error, f"blob {container}/{name}", "write", _WRITERS) from error

    def _bearer(self, what: str) -> str:
        """Threads may get a token twice; they never use one that is about to end."""
        if time.time() >= self._token_until:
            try:
                token = self._credential.get_token(SCOPE)
            except Exception as error:
                raise _translated(error, what) from error
            self._token = token.token
            self._token_until = token.expires_on - 300
        return self._token


def blob_path(name: str) -> str:
    """A blob's name in a URL. Clients take `.` and `..` out of a path: encoded they stay part of the name."""
    return "/".join(
        segment.replace(".", "%2E") if segment in (".", "..") else quote(segment) for segment in name.split("/")
    )


def _refusal(status: int, code: str, what: str) -> ServiceError:
    if status == 404:
        return NotFound(f"{what} does not exist ({code})", code=code)
    if status in (401, 403):
        return Forbidden(f"{what}: you may not read it ({code})", next_step=_ADMITTED, code=code)
    return ServiceError(f"{what}: the service answered {status} {code}", next_step="try again", code=code)


def _translated(error: Exception, what: str, verb: str = "read", admitted: str = _ADMITTED) -> Exception:
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

    code = str(getattr(error, "error_code", "") or "")
    said = str(getattr(error, "message", error)).splitlines()[0] if isinstance(error, AzureError) else ""
    if isinstance(error, ResourceNotFoundError):
        return NotFound(f"{what} does not exist ({said})", code=code)
    if isinstance(error, ClientAuthenticationError) or (
        isinstance(error, HttpResponseError) and error.status_code == 403
    ):
        why = f"{code}: {said}" if code else said
        return Forbidden(f"{what}: you may not {verb} it ({why})", next_step=admitted, code=code)
    if isinstance(error, HttpResponseError):
        return ServiceError(f"{what}: {said}", code=code)
    if isinstance(error, AzureError):
        return Unreachable(f"{what}: the storage account does not answer: {said}", next_step=_NETWORK)
    return error
