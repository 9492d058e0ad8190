"""Check and diff of the azure-native stand-in, without process and cloud."""

from __future__ import annotations

import re

import pytest

from local.plugins.azure_native import config
from local.plugins.azure_native.provider import AzureNative
from local.plugins.protocol.errors import Refused
from local.plugins.protocol.log import EngineLog
from local.plugins.protocol.property_values import UNKNOWN
from local.plugins.protocol.provider import Naming, Target

GROUP = "azure-native:resources:ResourceGroup"
REGISTRY = "azure-native:containerregistry:Registry"
ROLE = "azure-native:authorization:RoleAssignment"
CONTAINER = "azure-native:storage:BlobContainer"
POOL = "azure-native:batch:Pool"
PATH = {"resourceGroupName": "rg", "accountName": "acc"}


@pytest.fixture
def provider() -> AzureNative:
    return AzureNative(EngineLog())


def target(token: str, name: str = "thing") -> Target:
    return Target(f"urn:pulumi:s::p::{token}::{name}", token, name)


def test_an_unnamed_resource_gets_its_logical_name_and_eight_hex_digits_from_the_seed(provider: AzureNative):
    first, _ = provider.check(target(GROUP, "rg"), {}, {}, Naming(b"seed"))
    second, _ = provider.check(target(GROUP, "rg"), {}, {}, Naming(b"seed"))
    other, _ = provider.check(target(GROUP, "rg"), {}, {}, Naming(b"other"))
    assert re.fullmatch("rg[0-9a-f]{8}", first["resourceGroupName"])
    assert first == second
    assert other["resourceGroupName"] != first["resourceGroupName"]
    assert first["__createBeforeDelete"] is True


def test_a_generated_name_is_kept_from_run_to_run(provider: AzureNative):
    olds, _ = provider.check(target(GROUP, "rg"), {}, {}, Naming(b"seed"))
    news, _ = provider.check(target(GROUP, "rg"), olds, {"tags": {}}, Naming(b"other"))
    assert news == olds | {"tags": {}}


def test_children_are_named_after_their_logical_name_and_role_assignments_get_a_guid(provider: AzureNative):
    container, _ = provider.check(target(CONTAINER, "logs"), {}, dict(PATH), Naming(b"seed"))
    assert container == {**PATH, "containerName": "logs"}
    role, _ = provider.check(target(ROLE), {}, {"scope": "/s", "principalId": "p"}, Naming(b"seed"))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", role["roleAssignmentName"])


def test_the_engines_own_naming_is_honoured(provider: AzureNative):
    proposed, _ = provider.check(target(GROUP), {}, {}, Naming(b"seed", proposed="chosen"))
    assert proposed["resourceGroupName"] == "chosen"
    _, failures = provider.check(target(GROUP), {}, {}, Naming(b"seed", disabled=True))
    assert failures[0].property == "resourceGroupName"


def test_the_location_is_the_old_one_then_the_configured_one(provider: AzureNative, monkeypatch, tmp_path):
    file = tmp_path / "offline.yaml"
    file.write_text("{subscriptionId: s, tenantId: t, clientId: c, objectId: o}")
    monkeypatch.setenv(config.OFFLINE, str(file))
    provider.configure({"location": "westeurope"})
    assert provider.check(target(GROUP), {}, {}, Naming())[0]["location"] == "westeurope"
    assert provider.check(target(GROUP), {"location": "old"}, {}, Naming())[0]["location"] == "old"
    assert provider.check(target(GROUP), {"location": "old"}, {"location": "new"}, Naming())[0]["location"] == "new"


