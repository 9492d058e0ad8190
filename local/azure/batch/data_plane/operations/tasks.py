"""Operations on tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from local.azure.batch import errors
from local.azure.batch.data_plane import bodies
from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.checks import check_files, check_packages
from local.azure.batch.data_plane.filters import Fields, Row
from local.azure.batch.data_plane.operations.jobs import refuse_ended
from local.azure.batch.data_plane.query import after, filter_of, page
from local.azure.batch.data_plane.schema import wire_names
from local.azure.batch.data_plane.wire import Answer, error_body
from local.azure.batch.decisions import exit_conditions
from local.azure.batch.errors import invalid
from local.azure.batch.model import Job, Task
from local.azure.batch.model.durations import stamp
from local.azure.batch.model.states import TaskEvent, TaskState
from local.azure.batch.model.task import subtask_view, with_defaults
from local.azure.batch.model.task_table import Standing
from local.azure.batch.scheduling import assignment, task_runs
from local.azure.batch.scheduling.turn import Turn
from local.azure.platform.errors import AzureError
from local.azure.platform.faults import conditions

SHOWN = wire_names("BatchTask")
SUBTASK_SHOWN = wire_names("BatchSubtask")
FIELDS: Fields = {
    ("id",): lambda task: task.id,
    ("state",): lambda task: task.state,
    ("creationTime",): lambda task: task.created,
    ("stateTransitionTime",): lambda task: task.state_since,
    ("lastModified",): lambda task: task.changed,
    ("executionInfo", "result"): lambda task: task.result,
    ("executionInfo", "exitCode"): lambda task: task.exit_code,
    ("executionInfo", "startTime"): lambda task: task.started,
    ("executionInfo", "endTime"): lambda task: task.ended,
    ("executionInfo", "retryCount"): lambda task: task.retries,
    ("executionInfo", "requeueCount"): lambda task: task.requeues,
    ("nodeInfo", "nodeId"): lambda task: task.node_id if task.pool_id is not None else None,
}
_FINISHED = (Standing.SUCCEEDED, Standing.FAILED)
_STATES = {
    "active": (Standing.ACTIVE,),
    "preparing": (Standing.RUNNING,),
    "running": (Standing.RUNNING,),
    "completed": _FINISHED,
}
_RESULTS = {"success": (Standing.SUCCEEDED,), "failure": (Standing.FAILED,)}
_COUNTED = {TaskState.ACTIVE: "active", TaskState.PREPARING: "running", TaskState.RUNNING: "running"}


def _new(call: Call, turn: Turn, job: Job, body: dict[str, Any]) -> Task:
    """A checked body as a task of the job, saved."""
    state = call.account.state
    if body["id"].lower() in state.tasks(job):
        raise errors.TaskExists
    _check_against(job, body)
    exit_conditions.check(body, job)
    check_files(body)
    check_files({"resourceFiles": body.get("multiInstanceSettings", {}).get("commonResourceFiles", ())})
    check_packages(call.account, body.get("applicationPackageReferences", []), "applicationPackageReferences")
    pool = state.pools.get(job.pool_id.lower())
    slots = body.get("requiredSlots", 1)
    if pool is not None and slots > pool.slots:
        raise invalid("requiredSlots", slots, f"the pool's nodes have {pool.slots} task slots")
    task = Task(
        id=body["id"],
        job_id=job.id,
        body=with_defaults(body, job.body["constraints"]["maxTaskRetryCount"]),
        created=turn.now,
        state_since=turn.now,
        changed=turn.now,
        number=state.next_number(),
    )
    turn.add(task)
    return task


def _check_against(job: Job, body: dict[str, Any]) -> None:
    """Refuse what the job does not allow: the ids of its own two tasks, dependencies, actions of exit conditions."""
    if job.preparation is not None and body["id"].lower() == job.preparation["id"].lower():
        raise errors.TaskIdSameAsJobPreparationTask
    if job.release is not None and body["id"].lower() == job.release["id"].lower():
        raise errors.TaskIdSameAsJobReleaseTask
    depends_on = body.get("dependsOn")
    if not depends_on:
        return
    parents, ranges = depends_on.get("taskIds", ()), depends_on.get("taskIdRanges", ())
    if (parents or ranges) and not job.uses_dependencies:
        raise errors.TaskDependenciesNotSpecifiedOnJob
    if sum(map(len, parents)) > bodies.MAX_DEPENDENCY_CHARACTERS:
        raise errors.TaskDependencyListTooLong
    if sum(len(f"{one['start']}-{one['end']}") for one in ranges) > bodies.MAX_DEPENDENCY_CHARACTERS:
        raise errors.TaskDependencyRangesTooLong
    for index, one in enumerate(ranges):
        if one["start"] > one["end"]:  # [guess]
            path = f"dependsOn.taskIdRanges[{index}].start"
            raise invalid(path, one["start"], f"a range begins before its end, which is {one['end']}")


async def create(call: Call) -> Answer:
    """POST /jobs/{id}/tasks."""
    job = call.job()
    refuse_ended(job)
    with call.turn() as turn:
        task = _new(call, turn, job, call.body(bodies.TASK))
        assignment.wake(turn, job.pool_id)
    url = f"{call.account.url}/jobs/{job.id}/tasks/{task.id}"
    return Answer(201, etag=task.etag, changed=task.changed, headers={"DataServiceId": url, "Location": url})


async def create_collection(call: Call) -> Answer:
    """POST addtaskcollection: up to 100 tasks and 1 MiB; each has its own result, capitalised as recorded."""
    job = call.job()
    refuse_ended(job)
    values = call.raw().get("value")
    if not isinstance(values, list):
        raise errors.InvalidRequestBody(details=[("Reason", "expected {'value': [tasks]}")])
    if len(values) > bodies.MAX_TASKS_PER_COLLECTION:
        raise errors.RequestBodyTooLarge(details=[("MaxLimit", str(bodies.MAX_TASKS_PER_COLLECTION))])
    refused = conditions().partial
    with call.turn() as turn:
        results = [_add(call, turn, job, value, refused=refused and bool(at % 2)) for at, value in enumerate(values)]
        assignment.wake(turn, job.pool_id)
    return Answer(body={"value": results}, entity="taskaddresult")


def _add(call: Call, turn: Turn, job: Job, value: Any, *, refused: bool) -> dict[str, Any]:
    task_id = value.get("id", "") if isinstance(value, dict) else ""
    try:
        if refused:
            raise errors.InternalError
        task = _new(call, turn, job, bodies.TASK.check(value, ""))
    except AzureError as error:
        body = error_body(error, call.account.url, "", call.now)
        del body["odata.metadata"]
        return {
            "status": "ServerError" if error.status >= 500 and error.status != 501 else "ClientError",
            "taskId": task_id,
            "error": body,
        }
    url = f"{call.account.url}/jobs/{job.id}/tasks/{task.id}"
    return {
        "status": "Success",
        "taskId": task.id,
        "eTag": task.etag,
        "lastModified": stamp(task.changed),
        "location": url,
    }


async def list_all(call: Call) -> Answer:
    """GET /jobs/{id}/tasks."""
    job, url = call.job(), call.account.url
    prefix, standings = _wanted(call)
    tasks = call.account.state.tasks_in_order(job, after(call.query), prefix, standings)
    rows = ((task.key, Row(task, partial(task.view, url))) for task in tasks if not task.deleting)
    return Answer(body=page(rows, call.query, SHOWN, call.url, FIELDS), entity="tasks")


def _wanted(call: Call) -> tuple[str, Collection[Standing]]:
    """Where a page has to look: at ids that begin so, and at tasks that count as one of these."""
    condition = filter_of(call.query, SHOWN)
    if condition is None:
        return "", tuple(Standing)
    operator, value = condition.certain.get(("id",), ("", ""))
    prefix = str(value).lower() if operator else ""  # an id that equals it begins with it
    standings = set(Standing)
    for path, places in ((("state",), _STATES), (("executionInfo", "result"), _RESULTS)):
        operator, value = condition.certain.get(path, ("", None))
        if operator == "eq" and value is not None:
            standings &= set(places.get(str(value).lower(), ()))
    return prefix, tuple(one for one in Standing if one in standings)


async def get(call: Call) -> Answer:
    """GET /jobs/{id}/tasks/{id}."""
    task = call.task()
    return call.show(task, task.view(call.account.url), SHOWN, "tasks")


async def put(call: Call) -> Answer:
    """PUT: only the constraints of a task can change; without them they go back to their defaults."""
    task = call.task()
    call.check(task)
    refuse_ended(call.job())
    if task.state is TaskState.COMPLETED:
        raise errors.TaskCompleted
    given = _constraints_only(call, task)
    kept = {name: value for name, value in task.body.items() if name != "constraints"}
    with call.turn() as turn:
        with turn.change(task):
            task.body = with_defaults({**kept, "constraints": given}, 0)
            task.touch(turn.now)
        task_runs.watch_retention(turn, task)
    return Answer(etag=task.etag, changed=task.changed)


def _constraints_only(call: Call, task: Task) -> dict[str, Any]:
    """The SDK's replace_task sends the whole task it read; anything changed but the constraints is refused."""
    value = call.raw()
    for name in list(value):
        if name in bodies.TASK.properties and name != "constraints":
            if bodies.TASK.properties[name].check(value[name], name) != task.body.get(name):
                raise invalid(name, value[name], "a task cannot be edited: only its constraints can be updated")
            del value[name]
        elif name in SHOWN and name != "constraints":
            del value[name]
    return bodies.TASK_UPDATE.check(value, "").get("constraints", {})


