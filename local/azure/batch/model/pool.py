"""A pool: its definition in the data plane's shape, and where its allocation stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.azure.batch.model.durations import stamp
from local.azure.batch.model.stamped import Stamped
from local.azure.batch.model.states import ALLOCATION, POOL, AllocationEvent, AllocationState, PoolEvent, PoolState


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
    autoscale_run: dict[str, Any] | None = None  # the last evaluation, as the data plane shows it

    def delete(self, now: datetime) -> None:
        """Begin to disappear."""
        before, self.state = self.state, POOL.next(self.state, PoolEvent.DELETE)
        self.moved(before, now)

    def allocate(self, event: AllocationEvent, now: datetime) -> None:
        """Change the allocation state; IllegalTransition when it cannot."""
        after = ALLOCATION.next(self.allocation, event)
        if after is not self.allocation:
            self.allocation, self.allocation_since = after, now
        self.touch(now)

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
        return self.body.get("taskSchedulingPolicy", {}).get("nodeFillType") == "pack"

    @property
    def containers(self) -> dict[str, Any] | None:
        """The container configuration, None for a pool without."""
        return self.body["virtualMachineConfiguration"].get("containerConfiguration")

    def view(self, base_url: str, dedicated: int, low_priority: int) -> dict[str, Any]:
        """The pool on the wire."""
        stamps = {name: value for name, value in self.stamps().items() if not name.startswith("previous")}
        return {
            **self.body,
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
