"""docs/coming-from-the-portal.md: a spike that somebody made by hand is taken over, as the page says, with its data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.naming import Names
from tests.infra.deployed.nodeless import Deployed, NodelessAzure
from tests.infra.import_table import ROWS, expected_id
from tests.infra.recording import DIGEST, stack_config

pytestmark = pytest.mark.thorough

BATCH, STORAGE, REGISTRY, MSI = "2024-07-01", "2024-01-01", "2023-01-01-preview", "2023-01-31"
WEST: dict[str, Any] = {"location": "westeurope"}


@pytest.fixture
def names(azure: NodelessAzure) -> Names:
    return Names(prefix="abp", stack="spike", subscription_id=azure.cloud["subscription_id"])


@pytest.fixture
def spike(azure: NodelessAzure, names: Names) -> dict[tuple[str, str], str]:
    """The hand-made resources: (type, name in the program) of each row of the page -> id."""
    azure.arm.resource_groups.create_or_update(names.resource_group, WEST)
    found = {
        (kind, name.replace("FAMILY", "hello")): expected_id(row, names) for row in ROWS for kind, name, _ in [row]
    }
    ids = {kind.rpartition(":")[2]: resource_id for (kind, _), resource_id in found.items()}
    azure.put(ids["Registry"], REGISTRY, {**WEST, "sku": {"name": "Basic"}, "properties": {"adminUserEnabled": True}})
    azure.put(ids["StorageAccount"], STORAGE, {**WEST, "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"})
    azure.put(ids["BlobContainer"], STORAGE, {"properties": {}})
    azure.put(ids["UserAssignedIdentity"], MSI, WEST)
    azure.put(ids["BatchAccount"], BATCH, WEST)
    pool = {"vmSize": "STANDARD_D2ADS_V5", "scaleSettings": {"fixedScale": {"targetDedicatedNodes": 1}}}
    image = {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2204", "version": "latest"}
    machine = {"imageReference": image, "nodeAgentSkuId": "batch.node.ubuntu 22.04"}
    pool["deploymentConfiguration"] = {"virtualMachineConfiguration": machine}
    azure.put(f"{ids['BatchAccount']}/pools/by-hand", BATCH, {"properties": pool})
    return found


def test_a_hand_made_spike_is_taken_over_and_the_rest_is_made_beside_it(
    azure: NodelessAzure,
    names: Names,
    spike: dict[tuple[str, str], str],
    stack: Callable[[str], Deployed],
    tmp_path: Path,
) -> None:
    mine, file = stack("spike"), tmp_path / "spike.json"
    mine.configure(stack_config("dev") | {"worker": {"image": f"docker-worker@{DIGEST}"}})
    mine.pulumi("preview", "--import-file", str(file))
    wanted = json.loads(file.read_text())
    for one in wanted["resources"]:
        one["id"] = spike.get((one["type"], one.get("logicalName", one["name"])))
    wanted["resources"] = [one for one in wanted["resources"] if one["id"] or one.get("component")]
    assert len([one for one in wanted["resources"] if one["id"]]) == len(ROWS)
    file.write_text(json.dumps(wanted))
    flags = ("--generate-code=false", "--protect=false", "--yes", "--skip-preview")
    mine.pulumi("import", "--file", str(file), *flags)
    account = next(resource_id for (kind, _), resource_id in spike.items() if kind.endswith(":BatchAccount"))
    identity = names.identity("node")
    before = principal_of(azure, spike, identity)
    said = mine.up()
    assert not re.search("replac|delet", said), said  # a container that is made anew has lost its blobs
    made = mine.resources()
    assert {one["id"] for one in made.values()} >= set(spike.values())
    # What was there is there: the same identity, and the pool that no stack has.
    assert principal_of(azure, spike, identity) == before
    assert azure.get(f"{account}/pools/by-hand", BATCH)["properties"]["vmSize"].lower() == "standard_d2ads_v5"
    mine.unchanged()
    mine.destroy()
    assert names.resource_group not in azure.groups()


def principal_of(azure: NodelessAzure, spike: dict[tuple[str, str], str], name: str) -> str:
    found = next(resource_id for resource_id in spike.values() if resource_id.endswith(f"/{name}"))
    return azure.get(found, MSI)["properties"]["principalId"]
