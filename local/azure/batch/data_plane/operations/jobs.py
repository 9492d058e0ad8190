"""Operations on jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import partial
from typing import Any

from local.azure.batch import errors
from local.azure.batch.account.quotas import ACTIVE_JOBS_AND_SCHEDULES
from local.azure.batch.data_plane import bodies
from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.checks import check_files, check_metadata, check_pool
from local.azure.batch.data_plane.filters import Fields, Row
from local.azure.batch.data_plane.query import page
from local.azure.batch.data_plane.schema import wire_names
from local.azure.batch.data_plane.wire import Answer
from local.azure.batch.decisions import failures
from local.azure.batch.errors import invalid
from local.azure.batch.model import Job, JobTask, JobTaskKind
from local.azure.batch.model.durations import parse_duration
from local.azure.batch.model.job import AUTO_POOL, with_defaults
from local.azure.batch.model.states import JOB, JobEvent, JobScheduleState, JobState, PoolState
from local.azure.batch.scheduling import job_life
from local.azure.platform.errors import AzureError

SHOWN = wire_names("BatchJob")
STATUS_SHOWN = wire_names("BatchJobPreparationAndReleaseTaskStatus")
_EXECUTION_INFO = {
    JobTaskKind.PREPARATION: "jobPreparationTaskExecutionInfo",
    JobTaskKind.RELEASE: "jobReleaseTaskExecutionInfo",
}
FIELDS: Fields = {("id",): lambda job: job.id, ("state",): lambda job: job.state}
_CHANGEABLE = tuple(bodies.JOB_UPDATE.properties)

_WRONG_STATE: dict[JobState, type[AzureError]] = {
    JobState.DELETING: errors.JobBeingDeleted,
    JobState.TERMINATING: errors.JobBeingTerminated,
    JobState.COMPLETED: errors.JobCompleted,
}


def wrong_state(job: Job) -> AzureError:
    """The error for a verb that this job's state does not allow."""
    return _WRONG_STATE.get(job.state, errors.OperationInvalidForCurrentState)()


def refuse_ended(job: Job) -> None:
    """Raise when the job is over or on its way there."""
    if job.state in (JobState.DELETING, JobState.TERMINATING, JobState.COMPLETED):
        raise wrong_state(job)


async def create(call: Call) -> Answer:
    """POST /jobs. A pool that does not exist yet is no error (documented); one being deleted is."""
    body = call.body(bodies.JOB)
    if body["id"].lower() in call.account.state.jobs:
        raise errors.JobExists
    if body["id"].lower() in call.account.state.schedules:
        raise errors.JobScheduleWithSameIdExists
    check_quota(call)
    full = with_defaults(body)
    check_specification(call, full)
    if full["poolInfo"].get(AUTO_POOL, {}).get("poolLifetimeOption") == "jobschedule":  # [guess]
        raise invalid("poolLifetimeOption", "jobschedule", "this job belongs to no job schedule")
    job = call.account.scheduling.do(job_life.create, body["id"], full)
    # Recorded in seven places: the address ends in job-1 whatever the id is.
    location = f"{call.account.url}/jobs/job-1"
    return Answer(201, etag=job.etag, changed=job.changed, headers={"DataServiceId": location, "Location": location})


def check_quota(call: Call) -> None:
    """Refuse another job or job schedule when the account has as many active ones as ARM says that it may have."""
    state = call.account.state
    active = sum(job.state is not JobState.COMPLETED for job in state.jobs.values())
    active += sum(one.state is not JobScheduleState.COMPLETED for one in state.schedules.values())
    if active >= ACTIVE_JOBS_AND_SCHEDULES:
        raise errors.ActiveJobAndScheduleQuotaReached


def check_specification(call: Call, full: dict[str, Any], path: str = "") -> None:
    """Refuse a job's definition (or that of a schedule's jobs), with its defaults, that cannot work."""
    check_pool_info(call, full["poolInfo"], f"{path}poolInfo")
    check_metadata(full)
    _check_special_tasks(full)
    for name in ("jobManagerTask", "jobPreparationTask", "jobReleaseTask"):
        check_files(full.get(name, {}), f"{path}{name}.")


