"""The service's own words for tasks that fail: `failureInfo` and terminate reasons.

docs/azure-facts.md#failures-of-a-task

Only what the service decides; what a node finds (upload and pull errors, missing programs) comes from the node.
"""

from __future__ import annotations

from typing import Final

from local.node.contract import FailureInfo

ALL_TASKS_COMPLETE: Final = "AllTasksComplete"
TASK_FAILED: Final = "TaskFailed"
JOB_MANAGER_COMPLETE: Final = "JMComplete"
SCHEDULE_TERMINATED: Final = "TerminateJobSchedule"
MAX_WALL_CLOCK: Final = "MaxWallClockTimeExpiry"
USER_TERMINATE: Final = "UserTerminate"  # recorded for a terminate without a reason

EXIT_CODE: Final = FailureInfo(
    category="usererror",
    code="FailureExitCode",
    message="The task exited with an exit code representing a failure",
    details=(
        ("Message", "The task process exited with an unexpected exit code"),
        ("AdditionalErrorCode", "FailureExitCode"),
    ),
)
ENDED_BY_USER: Final = FailureInfo(category="usererror", code="TaskEnded", message="Task was ended by user request")
WALL_CLOCK: Final = FailureInfo(
    category="servererror",  # so the documentation says
    code="TaskEnded",
    message="The task was ended because it exceeded its maximum wall clock time",
)
NODE_GONE: Final = FailureInfo(
    category="servererror",
    code="NodeUnavailable",  # [guess]
    message="The node left the pool, or did not come up in time, before the task could run to its end",
)
NO_CONTAINER_SETTINGS: Final = FailureInfo(
    category="usererror",
    code="ContainerTaskSettingsNotFound",  # code and text as users saw them: microsoft/ga4gh-tes#525
    message="Container-enabled compute node requires task container settings",
)
NO_CONTAINER_POOL: Final = FailureInfo(
    category="usererror",
    code="ContainerPoolNotSupported",  # [guess]
    message="The task has container settings but its pool has no container configuration",
)
