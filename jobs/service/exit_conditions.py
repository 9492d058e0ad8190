"""Whether a task that ended lets those run that depend on it: its exit conditions, read as the service reads them.

Source: azure-batch 15.1 `ExitConditions` and `ExitOptions`, learn.microsoft.com/azure/batch/batch-task-dependencies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Wire = Mapping[str, Any]


def blocks(conditions: Wire | None, *, succeeded: bool, exit_code: int | None, failure_code: str) -> bool:
    """True: what depends on the task never runs. Without a rule exit code 0 satisfies, and every failure blocks."""
    options = _options(conditions or {}, succeeded, exit_code, failure_code)
    action = str((options or {}).get("dependencyAction") or "").casefold()
    return action == "block" if action else not succeeded


def _options(conditions: Wire, succeeded: bool, exit_code: int | None, failure_code: str) -> Wire | None:
    """The exit code's own rule comes first, also when an upload failed after it; `default` is for failures only."""
    for rule in conditions.get("exitCodes") or ():
        if rule["code"] == exit_code:
            return rule["exitOptions"]
    for rule in conditions.get("exitCodeRanges") or ():
        if exit_code is not None and rule["start"] <= exit_code <= rule["end"]:
            return rule["exitOptions"]
    if succeeded:
        return None
    named = None
    if failure_code.startswith("FileUpload"):
        named = conditions.get("fileUploadError")
    elif exit_code is None and failure_code != "TaskEnded":  # ended by somebody before it started: no error [guess]
        named = conditions.get("preProcessingError")
    return conditions.get("default") if named is None else named
