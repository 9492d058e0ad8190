"""A cloud that really listens, in a thread of its own, so that the synchronous SDKs can be its clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from azure.identity import ClientSecretCredential

from local.azure.app import serve
from local.azure.arm.service import ArmService
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.errors import NotFound
from local.azure.control_plane.resources import Resource
from local.azure.identity.service import IdentityService
from local.azure.platform.sites import Service
from local.paths import Paths


class RecordingHooks:
    """Stands for a service: records its calls, waits at `gate`, raises `fail`."""

    def __init__(self, view: dict[str, Any] | None = None) -> None:
        self.calls: list[tuple[str, str]] = []
        self.fail: Exception | None = None
        self.gate: threading.Event | None = None
        self._view = view or {}

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Allow everything."""

    async def put(self, new: Resource, old: Resource | None) -> None:
        await self._work("put", new)

    async def delete(self, resource: Resource) -> None:
        await self._work("delete", resource)

    async def _work(self, verb: str, resource: Resource) -> None:
        """Record the call, wait at the gate, raise `fail`."""
        self.calls.append((verb, resource.name))
        if self.gate is not None:
            while not self.gate.is_set():  # noqa: ASYNC110 - cancellable, unlike a thread
                await asyncio.sleep(0.002)
        if self.fail is not None:
            raise self.fail

    async def action(self, resource: Resource, name: str, body: dict[str, Any], caller: Any) -> dict[str, Any]:
        """Know listKeys only."""
        if name.lower() == "listkeys":
            return {"keys": [{"keyName": "key1", "value": "c2VjcmV0", "permissions": "FULL"}]}
        raise NotFound(name)

    def view(self, resource: Resource) -> dict[str, Any]:
        """A fixed document."""
        return self._view


class RunningAzure:
    """ARM and identity over TLS on real ports; `hooks` stand for the other services."""

    def __init__(self, home: Path) -> None:
        self.paths = Paths(home)
        self.cloud = Cloud.open(self.paths)
        self.hooks = {
            "Microsoft.Batch/batchAccounts": RecordingHooks({"accountEndpoint": "127.0.0.1:1"}),
            "Microsoft.Batch/batchAccounts/pools": RecordingHooks(),
            "Microsoft.Storage/storageAccounts": RecordingHooks(),
            "Microsoft.Storage/storageAccounts/blobServices": RecordingHooks(),
            "Microsoft.Storage/storageAccounts/blobServices/containers": RecordingHooks(),
            "Microsoft.ContainerRegistry/registries": RecordingHooks(),
        }
        for kind, hooks in self.hooks.items():
            self.cloud.types.register(kind, hooks)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def services(self) -> Sequence[Service]:
        """What is started."""
        return [IdentityService(self.cloud), ArmService(self.cloud)]

    def __enter__(self) -> RunningAzure:
        ready = threading.Event()
        failure: list[BaseException] = []

        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            services = self.services()
            running = asyncio.ensure_future(serve(self.cloud, stop=self._stop, services=services))
            while not running.done() and not (self.paths.run / "azure.ready").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            if running.done() and running.exception():
                failure.append(running.exception())  # type: ignore[arg-type]
            ready.set()
            await running

        self._thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
        self._thread.start()
        ready.wait(20)
        if failure:
            raise failure[0]
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._loop is not None and self._stop is not None and self._thread is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        self.cloud.close()

    def credential(self, client_id: str | None = None, secret: str | None = None) -> ClientSecretCredential:
        """A credential of azure-identity against our authority (the deployer's by default)."""
        settings = self.cloud.settings
        return ClientSecretCredential(
            settings.tenant_id,
            client_id or settings.client_id,
            secret or settings.client_secret,
            authority=self.cloud.arm_url,
            disable_instance_discovery=True,
            connection_verify=str(self.paths.ca),
        )

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments that point a management client here."""
        return {
            "base_url": self.cloud.arm_url,
            "credential_scopes": ["https://management.azure.com/.default"],
            "connection_verify": str(self.paths.ca),
            "retry_total": 0,
        }
