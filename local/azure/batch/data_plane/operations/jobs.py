"""Operations on jobs."""

from __future__ import annotations

from typing import Any

from local.azure.batch import errors
from local.azure.batch.data_plane import bodies
from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.query import page, select, shown
from local.azure.batch.data_plane.wire import Answer
from local.azure.batch.errors import invalid
from local.azure.batch.model import Job, JobTask, JobTaskKind
from local.azure.batch.model.durations import parse_duration
from local.azure.batch.model.job import with_defaults
from local.azure.batch.model.states import JOB, JobEvent, JobState, PoolState
from local.azure.batch.scheduling import failures
from local.azure.platform.errors import AzureError

SHOWN = (
    *bodies.JOB.properties, "url", "eTag", "lastModified", "creationTime", "state", "stateTransitionTime",
    "previousState", "previousStateTransitionTime", "executionInfo", "stats",
)  # fmt: skip
STATUS_SHOWN = ("poolId", "nodeId", "nodeUrl", "jobPreparationTaskExecutionInfo", "jobReleaseTaskExecutionInfo")
_EXECUTION_INFO = {
    JobTaskKind.PREPARATION: "jobPreparationTaskExecutionInfo",
    JobTaskKind.RELEASE: "jobReleaseTaskExecutionInfo",
}
_CHANGEABLE = tuple(bodies.JOB_UPDATE.properties)

_WRONG_STATE: dict[JobState, type[AzureError]] = {
    JobState.DELETING: errors.JobBeingDeleted,
    JobState.TERMINATING: errors.JobBeingTerminated,
    JobState.COMPLETED: errors.JobCompleted,
    JobState.DISABLED: errors.JobDisabled,
    JobState.DISABLING: errors.JobDisabled,
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
    state = call.account.state
    if body["id"].lower() in state.jobs:
        raise errors.JobExists
    pool = state.pools.get(body["poolInfo"]["poolId"].lower())
    if pool is not None and pool.state is PoolState.DELETING:
        raise errors.PoolBeingDeleted
    now = call.now
    full = with_defaults(body)
    _check_special_tasks(full)
    job = Job(id=body["id"], body=full, created=now, state_since=now, changed=now, number=state.next_number())
    state.save(job)
    call.account.dispatcher.jobs.watch(job)
    return Answer(201, etag=job.etag, changed=now, headers=_id_headers(f"{call.account.url}/jobs/{job.id}"))


def _check_special_tasks(body: dict[str, Any]) -> None:
    """What the reference says of the two together; which code it is that answers each is a guess."""
    preparation, release = body.get("jobPreparationTask"), body.get("jobReleaseTask")
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
    jobs = ((str(job.number), job.view(call.account.url)) for job in call.account.state.jobs.values())
    return Answer(body=page(jobs, call.query, SHOWN, call.url), entity="jobs")


async def get(call: Call) -> Answer:
    """GET /jobs/{id}."""
    job = call.job()
    call.check(job)
    body = shown(job.view(call.account.url), select(call.query, SHOWN))
    return Answer(body=body, entity="jobs/@Element", etag=job.etag, changed=job.changed)


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
    body, present = _writable(call), job.view(call.account.url)  # which does not show passwords
    for name, value in body.items():
        if name not in _CHANGEABLE and value not in (job.body.get(name), present.get(name)):
            raise invalid(name, value, "this property of a job cannot be changed")
    kept = {name: value for name, value in body.items() if name in _CHANGEABLE}
    defaults = with_defaults({})
    return _change(call, job, {name: defaults[name] for name in _CHANGEABLE if name in defaults} | kept)


def _writable(call: Call) -> dict[str, Any]:
    """The SDK's replace_job sends the whole job it read: read-only properties are dropped."""
    read_only = set(SHOWN) - set(bodies.JOB.properties)
    value = {name: item for name, item in call.raw().items() if name not in read_only}
    return bodies.JOB_REPLACE.check(value, "")


def _change(call: Call, job: Job, given: dict[str, Any]) -> Answer:
    refuse_ended(job)
    if "poolInfo" in given and given["poolInfo"]["poolId"].lower() != job.pool_id.lower():
        if job.state is not JobState.DISABLED:
            raise errors.JobNotDisabled
        target = call.account.state.pools.get(given["poolInfo"]["poolId"].lower())
        if target is None:
            raise errors.PoolNotFound
        if target.state is PoolState.DELETING:
            raise errors.PoolBeingDeleted
    body = {**job.body, **given}
    job.body = with_defaults(body)
    job.touch(call.now)
    call.account.state.save(job)
    call.account.dispatcher.jobs.watch(job)
    call.account.dispatcher.jobs.settle(job)
    call.account.dispatcher.wake(job.pool_id)
    return Answer(etag=job.etag, changed=job.changed, headers=_id_headers())


async def delete(call: Call) -> Answer:
    """DELETE: 202, the job is `deleting` from now on."""
    job = call.job()
    call.check(job)
    if not JOB.allows(job.state, JobEvent.DELETE):
        raise wrong_state(job)
    call.account.dispatcher.jobs.delete(job)
    return Answer(202)


async def terminate(call: Call) -> Answer:
    """POST terminate: 202, the job is `terminating` from now on."""
    job = call.job()
    call.check(job)
    body = call.body(bodies.JOB_TERMINATE, optional=True)
    if not JOB.allows(job.state, JobEvent.TERMINATE):
        raise wrong_state(job)
    call.account.dispatcher.jobs.terminate(job, body.get("terminateReason", failures.USER_TERMINATE))
    return Answer(202)


async def disable(call: Call) -> Answer:
    """POST disable: 202, the job is `disabling` from now on."""
    job = call.job()
    call.check(job)
    body = call.body(bodies.JOB_DISABLE)
    if not JOB.allows(job.state, JobEvent.DISABLE):
        raise wrong_state(job)
    call.account.dispatcher.jobs.disable(job, body["disableTasks"])
    return Answer(202)


async def enable(call: Call) -> Answer:
    """POST enable: 202, the job is `enabling` from now on."""
    job = call.job()
    call.check(job)
    if not JOB.allows(job.state, JobEvent.ENABLE):
        raise wrong_state(job)
    call.account.dispatcher.jobs.enable(job)
    return Answer(202)


async def preparation_and_release(call: Call) -> Answer:
    """GET jobpreparationandreleasetaskstatus: every node that ran one of them, also when it is not there any more."""
    job = call.job()
    if job.preparation is None:
        raise errors.JobPreparationTaskNotSpecified
    nodes: dict[str, list[JobTask]] = {}
    for one in call.account.state.job_tasks[job.id.lower()].values():
        nodes.setdefault(one.node_id, []).append(one)
    rows = ((node_id, _status(ones, call.account.url)) for node_id, ones in nodes.items())
    return Answer(body=page(rows, call.query, STATUS_SHOWN, call.url), entity="jobpreparationandreleasetaskstatuslist")


def _status(ones: list[JobTask], base_url: str) -> dict[str, Any]:
    pool_id, node_id = ones[0].pool_id, ones[0].node_id
    found = {_EXECUTION_INFO[one.kind]: one.view(base_url) for one in ones if one.has_run}
    return {"poolId": pool_id, "nodeId": node_id, "nodeUrl": f"{base_url}/pools/{pool_id}/nodes/{node_id}", **found}


def _id_headers(location: str | None = None) -> dict[str, str]:
    return {"DataServiceId": location, "Location": location} if location else {}
