"""Operations on job schedules."""

from __future__ import annotations

from functools import partial
from typing import Any

from local.azure.batch import errors
from local.azure.batch.data_plane import bodies
from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.filters import Row
from local.azure.batch.data_plane.operations import jobs
from local.azure.batch.data_plane.query import page
from local.azure.batch.data_plane.schema import wire_names
from local.azure.batch.data_plane.wire import Answer
from local.azure.batch.errors import invalid
from local.azure.batch.model import JobSchedule
from local.azure.batch.model.durations import parse_stamp
from local.azure.batch.model.job_schedule import schedule_with_defaults
from local.azure.batch.model.states import JOB_SCHEDULE, JobScheduleEvent, JobScheduleState
from local.azure.batch.scheduling import schedules
from local.azure.platform.errors import AzureError

SHOWN = wire_names("BatchJobSchedule")

_WRONG_STATE: dict[JobScheduleState, type[AzureError]] = {
    JobScheduleState.DELETING: errors.JobScheduleBeingDeleted,
    JobScheduleState.TERMINATING: errors.JobScheduleBeingTerminated,
    JobScheduleState.COMPLETED: errors.JobScheduleCompleted,
    JobScheduleState.DISABLED: errors.JobScheduleDisabled,
}


def _refuse(schedule: JobSchedule, event: JobScheduleEvent) -> None:
    """Raise when this state does not allow the verb."""
    if not JOB_SCHEDULE.allows(schedule.state, event):
        raise _WRONG_STATE.get(schedule.state, errors.OperationInvalidForCurrentState)


async def create(call: Call) -> Answer:
    """POST /jobschedules: 201; a job that is due is made at once."""
    body = call.body(bodies.JOB_SCHEDULE)
    state = call.account.state
    if body["id"].lower() in state.schedules:
        raise errors.JobScheduleExists
    if body["id"].lower() in state.jobs:
        raise errors.JobWithSameIdExists
    jobs.check_quota(call)
    full = schedule_with_defaults(body)
    _check(call, full)
    with call.turn() as turn:
        schedule = JobSchedule(
            id=body["id"],
            body=full,
            created=turn.now,
            state_since=turn.now,
            changed=turn.now,
            number=state.next_number(),
        )
        schedule.next_run = schedule.recurrence.first(turn.now)
        turn.add(schedule)
        schedules.look(turn, schedule)
    url = f"{call.account.url}/jobschedules/{schedule.id}"
    return Answer(201, etag=schedule.etag, changed=schedule.changed, headers={"DataServiceId": url, "Location": url})


def _check(call: Call, full: dict[str, Any]) -> None:
    """Refuse times that cannot be [guess: how], and jobs that cannot work."""
    times = {name: parse_stamp(full["schedule"][name]) for name in full["schedule"] if name.startswith("doNotRun")}
    after = times.get("doNotRunAfter")
    if after is not None and after <= max(call.now, times.get("doNotRunUntil", call.now)):
        raise invalid("doNotRunAfter", full["schedule"]["doNotRunAfter"], "no job can start before this time")
    jobs.check_specification(call, full["jobSpecification"], "jobSpecification.")


async def list_all(call: Call) -> Answer:
    """GET /jobschedules."""
    in_order = sorted(call.account.state.schedules.values(), key=lambda one: one.key)
    rows = ((one.key, Row(one, partial(one.view, call.account.url))) for one in in_order)
    return Answer(body=page(rows, call.query, SHOWN, call.url), entity="jobschedules")


async def get(call: Call) -> Answer:
    """GET /jobschedules/{id}."""
    schedule = call.schedule()
    return call.show(schedule, schedule.view(call.account.url), SHOWN, "jobschedules")


async def head(call: Call) -> Answer:
    """HEAD /jobschedules/{id}."""
    schedule = call.schedule()
    call.check(schedule)
    return Answer(etag=schedule.etag, changed=schedule.changed)


async def patch(call: Call) -> Answer:
    """PATCH: what is given replaces; jobs that exist stay as they are."""
    schedule = call.schedule()
    call.check(schedule)
    return _change(call, schedule, {**schedule.body, **call.body(bodies.JOB_SCHEDULE_UPDATE)})


async def put(call: Call) -> Answer:
    """PUT: what is not given goes back to its default; id and display name stay."""
    schedule = call.schedule()
    call.check(schedule)
    raw = {"id": schedule.id, **call.raw()}
    given = bodies.JOB_SCHEDULE_REPLACE.check(raw, "")
    for name in ("id", "displayName"):
        if name in given and str(given[name]).lower() != str(schedule.body.get(name, "")).lower():
            raise invalid(name, given[name], "this property of a job schedule cannot be changed")
    kept = {name: schedule.body[name] for name in ("id", "displayName") if name in schedule.body}
    return _change(call, schedule, {**given, **kept})


def _change(call: Call, schedule: JobSchedule, body: dict[str, Any]) -> Answer:
    if schedule.state in (JobScheduleState.DELETING, JobScheduleState.TERMINATING, JobScheduleState.COMPLETED):
        raise _WRONG_STATE[schedule.state]
    full = schedule_with_defaults({name: value for name, value in body.items() if value != []})
    _check(call, full)
    is_new_time = full["schedule"] != schedule.body["schedule"]
    with call.turn() as turn:
        with turn.change(schedule):
            schedule.body = full
            if is_new_time and (schedule.next_run is not None or schedule.recurrence.interval is not None):
                # The recurrence begins anew, after the job that was made last [guess].
                first = schedule.recurrence.first(turn.now)
                interval = schedule.recurrence.interval
                schedule.next_run = first + interval if schedule.jobs_made and interval and first <= turn.now else first
            schedule.touch(turn.now)
        schedules.look(turn, schedule)
    return Answer(etag=schedule.etag, changed=schedule.changed)


async def disable(call: Call) -> Answer:
    """POST disable: 204; no job is made until it is enabled."""
    return _change_state(call, JobScheduleEvent.DISABLE)


async def enable(call: Call) -> Answer:
    """POST enable: 204."""
    return _change_state(call, JobScheduleEvent.ENABLE)


def _change_state(call: Call, event: JobScheduleEvent) -> Answer:
    schedule = call.schedule()
    call.check(schedule)
    _refuse(schedule, event)
    with call.changing(schedule) as turn:
        schedules.change_state(turn, schedule, event)
    return Answer(204, etag=schedule.etag, changed=schedule.changed)


async def terminate(call: Call) -> Answer:
    """POST terminate: 202; its job is terminated, then it is completed."""
    schedule = call.schedule()
    call.check(schedule)
    force = call.flag("force")
    _refuse(schedule, JobScheduleEvent.TERMINATE)
    with call.changing(schedule) as turn:
        schedules.terminate(turn, schedule, force=force)
    return Answer(202, etag=schedule.etag, changed=schedule.changed)


async def delete(call: Call) -> Answer:
    """DELETE: 202; its jobs are deleted, then it is gone."""
    schedule = call.schedule()
    call.check(schedule)
    force = call.flag("force")
    if not force:
        _refuse(schedule, JobScheduleEvent.DELETE)
    with call.changing(schedule) as turn:
        schedules.delete(turn, schedule, force=force)
    return Answer(202)


async def jobs_of(call: Call) -> Answer:
    """GET /jobschedules/{id}/jobs."""
    rows = jobs.rows(call, call.account.state.jobs_of(call.schedule()))
    return Answer(body=page(rows, call.query, jobs.SHOWN, call.url, jobs.FIELDS), entity="jobs")
