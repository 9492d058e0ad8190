"""A pool: its definition in the data plane's shape, and where its allocation stands."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.azure.batch.model.durations import stamp
from local.azure.batch.model.record import Stamped
from local.azure.batch.model.states import ALLOCATION, POOL, AllocationEvent, AllocationState, PoolEvent, PoolState
from local.azure.batch.model.task import identity, without_passwords


@dataclass(kw_only=True)
class Pool(Stamped):
    """`body` is shown to clients; `secrets` (passwords of users and registries) never is."""

    number: int
    state: PoolState = PoolState.ACTIVE
    allocation: AllocationState = AllocationState.STEADY
    allocation_since: datetime
    target_dedicated: int = 0
    target_low_priority: int = 0
    resize_errors: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, Any] = field(default_factory=dict, repr=False)
    stopped: bool = False  # the resize that goes on was stopped by a client
    auto_pool_of: str | None = None  # the job ("job/ID") or job schedule ("jobschedule/ID") that it was made for
    autoscale_run: dict[str, Any] | None = None  # the last evaluation, as the data plane shows it

    def delete(self, now: datetime) -> None:
        """Begin to disappear."""
        before, self.state = self.state, POOL.next(self.state, PoolEvent.DELETE)
        self.moved(before, now)

    def allocate(self, event: AllocationEvent, now: datetime) -> None:
        """Change the allocation state; IllegalTransition when it cannot."""
        after = ALLOCATION.next(self.allocation, event)
        if after is not self.allocation:
            self.allocation = after
            self.allocation_since = now

    @property
    def formula(self) -> str | None:
        """By which it scales itself; None for a pool of a fixed size."""
        return self.body.get("autoScaleFormula") if self.body.get("enableAutoScale") else None

    @property
    def slots(self) -> int:
        """Task slots of each node."""
        return self.body.get("taskSlotsPerNode", 1)

    @property
    def packs(self) -> bool:
        """Node fill type: pack rather than spread."""
        return self.body.get("taskSchedulingPolicy", {}).get("nodeFillType", "").lower() == "pack"

    @property
    def containers(self) -> dict[str, Any] | None:
        """The container configuration, None for a pool without."""
        return self.body["virtualMachineConfiguration"].get("containerConfiguration")

    def view(self, base_url: str, dedicated: int, low_priority: int) -> dict[str, Any]:
        """The pool on the wire."""
        stamps = {name: value for name, value in self.stamps().items() if not name.startswith("previous")}
        return {
            **shown_definition(self.body),
            "url": f"{base_url}/pools/{self.id}",
            "state": self.state.value,
            **stamps,
            "allocationState": self.allocation.value,
            "allocationStateTransitionTime": stamp(self.allocation_since),
            "currentDedicatedNodes": dedicated,
            "currentLowPriorityNodes": low_priority,
            "targetDedicatedNodes": self.target_dedicated,
            "targetLowPriorityNodes": self.target_low_priority,
            **({"resizeErrors": self.resize_errors} if self.resize_errors else {}),
            **({"autoScaleRun": self.autoscale_run} if self.autoscale_run and self.formula is not None else {}),
        }


_DEFAULTS: dict[str, Any] = {
    "taskSlotsPerNode": 1,
    "taskSchedulingPolicy": {"nodeFillType": "Spread"},
    "resizeTimeout": "PT15M",
    "enableAutoScale": False,
    "enableInterNodeCommunication": False,
}
AUTO_SCALE_INTERVAL = "PT15M"


def with_defaults(body: dict[str, Any]) -> dict[str, Any]:
    """A pool's definition with what the service fills in (recorded)."""
    full = {**_DEFAULTS, **body}
    if full["enableAutoScale"]:
        full.setdefault("autoScaleEvaluationInterval", AUTO_SCALE_INTERVAL)
    return full


def specification_with_defaults(body: dict[str, Any]) -> dict[str, Any]:
    """The pool of an `autoPoolSpecification` with what the service fills in (recorded)."""
    return {"targetDedicatedNodes": 0, "targetLowPriorityNodes": 0, **with_defaults(body)}


def shown_definition(body: dict[str, Any]) -> dict[str, Any]:
    """The definition as clients see it: the service's defaults inside its parts, the size in lower case (recorded)."""
    shown = {**body, "vmSize": body["vmSize"].lower()}
    if body.get("startTask"):
        shown["startTask"] = start_task_with_defaults(body["startTask"])
    if body.get("userAccounts"):
        shown["userAccounts"] = [{"elevationLevel": "nonadmin", **one} for one in body["userAccounts"]]
    if body.get("networkConfiguration"):
        filled = {"dynamicVNetAssignmentScope": "none", "enableAcceleratedNetworking": False}
        shown["networkConfiguration"] = {**filled, **body["networkConfiguration"]}
    machine = body["virtualMachineConfiguration"]
    if "offer" in machine.get("imageReference", {}):
        image = {"version": "latest", **machine["imageReference"]}
        shown["virtualMachineConfiguration"] = {**machine, "imageReference": image}
    return shown


def start_task_with_defaults(start: dict[str, Any]) -> dict[str, Any]:
    """A start task with what the service fills in (recorded)."""
    filled = {"maxTaskRetryCount": 0, "waitForSuccess": True, **without_passwords(start)}
    return {**filled, "userIdentity": identity(start)}


def take_secrets(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(a copy of a pool's definition without passwords and keys, these passwords by kind and name)."""
    body = copy.deepcopy(body)
    users, registries = {}, {}
    for account in body.get("userAccounts", ()):
        password = account.pop("password", None)
        if password is not None:
            users[account["name"]] = password
        account.get("linuxUserConfiguration", {}).pop("sshPrivateKey", None)
    containers = body["virtualMachineConfiguration"].get("containerConfiguration") or {}
    for registry in containers.get("containerRegistries", ()):
        password = registry.pop("password", None)
        if password is not None:
            registries[registry.get("registryServer") or "docker.io"] = password
    mounts: dict[str, dict[str, str]] = {}
    for mount in body.get("mountConfiguration", ()):
        for kind in mount.values():
            taken = {name: kind.pop(name) for name in ("accountKey", "sasKey", "password") if name in kind}
            if taken:
                mounts[kind["relativeMountPath"]] = taken
    for extension in body["virtualMachineConfiguration"].get("extensions", ()):
        extension.pop("protectedSettings", None)
    return body, {"users": users, "registries": registries, "mounts": mounts}
