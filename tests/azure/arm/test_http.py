"""ARM below the SDKs: statuses, headers, refusals, and what a kill leaves behind."""

from __future__ import annotations

import errno
import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.azure.arm.plain_http import CONTRIBUTOR, PLACE, VERSION, Http, provider, settle
from tests.azure.running import RunningAzure


@pytest.mark.parametrize(
    ("method", "path", "query", "status", "code", "said"),
    [
        ("GET", "/resourceGroups/rg1", "", 400, "MissingApiVersionParameter", "api-version"),
        ("GET", "/resourceGroups/rg1", "api-version=latest", 400, "InvalidApiVersionParameter", "latest"),
        ("GET", "/resourceGroups/rg1", f"{VERSION}&colour=red", 400, "InvalidQueryParameter", "colour"),
        ("GET", "/resourceGroups/none", VERSION, 404, "ResourceGroupNotFound", "'none'"),
        (
            "GET",
            provider("Microsoft.Batch/batchAccounts/none"),
            VERSION,
            404,
            "ResourceNotFound",
            "The Resource 'Microsoft.Batch/batchAccounts/none' under resource group 'rg1' was not found",
        ),
        (
            "PUT",
            provider("Microsoft.Batch/batchAcounts/a"),
            VERSION,
            400,
            "InvalidResourceType",
            "Did you mean 'batchAccounts'",
        ),
        ("PUT", provider("Microsoft.Quantum/workspaces/a"), VERSION, 404, "InvalidResourceNamespace", "Quantum"),
        ("PUT", provider("Microsoft.Batch/batchAccounts/Not_Valid"), VERSION, 400, "InvalidResourceName", "Not_Valid"),
        ("PUT", provider("Microsoft.Batch/batchAccounts/a12/pools/p"), VERSION, 404, "ParentResourceNotFound", "a12"),
        ("POST", provider("Microsoft.Batch/batchAccounts/a12/listKey"), VERSION, 404, "NotFound", "'listKeys'"),
        ("PATCH", "/resourceGroups", VERSION, 405, "MethodNotAllowed", "PATCH"),
        ("DELETE", "/resourceGroups/none", VERSION, 404, "ResourceGroupNotFound", "'none'"),
    ],
)
def test_refusals_name_what_was_wrong(
    http_: Http, method: str, path: str, query: str, status: int, code: str, said: str
) -> None:
    body = PLACE if method == "PUT" and "pools" not in path else {} if method == "PUT" else None
    got, _, document = http_(method, path, body, query=query)
    assert (got, document["error"]["code"]) == (status, code)
    assert said in document["error"]["message"]


def test_tokens_for_other_services_and_none_are_refused(http_: Http) -> None:
    issue = http_.azure.cloud.tokens.issue
    batch = issue(principal_id="p", client_id="c", audience="https://batch.core.windows.net/")
    assert http_("GET", "/resourceGroups", token=batch)[2]["error"]["code"] == "InvalidAuthenticationTokenAudience"
    status, headers, _ = http_("GET", "/resourceGroups", token="-")
    assert status == 401
    assert headers["www-authenticate"].startswith("Bearer")
    assert http_("GET", "/resourceGroups", token=issue(principal_id="p", client_id="c", audience="x"))[0] == 401


def test_head_says_by_its_status_whether_a_group_exists(http_: Http) -> None:
    assert http_("HEAD", "/resourceGroups/RG1")[0] == 204
    assert http_("HEAD", "/resourceGroups/rg2")[0] == 404


