"""Which waiting task goes to which node, and how its commands start there. The choice is made in
`decisions/scheduler.py`.

A task that is assigned to a node which is being prepared for its job is held until that is over: the node does not know
of it before.

Multi-instance tasks (learn.microsoft.com/azure/batch/batch-mpi): the pool has inter-node communication and one task
slot a node, else the task stays active for good; all nodes are taken at once; the primary and every subtask run the
coordination command first; the main command runs on the primary only, when all of them are done. One that fails fails
the task's attempt, which is then retried or not by the rules of tasks; a node that is lost requeues all of it.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from local.azure.batch.decisions import failures, scheduler
from local.azure.batch.model import Ending, Job, Node, Pool, Task
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.states import JobState, TaskEvent, TaskState
from local.azure.batch.model.task import Instance
from local.azure.batch.scheduling import job_tasks
from local.azure.batch.scheduling.messages import NodeSettled, StartRun, StopRun, TerminateRun, WorkWanted
from local.azure.batch.scheduling.turn import Turn
from local.node.contract import RunEnded


def wake(turn: Turn, pool_id: str) -> None:
    """Look at the pool's queue when all else is done; many changes that come together are one look."""
    turn.look(WorkWanted(pool_id.lower()))


def nodes_changed(turn: Turn, node_ids: Iterable[str], pool_id: str) -> None:
    """Something changed on nodes: what waited for that goes on, and they may get other tasks. `pool_id`: whose tasks
    are waiting for that."""
    for node in [turn.state.nodes[node_id] for node_id in node_ids if node_id in turn.state.nodes]:
        turn.post(NodeSettled(node.id))
        wake(turn, node.pool_id)
    wake(turn, pool_id)


def schedule(turn: Turn, event: WorkWanted) -> None:
    """Assign the waiting tasks that fit to the pool's nodes, and start them."""
    state = turn.state
    pool = state.pools.get(event.pool_id)
    if pool is None:
        return
    nodes = [node for node in state.nodes_of(pool.id) if node.takes_tasks]
    jobs = [job for job in state.jobs.values() if job.state is JobState.ACTIVE]
    jobs = [job for job in jobs if job.pool_id.lower() == pool.id.lower() and state.waiting(job)]
    if not nodes or not jobs:
        return
    rooms = [scheduler.Room(node.id, node.slots, slots_used(state, node), node.dedicated) for node in nodes]
    for one in scheduler.assign([_line(state, job, pool) for job in jobs], rooms, pack=pool.packs):
        _assign(turn, one, pool)
    if any(job.may_be_preempted for job in state.jobs.values()):
        _preempt(turn, pool, jobs, nodes)


def _preempt(turn: Turn, pool: Pool, jobs: list[Job], nodes: list[Node]) -> None:
    """Requeue tasks that give way to waiting ones of a higher priority."""
    state = turn.state
    running = []
    ending = dict.fromkeys((node.id for node in nodes), 0)
    for node in nodes:
        for run_id, task in state.on_node[node.id].items():
            job = state.jobs[task.job_id.lower()]
            if task.ending is not None:
                ending[node.id] += task.slots
            elif job.may_be_preempted and not task.instances and not job.is_manager(task):
                running.append(scheduler.Preemptible(run_id, node.id, task.slots, job.priority))
    if not running:
        return
    rooms = [scheduler.Room(node.id, node.slots, slots_used(state, node) - ending[node.id]) for node in nodes]
    lines = [_line(state, job, pool) for job in jobs if state.waiting(job)]
    for run_id in scheduler.preempt(lines, rooms, running):
        _requeue(turn, state.runs[run_id], run_id)


def _requeue(turn: Turn, task: Task, run_id: str) -> None:
    assert task.node_id is not None, "a task that runs has a node"
    with turn.change(task):
        task.ending = Ending.REQUEUE
    if is_held(turn.state, task):
        turn.post(RunEnded(node_id=task.node_id, run_id=run_id, at=turn.now))
    else:
        turn.command(TerminateRun(task.node_id, run_id))


def _line(state: AccountState, job: Job, pool: Pool) -> scheduler.Line:
    waiting: Iterable[scheduler.Waiting] = (
        _waiting(key, task, job, pool) for key, task in state.waiting(job).items() if not job.is_manager(task)
    )
    if job.manager is not None and job.manager["id"].lower() in state.waiting(job):
        key = job.manager["id"].lower()  # before all others, also when it runs again
        waiting = itertools.chain([_waiting(key, state.tasks(job)[key], job, pool)], waiting)
    return scheduler.Line(
        job.id.lower(),
        waiting,
        job.priority,
        job.number,
        job.max_parallel,
        state.running(job),
        job_tasks.barred(state, job),
    )


def _waiting(key: str, task: Task, job: Job, pool: Pool) -> scheduler.Waiting:
    nodes = _instances(task, pool)
    if not job.is_manager(task):
        return scheduler.Waiting(key, task.slots, _affinity(task), task.multi_instance is not None, nodes)
    assert job.manager is not None, "is_manager says so"
    whole, dedicated = job.manager["runExclusive"], not job.manager["allowLowPriorityNode"]
    return scheduler.Waiting(key, task.slots, _affinity(task), whole, nodes, dedicated)


