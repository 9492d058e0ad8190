"""A Batch service on real TLS ports with the noop executor, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from azure.batch import BatchClient
from azure.core.credentials import AccessToken, AzureNamedKeyCredential

from local.azure.batch.service import BatchService
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import Resource
from local.azure.platform.clock import ManualClock, SystemClock
from local.node.noop import NoopExecutor
from local.paths import Paths

T = TypeVar("T")


BATCH_DATA_CONTRIBUTOR = "6aaa78f1-f7de-44ca-8722-c64a23943cae"


SUBMITTER = "11111111-1111-1111-1111-111111111111"


AUDIENCE = "https://batch.core.windows.net/"


START = datetime(2026, 1, 1, tzinfo=UTC)


IMAGE = {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2404", "version": "latest"}


class TokenOf:
    """A credential that issues the local cloud's own tokens."""

    def __init__(self, cloud: Cloud, principal: str, audience: str = AUDIENCE) -> None:
        self._cloud = cloud
        self._principal = principal
        self._audience = audience

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        token = self._cloud.tokens.issue(
            principal_id=self._principal, client_id="client", audience=self._audience, lifetime_seconds=10**8
        )
        return AccessToken(token, int(time.time()) + 3000)


class LocalBatch:
    """The service in a thread of its own; `executor` outlives a `restart`, as nodes do."""

    def __init__(self, home: Path, automatic: bool, clock: ManualClock | None = None) -> None:
        self.paths = Paths(home)
        self.clock = clock
        now = SystemClock().now if clock is None else clock.now
        self.executor = NoopExecutor(automatic=automatic, now=now)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._clients: list[BatchClient] = []
        self._open()

    def _open(self) -> None:
        self.cloud = Cloud.open(self.paths, self.clock)
        self.service = BatchService(self.cloud, self.executor)
        self.run(self.service.start())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something on the service's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def do(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call something on the service's loop, then let everything it caused settle."""

        async def work() -> T:
            result = call(*args, **kwargs)
            await self._settle()
            return result

        return self.run(work())

    def advance(self, **by: float) -> None:
        """Move the clock, and let everything settle that fell due."""
        assert isinstance(self.clock, ManualClock), "only `clocked` and `timed` have a clock that can be moved"
        self.do(self.clock.advance, timedelta(**by))

    def settle(self) -> None:
        """Let everything settle."""
        self.run(self._settle())

    async def _settle(self) -> None:
        for _ in range(6):
            await asyncio.sleep(0)
            for account in self.service.accounts.all():
                account.loop.settle()
                await account.scheduling.idle()

    def wait(self, *, minutes: float) -> None:
        """Move the clock, half a minute at a time, with everything settled in between."""
        assert self.clock is not None, "only a clock that is moved by hand can be waited for"
        for _ in range(round(minutes * 2)):
            self.do(self.clock.advance, timedelta(seconds=30))

    def restart(self) -> None:
        """As after kill -9: nothing is written on the way out but what is on disk already."""
        self.stop()
        self._open()
        self.settle()

    def stop(self) -> None:
        self.run(self.service.stop())
        self.cloud.close()

    def close(self) -> None:
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    # -- resources ---------------------------------------------------------------------------------------------------

    @property
    def group(self) -> str:
        return f"{self.cloud.subscription_scope}/resourceGroups/group"

    def put(self, type_: str, resource_id: str, properties: dict[str, Any], **more: Any) -> Resource:
        """What ARM does with a PUT: validate, put, record."""
        old = self.cloud.resources.get(resource_id)
        new = Resource(
            id=resource_id,
            type=type_,
            name=resource_id.rsplit("/", 1)[-1],
            location="westeurope",
            properties=properties,
            system=old.system if old else {},
            **more,
        )
        hooks = self.cloud.types.get(type_).hooks
        if hooks is not None:
            self.run(hooks.validate(new, old))
            self.run(hooks.put(new, old))
        self.do(self.cloud.resources.put, new)
        return new

    def account(self, name: str = "mybatch", **properties: Any) -> Resource:
        resource_id = f"{self.group}/providers/Microsoft.Batch/batchAccounts/{name}"
        return self.put(
            "Microsoft.Batch/batchAccounts", resource_id, {"allowedAuthenticationModes": ["AAD"], **properties}
        )

    def pool(self, name: str = "pool", nodes: int = 1, *, containers: bool = False, **properties: Any) -> Resource:
        machine: dict[str, Any] = {"imageReference": IMAGE, "nodeAgentSkuId": "batch.node.ubuntu 24.04"}
        if containers:
            machine["containerConfiguration"] = {"type": "DockerCompatible"}
        body = {
            "vmSize": "STANDARD_D2S_V3",
            "deploymentConfiguration": {"virtualMachineConfiguration": machine},
            "scaleSettings": {"fixedScale": {"targetDedicatedNodes": nodes}},
            **properties,
        }
        account = properties.pop("account", "mybatch")
        resource_id = f"{self.group}/providers/Microsoft.Batch/batchAccounts/{account}/pools/{name}"
        identity = body.pop("identity", None)
        body.pop("account", None)
        return self.put("Microsoft.Batch/batchAccounts/pools", resource_id, body, identity=identity)

    def grant(self, principal: str, role: str, scope: str) -> str:
        assignment = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{len(self.cloud.resources.list())}"
        definition = f"{self.cloud.subscription_scope}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        properties = {"principalId": principal, "roleDefinitionId": definition, "scope": scope}
        self.put("Microsoft.Authorization/roleAssignments", assignment, properties)
        return assignment

    def endpoint(self, account: str = "mybatch") -> str:
        account_server = self.service.account(account)
        assert account_server is not None
        return account_server.url

    def client(self, account: str = "mybatch", credential: Any = None) -> BatchClient:
        credential = credential or TokenOf(self.cloud, SUBMITTER)
        client = BatchClient(
            self.endpoint(account), credential, connection_verify=str(self.paths.ca), retry_total=0, polling_interval=0
        )
        self._clients.append(client)
        return client

    def key(self, account: str = "mybatch") -> AzureNamedKeyCredential:
        account_server = self.service.account(account)
        assert account_server is not None
        return AzureNamedKeyCredential(account, account_server.keys()["primary"])

    def node_ids(self) -> list[str]:
        return list(self.executor.nodes)


def furnish(local: LocalBatch) -> None:
    account = local.account()
    local.grant(SUBMITTER, BATCH_DATA_CONTRIBUTOR, account.id)