def test_the_documents_without_resources(http_: Http) -> None:
    assert http_("GET", "//subscriptions")[2]["value"][0]["state"] == "Enabled"
    assert http_("GET", "//tenants")[2]["value"][0]["tenantId"] == http_.azure.cloud.settings.tenant_id
    assert "westeurope" in [one["name"] for one in http_("GET", "/locations")[2]["value"]]
    assert http_("GET", "/providers/Microsoft.Batch")[2]["registrationState"] == "Registered"
    assert http_("POST", "/providers/Microsoft.Storage/register")[2]["registrationState"] == "Registered"
    check = http_("POST", "/providers/Microsoft.Storage/checkNameAvailability", {"name": "UPPER"})[2]
    assert check["nameAvailable"] is False
    assert http_("GET", "//subscriptions/00000000-0000-0000-0000-000000000000")[0] == 404


def test_nothing_is_made_of_a_provider_that_is_not_registered(http_: Http) -> None:
    provider_path = "/providers/Microsoft.ManagedIdentity"
    identity = provider("Microsoft.ManagedIdentity/userAssignedIdentities/one")
    assert http_("POST", f"{provider_path}/unregister")[2]["registrationState"] == "Unregistered"
    listed = {one["namespace"]: one["registrationState"] for one in http_("GET", "/providers")[2]["value"]}
    assert {name for name, state in listed.items() if state != "Registered"} == {"Microsoft.ManagedIdentity"}
    status, _, refused = http_("PUT", identity, PLACE)
    assert (status, refused["error"]["code"]) == (409, "MissingSubscriptionRegistration")
    assert "namespace 'Microsoft.ManagedIdentity'" in refused["error"]["message"]
    assert http_("POST", f"{provider_path}/register")[2]["registrationState"] == "Registered"
    assert http_("PUT", identity, PLACE)[0] == 201
    for name in ("Microsoft.ManagedIdentity", "Microsoft.Resources"):  # one has a resource, one is everybody's
        assert http_("POST", f"/providers/{name}/unregister")[0] == 409
        assert http_("GET", f"/providers/{name}")[2]["registrationState"] == "Registered"


def test_a_deletes_location_answers_202_then_200_also_after_the_group_is_gone(http_: Http) -> None:
    azure = http_.azure
    registry = provider("Microsoft.ContainerRegistry/registries/myreg")
    assert http_("PUT", registry, {**PLACE, "sku": {"name": "Basic"}})[0] == 201
    batch = provider("Microsoft.Batch/batchAccounts/mybatch")
    gate = azure.hooks["Microsoft.Batch/batchAccounts"].gate = threading.Event()
    status, headers, _ = http_("PUT", batch, PLACE)
    assert status == 202
    assert http_("GET", batch)[2]["properties"]["provisioningState"] == "Creating"
    assert http_("PUT", batch, PLACE)[2]["error"]["code"] == "AnotherOperationInProgress"
    pending = http_("GET", headers["location"])
    assert (pending[0], pending[1]["retry-after"]) == (202, "1")
    gate.set()
    settle(http_, headers["location"])
    assert http_("GET", headers["location"])[2]["name"] == "mybatch"
    status, deleted, _ = http_("DELETE", registry)
    assert status == 202
    assert settle(http_, deleted["location"]) == 200
    assert http_("GET", deleted["azure-asyncoperation"])[2]["status"] == "Succeeded"
    status, gone, _ = http_("DELETE", "/resourceGroups/rg1")
    assert status == 202
    assert settle(http_, gone["location"]) == 200
    assert http_("GET", gone["location"])[0] == 200
    assert http_("DELETE", "/resourceGroups/rg1")[0] == 404


def test_a_group_that_is_being_deleted_takes_nothing_new(http_: Http) -> None:
    group = http_.azure.cloud.resources.get(f"{http_.azure.cloud.subscription_scope}/resourceGroups/rg1")
    assert group is not None
    group.state = "Deleting"
    http_.azure.cloud.resources.put(group)
    got = http_("PUT", provider("Microsoft.Batch/batchAccounts/mybatch"), PLACE)
    assert (got[0], got[2]["error"]["code"]) == (409, "ResourceGroupBeingDeleted")


