"""What a task's exit conditions say of its end: an action on its job, and one on the tasks that depend on it. Pure.

The order in which they apply, their defaults, and what may not be given, are those of the REST reference
(`ExitConditions` and `ExitOptions`, 2025-06-01). They are asked once, when the task is completed: after its last retry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from local.azure.batch.decisions.failures import ENDED_BY_USER
from local.azure.batch.errors import invalid
from local.azure.batch.model import Job, Task


class JobAction(StrEnum):
    """`BatchJobActionKind`."""

    NONE = "none"
    DISABLE = "disable"
    TERMINATE = "terminate"


@dataclass(frozen=True)
class ExitOptions:
    """What follows from an end."""

    job_action: JobAction
    satisfies: bool


def exit_options(task: Task) -> ExitOptions:
    """What follows from a completed task's end; what its conditions leave open goes by its success."""
    given = _given(task.body.get("exitConditions", {}), task.exit_code, (task.failure or {}).get("code"))
    succeeded = task.result == "success"
    by_user = not given and _ended_by_user(task.failure)  # the reference has no condition for it: the job goes on
    action = given.get("jobAction", JobAction.NONE if succeeded or by_user else JobAction.TERMINATE)
    dependency = given.get("dependencyAction", "satisfy" if succeeded else "block")
    return ExitOptions(JobAction(action), dependency == "satisfy")


def _ended_by_user(failure: dict[str, Any] | None) -> bool:
    return failure is not None and (failure["category"], failure["code"]) == (
        ENDED_BY_USER.category,
        ENDED_BY_USER.code,
    )


def _given(conditions: dict[str, Any], exit_code: int | None, failure: str | None) -> dict[str, str]:
    """The options of the condition that applies. A single code goes before a range, the first range before others
    [guess: the reference does not say]."""
    if exit_code is not None:
        for one in conditions.get("exitCodes", ()):
            if one["code"] == exit_code:
                return one["exitOptions"]
        for one in conditions.get("exitCodeRanges", ()):
            if one["start"] <= exit_code <= one["end"]:
                return one["exitOptions"]
    if failure is None:
        return {}
    name = None
    if failure.startswith("FileUpload"):
        name = "fileUploadError"
    elif exit_code is None and failure != "TaskEnded":  # ended before it ran is no error of its start [guess]
        name = "preProcessingError"
    return conditions.get(name or "default", conditions.get("default", {}))


def check(body: dict[str, Any], job: Job) -> None:
    """Refuse options that the job does not make use of (InvalidPropertyValue), and ranges that are none."""
    conditions = body.get("exitConditions")
    if not conditions:
        return
    for index, one in enumerate(conditions.get("exitCodeRanges", ())):
        if one["start"] > one["end"]:  # [guess]
            path = f"exitConditions.exitCodeRanges[{index}].start"
            raise invalid(path, one["start"], f"a range begins before its end, which is {one['end']}")
    for path, options in _options(conditions):
        if "jobAction" in options and not job.performs_exit_options:
            reason = "the job's onTaskFailure is noaction; create it with performexitoptionsjobaction"
            raise invalid(f"{path}.jobAction", options["jobAction"], reason)
        if "dependencyAction" in options and not job.uses_dependencies:
            reason = "the job's usesTaskDependencies is false; create it with true"
            raise invalid(f"{path}.dependencyAction", options["dependencyAction"], reason)


def _options(conditions: dict[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    for name in ("exitCodes", "exitCodeRanges"):
        for index, one in enumerate(conditions.get(name, ())):
            yield f"exitConditions.{name}[{index}].exitOptions", one["exitOptions"]
    for name in ("preProcessingError", "fileUploadError", "default"):
        if name in conditions:
            yield f"exitConditions.{name}", conditions[name]
