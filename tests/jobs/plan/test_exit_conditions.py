"""Which end of a task lets those run that depend on it."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.service.exit_conditions import blocks


def options(action: str) -> dict[str, str]:
    return {"dependencyAction": action}


RULES: dict[str, Any] = {
    "exitCodes": [{"code": 65, "exitOptions": options("Satisfy")}, {"code": 0, "exitOptions": options("block")}],
    "exitCodeRanges": [{"start": 70, "end": 79, "exitOptions": options("satisfy")}],
    "preProcessingError": options("satisfy"),
    "default": options("block"),
}


@pytest.mark.parametrize(
    ("rules", "code", "failure", "blocked"),
    [
        (None, 0, "", False),
        (None, 1, "FailureExitCode", True),
        (None, None, "CommandProgramNotFound", True),
        (RULES, 65, "FailureExitCode", False),
        (RULES, 75, "FailureExitCode", False),
        (RULES, 80, "FailureExitCode", True),
        (RULES, 0, "", True),
        (RULES, None, "CommandProgramNotFound", False),
        (RULES, None, "TaskEnded", True),
        (RULES, 65, "FileUploadMiscError", False),  # the exit code's rule comes first
        ({"default": options("satisfy")}, 3, "FailureExitCode", False),
        ({"default": options("satisfy")}, 7, "FileUploadMiscError", False),
        ({"default": options("satisfy"), "fileUploadError": options("block")}, 7, "FileUploadMiscError", True),
        ({"default": {"jobAction": "none"}}, 3, "FailureExitCode", True),
        ({"default": {"jobAction": "none"}}, 0, "", False),
    ],
)
def test_an_end_satisfies_or_blocks(rules: Any, code: int | None, failure: str, blocked: bool) -> None:
    assert blocks(rules, succeeded=code == 0 and not failure, exit_code=code, failure_code=failure) is blocked
