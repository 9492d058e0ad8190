"""Whole stacks go up and away: `full` with every option, one that brings everything along, and prod as it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.naming import Names
from tests.infra.deployed.nodeless import Deployed, NodelessAzure
from tests.infra.recording import DIGEST, stack_config

pytestmark = pytest.mark.thorough

IMAGE = {"image": f"docker-worker@{DIGEST}"}
"""In the place of a build, which needs an engine: the main job of the scenarios builds."""
LONG = "guest-of-what-exists-already-with-a-name-as-long-as-azure-and-pulumi-take-it-" + "x" * 20
"""A stack's name; with the longest prefix, names reach their limits."""
NETWORK, ZONE, WORKSPACE = "2024-05-01", "2024-06-01", "2023-09-01"
ZONES = ("privatelink.batch.azure.com", "privatelink.azurecr.io", "privatelink.blob.core.windows.net")
MSI, REGISTRY, STORAGE = "2023-01-31", "2023-01-01-preview", "2024-01-01"

MakeStack = Callable[[str], Deployed]


@pytest.fixture(scope="module")
def company(azure: NodelessAzure) -> dict[str, str]:
    """What a company has before any stack: a network, DNS zones, a workspace. Id -> REST version."""
    for group in ("rg-hub", "rg-dns", "rg-logs"):
        azure.arm.resource_groups.create_or_update(group, {"location": "westeurope"})
    groups = f"{azure.scope}/resourceGroups"
    hub = f"{groups}/rg-hub/providers/Microsoft.Network/virtualNetworks/hub"
    subnets = {"batch": "10.20.0.0/23", "endpoints": "10.20.2.0/24"}
    given = [{"name": name, "properties": {"addressPrefix": prefix}} for name, prefix in subnets.items()]
    space = {"addressPrefixes": ["10.20.0.0/16"]}
    azure.put(hub, NETWORK, {"location": "westeurope", "properties": {"addressSpace": space, "subnets": given}})
    known = {hub: NETWORK}
    for zone in ZONES:
        zone_id = f"{groups}/rg-dns/providers/Microsoft.Network/privateDnsZones/{zone}"
        azure.put(zone_id, ZONE, {"location": "global", "properties": {}})
        known[zone_id] = ZONE
    workspace = f"{groups}/rg-logs/providers/Microsoft.OperationalInsights/workspaces/logs"
    azure.put(workspace, WORKSPACE, {"location": "westeurope", "properties": {}})
    return known | {workspace: WORKSPACE}


def shown(azure: NodelessAzure, ids: dict[str, str]) -> dict[str, Any]:
    return {one: azure.get(one, version) for one, version in ids.items()}


def test_the_stack_with_every_option_goes_up_stays_as_it_is_and_goes_away(
    azure: NodelessAzure, company: dict[str, str], stack: MakeStack
) -> None:
    full, config = stack("full"), stack_config("full") | {"worker": IMAGE}
    before = shown(azure, company)
    full.configure(config)
    full.up()
    made = full.resources()
    assert azure.listed("rg-abp-full") == [
        "Microsoft.Batch/batchAccounts 1",
        "Microsoft.ContainerRegistry/registries 1",
        "Microsoft.Insights/actionGroups 1",
        "Microsoft.Insights/metricAlerts 2",
        "Microsoft.Insights/scheduledQueryRules 3",
        "Microsoft.ManagedIdentity/userAssignedIdentities 1",
        "Microsoft.Network/privateEndpoints 4",
        "Microsoft.Storage/storageAccounts 1",
    ]
    assert len([name for name in made if name.startswith("monitoring-log-")]) == 3
    assert {name.rpartition("-")[0] for name, one in made.items() if one["type"].endswith(":batch:Pool")} == {
        "default",
        "large",
        "office",
        "nightless",
    }
    full.unchanged()
    refused = full.destroy(fails=True)
    assert "protected" in refused
    assert set(full.resources()) == set(made)
    full.configure(config | {"protect": False})
    full.up()
    full.destroy()
    assert azure.groups() == {"rg-hub", "rg-dns", "rg-logs"}
    assert shown(azure, company) == before


def test_what_a_stack_is_given_is_neither_changed_nor_destroyed(azure: NodelessAzure, stack: MakeStack) -> None:
    group = f"{azure.scope}/resourceGroups/rg-shared"
    azure.arm.resource_groups.create_or_update("rg-shared", {"location": "westeurope"})
    registry = f"{group}/providers/Microsoft.ContainerRegistry/registries/sharedimages"
    storage = f"{group}/providers/Microsoft.Storage/storageAccounts/sharedoutput"
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/nodes"
    azure.put(registry, REGISTRY, {"location": "westeurope", "sku": {"name": "Standard"}, "tags": {"owner": "images"}})
    azure.put(storage, STORAGE, {"location": "westeurope", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"})
    azure.put(identity, MSI, {"location": "westeurope"})
    for family in stack_config("dev")["families"]:
        azure.put(f"{storage}/blobServices/default/containers/job-{family}", STORAGE, {"properties": {}})
    ids = azure.get(identity, MSI)["properties"]
    given = {registry: REGISTRY, storage: STORAGE, identity: MSI}
    before = shown(azure, given)
    guest, own = stack(LONG), Names(prefix="abcdefgh", stack=LONG, subscription_id="").resource_group
    guest.configure(
        stack_config("dev")
        | {
            "worker": IMAGE,
            "prefix": "abcdefgh",
            "registry": {"id": registry, "server": azure.get(registry, REGISTRY)["properties"]["loginServer"]},
            "storage": {"id": storage},
            "node_identity": {
                "id": identity,
                "client_id": ids["clientId"],
                "principal_id": ids["principalId"],
            },
        }
    )
    guest.up()
    assert azure.listed(own) == [
        "Microsoft.Batch/batchAccounts 1",
        "Microsoft.ManagedIdentity/userAssignedIdentities 1",  # Batch's own, for the link to the storage account
    ]
    assert shown(azure, given) == before
    guest.unchanged()
    guest.destroy()
    assert own not in azure.groups()
    assert shown(azure, given) == before
    azure.arm.resource_groups.begin_delete("rg-shared").result()


def test_prod_is_previewed_deployed_and_destroyed_where_no_engine_is(azure: NodelessAzure, stack: MakeStack) -> None:
    prod, config = stack("prod"), stack_config("prod")
    prod.configure(config)
    assert "create" in prod.pulumi("preview")
    prod.up()
    assert prod.outputs()["worker_image"].endswith(f"/docker-worker@{DIGEST}")
    # The docker provider, which asks an engine when it is configured, is not in the state: nobody will start it.
    providers = [urn.rpartition("::")[0] for urn in prod.urns() if "::pulumi:providers:" in urn]
    assert {one.rpartition(":")[2] for one in providers} == {
        "azure-native",
        "pulumi",
    }  # the latter is the engine itself
    prod.unchanged()
    prod.configure(config | {"protect": False})
    prod.up()
    prod.destroy()
    assert "rg-abp-prod" not in azure.groups()
