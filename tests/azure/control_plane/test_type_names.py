"""The names of resource types are those of the table."""

from __future__ import annotations

from local.azure.control_plane import type_names
from local.azure.control_plane.resource_types import TABLE


def test_every_name_is_a_row_of_the_table_but_tags_which_are_no_resource() -> None:
    names = {value for name, value in vars(type_names).items() if name.isupper()}
    assert len(names) > 15
    assert names - {spec.type for spec in TABLE} == {type_names.TAGS}
