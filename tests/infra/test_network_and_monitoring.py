"""What a stack has only if its file says so: networks, private endpoints, alerts and a budget."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.infra.recording import (
    BROUGHT,
    ROOT,
    Run,
    run_program,
    stack_config,
)

Program = Callable[..., Run]


def test_a_private_stack_allows_the_given_networks_and_has_endpoints_in_the_given_zones(program: Program) -> None:
    run = program("full")
    account = run.only("batch:BatchAccount").inputs
    assert account["publicNetworkAccess"] == "Enabled"
    assert account["networkProfile"] == {
        "accountAccess": {"defaultAction": "Deny", "ipRules": [{"action": "Allow", "value": "203.0.113.0/24"}]}
    }
    assert run.only("containerregistry:Registry").inputs["sku"] == {"name": "Premium"}
    groups = [item.inputs["privateLinkServiceConnections"][0]["groupIds"] for item in run.of_type(":PrivateEndpoint")]
    assert sorted(groups) == [["batchAccount"], ["blob"], ["nodeManagement"], ["registry"]]
    zones = {
        item.inputs["privateDnsZoneConfigs"][0]["privateDnsZoneId"].rpartition("/")[2]
        for item in run.of_type(":PrivateDnsZoneGroup")
    }
    assert zones == {"privatelink.batch.azure.com", "privatelink.azurecr.io", "privatelink.blob.core.windows.net"}


def test_with_no_network_allowed_only_private_endpoints_lead_to_the_account() -> None:
    run = run_program("dev", config=stack_config("dev") | {"network": {"allowed_ips": []}}, preview=True)
    assert run.only("batch:BatchAccount").inputs["publicNetworkAccess"] == "Disabled"


def test_nodes_without_public_addresses_say_so() -> None:
    network = {**BROUGHT["network"], "public_ips": False}
    pool = run_program("dev", config=stack_config("dev") | {"network": network}, preview=True).only("batch:Pool")
    assert pool.inputs["networkConfiguration"]["publicIPAddressConfiguration"] == {"provision": "NoPublicIPAddresses"}


def test_five_alerts_and_a_budget_go_to_the_given_addresses(program: Program) -> None:
    run = program("full")
    alerts = {item.inputs["ruleName"]: item for item in run.resources if item.type.endswith(("Alert", "QueryRule"))}
    assert set(alerts) == {
        f"abp-full-{name}"
        for name in ("start-task-failed", "unusable-nodes", "resize-errors", "task-failure-rate", "active-jobs")
    }
    assert [item["emailAddress"] for item in run.only(":ActionGroup").inputs["emailReceivers"]] == [
        "batch-team@example.com"
    ]
    budget = run.only(":Budget").inputs
    assert (budget["amount"], budget["timePeriod"]) == (500, {"startDate": "2026-12-01T00:00:00Z"})
    assert {item["threshold"] for item in budget["notifications"].values()} == {80, 100}
    assert len(run.of_type(":DiagnosticSetting")) == 3


@pytest.mark.parametrize("stack", ["dev", "prod", "local"])
def test_a_stack_without_the_section_has_no_resource_of_it_not_even_a_component(program: Program, stack: str) -> None:
    names = " ".join(item.type for item in program(stack).resources)
    assert not [
        word for word in ("monitor", "Monitoring", "consumption", "network", "PrivateEndpoints") if word in names
    ]


def test_a_preview_loads_no_module_of_azure_native_that_the_stack_does_not_use() -> None:
    code = """if True:
        import sys
        sys.path.insert(0, ".")
        from tests.infra.recording import run_program
        run_program("prod", preview=True)
        names = ("network", "monitor", "consumption")
        used = [name for name in names if f"pulumi_azure_native.{name}._inputs" in sys.modules]
        print(used, "pulumi_docker" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] False"
