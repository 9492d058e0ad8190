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


def expected_id(row: tuple[str, str, str], names: Names) -> str:
    """The id of a row for the stack of these names, and the family hello."""
    group = f"/subscriptions/{names.subscription_id}/resourceGroups/{names.resource_group}"
    storage = f"{group}/providers/Microsoft.Storage/storageAccounts/{names.storage_account}"
    text = row[2].replace("STORAGE/", f"{storage}/").replace("GROUP/", f"{group}/").replace("FAMILY", "hello")
    text = text.replace("PREFIX-STACK", f"{names.prefix}-{names.stack}").replace("SUB/", f"{names.subscription_id}/")
    return re.sub("NAME$", names.registry, text)


@pytest.mark.parametrize("row", ROWS, ids=[row[0].rpartition(":")[2] for row in ROWS])
def test_a_row_is_a_resource_of_the_program_with_that_id(
    program: Callable[..., Run], row: tuple[str, str, str]
) -> None:
    token, name, _ = row
    names = Names(prefix="abp", stack="dev", subscription_id=SUBSCRIPTION)
    resource = program("dev").named(name.replace("FAMILY", "hello"))
    assert resource.type == token
    physical = str(physical_name(token, resource.inputs))
    assert resource_id(token, resource.inputs, physical) == expected_id(row, names)


def test_the_table_has_what_can_be_taken_over() -> None:
    assert len(ROWS) == 6
