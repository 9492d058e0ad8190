"""A Batch account at run time: its state, its scheduler, its address and who may call it."""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from local.azure.batch.account.authentication import ENTRA, SHARED_KEY, TASK
from local.azure.batch.account.node_storage import NodeStorage
from local.azure.batch.account.task_tokens import TaskTokens
from local.azure.batch.decisions.run_specs import SpecWriter
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.scheduling.assembly import Scheduling
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import Resource
from local.azure.platform.ports import HOST
from local.node.contract import Executor

KEYS = "batch.keys"
COUNT_LAG = "LOCAL_AZURE_COUNT_LAG_SECONDS"
DEFAULT_MODES = (SHARED_KEY, ENTRA, TASK)
"""`allowedAuthenticationModes` of an account that names none (REST 2024-07-01)."""


class Account:
    """Made from the ARM resource; `resume` after the executor is open."""

    def __init__(self, cloud: Cloud, executor: Executor, resource: Resource) -> None:
        self.cloud = cloud
        self.clock = cloud.clock
        self.executor = executor
        self.name = resource.name
        self.resource_id = resource.id
        self.port = cloud.ports.reserve(f"batch/{resource.name.lower()}")
        self.endpoint = f"{HOST}:{self.port}"
        self.url = f"https://{self.endpoint}"
        self.state = AccountState(cloud.store, resource.name, self._pool_gone)
        self.storage = NodeStorage(cloud, resource.id)
        self.task_tokens = TaskTokens(cloud.store, resource.name, self.url)
        self.specs = SpecWriter(resource.name, self.url, cloud.resources.get, self.storage, self.task_tokens.issue)
        self.scheduling = Scheduling(self.state, cloud.clock, executor, self.specs)
        self.loop = self.scheduling.loop
        self.count_lag = count_lag()

    def resume(self) -> None:
        """Go on after a restart."""
        self.scheduling.resume()

    @property
    def modes(self) -> Collection[str]:
        """The kinds of authentication it allows now."""
        resource = self.cloud.resources.get(self.resource_id)
        return allowed_modes(resource.properties if resource is not None else {})

    def keys(self) -> dict[str, str]:
        """`primary` and `secondary`, made when first asked for."""
        keys = self.cloud.store.get(KEYS, self.name.lower())
        if keys is None:
            keys = {name: _new_key() for name in ("primary", "secondary")}
            self.cloud.store.put(KEYS, self.name.lower(), keys)
        return keys

    def regenerate(self, name: str) -> dict[str, str]:
        """Replace one key."""
        keys = {**self.keys(), name: _new_key()}
        self.cloud.store.put(KEYS, self.name.lower(), keys)
        return keys

    def _pool_gone(self, pool_id: str) -> None:
        """A pool deleted through the data plane is gone from ARM as well."""
        self.cloud.resources.delete(f"{self.resource_id}/pools/{pool_id}")

    async def close(self) -> None:
        """Stop acting; state stays."""
        await self.scheduling.close()

    def erase(self) -> None:
        """Forget everything of a deleted account."""
        self.state.erase()
        self.task_tokens.erase()
        self.cloud.store.delete(KEYS, self.name.lower())
        self.cloud.ports.release(f"batch/{self.name.lower()}")


def allowed_modes(properties: dict[str, Any]) -> Collection[str]:
    """The modes of an account's properties."""
    return properties.get("allowedAuthenticationModes") or DEFAULT_MODES


def count_lag() -> timedelta:
    """How far task counts lie behind, as they do on Azure (seconds, in LOCAL_AZURE_COUNT_LAG_SECONDS); 0 without it."""
    text = os.environ.get(COUNT_LAG, "0")
    try:
        seconds = float(text)
        if not 0 <= seconds <= 86400:
            raise ValueError(text)
    except ValueError as error:
        raise ValueError(f"{COUNT_LAG}={text!r}: expected a number of seconds, 0 to 86400") from error
    return timedelta(seconds=seconds)


def _new_key() -> str:
    return b64encode(secrets.token_bytes(64)).decode()
