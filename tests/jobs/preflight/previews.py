"""Digests of previews, as `pulumi preview --json` prints them."""

from __future__ import annotations

from typing import Any


def step(op: str, token: str, **inputs: Any) -> dict[str, Any]:
    return {"op": op, "newState": {"type": f"azure-native:{token}", "inputs": inputs}}


def preview(op: str = "create", **config: str) -> dict[str, Any]:
    """A digest as `pulumi preview --json` prints it."""
    scale = {"fixedScale": {"targetDedicatedNodes": 4, "targetLowPriorityNodes": 2}}
    return {
        "config": config,
        "steps": [
            {"op": op, "newState": {"type": "pulumi:pulumi:Stack"}},
            step(op, "resources:ResourceGroup", resourceGroupName="rg-abp-dev", location="westeurope"),
            step(op, "storage:StorageAccount", accountName="abpdev1"),
            step("same", "containerregistry:Registry", registryName="abpdev2"),
            step(op, "batch:BatchAccount", accountName="abpdev3"),
            step(op, "batch:Pool", poolName="default-1a2b", vmSize="Standard_D2ads_v5", scaleSettings=scale),
            step("same", "monitor:ActionGroup", actionGroupName="people"),
            {"op": "delete", "oldState": {"type": "azure-native:network:PrivateEndpoint"}},
        ],
    }
