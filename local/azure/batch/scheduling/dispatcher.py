"""Acts on the scheduler's decisions for one account: assigns, starts and ends runs, and takes what nodes report.

It runs in turns of the account's loop: when a node reports, a client asks, or a timer falls due; nothing polls. It
knows the parts below it: preparation and release of nodes (`job_tasks.py`), coordination runs (`multi_instance.py`) and
orders to nodes (`orders.py`). What its changes mean to jobs (`job_life.py`) and nodes (`allocation.py`) it posts. A
task that is assigned to a node which is being prepared for its job is held until that is over: the node does not know
of it before.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta

from local.azure.batch.decisions import failures, scheduler
from local.azure.batch.decisions.exit_conditions import JobAction, exit_options
from local.azure.batch.model import Ending, Job, JobTask, JobTaskKind, Node, Pool, Task
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.states import LOSES_TASKS, TAKES_TASKS, JobState, JobTaskState, TaskEvent, TaskState
from local.azure.batch.scheduling.events import JobSettled, JobTaskOver, NodeSettled, WorkWanted
from local.azure.batch.scheduling.job_tasks import JobTasks
from local.azure.batch.scheduling.loop import Loop
from local.azure.batch.scheduling.multi_instance import MultiInstance
from local.azure.batch.scheduling.orders import Orders
from local.azure.batch.scheduling.retention import Retention
from local.azure.batch.scheduling.timers import Timers
from local.azure.platform.clock import Clock
from local.node.contract import FailureInfo, NodeChanged, NodeState, RunEnded, RunStarted


class Dispatcher:
    """One account's scheduler at work."""

    def __init__(
        self, state: AccountState, clock: Clock, loop: Loop, timers: Timers, orders: Orders, job_tasks: JobTasks,
        multi_instance: MultiInstance, retention: Retention,
    ) -> None:  # fmt: skip
        self.state, self.clock, self.loop, self.timers, self.orders = state, clock, loop, timers, orders
        self.job_tasks, self.multi_instance, self.retention = job_tasks, multi_instance, retention

    # -- what nodes report -------------------------------------------------------------------------------------------

    def node_changed(self, event: NodeChanged) -> None:
        """Take a node's state. Reports about runs and nodes that are not ours any more are ignored."""
        node = self.state.nodes.get(event.node_id)
        if node is None:
            return
        if self._believes(node):
            if event.state in (NodeState.STARTING, NodeState.REBOOTING):
                node.booted = event.at
            if event.boot_id and event.boot_id != node.boot_id:
                node.boot_id = event.boot_id
                node.start_task_definition = self.state.pools[node.pool_id.lower()].body.get("startTask")
                self.job_tasks.node_booted(node, anew=node.state is not NodeState.REBOOTING)
            node.become(event.state, event.at)
            node.errors = [list(error) for error in event.errors]
            if event.start_task_started is not None:
                node.start_task = _start_task_info(event)
            self.state.save(node)
        if event.state in LOSES_TASKS:
            self.lose_runs(node.id)
        if node.state in TAKES_TASKS:
            self.job_tasks.node_up(node)
        self._settled(node.id)

    def _settled(self, node_id: str) -> None:
        """Something changed on a node."""
        node = self.state.nodes.get(node_id)
        if node is not None:
            self.loop.post(NodeSettled(node_id))
            self.wake(node.pool_id)

    @staticmethod
    def _believes(node: Node) -> bool:
        """Whether a report of the node's machine counts: not of one that is being taken away."""
        gone = node.state in (NodeState.DEALLOCATING, NodeState.DEALLOCATED)
        waiting = node.state in (NodeState.REBOOTING, NodeState.REIMAGING) and node.pending is not None
        return not (node.leaving or waiting or gone)

    def run_started(self, event: RunStarted) -> None:
        """Take the begin of a run."""
        if event.run_id in self.state.job_task_runs:
            self.job_tasks.run_started(self.state.job_task_runs[event.run_id], event)
            return
        task = self.state.runs.get(event.run_id)
        if task is None:
            return
        if task.state is TaskState.PREPARING:
            task.started = event.at
            task.happen(TaskEvent.START, event.at)
            self.state.save(task)
        self._watch_task(task)

    def run_ended(self, event: RunEnded) -> None:
        """Take the end of a run, reported by its node or found out otherwise."""
        if event.run_id in self.state.job_task_runs:
            self.job_tasks.run_ended(self.state.job_task_runs[event.run_id], event)
            return
        if event.run_id in self.state.coordination_runs:
            self.multi_instance.ended(self.state.coordination_runs[event.run_id], event)
            return
        task = self.state.runs.get(event.run_id)
        if task is None:
            return
        node_ids = {event.node_id, *(one["node_id"] for one in task.instances)}
        job = self.state.jobs[task.job_id.lower()]
        self.timers.cancel("task", event.run_id)
        outcome = scheduler.judge(task, job.state, event)
        if event.exit_code is not None and task.started is None:
            task.started = event.at
        self.multi_instance.stop(task)
        action = JobAction.NONE
        if outcome.event is TaskEvent.END:
            action = self._complete(task, event, outcome.failure)
            self._count(task, event)
        else:
            self._again(task, outcome.event, event.at)
        if task.deleting:
            self._erase_task(task)
        manager_ended = outcome.event is TaskEvent.END and job.is_manager(task)
        self.loop.post(JobSettled(job, action, manager_ended))
        for node_id in node_ids:
            self._settled(node_id)
        self.wake(job.pool_id)

    def lose_runs(self, node_id: str) -> None:
        """Requeue everything that ran on a node that is gone."""
        self.job_tasks.lose(node_id)
        for run_id in list(self.state.on_node[node_id]):
            self.run_ended(RunEnded(node_id=node_id, run_id=run_id, at=self.clock.now(), lost=True))

    def _complete(self, task: Task, event: RunEnded, failure: FailureInfo | None) -> JobAction:
        """The task is over: what its exit conditions say to its job, after those that depend on it were told."""
        task.finish(event.at, event.exit_code, failure, event.container)
        options = exit_options(task)
        task.satisfies = task.satisfies or options.satisfies
        self.state.save(task)
        self.retention.watch(task)
        return options.job_action

    def _again(self, task: Task, event: TaskEvent, now: datetime) -> None:
        task.happen(event, now)
        if event is TaskEvent.RETRY:
            task.retries, task.last_retry = task.retries + 1, now
        elif event is TaskEvent.REQUEUE:
            task.requeues, task.last_requeue = task.requeues + 1, now
        task.forget_run()
        self.state.save(task)

    # -- preparation and release -------------------------------------------------------------------------------------

    def job_task_over(self, event: JobTaskOver) -> None:
        """Go on with what waited for a preparation or release task."""
        one, job = event.job_task, self.state.jobs.get(event.job_task.job_id.lower())
        if job is None or one.state is JobTaskState.RUNNING:
            return
        if one.kind is JobTaskKind.PREPARATION and job.preparation and job.preparation["waitForSuccess"]:
            for task in [task for task in self.state.on_node[one.node_id].values() if task.job_id == job.id]:
                self._unhold(task, one, job)
        self.loop.post(JobSettled(job))
        self._settled(one.node_id)
        self.wake(one.pool_id)
        self.wake(job.pool_id)

    def _unhold(self, task: Task, preparation: JobTask, job: Job) -> None:
        """A held task starts, or looks for another node."""
        if task.state is not TaskState.PREPARING:
            return
        assert task.node_id is not None and task.run_id is not None, "a task on a node has both"
        lost = preparation.state is JobTaskState.PENDING
        if lost or task.ending is not None:
            self.run_ended(RunEnded(node_id=task.node_id, run_id=task.run_id, at=self.clock.now(), lost=lost))
        elif preparation.succeeded:
            self._begin(task, job)
        else:
            self._again(task, TaskEvent.RETURN, self.clock.now())

    def _is_held(self, task: Task) -> bool:
        job = self.state.jobs[task.job_id.lower()]
        nodes = [task.node_id or "", *(one["node_id"] for one in task.instances)]
        return task.state is TaskState.PREPARING and not all(self.job_tasks.is_ready(job, node) for node in nodes)

    def _count(self, task: Task, event: RunEnded) -> None:
        node = self.state.nodes.get(event.node_id)
        if node is not None:
            node.remember(task.job_id, task.id, task.result == "success")
            self.state.save(node)

    # -- assigning ---------------------------------------------------------------------------------------------------

    def wake(self, pool_id: str) -> None:
        """Look at the pool's queue when all else of this turn is done; many changes of one turn are one look."""
        self.loop.post_late(WorkWanted(pool_id.lower()))

    def schedule(self, event: WorkWanted) -> None:
        """Assign what fits and tell the nodes."""
        pool = self.state.pools.get(event.pool_id)
        if pool is None:
            return
        nodes = [node for node in self.state.nodes_of(pool.id) if node.takes_tasks]
        jobs = [job for job in self.state.jobs.values() if job.state is JobState.ACTIVE]
        jobs = [job for job in jobs if job.pool_id.lower() == pool.id.lower() and self.state.waiting(job)]
        if not nodes or not jobs:
            return
        rooms = [scheduler.Room(node.id, node.slots, self.slots_used(node), node.dedicated) for node in nodes]
        made = scheduler.assign([self._line(job, pool) for job in jobs], rooms, pack=pool.packs)
        now = self.clock.now()
        for one in made:
            self._assign(one, pool, now)
        if any(job.may_be_preempted for job in self.state.jobs.values()):
            self._preempt(pool, jobs, nodes)

    def _preempt(self, pool: Pool, jobs: list[Job], nodes: list[Node]) -> None:
        """Requeue tasks that give way to waiting ones of a higher priority."""
        running, ending = [], dict.fromkeys((node.id for node in nodes), 0)
        for node in nodes:
            for run_id, task in self.state.on_node[node.id].items():
                job = self.state.jobs[task.job_id.lower()]
                if task.ending is not None:
                    ending[node.id] += task.slots
                elif job.may_be_preempted and not task.instances and not job.is_manager(task):
                    running.append(scheduler.Preemptible(run_id, node.id, task.slots, job.priority))
        if not running:
            return
        rooms = [scheduler.Room(node.id, node.slots, self.slots_used(node) - ending[node.id]) for node in nodes]
        lines = [self._line(job, pool) for job in jobs if self.state.waiting(job)]
        for run_id in scheduler.preempt(lines, rooms, running):
            self.end_run(self.state.runs[run_id], Ending.REQUEUE)

    def _line(self, job: Job, pool: Pool) -> scheduler.Line:
        waiting: Iterable[scheduler.Waiting] = (
            self._waiting(key, task, job, pool)
            for key, task in self.state.waiting(job).items()
            if not job.is_manager(task)
        )
        if job.manager is not None and job.manager["id"].lower() in self.state.waiting(job):
            key = job.manager["id"].lower()  # before all others, also when it runs again
            waiting = itertools.chain([self._waiting(key, self.state.tasks(job)[key], job, pool)], waiting)
        running, barred = self.state.running(job), self.job_tasks.barred(job)
        return scheduler.Line(job.id.lower(), waiting, job.priority, job.number, job.max_parallel, running, barred)

    def _waiting(self, key: str, task: Task, job: Job, pool: Pool) -> scheduler.Waiting:
        nodes = self.multi_instance.instances(task, pool)
        if not job.is_manager(task):
            return scheduler.Waiting(key, task.slots, _affinity(task), task.multi_instance is not None, nodes)
        assert job.manager is not None, "is_manager says so"
        whole, dedicated = job.manager["runExclusive"], not job.manager["allowLowPriorityNode"]
        return scheduler.Waiting(key, task.slots, _affinity(task), whole, nodes, dedicated)

    def _assign(self, one: scheduler.Assignment, pool: Pool, now: datetime) -> None:
        job, node = self.state.jobs[one.job_id], self.state.nodes[one.node_id]
        task = self.state.tasks(job)[one.task_id]
        task.forget_run()
        task.pool_id, task.node_id, task.run_id = pool.id, node.id, uuid.uuid4().hex
        if task.multi_instance is not None:
            self.multi_instance.assign(task, (one.node_id, *one.other_nodes))
        refusal = scheduler.container_failure(task, pool.containers is not None)
        task.happen(TaskEvent.ASSIGN, now)
        self.state.save(task)
        if refusal is not None:
            self.orders.refuse_run(node.id, task.run_id, refusal)
            return
        for node_id in (one.node_id, *one.other_nodes):
            self.job_tasks.prepare(job, self.state.nodes[node_id])
        self._begin(task, job)

    def _begin(self, task: Task, job: Job) -> None:
        """Start what the task begins with, unless a node is still being prepared for its job."""
        if self._is_held(task):
            return
        if task.is_coordinated:
            self.multi_instance.start_main(task)
        else:
            self.multi_instance.start(task, job)

    def slots_used(self, node: Node) -> int:
        """Slots taken by runs on the node; a job manager that runs exclusively takes all of them."""
        return sum(self._slots_on(node, task) for task in self.state.on_node[node.id].values())

    def _slots_on(self, node: Node, task: Task) -> int:
        job = self.state.jobs[task.job_id.lower()]
        exclusive = job.manager is not None and job.is_manager(task) and job.manager["runExclusive"]
        return node.slots if exclusive else task.slots

    # -- ending ------------------------------------------------------------------------------------------------------

    def end_run(self, task: Task, ending: Ending) -> None:
        """Ask the node to end the task's run; what becomes of the task is decided when the end is reported. Part of a
        turn."""
        if not task.on_node or task.node_id is None or task.run_id is None:
            return
        if task.ending is not Ending.TERMINATE:
            task.ending = ending
            self.state.save(task)
        node_id, run_id = task.node_id, task.run_id
        if self._is_held(task) or not task.is_coordinated:
            self.loop.post(RunEnded(node_id=node_id, run_id=run_id, at=self.clock.now()))
            return
        self.orders.terminate_run(node_id, run_id)

    def abandon_run(self, task: Task) -> None:
        """Have a running task stopped, and count it as ended at once, whatever its node does."""
        assert task.node_id is not None and task.run_id is not None, "callers ask for running tasks only"
        node_id, run_id = task.node_id, task.run_id
        self.orders.stop_run(node_id, run_id)
        self.run_ended(RunEnded(node_id=node_id, run_id=run_id, at=self.clock.now()))

    def end_task(self, task: Task) -> None:
        """Terminate a task: at once when it waits, through its node when it runs."""
        with self.loop.turn():
            if task.on_node:
                self.state.save(task)
                self.end_run(task, Ending.TERMINATE)
                return
            job, ended = self.state.jobs[task.job_id.lower()], RunEnded(node_id="", run_id="", at=self.clock.now())
            action = self._complete(task, ended, failures.ENDED_BY_USER)
            self.loop.post(JobSettled(job, action, job.is_manager(task)))
            self.wake(job.pool_id)

    def delete_task(self, task: Task) -> None:
        """Remove a task and its files; one that runs is ended first and cannot be seen meanwhile."""
        with self.loop.turn():
            task.deleting = True
            self.state.save(task)
            if task.on_node:
                self.end_run(task, Ending.TERMINATE)
            else:
                self._erase_task(task)
                self.loop.post(JobSettled(self.state.jobs[task.job_id.lower()]))

    def _erase_task(self, task: Task) -> None:
        self.orders.erase_files({task.node_id}, task.directory)
        self.state.drop(task)

    # -- timers and restart ------------------------------------------------------------------------------------------

    def _watch_task(self, task: Task) -> None:
        if task.max_seconds is None or task.started is None or task.run_id is None or task.ending is not None:
            return
        run_id, when = task.run_id, task.started + timedelta(seconds=task.max_seconds)
        self.timers.arm("task", run_id, when, lambda: self._task_overdue(run_id))

    def _task_overdue(self, run_id: str) -> None:
        task = self.state.runs.get(run_id)
        if task is not None and task.ending is None:
            self.end_run(task, Ending.WALL_CLOCK)

    def resume(self) -> None:
        """After a restart, once the executor has reported: say again what may not have reached the nodes."""
        self.job_tasks.resume()
        for run_id, task in list(self.state.runs.items()):
            node = self.state.nodes.get(task.node_id or "")
            pool = self.state.pools.get((task.pool_id or "").lower())
            job = self.state.jobs[task.job_id.lower()]
            if node is None or pool is None:
                self.loop.post(RunEnded(node_id=task.node_id or "", run_id=run_id, at=self.clock.now(), lost=True))
            elif task.ending is not None or task.deleting:
                self.end_run(task, task.ending or Ending.TERMINATE)
            elif (refusal := scheduler.container_failure(task, pool.containers is not None)) is not None:
                self.orders.refuse_run(node.id, run_id, refusal)
            elif self._is_held(task):
                self.job_tasks.prepare(job, node)
            else:
                self._begin(task, job)
                self._watch_task(task)
        for task in [task for task in self.state.all_tasks() if task.deleting and not task.on_node]:
            self._erase_task(task)
        for pool_id in self.state.pools:
            self.wake(pool_id)


def _affinity(task: Task) -> str | None:
    wanted = task.body.get("affinityInfo", {}).get("affinityId")
    return None if wanted is None else wanted.removeprefix("TVM:")


def _start_task_info(event: NodeChanged) -> dict[str, object]:
    assert event.start_task_started is not None
    return {
        "started": event.start_task_started.isoformat(),
        "ended": None if event.start_task_ended is None else event.start_task_ended.isoformat(),
        "exit_code": event.start_task_exit_code,
        "retries": event.start_task_retries,
        "failure": None if event.start_task_failure is None else asdict(event.start_task_failure),
    }
