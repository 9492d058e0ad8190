"""What ARM's pools do here: a pool is nodes made by the executor.

In-place changes: https://learn.microsoft.com/rest/api/batchmanagement/pool/update and Azure/Batch#85 for the error.
"""

from __future__ import annotations

import copy
from typing import Any

from local.azure.batch import errors
from local.azure.batch.account.account import Account
from local.azure.batch.accounts import Accounts
from local.azure.batch.data_plane.bodies import AUTOSCALE_INTERVAL
from local.azure.batch.data_plane.checks import check_mounts, check_packages
from local.azure.batch.data_plane.operations.pools import view as pool_view
from local.azure.batch.hooks import pool_shapes as arm_shapes
from local.azure.batch.hooks.pool_checks import check_pool
from local.azure.batch.model import Pool
from local.azure.batch.model.durations import stamp
from local.azure.batch.model.states import ALLOCATION, AllocationEvent
from local.azure.batch.scheduling import allocation, assignment, autoscaling
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import Caller

FIXED = (
    ("virtualMachineConfiguration", "deploymentConfiguration"),
    ("networkConfiguration", "networkConfiguration"),
    ("vmSize", "vmSize"),
    ("enableInterNodeCommunication", "interNodeCommunication"),
    ("taskSlotsPerNode", "taskSlotsPerNode"),
    ("taskSchedulingPolicy", "taskSchedulingPolicy"),
    ("userAccounts", "userAccounts"),
    ("mountConfiguration", "mountConfiguration"),
)
"""What ARM cannot change in place: (data plane's name, ARM's name). A start task, scale settings, metadata and the
display name can change; nodes that are there keep what they began with until they boot again (documented)."""


_PROPERTY_OF_SECRETS = {
    "mounts": "mountConfiguration",
    "registries": "deploymentConfiguration",
    "users": "userAccounts",
}