def check_pool_info(call: Call, info: dict[str, Any], path: str) -> None:
    """Exactly one of a pool and the specification of one; the pool may not be on its way out."""
    if ("poolId" in info) == (AUTO_POOL in info):
        raise invalid(path, info, f"give exactly one of poolId and {AUTO_POOL}")
    if AUTO_POOL in info:
        info[AUTO_POOL]["pool"] = check_pool(call.account, info[AUTO_POOL]["pool"])
        return
    pool = call.account.state.pools.get(info["poolId"].lower())
    if pool is not None and pool.state is PoolState.DELETING:
        raise errors.PoolBeingDeleted


def _check_special_tasks(body: dict[str, Any]) -> None:
    """What the reference says of the three together; which code it is that answers each is a guess."""
    preparation, release, manager = (
        body.get(name) for name in ("jobPreparationTask", "jobReleaseTask", "jobManagerTask")
    )
    if manager is not None:
        for other, error in (
            (preparation, errors.TaskIdSameAsJobPreparationTask),
            (release, errors.TaskIdSameAsJobReleaseTask),
        ):
            if other is not None and other["id"].lower() == manager["id"].lower():
                raise error
    if release is None:
        return
    if preparation is None:
        raise invalid("jobReleaseTask", release["id"], "a job with a release task needs a preparation task")
    if release["id"].lower() == preparation["id"].lower():
        raise invalid("jobReleaseTask.id", release["id"], "this is the preparation task's id")
    if parse_duration(release["maxWallClockTime"]).total_seconds() > bodies.MAX_RELEASE_SECONDS:
        raise invalid("jobReleaseTask.maxWallClockTime", release["maxWallClockTime"], "at most 15 minutes")


async def list_all(call: Call) -> Answer:
    """GET /jobs."""
    return Answer(
        body=page(rows(call, call.account.state.jobs.values()), call.query, SHOWN, call.url, FIELDS), entity="jobs"
    )


def rows(call: Call, jobs: Iterable[Job]) -> Iterator[tuple[str, Row]]:
    """Jobs for a list, in the order of their ids."""
    for job in sorted(jobs, key=lambda job: job.id.lower()):
        yield job.id.lower(), Row(job, partial(job.view, call.account.url))


async def get(call: Call) -> Answer:
    """GET /jobs/{id}."""
    job = call.job()
    return call.show(job, job.view(call.account.url), SHOWN, "jobs")


async def patch(call: Call) -> Answer:
    """PATCH: what is given replaces whole sub-objects (recorded: constraints without retries set them to 0).

    With `poolInfo` it fails unless the job is disabled (documented), also when the pool is the one it has.
    """
    job = call.job()
    call.check(job)
    given = call.body(bodies.JOB_UPDATE)
    if "poolInfo" in given and job.state is not JobState.DISABLED:
        refuse_ended(job)
        raise errors.JobNotDisabled
    return _change(call, job, given)


async def put(call: Call) -> Answer:
    """PUT: what may change and is not given goes back to its default; the rest must be as it is, if given."""
    job = call.job()
    call.check(job)
    body, present = _writable(call, job), job.view(call.account.url)  # which does not show passwords
    refuse_ended(job)
    for name, value in body.items():
        if name not in _CHANGEABLE and value not in (job.body.get(name), present.get(name)):
            raise invalid(name, value, "this property of a job cannot be changed")
    kept = {name: value for name, value in body.items() if name in _CHANGEABLE}
    defaults = with_defaults({})
    back = {name: defaults[name] for name in _CHANGEABLE if name in defaults} | kept
    removed = [name for name in _CHANGEABLE if name not in back]  # metadata, for instance (recorded)
    return _change(call, job, back, removed)


def _writable(call: Call, job: Job) -> dict[str, Any]:
    """The SDK's replace_job sends the whole job it read; a job of a schedule has an id that no client may give."""
    value = call.raw()
    job_id = str(value.pop("id", job.id))
    if job_id.lower() != job.id.lower():
        raise invalid("id", job_id, "this property of a job cannot be changed")
    return bodies.JOB_REPLACE.check(value, "")