def _affinity(task: Task) -> str | None:
    affinity = task.body.get("affinityInfo", {}).get("affinityId")
    return None if affinity is None else affinity.removeprefix("TVM:")


def _assign(turn: Turn, one: scheduler.Assignment, pool: Pool) -> None:
    job = turn.state.jobs[one.job_id]
    task = turn.state.tasks(job)[one.task_id]
    run_id = uuid.uuid4().hex
    with turn.change(task):
        task.forget_run()
        task.pool_id = pool.id
        task.node_id = one.node_id
        task.run_id = run_id
        if task.multi_instance is not None:
            task.instances = _planned((one.node_id, *one.other_nodes), turn.now)
        task.happen(TaskEvent.ASSIGN, turn.now)
    refusal = scheduler.container_failure(task, pool.containers is not None)
    if refusal is not None:
        turn.post(RunEnded(node_id=one.node_id, run_id=run_id, at=turn.now, failure=refusal))
        return
    for node_id in (one.node_id, *one.other_nodes):
        job_tasks.prepare(turn, job, turn.state.nodes[node_id])
    begin(turn, task, job)


def begin(turn: Turn, task: Task, job: Job) -> None:
    """Start what the task begins with, unless a node is still being prepared for its job."""
    if not is_held(turn.state, task):
        _start(turn, task, job)


def is_held(state: AccountState, task: Task) -> bool:
    """Whether the task's node does not know of it yet, because it, or one of its nodes, is being prepared."""
    if task.state is not TaskState.PREPARING:
        return False
    job = state.jobs[task.job_id.lower()]
    nodes = [task.node_id or "", *(one["node_id"] for one in task.instances)]
    return not all(job_tasks.is_ready(state, job, node) for node in nodes)


def slots_used(state: AccountState, node: Node) -> int:
    """Slots taken by runs on the node; a job manager that runs exclusively takes all of them."""
    return sum(_slots_on(state, node, task) for task in state.on_node[node.id].values())


def _slots_on(state: AccountState, node: Node, task: Task) -> int:
    job = state.jobs[task.job_id.lower()]
    exclusive = job.manager is not None and job.is_manager(task) and job.manager["runExclusive"]
    return node.slots if exclusive else task.slots


# -- commands of a task -----------------------------------------------------------------------------------------------


def _instances(task: Task, pool: Pool) -> int:
    """How many nodes the task takes; 0: it can never run on this pool."""
    if task.multi_instance is None:
        return 1
    if not pool.body.get("enableInterNodeCommunication") or pool.slots != 1:
        return 0
    return task.multi_instance.get("numberOfInstances", 1)


def _planned(node_ids: tuple[str, ...], now: datetime) -> list[dict[str, Any]]:
    """`Task.instances` with a coordination run for each node, the primary's first."""
    return [Instance(number, node_id, uuid.uuid4().hex, now).to_json() for number, node_id in enumerate(node_ids)]


def _start(turn: Turn, task: Task, job: Job) -> None:
    """Run the coordination command wherever it has not ended, or go on to the task's command."""
    waiting = [one for one in task.instance_records if not one.over]
    for one in waiting:
        node = turn.state.nodes[one.node_id]
        pool = turn.state.pools[node.pool_id.lower()]
        turn.command(StartRun(one.node_id, turn.specs.coordination(task, one, job, node, pool)))
    if not waiting:
        _start_main(turn, task, job)


def _start_main(turn: Turn, task: Task, job: Job) -> None:
    """Start the task's own command on its node, unless the run is to end already."""
    if task.ending is None:
        node = turn.state.nodes[task.node_id or ""]
        pool = turn.state.pools[node.pool_id.lower()]
        turn.command(StartRun(node.id, turn.specs.task(task, job, node, pool)))


def coordination_ended(turn: Turn, task: Task, event: RunEnded) -> None:
    """A coordination run is over: the last one starts the task's command, one that failed ends the attempt."""
    one = next(one for one in task.instance_records if one.run_id == event.run_id)
    succeeded = event.exit_code == 0 and event.failure is None
    failure = None if succeeded else event.failure or failures.EXIT_CODE
    with turn.change(task):
        task.keep_instance(one.finish(event.at, event.exit_code, failure))
    assert task.node_id is not None and task.run_id is not None, "an assigned task has both"
    if not succeeded:
        turn.post(replace(event, node_id=task.node_id, run_id=task.run_id, container=None))
    elif task.is_coordinated:
        _start_main(turn, task, turn.state.jobs[task.job_id.lower()])


def stop_coordination(turn: Turn, task: Task) -> None:
    """End the coordination runs that are under way: the attempt is over."""
    if not task.instances:
        return
    under_way = [one for one in task.instance_records if not one.over]
    with turn.change(task):
        for one in under_way:
            task.keep_instance(one.finish(turn.now, None, failures.ENDED_BY_USER))
            turn.command(StopRun(one.node_id, one.run_id))
