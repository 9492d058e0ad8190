"""`submit` of a job file with `schedule`: the inputs, then the job schedule. It makes the jobs by itself."""

from __future__ import annotations

from ...errors import Conflict, JobsError
from ...plan.plan import Plan
from ...plan.upload import put
from ...session import Session
from ...submission.job import JobCalls
from ...terminal.display import Display


def submit(plan: Plan, session: Session, display: Display, patience: float) -> None:
    """Make it. Raises `Conflict` when there is one of its id: what it has is not compared."""
    definition = plan.schedule
    assert definition is not None
    calls = JobCalls(session.batch, session.clock, patience, display.progress)
    calls.check_pool(plan.job["poolInfo"]["poolId"])
    try:
        put(session.blobs, plan.uploads, display) if plan.uploads.files else None
        session.batch.create_schedule(definition)
    except Conflict as error:
        if error.code != "JobScheduleExists":
            raise
        raise Conflict(
            f"job schedule {plan.job_id} exists",
            next_step=f"python -m jobs schedules delete {plan.job_id}, or submit under another --job-id",
            code=error.code,
        ) from error
    except JobsError as error:
        error.add_note("No job schedule was made")
        raise
    if session.render.as_json:
        session.render.record({"schedule": plan.job_id})
    display.words(f"job schedule {plan.job_id} is made. next: python -m jobs schedules show {plan.job_id}")