async def delete(call: Call) -> Answer:
    """DELETE: the task and its files; one that runs is ended."""
    task = call.task()
    call.check(task)
    with call.turn() as turn:
        task_runs.delete_task(turn, task)
    return Answer(200)


async def terminate(call: Call) -> Answer:
    """POST terminate: 204; a running task is completed when its node has ended it."""
    task = call.task()
    call.check(task)
    if task.state is TaskState.COMPLETED:
        raise errors.TaskCompleted
    with call.changing(task) as turn:
        task_runs.end_task(turn, task)
    return Answer(204, etag=task.etag, changed=task.changed)


async def reactivate(call: Call) -> Answer:
    """POST reactivate: 204; refused for a task that is not completed, that succeeded, or whose node is gone."""
    job, task = call.job(), call.task()
    call.check(task)
    refuse_ended(job)
    if task.state is not TaskState.COMPLETED:
        raise errors.TaskNotCompleted
    if task.result == "success":
        raise errors.TaskSucceeded
    if task.node_id is not None:
        node = call.account.state.nodes.get(task.node_id)
        if node is None or node.leaving:  # [guess]: the fact was seen, its code not recorded
            raise errors.OperationInvalidForCurrentState(
                f"The task cannot be reactivated: the node {task.node_id} it ran on is not in the pool any more."
            )
    with call.turn() as turn:
        with turn.change(task):
            task.happen(TaskEvent.REACTIVATE, turn.now)
            task.retries = task.requeues = 0
            task.last_retry = task.last_requeue = None
            task.forget_run()
            task.node_id = task.pool_id = None  # recorded: it has no nodeInfo any more
            task.touch(turn.now)
        assignment.wake(turn, job.pool_id)
    return Answer(204, etag=task.etag, changed=task.changed)


