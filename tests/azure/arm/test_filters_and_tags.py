"""`$filter` on lists, and tags as a resource of their own."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.azure.arm.plain_http import PLACE, Http, provider

TAGS = "/resourceGroups/rg1/providers/Microsoft.Resources/tags/default"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("resourceGroup eq 'rg1'", ["one", "two"]),
        ("tagName eq 'a' and tagValue eq 'x'", ["one"]),
        ("tagName eq 'a' and tagValue eq 'y'", []),
        ("startswith(name, 'tw')", ["two"]),
        ("name eq 'one' or substringof('WO', name)", ["one", "two"]),
        ("resourceType eq 'Microsoft.Batch/batchAccounts'", []),
        ("not (name eq 'one')", ["two"]),
    ],
)
def test_all_resources_are_filtered(http_: Http, text: str, names: list[str]) -> None:
    for name, tags in (("one", {"a": "x", "b": "y"}), ("two", {"a": "z"})):
        path = provider(f"Microsoft.ManagedIdentity/userAssignedIdentities/{name}")
        assert http_("PUT", path, {**PLACE, "tags": tags})[0] == 201
    status, _, body = http_("GET", "/resources", query=f"api-version=2024-03-01&$filter={quote(text)}")
    assert (status, [one["name"] for one in body["value"]]) == (200, names)


def test_a_filter_that_cannot_be_read_is_refused(http_: Http) -> None:
    status, _, body = http_("GET", "/resources", query="api-version=2024-03-01&$filter=" + quote("colour eq 'red'"))
    assert (status, body["error"]["code"]) == (400, "InvalidFilterInQueryString")
    assert "colour" in body["error"]["message"]


def test_tags_are_merged_replaced_and_deleted(http_: Http) -> None:
    def tags(method: str, operation: str | None = None, **given: str) -> dict[str, str]:
        body = {"properties": {"tags": given}} | ({"operation": operation} if operation else {})
        return http_(method, TAGS, None if method == "GET" else body)[2]["properties"]["tags"]

    assert tags("PUT", a="1", b="2") == {"a": "1", "b": "2"}
    assert tags("PATCH", "Merge", b="3", c="4") == {"a": "1", "b": "3", "c": "4"}
    assert tags("PATCH", "Delete", a="1") == {"b": "3", "c": "4"}
    assert http_("GET", "/resourceGroups/rg1")[2]["tags"] == tags("GET")
    assert http_("PATCH", TAGS, {"operation": "Swap", "properties": {"tags": {}}})[0] == 400
    assert http_("DELETE", TAGS)[0] == 200
    assert tags("GET") == {}
