"""Role definitions and assignments as azure-cli and azure-mgmt-authorization use them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.authorization import AuthorizationManagementClient

from tests.azure.arm.plain_http import Http, provider
from tests.azure.running import RunningAzure

Make = Callable[..., Any]
QUERY = "api-version=2022-04-01"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
ROLES = "/providers/Microsoft.Authorization/roleDefinitions"


@pytest.fixture(autouse=True)
def owner(http_: Http) -> None:
    """Custom roles are an owner's to make; the deployer is none by itself."""
    http_.grant(http_.azure.cloud.settings.deployer_object_id, OWNER, http_.azure.cloud.subscription_scope)


def definition(azure: RunningAzure, name: str = "Pool Reader", **properties: Any) -> dict[str, Any]:
    permissions = [{"actions": ["Microsoft.Batch/batchAccounts/read"], "notActions": []}]
    body = {"roleName": name, "permissions": permissions, "assignableScopes": [azure.cloud.subscription_scope]}
    return {"properties": {**body, "type": "CustomRole", **properties}}


def test_a_custom_role_gives_its_rights_while_it_is_assigned(azure: RunningAzure, http_: Http) -> None:
    role, principal = str(uuid.uuid4()), str(uuid.uuid4())
    assert http_("PUT", f"{ROLES}/{role}", definition(azure), query=QUERY)[0] == 201
    http_.grant(principal, role, azure.cloud.subscription_scope)
    account = f"{azure.cloud.subscription_scope}{provider('Microsoft.Batch/batchAccounts/a')}"
    assert azure.cloud.access.allows(principal, "Microsoft.Batch/batchAccounts/read", account)
    assert not azure.cloud.access.allows(principal, "Microsoft.Batch/batchAccounts/write", account)
    status, _, answer = http_("DELETE", f"{ROLES}/{role}", query=QUERY)
    assert (status, answer["error"]["code"]) == (400, "RoleDefinitionHasAssignments")
    more = [{"actions": ["Microsoft.Batch/batchAccounts/*"]}]
    assert http_("PUT", f"{ROLES}/{role}", definition(azure, permissions=more), query=QUERY)[0] in (200, 201)
    assert azure.cloud.access.allows(principal, "Microsoft.Batch/batchAccounts/write", account)


def test_roles_are_found_by_name_and_kind(azure: RunningAzure, http_: Http) -> None:
    role = str(uuid.uuid4())
    http_("PUT", f"{ROLES}/{role}", definition(azure), query=QUERY)

    def found(text: str) -> list[str]:
        _, _, answer = http_("GET", ROLES, query=f"{QUERY}&$filter={quote(text)}")
        return [one["properties"]["roleName"] for one in answer["value"]]

    assert found("roleName eq 'Pool Reader'") == ["Pool Reader"] == found("type eq 'CustomRole'")
    assert found("roleName eq 'reader'") == ["Reader"]
    assert "Owner" in found("atScopeAndBelow()") and "Pool Reader" not in found("type eq 'BuiltInRole'")
    assert http_("GET", f"{ROLES}/{role}", query=QUERY)[2]["properties"]["type"] == "CustomRole"
    status, _, deleted = http_("DELETE", f"{ROLES}/{role}", query=QUERY)
    assert (status, deleted["name"]) == (200, role)
    assert http_("GET", f"{ROLES}/{role}", query=QUERY)[0] == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"roleName": "Reader"}, "RoleDefinitionWithSameNameExists"),
        ({"roleName": ""}, "InvalidRoleDefinition"),
        ({"permissions": []}, "InvalidRoleDefinition"),
        ({"assignableScopes": ["/subscriptions/other"]}, "InvalidAssignableScopes"),
        ({"assignableScopes": []}, "InvalidAssignableScopes"),
    ],
)
def test_a_custom_role_that_cannot_be_is_refused(
    azure: RunningAzure, http_: Http, body: dict[str, Any], code: str
) -> None:
    _, _, answer = http_("PUT", f"{ROLES}/{uuid.uuid4()}", definition(azure, **body), query=QUERY)
    assert answer["error"]["code"] == code


def test_a_built_in_role_is_not_written(azure: RunningAzure, http_: Http) -> None:
    _, _, answer = http_("PUT", f"{ROLES}/{READER}", definition(azure), query=QUERY)
    assert answer["error"]["code"] == "RoleDefinitionIsBuiltIn"


def test_deleting_an_assignment_answers_what_it_was(azure: RunningAzure, client: Make) -> None:
    assignments = client(AuthorizationManagementClient).role_assignments
    scope, name = azure.cloud.subscription_scope, str(uuid.uuid4())
    body: dict[str, Any] = {
        "role_definition_id": f"{scope}{ROLES}/{READER}",
        "principal_id": str(uuid.uuid4()),
        "principal_type": "ServicePrincipal",
    }
    assignments.create(scope, name, body)
    deleted = assignments.delete(scope, name)
    assert deleted is not None and (deleted.name, deleted.principal_id) == (name, body["principal_id"])
    assert assignments.delete(scope, name) is None
    with pytest.raises(HttpResponseError):
        assignments.get(scope, name)
