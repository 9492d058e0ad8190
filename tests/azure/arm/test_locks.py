"""What management locks forbid, and to whom locks belong."""

from __future__ import annotations

import pytest

from tests.azure.arm.plain_http import PLACE, Http, provider

REGISTRY = "Microsoft.ContainerRegistry/registries/myreg"
BODY = {**PLACE, "sku": {"name": "Basic"}}


def lock(scope: str, level: str) -> tuple[str, str, dict[str, object]]:
    return "PUT", f"{scope}/providers/Microsoft.Authorization/locks/keep", {"properties": {"level": level}}


@pytest.fixture
def locked(http_: Http) -> Http:
    """A cloud with a registry."""
    assert http_("PUT", provider(REGISTRY), BODY)[0] == 201
    return http_


@pytest.mark.parametrize("scope", ["/resourceGroups/rg1", provider(REGISTRY), ""])
def test_nothing_under_a_lock_is_deleted_until_it_is_gone(locked: Http, scope: str) -> None:
    assert locked(*lock(scope, "CanNotDelete"))[0] == 201
    for path in (provider(REGISTRY), "/resourceGroups/rg1"):
        status, _, body = locked("DELETE", path)
        assert (status, body["error"]["code"]) == (409, "ScopeLocked")
        assert "cannot perform delete operation because following scope(s) are locked: '" in body["error"]["message"]
    assert locked("PATCH", provider(REGISTRY), {"tags": {"a": "b"}})[0] == 200
    assert locked("DELETE", f"{scope}/providers/Microsoft.Authorization/locks/keep")[0] == 200
    assert locked("DELETE", provider(REGISTRY))[0] == 202


def test_under_a_read_only_lock_nothing_is_written_and_no_key_listed(locked: Http) -> None:
    assert locked(*lock(provider(REGISTRY), "ReadOnly"))[0] == 201
    for method, path, body in (
        ("PUT", provider(REGISTRY), BODY),
        ("PATCH", provider(REGISTRY), {"tags": {}}),
        ("POST", f"{provider(REGISTRY)}/listCredentials", {}),
    ):
        status, _, answer = locked(method, path, body)
        assert (status, answer["error"]["code"]) == (409, "ScopeLocked")
        assert "cannot perform write operation" in answer["error"]["message"]
    assert locked("GET", provider(REGISTRY))[0] == 200


def test_a_lock_that_locks_nothing_and_one_on_nothing_are_refused(locked: Http) -> None:
    assert locked(*lock(provider(REGISTRY), "NotSpecified"))[2]["error"]["code"] == "InvalidLockLevel"
    assert locked(*lock(provider("Microsoft.Batch/batchAccounts/none"), "ReadOnly"))[2]["error"]["code"] == (
        "ResourceNotFound"
    )
    assert locked(*lock("/resourceGroups/none", "ReadOnly"))[2]["error"]["code"] == "ResourceGroupNotFound"


def test_locks_are_listed_where_they_hold(locked: Http) -> None:
    for scope in ("", "/resourceGroups/rg1", provider(REGISTRY)):
        assert locked(*lock(scope, "CanNotDelete"))[0] == 201

    def names(scope: str, query: str = "") -> list[str]:
        listed = locked(
            "GET", f"{scope}/providers/Microsoft.Authorization/locks", query=f"api-version=2020-05-01{query}"
        )
        return sorted(one["id"].count("/") for one in listed[2]["value"])  # type: ignore[misc]

    assert len(names("")) == len(names("/resourceGroups/rg1")) == len(names(provider(REGISTRY))) == 3
    assert len(names("", "&$filter=atScope()")) == 1
    assert len(names("/resourceGroups/rg1", "&$filter=atScope()")) == 2
