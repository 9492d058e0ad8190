"""What a stack would make, from `pulumi preview --json`: the providers, names and pools that it wants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import UsageError

PROVIDERS: Final[Mapping[str, str]] = {
    "batch": "Microsoft.Batch",
    "containerregistry": "Microsoft.ContainerRegistry",
    "managedidentity": "Microsoft.ManagedIdentity",
    "monitor": "Microsoft.Insights",
    "network": "Microsoft.Network",
    "storage": "Microsoft.Storage",
}
"""Modules of azure-native and the resource provider that must be registered for each. The others (Resources,
Authorization, Consumption) are registered in every subscription
(learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types)."""
_CREATES: Final = ("create", "create-replacement")
_TARGETS: Final = {"dedicated": "TargetDedicatedNodes", "spot": "TargetLowPriorityNodes"}


@dataclass(frozen=True)
class PlannedPool:
    """A pool of a preview and the most nodes that it asks for; None where its formula does not show that."""

    id: str
    vm_size: str
    dedicated: int | None
    spot: int | None
    subnet_id: str = ""


@dataclass(frozen=True)
class PlannedName:
    """A name that must be free: a resource's type in ARM's words, and its name."""

    type: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What of a preview matters to a subscription. `group` is None where the resource group exists already.

    `pools` are those that `up` makes, beside those that exist: an old generation goes after the new one is there.
    `all_pools` has those that stay, too.
    """

    subscription_id: str
    location: str
    group: str | None
    providers: tuple[str, ...]
    names: tuple[PlannedName, ...]
    pools: tuple[PlannedPool, ...]
    all_pools: tuple[PlannedPool, ...] = ()
    account_id: str | None = None
    """ARM's id of the Batch account, or None when `up` makes it."""


_NAMED: Final[Mapping[str, tuple[str, str]]] = {
    "azure-native:batch:BatchAccount": ("Microsoft.Batch/batchAccounts", "accountName"),
    "azure-native:containerregistry:Registry": ("Microsoft.ContainerRegistry/registries", "registryName"),
    "azure-native:storage:StorageAccount": ("Microsoft.Storage/storageAccounts", "accountName"),
}
"""Types whose names are unique in the world (Batch: in a region): ARM's type, and the input that has the name."""


def read(stack: str, preview: Mapping[str, Any], subscription_id: str = "") -> Plan:
    """A preview's digest as a plan. The subscription is the given one, else the one that the stack's settings name."""
    config = preview.get("config") or {}
    subscription = subscription_id or next((config[key] for key in _subscription_keys(config) if key in config), "")
    if not subscription:
        raise UsageError(
            f"stack {stack!r} does not say in which subscription it is made",
            next_step=(
                f"set it: pulumi config set azure-native:subscriptionId ID -s {stack}, or export ARM_SUBSCRIPTION_ID"
            ),
        )
    made = list(_made(preview))
    groups = [one["resourceGroupName"] for kind, one in made if kind == "azure-native:resources:ResourceGroup"]
    modules = {kind.split(":")[1] for kind, _ in _all(preview) if kind.startswith("azure-native:")}
    return Plan(
        subscription_id=subscription,
        location=_location(preview),
        group=next(iter(groups), None),
        providers=tuple(sorted(PROVIDERS[module] for module in modules if module in PROVIDERS)),
        names=tuple(PlannedName(_NAMED[kind][0], one[_NAMED[kind][1]]) for kind, one in made if kind in _NAMED),
        pools=tuple(_pool(one) for kind, one in made if kind == "azure-native:batch:Pool"),
        all_pools=tuple(_pool(one) for kind, one in _all(preview) if kind == "azure-native:batch:Pool"),
        account_id=_existing_account(preview),
    )


def _subscription_keys(config: Mapping[str, str]) -> list[str]:
    """azure-native's own setting counts, then the program's, whatever the project is called."""
    ours = [key for key in config if key.endswith(":subscription_id")]
    return ["azure-native:subscriptionId", *ours]


def _all(preview: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for step in preview.get("steps") or ():
        state = step.get("newState")
        if state:
            yield str(state["type"]), state.get("inputs") or {}


def _made(preview: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    creating = [step for step in preview.get("steps") or () if step.get("op") in _CREATES]
    return _all({"steps": creating})


def _location(preview: Mapping[str, Any]) -> str:
    found = (inputs["location"] for kind, inputs in _all(preview) if kind == "azure-native:resources:ResourceGroup")
    return str(next(found, ""))


def _existing_account(preview: Mapping[str, Any]) -> str | None:
    """ARM's id of the stack's Batch account, which its state has when an earlier `up` made it."""
    for step in preview.get("steps") or ():
        state = step.get("newState") or {}
        if state.get("type") == "azure-native:batch:BatchAccount" and step.get("op") not in _CREATES:
            return str(state.get("id") or "") or None
    return None


def _pool(inputs: Mapping[str, Any]) -> PlannedPool:
    scale = inputs.get("scaleSettings") or {}
    fixed, formula = scale.get("fixedScale") or {}, (scale.get("autoScale") or {}).get("formula")
    network = inputs.get("networkConfiguration") or {}
    if formula is None:
        dedicated, spot = fixed.get("targetDedicatedNodes") or 0, fixed.get("targetLowPriorityNodes") or 0
    else:
        dedicated, spot = (most_nodes(str(formula), kind) for kind in ("dedicated", "spot"))
    return PlannedPool(
        id=str(inputs["poolName"]),
        vm_size=str(inputs.get("vmSize") or ""),
        dedicated=None if dedicated is None else int(dedicated),
        spot=None if spot is None else int(spot),
        subnet_id=str(network.get("subnetId") or ""),
    )


def most_nodes(formula: str, kind: str) -> int | None:
    """The most nodes of a kind (dedicated, spot) that one of the platform's autoscale formulas asks for.

    Each formula assigns a target once: a number, a choice between numbers, or `min(LIMIT, ...)`. None of another form.
    """
    assigned = re.findall(rf"^\${_TARGETS[kind]} = (.*);$", formula, re.MULTILINE)
    if len(assigned) != 1:
        return None
    if limit := re.search(r"\bmin\((\d+),", assigned[0]):
        return int(limit[1])
    numbers = [int(number) for number in re.findall(r"\b\d+\b", assigned[0])]
    return max(numbers) if numbers and re.fullmatch(r"(?:[\w &|]+ \? )?\d+(?: : \d+)?", assigned[0]) else None