def _change(call: Call, job: Job, given: dict[str, Any], removed: Collection[str] = ()) -> Answer:
    refuse_ended(job)
    check_metadata(given)
    auto_pool_id = job.auto_pool_id
    if "poolInfo" in given and not _is_same_pool(job, given["poolInfo"]):
        if job.state is not JobState.DISABLED:
            raise errors.JobNotDisabled
        target = call.account.state.pools.get(given["poolInfo"].get("poolId", "").lower())
        if target is None:
            raise errors.PoolNotFound
        check_pool_info(call, given["poolInfo"], "poolInfo")
        auto_pool_id = None
    removed = [*removed, *(name for name in given if given[name] == [])]
    body = {**job.body, **given}
    with call.turn() as turn:
        with turn.change(job):
            job.auto_pool_id = auto_pool_id
            job.body = with_defaults({name: value for name, value in body.items() if name not in removed})
            job.touch(turn.now)
        job_life.updated(turn, job)
    return Answer(etag=job.etag, changed=job.changed)


def _is_same_pool(job: Job, info: dict[str, Any]) -> bool:
    """Whether a changed job stays where it is; an auto pool cannot be exchanged for another."""
    if AUTO_POOL in info:
        return job.auto_pool is not None and "poolId" not in info
    return info.get("poolId", "").lower() == job.pool_id.lower()


async def delete(call: Call) -> Answer:
    """DELETE: 202, the job is `deleting` from now on; with `force` without waiting for its nodes."""
    job = call.job()
    call.check(job)
    force = call.flag("force")
    if not JOB.allows(job.state, JobEvent.DELETE) and not force:
        raise wrong_state(job)
    with call.changing(job) as turn:
        job_life.delete(turn, job, force=force)
    return Answer(202)


async def terminate(call: Call) -> Answer:
    """POST terminate: 202, the job is `terminating` from now on; with `force` without waiting for its nodes."""
    job = call.job()
    call.check(job)
    force = call.flag("force")
    body = call.body(bodies.JOB_TERMINATE, optional=True)
    if not JOB.allows(job.state, JobEvent.TERMINATE):
        raise wrong_state(job)
    with call.changing(job) as turn:
        job_life.terminate(turn, job, body.get("terminateReason", failures.USER_TERMINATE), force=force)
    return Answer(202, etag=job.etag, changed=job.changed)


async def disable(call: Call) -> Answer:
    """POST disable: 202, the job is `disabling` from now on."""
    job = call.job()
    call.check(job)
    body = call.body(bodies.JOB_DISABLE)
    if job.state not in (JobState.ACTIVE, JobState.DISABLING, JobState.DISABLED):
        raise errors.JobNotActive  # documented: it fails in any other state [guess: with this code]
    with call.changing(job) as turn:
        job_life.disable(turn, job, body["disableTasks"])
    return Answer(202, etag=job.etag, changed=job.changed)


async def enable(call: Call) -> Answer:
    """POST enable: 202, the job is `enabling` from now on."""
    job = call.job()
    call.check(job)
    if not JOB.allows(job.state, JobEvent.ENABLE):
        raise wrong_state(job)
    with call.changing(job) as turn:
        job_life.enable(turn, job)
    return Answer(202, etag=job.etag, changed=job.changed)


async def preparation_and_release(call: Call) -> Answer:
    """GET jobpreparationandreleasetaskstatus: every node that ran one of them, also when it is not there any more."""
    job = call.job()
    if job.preparation is None:
        raise errors.JobPreparationTaskOrReleaseTaskNotSpecified
    nodes: dict[str, list[JobTask]] = {}
    for one in call.account.state.job_tasks[job.id.lower()].values():
        nodes.setdefault(one.node_id, []).append(one)
    rows = ((node_id, _status(ones, call.account.url)) for node_id, ones in sorted(nodes.items()))
    return Answer(body=page(rows, call.query, STATUS_SHOWN, call.url), entity="jobpreparationandreleasetaskstatuslist")


def _status(ones: list[JobTask], base_url: str) -> dict[str, Any]:
    pool_id, node_id = ones[0].pool_id, ones[0].node_id
    shown = {_EXECUTION_INFO[one.kind]: one.view(base_url) for one in ones if one.has_run}
    return {"poolId": pool_id, "nodeId": node_id, "nodeUrl": f"{base_url}/pools/{pool_id}/nodes/{node_id}", **shown}