async def counts(call: Call) -> Answer:
    """GET taskcounts: tasks that prepare count as running (documented). With a lag, as recorded, it is the past that is
    counted: a task that changed meanwhile counts as it was, a new one not at all."""
    job, state = call.job(), call.account.state
    if call.account.count_lag:
        tasks, slots = _past_counts(state.tasks(job).values(), call.now - call.account.count_lag)
    else:
        tasks, slots = map(_counted, state.counts(job))
    return Answer(body={"taskCounts": tasks, "taskSlotCounts": slots}, entity="taskcountsresult/@Element")


def _counted(by_standing: Mapping[Standing, int]) -> dict[str, int]:
    counts = {standing.value: number for standing, number in by_standing.items()}
    return {**counts, "completed": sum(by_standing[one] for one in _FINISHED)}


def _past_counts(of: Iterable[Task], until: datetime) -> tuple[dict[str, int], dict[str, int]]:
    """Tasks and slots as they were: each task is asked what it was then."""
    tasks: dict[str, int] = dict.fromkeys(("active", "running", "completed", "succeeded", "failed"), 0)
    slots = dict(tasks)
    for task in of:
        if task.created > until:
            continue
        state = _state_at(task, until)
        names = [_COUNTED.get(state, "completed")]
        if state is TaskState.COMPLETED:
            names.append("succeeded" if task.result == "success" else "failed")
        for name in names:
            tasks[name] += 1
            slots[name] += task.slots
    return tasks, slots


def _state_at(task: Task, when: datetime) -> TaskState:
    """A task's state at an earlier time. It remembers two; before these, it waited."""
    if task.state_since <= when:
        return task.state
    if task.previous_state is not None and task.previous_state_since is not None and task.previous_state_since <= when:
        return TaskState(task.previous_state)
    return TaskState.ACTIVE


async def subtasks(call: Call) -> Answer:
    """GET subtasksinfo: the parts of a multi-instance task on its other nodes; none of a task that has no others."""
    task = call.task()
    parts = (one for one in task.instance_records if one.number > 0)
    rows = ((f"{one.number:09}", subtask_view(task, one, call.account.url)) for one in parts)
    return Answer(body=page(rows, call.query, SUBTASK_SHOWN, call.url), entity="subtasks")
