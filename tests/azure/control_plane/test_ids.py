"""The grammar of ARM paths: what a path names, and what is above it."""

from __future__ import annotations

import pytest

from local.azure.control_plane import ids
from local.azure.control_plane.errors import NotFound
from local.azure.control_plane.ids import Target
from local.azure.control_plane.resource_types import TABLE

SUBSCRIPTION = "/subscriptions/S"
GROUP = f"{SUBSCRIPTION}/resourceGroups/G"
ACCOUNT = f"{GROUP}/providers/Microsoft.Batch/batchAccounts/a"


@pytest.mark.parametrize(
    ("path", "scope", "type", "names"),
    [
        ("/subscriptions", "", "Microsoft.Resources/subscriptions", ()),
        ("/tenants", "", "Microsoft.Resources/tenants", ()),
        ("/providers", "", "Microsoft.Resources/providers", ()),
        (SUBSCRIPTION, "", "Microsoft.Resources/subscriptions", ("S",)),
        (f"{SUBSCRIPTION}/resourcegroups", SUBSCRIPTION, "Microsoft.Resources/resourceGroups", ()),
        (f"{SUBSCRIPTION}/RESOURCEGROUPS/G", SUBSCRIPTION, "Microsoft.Resources/resourceGroups", ("G",)),
        (f"{SUBSCRIPTION}/locations", SUBSCRIPTION, "Microsoft.Resources/locations", ()),
        (f"{SUBSCRIPTION}/resources", SUBSCRIPTION, "Microsoft.Resources/resources", ()),
        (f"{SUBSCRIPTION}/operationresults/o", SUBSCRIPTION, "Microsoft.Resources/operationresults", ("o",)),
        (f"{GROUP}/resources", GROUP, "Microsoft.Resources/resources", ()),
        (f"{GROUP}/exportTemplate", GROUP, "Microsoft.Resources/exporttemplate", ()),
        (f"{SUBSCRIPTION}/providers", SUBSCRIPTION, "Microsoft.Resources/providers", ()),
        (
            f"{SUBSCRIPTION}/providers/Microsoft.Batch",
            SUBSCRIPTION,
            "Microsoft.Resources/providers",
            ("Microsoft.Batch",),
        ),
        (f"{GROUP}/providers/Microsoft.Batch/batchAccounts", GROUP, "Microsoft.Batch/batchAccounts", ()),
        (ACCOUNT, GROUP, "Microsoft.Batch/batchAccounts", ("a",)),
        (f"{ACCOUNT}/pools", GROUP, "Microsoft.Batch/batchAccounts/pools", ("a",)),
        (f"{ACCOUNT}/pools/p", GROUP, "Microsoft.Batch/batchAccounts/pools", ("a", "p")),
        (f"{ACCOUNT}/listKeys", GROUP, "Microsoft.Batch/batchAccounts/listKeys", ("a",)),
    ],
)
def test_a_path_names_a_scope_a_type_and_names(path: str, scope: str, type: str, names: tuple[str, ...]) -> None:
    found = ids.parse(path)
    assert (found.scope, found.type, found.names) == (scope, type, names)


def test_the_last_provider_begins_the_type_so_that_an_extension_has_a_resource_as_its_scope() -> None:
    found = ids.parse(f"{ACCOUNT}/providers/Microsoft.Authorization/roleAssignments/r")
    assert found == Target(ACCOUNT, "Microsoft.Authorization", ("roleAssignments",), ("r",))


def test_names_are_decoded_and_slashes_at_the_ends_and_in_twos_do_not_count() -> None:
    assert ids.parse(f"/{ACCOUNT}%20b/").names == ("a b",)
    assert ids.parse("//subscriptions//S//").names == ("S",)


@pytest.mark.parametrize(
    ("path", "is_item"),
    [(ACCOUNT, True), (f"{ACCOUNT}/pools", False), (f"{ACCOUNT}/pools/p", True), (f"{ACCOUNT}/listKeys", False)],
)
def test_a_path_that_ends_with_a_name_is_an_item(path: str, is_item: bool) -> None:
    assert ids.parse(path).is_item is is_item


@pytest.mark.parametrize("path", ["/", "/subscriptions/S/groups", f"{GROUP}/batchAccounts/a", "/favicon.ico"])
def test_a_path_that_is_none_of_arms_is_not_found_and_named(path: str) -> None:
    with pytest.raises(NotFound, match="is not one of Azure Resource Manager's") as refused:
        ids.parse(path)
    assert repr(path) in refused.value.message


@pytest.mark.parametrize("path", [GROUP, ACCOUNT, f"{ACCOUNT}/pools/p", f"{GROUP}/providers/A/b/c/providers/D/e/f"])
def test_everything_in_a_group_has_that_group(path: str) -> None:
    assert ids.group_of(path) == GROUP


@pytest.mark.parametrize("path", [SUBSCRIPTION, f"{SUBSCRIPTION}/providers/Microsoft.Consumption/budgets/b", ""])
def test_what_is_in_no_group_has_none(path: str) -> None:
    assert ids.group_of(path) is None


@pytest.mark.parametrize(
    ("path", "parent"),
    [
        (f"{ACCOUNT}/pools/p", ACCOUNT),
        (f"{ACCOUNT}/pools/p/versions/1", f"{ACCOUNT}/pools/p"),
        (ACCOUNT, None),
        (GROUP, None),
        (f"{ACCOUNT}/providers/Microsoft.Authorization/roleAssignments/r", None),
    ],
)
def test_the_parent_is_the_resource_that_holds_a_child(path: str, parent: str | None) -> None:
    assert ids.parent_of(path) == parent


@pytest.mark.parametrize("path", [SUBSCRIPTION, GROUP, ACCOUNT, ""])
def test_join_undoes_split(path: str) -> None:
    assert ids.join(ids.split(path)) == path


def test_every_name_of_a_type_is_a_row_of_the_table_but_tags_which_are_no_resource() -> None:
    names = {value for name, value in vars(ids).items() if name.isupper()}
    assert len(names) > 15
    assert names - {spec.type for spec in TABLE} == {ids.TAGS}
