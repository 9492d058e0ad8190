"""The small Microsoft Graph, asked as azure-cli asks it."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

import pytest

from local.azure.control_plane.resources import Resource
from local.azure.identity.directory import Directory
from tests.azure.running import RunningAzure

IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"


class Asker:
    """Requests to Graph with a token of a principal."""

    def __init__(self, azure: RunningAzure, principal: str | None = None) -> None:
        self.azure = azure
        settings = azure.cloud.settings
        self.token = azure.cloud.tokens.issue(
            principal_id=principal or settings.deployer_object_id,
            client_id=settings.client_id,
            audience=f"{azure.cloud.arm_url}/",
        )

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.azure.cloud.arm_url}/v1.0/{quote(path, safe='/?$=&')}",
            data,
            method=method,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cafile=str(self.azure.paths.ca))
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())["error"]["code"]


@pytest.fixture
def graph(azure: RunningAzure) -> Asker:
    """Graph of a tenant with a managed identity and a user, asked by the deployer."""
    scope = f"{azure.cloud.subscription_scope}/resourceGroups/g/providers/{IDENTITY}/nodes"
    properties = {
        "principalId": "11111111-1111-4111-8111-111111111111",
        "clientId": "22222222-2222-4222-8222-222222222222",
    }
    azure.cloud.resources.put(Resource(scope, IDENTITY, "nodes", properties=properties))
    Directory(azure.cloud).create_user("ada@example.org", "Ada")
    return Asker(azure)


def test_a_service_principal_is_found_by_every_name_it_has(graph: Asker) -> None:
    app, object_id = "22222222-2222-4222-8222-222222222222", "11111111-1111-4111-8111-111111111111"
    for path in (
        f"servicePrincipals?$filter=servicePrincipalNames/any(c:c eq '{app}')",
        f"servicePrincipals?$filter=appId eq '{app}'",
        f"servicePrincipals?$filter=id eq '{object_id}'",
        "servicePrincipals?$filter=startswith(displayName,'nod') and servicePrincipalType eq 'ManagedIdentity'",
    ):
        status, body = graph("GET", path)
        assert (status, [one["id"] for one in body["value"]]) == (200, [object_id]), path
    assert graph("GET", f"servicePrincipals/{object_id}")[1]["appId"] == app
    assert graph("GET", f"servicePrincipals(appId='{app}')")[1]["id"] == object_id
    assert graph("GET", "servicePrincipals/none") == (404, "Request_ResourceNotFound")
    assert graph("GET", "servicePrincipals?$filter=colour eq 'red'") == (400, "Request_BadRequest")


def test_objects_of_all_kinds_are_resolved_by_their_ids(graph: Asker) -> None:
    [user] = graph("GET", "users?$filter=userPrincipalName eq 'ada@example.org'")[1]["value"]
    assert graph("GET", "users/ada@example.org")[1]["id"] == user["id"]
    assert graph("GET", "groups")[1]["value"] == []
    ids = ["11111111-1111-4111-8111-111111111111", user["id"], "33333333-3333-4333-8333-333333333333"]
    body = {"ids": ids, "types": ["user", "group", "servicePrincipal", "directoryObjectPartnerReference"]}
    status, found = graph("POST", "directoryObjects/getByIds", body)
    assert status == 200
    kinds = {one["id"]: one["@odata.type"] for one in found["value"]}
    assert kinds == {ids[0]: "#microsoft.graph.servicePrincipal", user["id"]: "#microsoft.graph.user"}
    assert graph("GET", "me")[1]["appId"] == graph.azure.cloud.settings.client_id


def test_an_application_with_a_secret_is_made_used_and_deleted(graph: Asker) -> None:
    status, app = graph("POST", "applications", {"displayName": "ci"})
    assert status == 201
    assert graph("POST", "servicePrincipals", {"appId": app["appId"]})[0] == 201
    secret = graph("POST", f"applications/{app['id']}/addPassword", {"passwordCredential": {"displayName": "x"}})[1]
    assert graph.azure.credential(app["appId"], secret["secretText"]).get_token("https://management.azure.com/.default")
    assert graph("DELETE", f"applications/{app['id']}")[0] == 204
    assert graph("GET", f"applications/{app['id']}")[0] == 404


def test_others_read_but_do_not_write_and_unknown_places_are_refused_by_name(graph: Asker) -> None:
    other = Asker(graph.azure, "44444444-4444-4444-8444-444444444444")
    assert other("GET", "servicePrincipals")[0] == 200
    assert other("POST", "applications", {"displayName": "x"}) == (403, "Authorization_RequestDenied")
    assert graph("GET", "devices") == (501, "NotImplementedInLocalAzure")
    graph.token = graph.azure.cloud.tokens.issue(
        principal_id="p", client_id="c", audience="https://batch.core.windows.net/"
    )
    assert graph("GET", "me")[0] == 401
