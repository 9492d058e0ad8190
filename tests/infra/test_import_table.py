"""docs/coming-from-the-portal.md: the ids of its table are those that the program's resources have."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from infra.naming import Names
from tests.infra.recording import ROOT, SUBSCRIPTION, Run, physical_name, resource_id

ROWS = re.findall(
    r"^\| [^|]+ \| `(azure-native:\S+) (\S+)` \| `(\S+)` \|$",
    (ROOT / "docs" / "coming-from-the-portal.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize(("token", "name", "identifier"), ROWS, ids=[row[0].rpartition(":")[2] for row in ROWS])
def test_a_row_is_a_resource_of_the_program_with_that_id(
    program: Callable[..., Run], token: str, name: str, identifier: str
) -> None:
    names = Names(prefix="abp", stack="dev", subscription_id=SUBSCRIPTION)
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-abp-dev"
    storage = f"{group}/providers/Microsoft.Storage/storageAccounts/{names.storage_account}"
    expected = identifier.replace("STORAGE/", f"{storage}/").replace("GROUP/", f"{group}/").replace("FAMILY", "hello")
    expected = expected.replace("PREFIX-STACK", "abp-dev").replace("SUB/", f"{SUBSCRIPTION}/")
    expected = re.sub("NAME$", names.registry, expected)
    resource = program("dev").named(name.replace("FAMILY", "hello"))
    assert resource.type == token
    assert resource_id(token, resource.inputs, str(physical_name(token, resource.inputs))) == expected


def test_the_table_has_what_can_be_taken_over() -> None:
    assert len(ROWS) == 6
