"""The coverage page: nothing is left out, everything says where it is known from."""

from __future__ import annotations

from local.azure.batch.data_plane import coverage
from local.azure.batch.data_plane.routes import ROUTES


def test_every_operation_says_whether_it_is_answered_and_where_that_is_known_from() -> None:
    page = coverage.coverage()
    assert set(coverage.KNOWN_FROM) == {route.operation for route in ROUTES} >= set(coverage.LIMITED)
    for route in ROUTES:
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{route.operation}` ")]
        assert row.split(" | ")[3].rstrip(" |") in ("documents", "recorded traffic, documents")


def test_every_operation_of_the_service_is_answered() -> None:
    assert [route.operation for route in ROUTES if route.handler is None] == []


def test_every_property_works_is_shown_only_or_is_refused() -> None:
    page = coverage.coverage()
    assert "| `job.jobManagerTask.runExclusive` | works |" in page
    assert "| `pool.networkConfiguration` | checked and shown only" in page
    assert "| `task.multiInstanceSettings.coordinationCommandLine` | works |" in page
    listed = [path for name, body in coverage.BODIES.items() for path, _ in coverage.properties(body, name)]
    assert len(listed) == len(set(listed)) > 150
    for tail in coverage.WITHOUT_EFFECT:
        assert any(path.endswith(f".{tail}") for path in listed), f"no body has {tail}"


def test_every_guess_of_the_code_is_listed_once() -> None:
    found = coverage.guesses()
    marks = sum(
        path.read_text().count("[guess") for path in coverage.PACKAGE.rglob("*.py") if path.name != "coverage.py"
    )
    assert len(found) == len({(one.module, one.line, one.text) for one in found}) == marks > 40
    assert all(len(one.text) > len("[guess]") + 5 for one in found)
