"""A job file with `schedule` -> a job schedule as the Batch data plane takes it. Pure: nothing is sent.

Batch makes the jobs, so nobody is there who could add tasks to them: the file's one task is each job's *job manager
task*, and the job ends with it (azure-batch 15.1, `BatchJobManagerTask.kill_job_on_completion`). Its output files have
one path for all jobs, because Batch puts no variables into blobs' names: each job replaces what the one before left.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from .jobfile.schedule import Schedule
from .tasks import iso

_OF_JOBS: Final = (
    "priority", "maxParallelTasks", "constraints", "poolInfo", "commonEnvironmentSettings", "metadata",
    "jobPreparationTask", "jobReleaseTask",
)  # fmt: skip


def schedule_definition(schedule: Schedule, job: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    """From the definitions of a job and its task. The schedule has the job's id."""
    times: dict[str, str] = {}
    for name, instant in (
        ("doNotRunUntil", schedule.do_not_run_until),
        ("doNotRunAfter", schedule.do_not_run_after),
    ):
        if instant is not None:
            times[name] = wire_time(instant)
    for name, span in (("startWindow", schedule.start_window), ("recurrenceInterval", schedule.recurrence_interval)):
        if span is not None:
            times[name] = iso(span)
    manager = {**task, "killJobOnCompletion": True, "runExclusive": False}  # exclusive: alone on its node
    jobs = {name: job[name] for name in _OF_JOBS if name in job}
    return {"id": job["id"], "schedule": times, "jobSpecification": {**jobs, "jobManagerTask": manager}}


def wire_time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
