"""$filter as a predicate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from local.azure.batch.data_plane.filters import Row, parse_filter
from local.azure.batch.errors import InvalidQueryParameterValue

NAMES = ("id", "state", "priority", "executionInfo", "creationTime", "isDedicated")
ITEM: dict[str, Any] = {
    "id": "Load-7",
    "state": "completed",
    "priority": 3,
    "isDedicated": True,
    "creationTime": "2026-01-02T03:04:05.1234560Z",
    "executionInfo": {"exitCode": 0, "result": "success"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state eq 'COMPLETED'", True),
        ("state ne 'active' and executionInfo/exitCode eq 0", True),
        ("executionInfo/exitCode ne 0", False),
        ("startswith(id,'load-')", True),
        ("not startswith(id, 'load-') or priority gt 2", True),
        ("(state eq 'active' or state eq 'running') and priority gt 2", False),
        ("creationTime gt DateTime'2026-01-01T00:00:00Z'", True),
        ("creationTime lt datetime'2026-01-01'", False),
        ("executionInfo/failureInfo eq null", True),
        ("isDedicated eq true", True),
        ("priority le 3 and priority ge 3", True),
        ("id eq 'it''s'", False),
    ],
)
def test_a_filter_selects(text: str, expected: bool) -> None:
    assert parse_filter(text, NAMES)(ITEM) is expected


@pytest.mark.parametrize(
    "text", ["colour eq 1", "state eq", "state is 'x'", "(state eq 'x'", "state eq 'x' priority eq 1", "state eq ~", ""]
)
def test_a_filter_that_makes_no_sense_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(InvalidQueryParameterValue) as caught:
        parse_filter(text, NAMES)
    assert ("QueryParameterValue", text) in caught.value.details


def test_a_row_is_asked_for_its_wire_form_only_when_its_record_does_not_say() -> None:
    made: list[str] = []

    def view() -> dict[str, Any]:
        made.append("wire")
        return ITEM

    fields = {("id",): lambda record: record["id"], ("creationTime",): lambda record: record["created"]}
    row = Row({"id": "Load-7", "created": datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)}, view)
    for text, expected in (
        ("startswith(id, 'load')", True),
        ("id eq 'x'", False),
        ("creationTime ge DateTime'2026-01-02T03:04:05.123456Z'", True),
        ("creationTime eq DateTime'2026-01-02T03:04:05.123456Z'", True),
    ):
        assert parse_filter(text, NAMES, fields)(row) is expected
    assert made == []
    assert parse_filter("priority eq 3 and state eq 'completed'", NAMES, fields)(row)
    assert made == ["wire"]


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        ("startswith(id, 'Load')", {("id",): ("startswith", "load")}),
        ("state eq 'active' and priority gt 2", {("state",): ("eq", "active")}),
        ("(state eq 'a' or id eq 'b') and priority eq 1", {("priority",): ("eq", 1.0)}),
        ("not state eq 'active'", {}),
        ("state ne 'active'", {}),
    ],
)
def test_what_is_certain_of_all_that_a_filter_keeps(text: str, certain: dict[Any, Any]) -> None:
    assert parse_filter(text, NAMES).certain == certain
