"""Digests of `pulumi preview --json` in the form that the CLI of 3.274 prints, built from what a test is about."""

from __future__ import annotations

from typing import Any

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}
SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-abp-dev"
ROLES = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"


def urn(kind: str, name: str, parent: str = "") -> str:
    return f"urn:pulumi:dev::azure-batch-platform::{parent}{kind}::{name}"


def state(kind: str, name: str, inputs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"urn": urn(kind, name), "custom": True, "type": kind, "inputs": inputs or {}, **more}


def step(
    op: str, kind: str, name: str, old: dict[str, Any] | None = None, new: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A step; `old` and `new` are inputs, `None` where there is no such state. `old_more` goes into the old state."""
    old_more, new_more = more.pop("old_more", {}), more.pop("new_more", {})
    made: dict[str, Any] = {"op": op, "urn": urn(kind, name), "detailedDiff": None, **more}
    if old is not None:
        made["oldState"] = state(kind, name, old, **old_more)
    if new is not None:
        made["newState"] = state(kind, name, new, **new_more)
    return made


def digest(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"steps": list(steps), "changeSummary": {"same": 20}, **more}


POOL = "azure-native:batch:Pool"
ROLE = "azure-native:authorization:RoleAssignment"
STORAGE = "azure-native:storage:StorageAccount"
REGISTRY = "azure-native:containerregistry:Registry"


def replaced_pool(old: str = "default-aaaaaaaaaaaa", new: str = "default-bbbbbbbbbbbb") -> list[dict[str, Any]]:
    """A new generation of the pool, as `delete_before_replace=False` plans it."""
    before = {"poolName": old, "vmSize": "Standard_D2ads_v5", "userAccounts": [{"name": "a", "password": SECRET}]}
    after = {**before, "poolName": new, "vmSize": "Standard_D4ads_v5"}
    diff = {
        "vmSize": {"kind": "update-replace", "inputDiff": True},
        "poolName": {"kind": "update-replace", "inputDiff": True},
    }
    reasons = ["vmSize", "poolName"]
    return [
        step("create-replacement", POOL, "pool", before, after, detailedDiff=diff, replaceReasons=reasons),
        step("replace", POOL, "pool", before, after, detailedDiff=diff, replaceReasons=reasons),
        step("delete-replaced", POOL, "pool", before),
    ]


def role_inputs(role: str, principal: str = "99999999-2222-3333-4444-555555555555") -> dict[str, Any]:
    return {
        "roleDefinitionId": f"{ROLES}/{role}",
        "scope": f"{GROUP}/providers/Microsoft.Batch/batchAccounts/abpdev1",
        "principalId": principal,
        "principalType": "Group",
    }


def violation(rule: str, message: str, level: str = "mandatory", name: str = "pool") -> dict[str, Any]:
    return {
        "policyEvent": {
            "resourceUrn": urn(POOL, name),
            "message": message,
            "policyName": rule,
            "policyPackName": "azure-batch-platform",
            "enforcementLevel": level,
        }
    }


RAN = {"summaryEvent": {"PolicyPacks": {"azure-batch-platform": "1.0.0"}}}
