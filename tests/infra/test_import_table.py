"""docs/coming-from-the-portal.md: the ids of its table are those that the program's resources have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra.naming import Names
from tests.infra.import_table import ROWS, expected_id
from tests.infra.recording import SUBSCRIPTION, Run, physical_name, resource_id


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
