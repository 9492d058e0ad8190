"""From ARM's pool (REST 2024-07-01, `Microsoft.Batch/batchAccounts/pools`) to the data plane's pool, and its secrets.

The planes differ in names (`userName`/`username`, `nodeAgentSkuId`/`nodeAgentSKUId`) and in the case of words
(`TaskWorkingDirectory`/`taskWorkingDirectory`, `Spread`/`spread`): both differences are the two tables here. Secrets
(passwords of users and registries) are split off: they are never in a body that is shown.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from local.azure.batch.data_plane import endpoints
from local.azure.batch.errors import NotImplementedYet
from local.azure.batch.model.pool import take_secrets
from local.azure.batch.scheduling.autoscaling import DEFAULT_INTERVAL
from local.azure.control_plane.resources import Resource

_NAMES = {
    "userName": "username",
    "nodeAgentSkuId": "nodeAgentSKUId",
    "inboundNatPools": "inboundNATPools",
    "dynamicVnetAssignmentScope": "dynamicVNetAssignmentScope",
}
_LOWER = frozenset(
    {
        "elevationLevel",
        "scope",
        "caching",
        "storageAccountType",
        "loginMode",
        "protocol",
        "access",
        "placement",
        "targets",
        "dynamicVnetAssignmentScope",
    }
)
_FIRST_LOWER = frozenset({"workingDirectory", "type", "securityType"})  # of containers: dockerCompatible

_NOT_YET = (
    ("certificates", "certificates (retired by Azure on 29 February 2024)"),
    ("applicationLicenses", "application licenses"),
)

_SAME = (
    "displayName",
    "networkConfiguration",
    "startTask",
    "userAccounts",
    "metadata",
    "upgradePolicy",
    "mountConfiguration",
)
_MOUNT_SECRETS = ("accountKey", "sasKey", "password")
DEFAULT_SCALE = {"fixedScale": {"targetDedicatedNodes": 0, "targetLowPriorityNodes": 0, "resizeTimeout": "PT15M"}}


def refuse_missing(properties: Mapping[str, Any]) -> None:
    """Raise for what the local Azure does not have yet, by name."""
    for name, what in _NOT_YET:
        if properties.get(name):
            raise _not_yet(name, what)


def _not_yet(path: str, what: str) -> NotImplementedYet:
    message = f"The local Azure does not have {what} yet (property '{path}'); nothing was changed."
    return NotImplementedYet(message, details=[("PropertyName", path)])


def pool_body(resource: Resource) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the pool's body in the data plane's shape, its secrets) of an ARM pool. Wrong endpoints are refused."""
    properties = _without_nulls(resource.properties)
    machine = properties.get("deploymentConfiguration", {}).get("virtualMachineConfiguration", {})
    body: dict[str, Any] = {
        "id": resource.name,
        "vmSize": properties.get("vmSize"),
        "virtualMachineConfiguration": _words(machine),
        "taskSlotsPerNode": int(properties.get("taskSlotsPerNode", 1)),
        "taskSchedulingPolicy": {"nodeFillType": "Spread", **_words(properties.get("taskSchedulingPolicy", {}))},
        "enableInterNodeCommunication": str(properties.get("interNodeCommunication", "")).lower() == "enabled",
        "enableAutoScale": False,
        "resizeTimeout": scale(properties).get("resizeTimeout", "PT15M"),
    }
    if (automatic := autoscale(properties)) is not None:
        body["enableAutoScale"] = True
        body["autoScaleFormula"] = automatic["formula"]
        body["autoScaleEvaluationInterval"] = automatic["evaluationInterval"]
    for name in _SAME:
        if properties.get(name):
            body[name] = _words(properties[name])
    if properties.get("applicationPackages"):
        body["applicationPackageReferences"] = [_package(one) for one in properties["applicationPackages"]]
    if "networkConfiguration" in body:
        body["networkConfiguration"] = endpoints.checked(body["networkConfiguration"])
    if resource.identity and resource.identity.get("userAssignedIdentities"):
        assigned = resource.identity["userAssignedIdentities"]
        body["identity"] = {
            "type": "UserAssigned",
            "userAssignedIdentities": [{"resourceId": key, **(value or {})} for key, value in assigned.items()],
        }
    return take_secrets(body)


def scale(properties: Mapping[str, Any]) -> dict[str, Any]:
    """`fixedScale`, with defaults."""
    given = ((properties.get("scaleSettings") or {}).get("fixedScale")) or {}
    return {**DEFAULT_SCALE["fixedScale"], **{name: value for name, value in given.items() if value is not None}}


def autoscale(properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """`autoScale` with its default interval, None for a pool of a fixed size."""
    given = (properties.get("scaleSettings") or {}).get("autoScale")
    if given is None:
        return None
    return {
        "formula": given.get("formula") or "",
        "evaluationInterval": given.get("evaluationInterval") or DEFAULT_INTERVAL,
    }


def strip_secrets(properties: dict[str, Any]) -> None:
    """Remove the same secrets from ARM's properties, so that no GET can show them."""
    for account in properties.get("userAccounts") or ():
        account.pop("password", None)
        (account.get("linuxUserConfiguration") or {}).pop("sshPrivateKey", None)
    machine = (properties.get("deploymentConfiguration") or {}).get("virtualMachineConfiguration") or {}
    for registry in (machine.get("containerConfiguration") or {}).get("containerRegistries") or ():
        registry.pop("password", None)
    for extension in machine.get("extensions") or ():
        extension.pop("protectedSettings", None)
    for mount in properties.get("mountConfiguration") or ():
        for kind in mount.values():
            for name in _MOUNT_SECRETS:
                kind.pop(name, None)


def _package(reference: dict[str, Any]) -> dict[str, Any]:
    """ARM names the application by its id; the data plane has its name there, or that id (documented)."""
    return {"applicationId": reference["id"], **({"version": reference["version"]} if reference.get("version") else {})}


def _words(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {_NAMES.get(key, key): _words(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_words(item, name) for item in value]
    if isinstance(value, str) and name in _LOWER:
        return value.lower()
    if isinstance(value, str) and name in _FIRST_LOWER and value[:1].isupper():
        return value[:1].lower() + value[1:]
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return copy.copy(value)
