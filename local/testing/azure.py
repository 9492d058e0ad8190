"""A whole local Azure inside one process: its services in a thread, nodes by the `noop` executor, Azurite beside them.

Owns starting and stopping it, and the accounts that tests use; every address is real, so any client works. Tasks end at
once with exit code 0 and run nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from local.azure.app import build_services, serve
from local.azure.blobs.azurite import azurite_command
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.tokens import ARM_AUDIENCES
from local.azure.platform.ports import HOST
from local.azure.registry.upstream import upstream_command, write_upstream_config
from local.node.contract import Executor
from local.node.noop import NoopExecutor
from local.paths import Paths

LOCATION: Final = "westeurope"
_READY_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.005
_GROUPS: Final = "2024-11-01"
_BATCH: Final = "2024-07-01"
_STORAGE: Final = "2024-01-01"
_ASSIGNMENTS: Final = "2022-04-01"
DATA_CONTRIBUTOR: Final = "6aaa78f1-f7de-44ca-8722-c64a23943cae"  # Azure Batch Data Contributor
BLOB_CONTRIBUTOR: Final = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"  # Storage Blob Data Contributor


class NotStarted(RuntimeError):
    """The local Azure did not start; the message has the reason."""


class Refused(RuntimeError):
    """A request of the test set-up itself was refused; the text has the answer."""


class LocalAzure:
    """Use it in a `with` block. `home` is a folder of its own; without one it is temporary."""

    def __init__(self, home: Path | None = None, *, executor: Executor | None = None) -> None:
        self._temporary = None if home is not None else tempfile.TemporaryDirectory(prefix="local-azure-")
        self.paths = Paths(home if home is not None else Path(str(self._temporary and self._temporary.name)))
        self.executor = executor or NoopExecutor()
        self.cloud = Cloud.open(self.paths)
        self._children: list[subprocess.Popen[bytes]] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._start_children()
        self._thread = threading.Thread(target=self._run, name="local-azure", daemon=True)
        self._thread.start()
        ready, deadline = self.paths.run / "azure.ready", time.monotonic() + _READY_SECONDS
        while not ready.exists():
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.close()
                raise NotStarted(f"the local Azure did not start: {self._failure or 'it took too long'}")
            time.sleep(_LOOK_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything that was started, and forget a temporary home."""
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_READY_SECONDS)
        for child in self._children:
            child.kill()
            child.wait()
        self._children.clear()
        self.cloud.close()
        shutil.rmtree(self.paths.sockets, ignore_errors=True)
        if self._temporary is not None:
            self._temporary.cleanup()

    @contextlib.contextmanager
    def account(self, name: str | None = None, **properties: Any) -> Iterator[BatchAccount]:
        """A Batch account in a resource group of its own, with the deployer's roles for data; gone afterwards."""
        name = name or f"test{secrets.token_hex(8)}"
        group = f"{self.cloud.subscription_scope}/resourceGroups/rg-{name}"
        self.arm("PUT", group, _GROUPS, {"location": LOCATION})
        try:
            self.arm(
                "PUT",
                f"{group}/providers/Microsoft.Batch/batchAccounts/{name}",
                _BATCH,
                {"location": LOCATION, "properties": properties},
            )
            for role in (DATA_CONTRIBUTOR, BLOB_CONTRIBUTOR):
                self.assign(group, role, self.cloud.settings.deployer_object_id)
            yield BatchAccount(self, name, f"rg-{name}", group)
        finally:
            self.arm("DELETE", group, _GROUPS)

    def arm(self, method: str, path: str, version: str, body: Any = None) -> Any:
        """One request to ARM as the deployer; waits until a long-running operation has ended."""
        status, headers, answer = self._send(method, f"{path}?api-version={version}", body)
        while status == 202 and "location" in headers:
            time.sleep(_LOOK_SECONDS)
            status, headers, answer = self._send("GET", headers["location"].removeprefix(self.cloud.arm_url), None)
        if status >= 400:
            raise Refused(f"{method} {path}: {status} {answer}")
        return answer

    def environment(self) -> dict[str, str]:
        """What azure-identity, the Azure CLI and requests read: who signs in where, and whom to trust."""
        settings, authority = self.cloud.settings, str(self.paths.ca)
        return {
            "AZURE_TENANT_ID": settings.tenant_id,
            "AZURE_CLIENT_ID": settings.client_id,
            "AZURE_CLIENT_SECRET": settings.client_secret,
            "AZURE_SUBSCRIPTION_ID": settings.subscription_id,
            "AZURE_AUTHORITY_HOST": self.cloud.arm_url,
            "AZURE_CORE_INSTANCE_DISCOVERY": "false",
            "ARM_CLOUD_METADATA_URL": f"{self.cloud.arm_url}/metadata/endpoints?api-version=2019-05-01",
            "SSL_CERT_FILE": authority,
            "REQUESTS_CA_BUNDLE": authority,
        }

    def credential(self) -> Any:
        """The deployer, as a credential of azure-identity."""
        from azure.identity import ClientSecretCredential

        settings = self.cloud.settings
        return ClientSecretCredential(
            settings.tenant_id,
            settings.client_id,
            settings.client_secret,
            authority=self.cloud.arm_url,
            disable_instance_discovery=True,
            connection_verify=str(self.paths.ca),
        )

    def assign(self, scope: str, role: str, principal: str) -> None:
        """Give an application or identity a role, by the GUID of its definition."""
        definition = f"{self.cloud.subscription_scope}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        properties = {
            "roleDefinitionId": definition,
            "principalId": principal,
            "principalType": "ServicePrincipal",
        }
        name = f"{secrets.token_hex(4)}-{secrets.token_hex(2)}-4000-8000-{secrets.token_hex(6)}"
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"
        self.arm("PUT", path, _ASSIGNMENTS, {"properties": properties})

    def _send(self, method: str, target: str, body: Any) -> tuple[int, Mapping[str, str], Any]:
        settings = self.cloud.settings
        token = self.cloud.tokens.issue(
            principal_id=settings.deployer_object_id, client_id=settings.client_id, audience=ARM_AUDIENCES[0]
        )
        context = ssl.create_default_context(cafile=str(self.paths.ca))
        connection = http.client.HTTPSConnection(HOST, self.cloud.ports.reserve("arm"), context=context, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with contextlib.closing(connection):
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, json.loads(text) if text else None

    def _run(self) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            await serve(self.cloud, stop=self._stop, services=build_services(self.cloud, self.executor))

        try:
            asyncio.run(main())
        except BaseException as error:
            self._failure = error

    def _start_children(self) -> None:
        """Azurite and docker-registry, where they are installed: without them blobs and images answer 503."""
        argv, environment = azurite_command(self.paths, self.cloud.store, self.cloud.ports)
        script = next(word for word in argv if word.endswith("main.js"))
        if shutil.which(argv[0]) and Path(script).is_file():
            self._child(argv, environment)
        registry = upstream_command(self.paths)
        if shutil.which(registry[0]):
            write_upstream_config(self.paths)
            self._child(registry, {})

    def _child(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        with (self.paths.log / f"{Path(argv[0]).name}.log").open("ab") as log:
            self._children.append(
                subprocess.Popen(
                    argv, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            )


@dataclass
class BatchAccount:
    """One account of the local Azure, with everything a client needs to reach it."""

    azure: LocalAzure = field(repr=False)
    name: str
    resource_group: str
    group_id: str

    @property
    def id(self) -> str:
        """Its ARM id."""
        return f"{self.group_id}/providers/Microsoft.Batch/batchAccounts/{self.name}"

    @property
    def url(self) -> str:
        """Its endpoint, with https."""
        return f"https://{self.azure.arm('GET', self.id, _BATCH)['properties']['accountEndpoint']}"

    @property
    def key(self) -> str:
        """Its primary shared key."""
        return str(self.azure.arm("POST", f"{self.id}/listKeys", _BATCH, {})["primary"])

    @property
    def ca(self) -> str:
        """The file of the certificate authority that clients trust."""
        return str(self.azure.paths.ca)

    @property
    def subscription_id(self) -> str:
        """The one subscription."""
        return self.azure.cloud.settings.subscription_id

    @property
    def arm_url(self) -> str:
        """Where ARM answers."""
        return self.azure.cloud.arm_url

    def batch_client(self, **options: Any) -> Any:
        """An `azure.batch.BatchClient`, signed in as the deployer."""
        from azure.batch import BatchClient

        return BatchClient(self.url, self.azure.credential(), connection_verify=self.ca, **options)

    def management_client(self, kind: type, **options: Any) -> Any:
        """A client of an azure-mgmt package: `management_client(BatchManagementClient)`."""
        return kind(
            self.azure.credential(),
            self.subscription_id,
            base_url=self.arm_url,
            connection_verify=self.ca,
            credential_scopes=["https://management.azure.com/.default"],
            **options,
        )

    def pool(self, name: str = "pool", nodes: int = 1, **properties: Any) -> None:
        """Make a pool of idle nodes."""
        machine = {
            "imageReference": {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2204"},
            "nodeAgentSkuId": "batch.node.ubuntu 22.04",
        }
        body = {
            "vmSize": "STANDARD_D2S_V3",
            "deploymentConfiguration": {"virtualMachineConfiguration": machine},
            "scaleSettings": {"fixedScale": {"targetDedicatedNodes": nodes}},
            **properties,
        }
        self.azure.arm("PUT", f"{self.id}/pools/{name}", _BATCH, {"properties": body})

    def storage_account(self, name: str | None = None) -> str:
        """Make a storage account and link it as auto-storage; its name."""
        name = name or f"st{secrets.token_hex(8)}"
        path = f"{self.group_id}/providers/Microsoft.Storage/storageAccounts/{name}"
        self.azure.arm(
            "PUT",
            path,
            _STORAGE,
            {"location": LOCATION, "sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "properties": {}},
        )
        linked = {"properties": {"autoStorage": {"storageAccountId": path}}}
        self.azure.arm("PATCH", self.id, _BATCH, linked)
        return name
