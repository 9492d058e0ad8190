"""What of a preview matters to a subscription."""

from __future__ import annotations

from typing import Any

import pytest

from infra.pools.scaling import AutoScale, scale_of
from infra.settings.pools import Scale, limits
from jobs.errors import UsageError
from jobs.preflight.plan import PlannedName, PlannedPool, most_nodes, read
from tests.jobs.preflight.previews import preview

SUBSCRIPTION = "00000000-0000-4000-8000-00000000aaaa"


def test_what_is_made_needs_free_names_and_what_is_declared_needs_its_provider() -> None:
    plan = read("dev", preview(), SUBSCRIPTION)
    assert (plan.location, plan.group) == ("westeurope", "rg-abp-dev")
    assert plan.names == (
        PlannedName("Microsoft.Storage/storageAccounts", "abpdev1"),
        PlannedName("Microsoft.Batch/batchAccounts", "abpdev3"),
    )
    assert plan.pools == (PlannedPool("default-1a2b", "Standard_D2ads_v5", 4, 2),)
    assert plan.providers == (
        "Microsoft.Batch", "Microsoft.ContainerRegistry", "Microsoft.Insights", "Microsoft.Storage",
    )  # fmt: skip


def formula(**scenario: Any) -> str:
    made = scale_of(Scale.model_validate(scenario), slots=4)
    assert isinstance(made, AutoScale)
    return made.formula


@pytest.mark.parametrize(
    "scenario",
    [
        {"pending_tasks": {"min_nodes": 3, "max_nodes": 12}},
        {"pending_tasks": {"max_nodes": 7, "spot": True}},
        {"working_hours": {"nodes": 4, "other_nodes": 9}},
        {"working_hours": {"nodes": 4}},
        {"zero_at_night": {"min_nodes": 1, "max_nodes": 8}},
        {"spot_with_dedicated_floor": {"dedicated_nodes": 10, "max_spot_nodes": 4}},
    ],
)
def test_the_most_nodes_of_each_scenario_are_read_from_its_formula(scenario: dict[str, Any]) -> None:
    most = tuple(most_nodes(formula(**scenario), kind) for kind in ("dedicated", "spot"))
    assert most == limits(Scale.model_validate(scenario))


@pytest.mark.parametrize(
    "text", ["", "$TargetDedicatedNodes = needed;", "$TargetDedicatedNodes = 1;\n$TargetDedicatedNodes = 2;"]
)
def test_the_most_nodes_of_another_formula_are_not_guessed(text: str) -> None:
    assert most_nodes(text, "dedicated") is None


def test_the_account_is_asked_when_an_earlier_up_has_made_it() -> None:
    account = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Batch/batchAccounts/abpdev3"
    digest = preview("same")
    digest["steps"][4]["newState"]["id"] = account
    assert read("dev", digest, SUBSCRIPTION).account_id == account
    assert read("dev", preview(), SUBSCRIPTION).account_id is None


def test_a_stack_that_stays_as_it_is_needs_no_name() -> None:
    plan = read("dev", preview("same"), SUBSCRIPTION)
    assert (plan.group, plan.names, plan.pools, plan.location) == (None, (), (), "westeurope")


def test_the_subscription_is_the_given_one_then_azure_natives_then_the_programs() -> None:
    both = {"azure-batch-platform:subscription_id": "ours", "azure-native:subscriptionId": "theirs"}
    assert read("dev", preview(**both), "given").subscription_id == "given"
    assert read("dev", preview(**both)).subscription_id == "theirs"
    del both["azure-native:subscriptionId"]
    assert read("dev", preview(**both)).subscription_id == "ours"


def test_without_a_subscription_it_is_said_how_to_name_one() -> None:
    with pytest.raises(UsageError, match=r"pulumi config set azure-native:subscriptionId ID -s dev, or export ARM_SUB"):
        read("dev", preview())