def test_a_name_unique_in_all_azure_is_taken_once(http_: Http) -> None:
    http_("PUT", "/resourceGroups/rg2", PLACE)
    body = {**PLACE, "sku": {"name": "Basic"}}
    assert http_("PUT", provider("Microsoft.ContainerRegistry/registries/myreg"), body)[0] == 201
    other = http_("PUT", "/resourceGroups/rg2/providers/Microsoft.ContainerRegistry/registries/MYREG", body)
    assert (other[0], other[2]["error"]["code"]) == (409, "AlreadyInUse")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("Microsoft.Batch/batchAccounts/mybatch", {}),
        ("Microsoft.Storage/storageAccounts/mystorage", {"sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}),
        ("Microsoft.ContainerRegistry/registries/myreg", {"sku": {"name": "Basic"}}),
    ],
)
def test_what_was_got_can_be_put_back(http_: Http, path: str, body: dict[str, Any]) -> None:
    headers = http_("PUT", provider(path), {**PLACE, **body})[1]
    if "location" in headers:
        settle(http_, headers["location"])
    got = http_("GET", provider(path))[2]
    status, _, put = http_("PUT", provider(path), got)
    assert status == 200
    assert put == got


def test_an_update_that_fails_leaves_the_resource_as_it_was(http_: Http) -> None:
    from local.azure.control_plane.errors import InvalidResourceName

    registry = provider("Microsoft.ContainerRegistry/registries/myreg")
    http_("PUT", registry, {**PLACE, "sku": {"name": "Basic"}})
    http_.azure.hooks["Microsoft.ContainerRegistry/registries"].fail = InvalidResourceName("no")
    assert http_("PATCH", registry, {"sku": {"name": "Premium"}})[0] == 400
    assert http_("GET", registry)[2]["sku"]["name"] == "Basic"


def test_an_interrupted_put_and_delete_are_finished_at_the_next_start(tmp_path: Path) -> None:
    with RunningAzure(tmp_path / "home") as first:
        http_ = Http(first)
        http_("PUT", "/resourceGroups/rg1", PLACE)
        http_("PUT", provider("Microsoft.ContainerRegistry/registries/myreg"), {**PLACE, "sku": {"name": "Basic"}})
        for name in ("Microsoft.Batch/batchAccounts", "Microsoft.ContainerRegistry/registries"):
            first.hooks[name].gate = threading.Event()
        put = http_("PUT", provider("Microsoft.Batch/batchAccounts/mybatch"), PLACE)[1]["location"]
        assert http_("GET", put)[0] == 202
    with RunningAzure(tmp_path / "home") as second:
        http_ = Http(second)
        assert settle(http_, put) == 200
        assert second.hooks["Microsoft.Batch/batchAccounts"].calls == [("put", "mybatch")]
        assert http_("GET", provider("Microsoft.ContainerRegistry/registries/myreg"))[0] == 200


def test_a_type_whose_service_does_not_run_is_refused_by_name(tmp_path: Path) -> None:
    azure = RunningAzure(tmp_path / "home")
    from local.azure.control_plane.resource_types import Types

    azure.cloud.types = Types()
    with azure:
        http_ = Http(azure)
        http_("PUT", "/resourceGroups/rg1", PLACE)
        got = http_("PUT", provider("Microsoft.Batch/batchAccounts/mybatch"), PLACE)
        assert (got[0], got[2]["error"]["code"]) == (501, "NotImplementedInLocalAzure")
        assert "Microsoft.Batch/batchAccounts" in got[2]["error"]["message"]
        assert http_("GET", provider("Microsoft.Batch/batchAccounts/mybatch"))[0] == 404


