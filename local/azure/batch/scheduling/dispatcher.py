"""Acts on the scheduler's decisions for one account: assigns, starts and ends runs, and takes what nodes report.

Event-driven: it runs when a task, job or node changes, or a timer falls due; nothing polls. Every change is saved
before the node is told, so that a killed process can go on (`resume`). Pools' nodes come and go in `allocation.py`,
jobs in `job_life.py`; how a job's nodes are prepared and released is in `job_tasks.py`. A task that is assigned to a
node which is being prepared for its job is held until that is over: the node does not know of it before.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from datetime import datetime, timedelta

from local.azure.batch.model import Ending, Job, JobTask, JobTaskKind, Node, Pool, Task
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.states import LOSES_TASKS, TAKES_TASKS, JobState, JobTaskState, TaskEvent, TaskState
from local.azure.batch.scheduling import failures, scheduler
from local.azure.batch.scheduling.exit_conditions import JobAction, exit_options
from local.azure.batch.scheduling.job_life import JobLife, Retention
from local.azure.batch.scheduling.job_tasks import JobTasks
from local.azure.batch.scheduling.mailbox import Mailbox
from local.azure.batch.scheduling.multi_instance import MultiInstance
from local.azure.batch.scheduling.run_specs import SpecWriter
from local.azure.batch.scheduling.timers import Timers
from local.azure.platform.clock import Clock
from local.node.contract import (
    Executor,
    FailureInfo,
    NodeChanged,
    NodeEvent,
    NodeState,
    NodeUnreachable,
    RunEnded,
    RunStarted,
)

log = logging.getLogger(__name__)


class Dispatcher:
    """One account's scheduler at work."""

    def __init__(self, state: AccountState, clock: Clock, executor: Executor, specs: SpecWriter) -> None:
        self.state, self.clock, self.executor, self.specs = state, clock, executor, specs
        self.mailbox = Mailbox()
        self.on_node_settled: Callable[[Node], None] = lambda node: None
        self.timers = Timers(clock)
        self._due: set[str] = set()
        self.jobs = JobLife(state, clock, self.timers, self)
        self.job_tasks = JobTasks(state, clock, self.timers, executor, specs, self)
        self.multi_instance = MultiInstance(state, clock, executor, specs, self)
        self.retention = Retention(state, clock, self.timers, self.erase_files)

    # -- what nodes report -------------------------------------------------------------------------------------------

    def on_event(self, event: NodeEvent) -> None:
        """Take a report. Reports about runs and nodes that are not ours any more are ignored."""
        if isinstance(event, NodeChanged):
            self._node_changed(event)
        elif isinstance(event, RunStarted):
            self._run_started(event)
        else:
            self.run_ended(event)

    def _node_changed(self, event: NodeChanged) -> None:
        node = self.state.nodes.get(event.node_id)
        if node is None:
            return
        with self.state.store.transaction():
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
        self.on_node_settled(node)
        self.wake(node.pool_id)

    @staticmethod
    def _believes(node: Node) -> bool:
        """Whether a report of the node's machine counts: not of one that is being taken away."""
        rebooting = node.state is NodeState.REBOOTING and node.reboot_pending
        gone = node.state in (NodeState.DEALLOCATING, NodeState.DEALLOCATED)
        remaking = node.state is NodeState.REIMAGING and node.pending is not None
        return not (node.leaving or rebooting or remaking or gone)

    def _run_started(self, event: RunStarted) -> None:
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
            self._job_task_ended(self.state.job_task_runs[event.run_id], event)
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
        with self.state.store.transaction():
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
            self.jobs.settle(job, action, manager_ended=manager_ended)
        for node in [self.state.nodes[one] for one in node_ids if one in self.state.nodes]:
            self.on_node_settled(node)
            self.wake(node.pool_id)
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

    def _job_task_ended(self, one: JobTask, event: RunEnded) -> None:
        with self.state.store.transaction():
            self.job_tasks.run_ended(one, event)
            self.job_task_over(one)

    def job_task_over(self, one: JobTask) -> None:
        """Go on with what waited for a preparation or release task, unless it runs again."""
        if one.state is JobTaskState.RUNNING:
            return
        job = self.state.jobs[one.job_id.lower()]
        if one.kind is JobTaskKind.PREPARATION and job.preparation and job.preparation["waitForSuccess"]:
            for task in [task for task in self.state.on_node[one.node_id].values() if task.job_id == job.id]:
                self._unhold(task, one, job)
        self.jobs.settle(job)
        node = self.state.nodes.get(one.node_id)
        if node is not None:
            self.on_node_settled(node)
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

    def is_released(self, job: Job) -> bool:
        """Have an ended job's release task run where it must; whether that is over."""
        return self.job_tasks.is_released(job)

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
        """Look at the pool's queue soon; many changes of one moment are one look."""
        if not self._due:
            asyncio.get_running_loop().call_soon(self._look)
        self._due.add(pool_id.lower())

    def _look(self) -> None:
        due, self._due = self._due, set()
        for pool_id in due:
            pool = self.state.pools.get(pool_id)
            if pool is not None:
                self.schedule(pool)

    def schedule(self, pool: Pool) -> None:
        """Assign what fits and tell the nodes."""
        nodes = [node for node in self.state.nodes_of(pool.id) if node.takes_tasks]
        jobs = [job for job in self.state.jobs.values() if job.state is JobState.ACTIVE]
        jobs = [job for job in jobs if job.pool_id.lower() == pool.id.lower() and self.state.waiting(job)]
        if not nodes or not jobs:
            return
        rooms = [scheduler.Room(node.id, node.slots, self.slots_used(node), node.dedicated) for node in nodes]
        made = scheduler.assign([self._line(job, pool) for job in jobs], rooms, pack=pool.packs)
        now = self.clock.now()
        with self.state.store.transaction():
            for one in made:
                self._assign(one, pool, now)
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
            run_id = task.run_id
            asyncio.get_running_loop().call_soon(lambda: self._refuse(node.id, run_id, refusal))
            return
        for node_id in (one.node_id, *one.other_nodes):
            self.job_tasks.prepare(job, self.state.nodes[node_id])
        self._begin(task, job)

    def _begin(self, task: Task, job: Job) -> None:
        """Start what the task begins with, unless a node is still being prepared for its job."""
        if self._is_held(task):
            return
        if task.is_coordinated:
            self.start_main(task)
        else:
            self.multi_instance.start(task, job)

    def start_main(self, task: Task) -> None:
        """Start the task's own command on its node."""
        node = self.state.nodes[task.node_id or ""]
        self._start(task, self.state.jobs[task.job_id.lower()], node, self.state.pools[node.pool_id.lower()])

    def _refuse(self, node_id: str, run_id: str, failure: FailureInfo) -> None:
        self.run_ended(RunEnded(node_id=node_id, run_id=run_id, at=self.clock.now(), failure=failure))

    def _start(self, task: Task, job: Job, node: Node, pool: Pool) -> None:
        spec = self.specs.task(task, job, node, pool)
        if task.ending is None:
            self.command(node.id, spec.run_id, lambda: self.executor.start_run(node.id, spec))

    def slots_used(self, node: Node) -> int:
        """Slots taken by runs on the node; a job manager that runs exclusively takes all of them."""
        return sum(self._slots_on(node, task) for task in self.state.on_node[node.id].values())

    def _slots_on(self, node: Node, task: Task) -> int:
        job = self.state.jobs[task.job_id.lower()]
        exclusive = job.manager is not None and job.is_manager(task) and job.manager["runExclusive"]
        return node.slots if exclusive else task.slots

    def command(self, node_id: str, run_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Tell a node about a run; a node that does not answer has lost it and gets no other until it reports."""

        async def attempt() -> None:
            if not self._knows(run_id):
                return
            try:
                await work()
            except NodeUnreachable:
                log.warning("node %s does not answer; its run %s is requeued", node_id, run_id)
                node = self.state.nodes.get(node_id)
                if node is not None and node.state in TAKES_TASKS:
                    node.become(NodeState.UNKNOWN, self.clock.now())
                    self.state.save(node)
                self.run_ended(RunEnded(node_id=node_id, run_id=run_id, at=self.clock.now(), lost=True))
            except Exception as error:
                log.exception("node %s could not be told about run %s", node_id, run_id)
                failure = FailureInfo(category="servererror", code="CommandLaunchFailed", message=str(error))
                self._refuse(node_id, run_id, failure)

        self.mailbox.post(node_id, attempt)

    def _knows(self, run_id: str) -> bool:
        return any(run_id in runs for runs in (self.state.runs, self.state.job_task_runs, self.state.coordination_runs))

    # -- ending ------------------------------------------------------------------------------------------------------

    def end_run(self, task: Task, ending: Ending) -> None:
        """Ask the node to end the task's run; what becomes of the task is decided when the end is reported."""
        if not task.on_node or task.node_id is None or task.run_id is None:
            return
        if task.ending is not Ending.TERMINATE:
            task.ending = ending
            self.state.save(task)
        node_id, run_id = task.node_id, task.run_id
        if self._is_held(task) or not task.is_coordinated:
            ended = RunEnded(node_id=node_id, run_id=run_id, at=self.clock.now())
            asyncio.get_running_loop().call_soon(self.run_ended, ended)
            return
        self.command(node_id, run_id, lambda: self.executor.terminate_run(node_id, run_id))

    def abandon_run(self, task: Task) -> None:
        """Have a running task stopped, and count it as ended at once, whatever its node does."""
        assert task.node_id is not None and task.run_id is not None, "callers ask for running tasks only"
        node_id, run_id = task.node_id, task.run_id
        self.stop_run(node_id, run_id)
        self.run_ended(RunEnded(node_id=node_id, run_id=run_id, at=self.clock.now()))

    def stop_run(self, node_id: str, run_id: str) -> None:
        """Have a node end a run of which nothing is expected any more."""

        async def stop() -> None:
            try:
                await self.executor.terminate_run(node_id, run_id)
            except NodeUnreachable:
                log.debug("node %s is gone, and run %s with it", node_id, run_id)

        self.mailbox.post(node_id, stop)

    def give_up_release(self, job: Job) -> None:
        """Wait no longer for an ended job's preparation and release tasks."""
        self.job_tasks.give_up(job)
        self.jobs.settle(job)

    def end_task(self, task: Task) -> None:
        """Terminate a task: at once when it waits, through its node when it runs."""
        if task.on_node:
            self.end_run(task, Ending.TERMINATE)
            return
        job, ended = self.state.jobs[task.job_id.lower()], RunEnded(node_id="", run_id="", at=self.clock.now())
        action = self._complete(task, ended, failures.ENDED_BY_USER)
        self.jobs.settle(job, action, manager_ended=job.is_manager(task))
        self.wake(job.pool_id)

    def delete_task(self, task: Task) -> None:
        """Remove a task and its files; one that runs is ended first and cannot be seen meanwhile."""
        task.deleting = True
        if task.on_node:
            with self.state.store.transaction():
                self.state.save(task)
                self.end_run(task, Ending.TERMINATE)
        else:
            self.state.save(task)
            self._erase_task(task)
            self.jobs.settle(self.state.jobs[task.job_id.lower()])

    def _erase_task(self, task: Task) -> None:
        self.erase_files({task.node_id}, task.directory)
        self.state.drop(task)

    def erase_files(self, node_ids: Iterable[str | None], directory: str) -> None:
        for node_id in node_ids:
            if node_id is not None and node_id in self.state.nodes:
                self.mailbox.post(node_id, lambda node_id=node_id: self._delete_files(node_id, directory))

    async def _delete_files(self, node_id: str, directory: str) -> None:
        try:
            await self.executor.delete_file(node_id, directory, True)
        except (FileNotFoundError, NodeUnreachable):
            log.debug("no files %s on node %s", directory, node_id)

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
                self.run_ended(RunEnded(node_id=task.node_id or "", run_id=run_id, at=self.clock.now(), lost=True))
            elif task.ending is not None or task.deleting:
                self.end_run(task, task.ending or Ending.TERMINATE)
            elif (refusal := scheduler.container_failure(task, pool.containers is not None)) is not None:
                self._refuse(node.id, run_id, refusal)
            elif self._is_held(task):
                self.job_tasks.prepare(job, node)
            else:
                self._begin(task, job)
                self._watch_task(task)
        self.retention.resume()
        for task in [task for task in self.state.all_tasks() if task.deleting and not task.on_node]:
            self._erase_task(task)
        for job in list(self.state.jobs.values()):
            self.jobs.watch(job)
            self.jobs.settle(job)
        for pool_id in self.state.pools:
            self.wake(pool_id)

    async def close(self) -> None:
        """Stop timers and commands; state stays as it is on disk."""
        self.timers.close()
        await self.mailbox.close()


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
