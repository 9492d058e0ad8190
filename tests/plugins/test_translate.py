"""Inputs to request, and back: the pure part of the azure-native stand-in."""

from __future__ import annotations

import pytest

from local.plugins.azure_native import answers
from local.plugins.azure_native.translate import parse_path, resource_path, translate
from local.plugins.protocol.errors import InvalidInput
from local.plugins.protocol.property_values import UNKNOWN

STORAGE = "azure-native:storage:StorageAccount"
ROLE = "azure-native:authorization:RoleAssignment"
POOL = "azure-native:batch:Pool"


def test_the_envelope_holds_location_tags_sku_identity_and_kind_and_properties_the_rest():
    request = translate(
        STORAGE,
        {
            "resourceGroupName": "rg",
            "accountName": "st",
            "location": "westeurope",
            "kind": "StorageV2",
            "sku": {"name": "Standard_LRS"},
            "tags": {"a": "b"},
            "identity": {"type": "UserAssigned", "userAssignedIdentities": ["/x/y"]},
            "enableHttpsTrafficOnly": True,
            "networkRuleSet": {"defaultAction": "Deny", "ipRules": [{"iPAddressOrRange": "1.2.3.4"}]},
            "__createBeforeDelete": True,
        },
        "sub",
    )
    path = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/st"
    assert (request.path, request.api_version) == (path, "2024-01-01")
    assert request.body == {
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {"/x/y": {}}},
        "kind": "StorageV2",
        "location": "westeurope",
        "properties": {
            "networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": "1.2.3.4"}]},
            "supportsHttpsTrafficOnly": True,
        },
        "sku": {"name": "Standard_LRS"},
        "tags": {"a": "b"},
    }


def test_renamed_properties_come_back_under_their_names_in_the_sdk():
    body = {"properties": {"supportsHttpsTrafficOnly": True, "networkAcls": {"ipRules": [{"value": "1.2.3.4"}]}}}
    outputs = answers.outputs(STORAGE, body)
    assert outputs["enableHttpsTrafficOnly"] is True
    assert outputs["networkRuleSet"] == {"ipRules": [{"iPAddressOrRange": "1.2.3.4"}]}


def test_nested_envelopes_are_flattened_and_numbers_in_strings_become_numbers():
    connections = [{"id": "c", "properties": {"provisioningState": "Succeeded"}}]
    outputs = answers.outputs(STORAGE, {"properties": {"privateEndpointConnections": connections}})
    assert outputs["privateEndpointConnections"] == [{"id": "c", "provisioningState": "Succeeded"}]
    scale = {"fixedScale": {"targetDedicatedNodes": "2"}}
    assert answers.outputs(POOL, {"properties": {"scaleSettings": scale}})["scaleSettings"] == {
        "fixedScale": {"targetDedicatedNodes": 2}
    }


def test_a_role_assignment_lies_under_its_scope_and_its_id_reads_back():
    scope = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/st"
    inputs = {"scope": scope, "roleAssignmentName": "guid", "principalId": "p"}
    request = translate(ROLE, inputs)
    assert request.path == f"{scope}/providers/Microsoft.Authorization/roleAssignments/guid"
    assert request.body == {"properties": {"principalId": "p"}}
    assert parse_path(ROLE, request.path) == {"scope": scope, "roleAssignmentName": "guid"}


def test_an_id_of_another_type_is_refused_with_the_form_expected():
    with pytest.raises(InvalidInput, match=r"is not the id of a azure-native:batch:Pool; expected /subscriptions"):
        parse_path(POOL, "/subscriptions/s/resourceGroups/rg")


@pytest.mark.parametrize(("value", "shown"), [(UNKNOWN, "not known yet"), (None, "missing"), ("", "missing"), (3, "3")])
def test_a_path_parameter_that_is_no_name_is_refused(value: object, shown: str):
    with pytest.raises(InvalidInput, match=f"'accountName' is part of the resource's path and is {shown}"):
        resource_path(POOL, {"resourceGroupName": "rg", "accountName": value, "poolName": "p"}, "s")


def test_a_type_that_is_not_in_the_table_is_refused_by_name():
    with pytest.raises(InvalidInput, match="azure-native:network:VirtualNetwork"):
        translate("azure-native:network:VirtualNetwork", {})


def test_an_unknown_identity_makes_the_whole_map_unknown():
    inputs = {"identity": {"type": "UserAssigned", "userAssignedIdentities": ["/a", UNKNOWN]}}
    assert answers.planned(POOL, inputs)["identity"]["userAssignedIdentities"] is UNKNOWN


def test_an_import_turns_the_map_of_identities_into_the_list_of_the_sdk():
    live = {"identity": {"type": "UserAssigned", "userAssignedIdentities": {"/b": {}, "/a": {}}}}
    id_ = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Batch/batchAccounts/a/pools/p"
    inputs = answers.imported_inputs(POOL, id_, live)
    assert inputs["identity"]["userAssignedIdentities"] == ["/a", "/b"]
    assert inputs["poolName"] == "p"


def test_a_refresh_without_drift_changes_no_input():
    inputs = {"poolName": "p", "vmSize": "a"}
    state = {"vmSize": "a", "interNodeCommunication": "Disabled", "identity": {"userAssignedIdentities": {"/a": {}}}}
    assert answers.refreshed_inputs(POOL, inputs, state, dict(state)) == inputs


def test_a_refresh_takes_away_what_was_taken_away():
    assert answers.refreshed_inputs(POOL, {"displayName": "x"}, {"displayName": "x"}, {}) == {}