class PoolHooks:
    """`TypeHooks` of Microsoft.Batch/batchAccounts/pools."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Refuse what is not there yet, what cannot work, and changes that Batch cannot make."""
        account = self._account(new)
        arm_shapes.refuse_missing(new.properties)
        check_pool(new.properties, (new.identity or {}).get("userAssignedIdentities") or {})
        body, secrets = arm_shapes.pool_body(new)
        self._check_scale(new.properties)
        check_packages(account, body.get("applicationPackageReferences", []), "applicationPackages")
        check_mounts(body)
        pool = account.state.pools.get(new.name.lower())
        if old is None or pool is None:
            return
        for name, arm_name in FIXED:
            if _comparable(name, body.get(name)) != _comparable(name, pool.body.get(name)):
                raise _fixed(arm_name)
        changed = {
            kind
            for kind in secrets
            for key in secrets[kind]
            if secrets[kind][key] != pool.secrets.get(kind, {}).get(key)
        }
        for kind in sorted(changed):
            raise _fixed(_PROPERTY_OF_SECRETS[kind])

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Make the pool and ask for its nodes, or change what can change."""
        account = self._account(new)
        body, secrets = arm_shapes.pool_body(new)
        arm_shapes.strip_secrets(new.properties)
        pool = account.state.pools.get(new.name.lower())
        scaling = None if pool is None else _scaling(pool)
        with account.loop.turn() as turn:
            if pool is None:
                pool = allocation.add_pool(turn, new.name, body, secrets)
            else:
                with turn.change(pool):
                    pool.body = body
                    pool.secrets = {kind: {**pool.secrets.get(kind, {}), **given} for kind, given in secrets.items()}
                    pool.touch(turn.now)
            if pool.formula is None:
                scale = arm_shapes.scale(new.properties)
                dedicated, low_priority = int(scale["targetDedicatedNodes"]), int(scale["targetLowPriorityNodes"])
                if (dedicated, low_priority) != (pool.target_dedicated, pool.target_low_priority):
                    option = str(scale.get("nodeDeallocationOption", "requeue")).lower()
                    allocation.resize(turn, pool, dedicated, low_priority, option)
            if scaling != _scaling(pool):
                autoscaling.watch(turn, pool)
            assignment.wake(turn, pool.id)

    async def delete(self, resource: Resource) -> None:
        """Remove the nodes, then the pool."""
        account = self._accounts.account(_account_name(resource))
        pool = None if account is None else account.state.pools.get(resource.name.lower())
        if account is not None and pool is not None:
            await account.scheduling.delete_pool(pool).wait()

    async def action(self, resource: Resource, name: str, body: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """stopResize and disableAutoScale."""
        account = self._account(resource)
        pool = account.state.pools.get(resource.name.lower())
        if pool is None:
            raise errors.PoolNotFound
        if name.lower() == "stopresize":
            if ALLOCATION.allows(pool.allocation, AllocationEvent.STOP):
                account.scheduling.do(allocation.stop_resize, pool)
        elif name.lower() == "disableautoscale":
            account.scheduling.do(autoscaling.disable, pool)
        else:
            raise errors.ResourceNotFound(f"The action '{name}' of {resource.id} was not found.")
        properties = {**resource.properties, **self.view(resource), "provisioningState": resource.state}
        return {"id": resource.id, "name": resource.name, "type": resource.type, "properties": properties}

    def view(self, resource: Resource) -> dict[str, Any]:
        """Allocation, present nodes, and the target as it is now (the data plane may have resized the pool)."""
        account = self._accounts.account(_account_name(resource))
        pool = None if account is None else account.state.pools.get(resource.name.lower())
        secretless = copy.deepcopy(resource.properties)
        arm_shapes.strip_secrets(secretless)  # while the pool is being made its record still has them
        secret = ("userAccounts", "deploymentConfiguration", "mountConfiguration")
        hidden = {name: secretless[name] for name in secret if name in secretless}
        if account is None or pool is None:
            return hidden
        shown = pool_view(account, pool)
        scale = arm_shapes.scale(resource.properties)
        status: dict[str, Any] = {  # recorded; that a count of 0 spot nodes is left out, too
            "targetDedicatedNodes": pool.target_dedicated,
            **({"targetLowPriorityNodes": pool.target_low_priority} if pool.target_low_priority else {}),
            "nodeDeallocationOption": scale.get("nodeDeallocationOption") or "Requeue",
            "resizeTimeout": scale["resizeTimeout"],
            "startTime": stamp(pool.allocation_since),
        }
        if pool.resize_errors:
            status["errors"] = pool.resize_errors
        return {
            **hidden,
            "allocationState": pool.allocation.value.capitalize(),
            "allocationStateTransitionTime": stamp(pool.allocation_since),
            "provisioningStateTransitionTime": stamp(pool.state_since),
            "creationTime": stamp(pool.created),
            "lastModified": stamp(pool.changed),
            "currentDedicatedNodes": shown["currentDedicatedNodes"],
            "currentLowPriorityNodes": shown["currentLowPriorityNodes"],
            **_scale_view(resource, pool),
            "resizeOperationStatus": status,
            "taskSlotsPerNode": pool.slots,
            "taskSchedulingPolicy": {"nodeFillType": "Pack" if pool.packs else "Spread"},
            "interNodeCommunication": "Enabled" if pool.body["enableInterNodeCommunication"] else "Disabled",
            **({"currentNodeCommunicationMode": "Simplified"} if account.state.nodes_of(pool.id) else {}),
            "etag": f'W/"{pool.etag}"',
        }

    def _account(self, resource: Resource) -> Account:
        name = _account_name(resource)
        account = self._accounts.account(name)
        if account is None:
            raise errors.ResourceNotFound(f"The Batch account '{name}' does not exist.")
        return account

    @staticmethod
    def _check_scale(properties: dict[str, Any]) -> None:
        """Limits of the interval: those that the data plane documents."""
        automatic = arm_shapes.autoscale(properties)
        if automatic is None:
            return
        if (properties.get("scaleSettings") or {}).get("fixedScale") is not None:
            raise errors.invalid("scaleSettings", "fixedScale, autoScale", "a pool has one of the two")
        AUTOSCALE_INTERVAL.check(automatic["evaluationInterval"], "scaleSettings.autoScale.evaluationInterval")
        autoscaling.accept(automatic["formula"])


def _fixed(arm_name: str) -> errors.PropertyCannotBeUpdated:
    return errors.PropertyCannotBeUpdated(
        details=[("PropertyName", arm_name), ("PropertyPath", f"properties.{arm_name}")]
    )


def _comparable(name: str, value: Any) -> Any:
    """Sizes of VMs have no case."""
    return str(value).lower() if name == "vmSize" else value


def _scaling(pool: Pool) -> tuple[object, ...]:
    return pool.formula, pool.body.get("autoScaleEvaluationInterval")


def _scale_view(resource: Resource, pool: Pool) -> dict[str, Any]:
    """How the pool scales now (the data plane may have changed it), with the last evaluation."""
    if pool.formula is None:
        targets = {"targetDedicatedNodes": pool.target_dedicated, "targetLowPriorityNodes": pool.target_low_priority}
        return {"scaleSettings": {"fixedScale": {**arm_shapes.scale(resource.properties), **targets}}}
    interval = pool.body["autoScaleEvaluationInterval"]
    shown: dict[str, Any] = {"scaleSettings": {"autoScale": {"formula": pool.formula, "evaluationInterval": interval}}}
    if (run := pool.autoscale_run) is not None:
        shown["autoScaleRun"] = {"evaluationTime": run["timestamp"], "results": run["results"]}
        if "error" in run:
            details = [{"code": value["name"], "message": value["value"]} for value in run["error"]["values"]]
            wrong = {"code": run["error"]["code"], "message": run["error"]["message"], "details": details}
            shown["autoScaleRun"]["error"] = wrong
    return shown


def _account_name(resource: Resource) -> str:
    return resource.id.strip("/").split("/")[7]
