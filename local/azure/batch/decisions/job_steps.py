"""What is next for a job after something changed, pure: `scheduling/job_life.py` asks and does it."""

from __future__ import annotations

from enum import StrEnum

from local.azure.batch.decisions import failures
from local.azure.batch.decisions.exit_conditions import JobAction
from local.azure.batch.model import Job
from local.azure.batch.model.states import JobState


def next_step(
    job: Job, unfinished: int, running: int, action: JobAction = JobAction.NONE, *, manager_ended: bool = False
) -> tuple[JobStep, str]:
    """(the next step of a job that has so many tasks unfinished and on nodes, why it is terminated if it is)."""
    reason = job_end(job, unfinished, action, manager_ended=manager_ended)
    return job_step(job, running, reason, action), reason or ""


def job_end(
    job: Job, unfinished: int, action: JobAction = JobAction.NONE, *, manager_ended: bool = False
) -> str | None:
    """The reason to terminate the job now, if there is one; `action` is what a task that just ended asks for,
    `manager_ended` whether that task was the job manager.

    A job without tasks counts as all complete when the mode is set, but creating it so does not end it [guess: public
    samples create jobs with terminatejob before they add tasks]; hence callers ask after a task's end and after an
    update.
    """
    if job.state is not JobState.ACTIVE:
        return None
    if manager_ended and job.manager is not None and job.manager["killJobOnCompletion"]:
        return failures.JOB_MANAGER_COMPLETE
    if action is JobAction.TERMINATE and job.performs_exit_options:
        return failures.TASK_FAILED
    if job.ends_when_all_complete and unfinished == 0:
        return failures.ALL_TASKS_COMPLETE
    return None


class JobStep(StrEnum):
    """What is next for a job. FINISH and FORGET (a deleted one) come when its release tasks are over."""

    NOTHING = "nothing"
    TERMINATE = "terminate"
    DISABLE = "disable"
    GO_ON = "go on"
    REST = "rest"
    FINISH = "finish"
    FORGET = "forget"


_WHEN_QUIET = {
    JobState.DISABLING: JobStep.REST,
    JobState.TERMINATING: JobStep.FINISH,
    JobState.DELETING: JobStep.FORGET,
}
"""What a job that is on its way somewhere does when none of its tasks runs any more."""


def job_step(job: Job, running: int, reason: str | None, action: JobAction) -> JobStep:
    """The next step of a job after something changed; `reason` as `job_end` gives it."""
    if reason is not None:
        return JobStep.TERMINATE
    if action is JobAction.DISABLE and job.performs_exit_options and job.state is JobState.ACTIVE:
        return JobStep.DISABLE
    if job.state is JobState.ENABLING:
        return JobStep.GO_ON
    return JobStep.NOTHING if running else _WHEN_QUIET.get(job.state, JobStep.NOTHING)