GROUP = b'{"location": "westeurope", "tags": {"a": %s}}'


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (GROUP % (b'"' + b"x" * (5 << 20) + b'"'), {}, 413, "larger than 4 MB"),
        (b"[" * 100_000, {}, 400, "nested more than"),
        (GROUP % (b"[" * 200 + b"]" * 200), {}, 400, "nested more than"),
        (GROUP % b"NaN", {}, 400, "NaN is no JSON number"),
        (GROUP % b"-Infinity", {}, 400, "-Infinity is no JSON number"),
        (GROUP % b"1e999", {}, 400, "1e999 is too large"),
        (GROUP % (b"1" * 5000), {}, 400, "could not be deserialized"),
        (b'{"location": "westeurope", "location": "northeurope"}', {}, 400, "'location' is there twice"),
        (GROUP % b'"\\ud800"', {}, 400, "not Unicode text"),
        (GROUP % b'"\xed\xa0\x80"', {}, 400, "not Unicode text"),
        (GROUP % b'"\xff"', {}, 400, "could not be deserialized"),
        (b"\xff\xfe{", {}, 400, "could not be deserialized"),
        (b"\x1f\x8b not gzip", {"Content-Encoding": "gzip"}, 400, "could not be read"),
        (b"null", {}, 400, "expected a JSON object"),
        (b"{}" + b" " * (5 << 20), {}, 413, "larger than 4 MB"),
        (b"{", {}, 400, "could not be deserialized"),
    ],
)
def test_a_body_that_is_no_request_is_refused_by_what_is_wrong_with_it(
    http_: Http, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    answered, code, message = http_.raw("/resourceGroups/rg1", body, **headers)
    assert answered == status
    assert code == ("RequestContentTooLarge" if status == 413 else "InvalidRequestContent")
    assert said in message
    assert "tags" not in http_("GET", "/resourceGroups/rg1")[2]


def test_text_is_taken_in_every_encoding_that_json_has(http_: Http) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        body = json.dumps({"location": "westeurope", "tags": {"a": "grün"}}, ensure_ascii=False).encode(encoding)
        assert http_.raw("/resourceGroups/rg1", body)[0] == 200
        assert http_("GET", "/resourceGroups/rg1")[2]["tags"] == {"a": "grün"}


def test_a_tags_only_patch_asks_for_no_right_on_what_is_linked(http_: Http) -> None:
    azure = http_.azure
    identity = http_("PUT", provider("Microsoft.ManagedIdentity/userAssignedIdentities/id1"), PLACE)[2]["id"]
    named = {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    account = provider("Microsoft.Batch/batchAccounts/acc1")
    assert http_("PUT", account, PLACE | {"identity": named})[0] in (200, 202)
    for _ in range(100):
        if http_("GET", account)[2]["properties"]["provisioningState"] == "Succeeded":
            break
    token = azure.cloud.tokens.issue(
        principal_id="11111111-1111-4111-8111-111111111111", client_id="c", audience="https://management.azure.com/"
    )
    role = f"{azure.cloud.subscription_scope}/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}"
    grant = {
        "principalId": "11111111-1111-4111-8111-111111111111",
        "roleDefinitionId": role,
        "principalType": "ServicePrincipal",
    }
    scope = f"{account}/providers/Microsoft.Authorization/roleAssignments/22222222-2222-4222-8222-222222222222"
    assert http_("PUT", scope, {"properties": grant}, query="api-version=2022-04-01")[0] == 201
    assert http_("PATCH", account, {"tags": {"a": "b"}}, token=token)[0] == 200
    assert http_("GET", account)[2]["tags"] == {"a": "b"}
    assert list(http_("GET", account)[2]["identity"]["userAssignedIdentities"]) == [identity]
    status, _, refused = http_("PATCH", account, {"identity": named}, token=token)
    assert (status, refused["error"]["code"]) == (403, "LinkedAuthorizationFailed")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), sqlite3.OperationalError("database or disk is full")]
)
def test_a_full_disk_is_named(http_: Http, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(http_.azure.cloud.store, "put", full)
    status, _, body = http_("PUT", "/resourceGroups/rg2", PLACE)
    assert (status, body["error"]["code"]) == (507, "InsufficientStorage")
    assert "disk" in body["error"]["message"]
