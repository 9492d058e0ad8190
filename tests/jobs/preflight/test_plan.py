"""What of a preview matters to a subscription."""

from __future__ import annotations

import pytest

from jobs.errors import UsageError
from jobs.preflight.plan import PlannedName, PlannedPool, read
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