def test_mistakes_in_inputs_are_found_at_any_depth(provider: AzureNative):
    news = {
        "resourceGroupName": "rg",
        "sku": {"tierr": 1},
        "adminUserEnabled": "yes",
        "identity": {"type": "Nobody"},
        "networkRuleSet": {"ipRules": {}},
        "lokation": "x",
    }
    _, failures = provider.check(target(REGISTRY), {}, news, Naming(b"seed"))
    assert {failure.property: failure.reason for failure in failures} == {
        "sku.name": "missing required property 'sku.name'",
        "sku.tierr": "'sku.tierr' is not a property of Sku",
        "adminUserEnabled": "'adminUserEnabled' should be a bool, is str 'yes'",
        "identity.type": "'identity.type' is 'Nobody', allowed are: SystemAssigned, UserAssigned, "
        "SystemAssigned, UserAssigned, None",
        "networkRuleSet.ipRules": "'networkRuleSet.ipRules' should be a list, is dict",
        "lokation": "'lokation' is not a property of Registry; did you mean 'location'?",
    }


def test_unknown_values_pass_every_check(provider: AzureNative):
    news = {**PATH, "accountName": UNKNOWN, "poolName": "p", "vmSize": UNKNOWN, "startTask": UNKNOWN}
    assert provider.check(target(POOL), {}, news, Naming())[1] == []


def test_a_change_without_effect_on_identity_is_an_update_in_place(provider: AzureNative):
    old = {**PATH, "poolName": "p", "vmSize": "a"}
    difference = provider.diff(target(POOL), old, old | {"vmSize": "b"})
    assert (difference.changes, difference.replaces, difference.delete_first) == (
        {"vmSize": "update"},
        frozenset(),
        False,
    )


@pytest.mark.parametrize("name", ["poolName", "accountName", "resourceGroupName"])
def test_a_change_of_the_path_of_an_explicitly_named_resource_deletes_it_first(provider: AzureNative, name: str):
    old = {**PATH, "poolName": "p"}
    difference = provider.diff(target(POOL), old, old | {name: "other"})
    assert (difference.replaces, difference.delete_first) == (frozenset({name}), True)


def test_a_randomly_named_resource_is_replaced_new_one_first(provider: AzureNative):
    old = {"resourceGroupName": "rg12345678", "location": "a", "__createBeforeDelete": True}
    difference = provider.diff(target(GROUP), old, old | {"location": "b"})
    assert (difference.replaces, difference.delete_first) == (frozenset({"location"}), False)


def test_the_providers_own_marks_are_no_change(provider: AzureNative):
    old = {"resourceGroupName": "rg", "__createBeforeDelete": True}
    assert provider.diff(target(GROUP), old, {"resourceGroupName": "rg"}).changes == {}


def test_ways_to_sign_in_that_the_stand_in_lacks_are_refused_by_name():
    with pytest.raises(Refused, match="does not support useMsi"):
        config.load({"useMsi": "true", "location": "x"}, {})
    with pytest.raises(Refused, match="does not support oidcToken"):
        config.load({"useOidc": "true", "oidcToken": "t"}, {})


def test_what_is_missing_to_sign_in_is_listed():
    with pytest.raises(Refused, match="ARM_TENANT_ID, ARM_CLIENT_SECRET not set"):
        config.load({"subscriptionId": "s", "clientId": "c"}, {"ARM_METADATA_HOSTNAME": "127.0.0.1:1"})


def test_a_job_of_github_needs_no_secret_and_uses_none():
    settings = {"subscriptionId": "s", "clientId": "c", "tenantId": "t", "useOidc": "true"}
    environment = {"ARM_METADATA_HOSTNAME": "127.0.0.1:1", "ARM_CLIENT_SECRET": "hunter2"}
    with pytest.raises(Refused, match="ACTIONS_ID_TOKEN_REQUEST_URL, ACTIONS_ID_TOKEN_REQUEST_TOKEN not set"):
        config.load(settings, environment)
    job = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x/token?a=b", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "hunter3"}
    loaded = config.load(settings, {**environment, **job})
    assert (loaded.client_secret, loaded.oidc_request_url) == ("", "https://x/token?a=b")
    assert "hunter" not in repr(loaded)


def test_the_secret_is_not_in_the_configurations_text():
    settings = {"subscriptionId": "s", "clientId": "c", "tenantId": "t", "clientSecret": "hunter2"}
    loaded = config.load(settings, {"ARM_METADATA_HOSTNAME": "127.0.0.1:1"})
    assert loaded.client_secret == "hunter2"
    assert "hunter2" not in repr(loaded)
