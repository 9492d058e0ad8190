"""Acts on the scheduler's decisions for one account: assigns, starts and ends runs, and takes what nodes report.

Event-driven: it runs when a task, job or node changes, or a timer falls due; nothing polls. Every change is saved
before the node is told, so that a killed process can go on (`resume`). Pools' nodes come and go in `allocation.py`,
jobs in `job_life.py`; how a job's nodes are prepared and released is in `job_tasks.py`. A task that is assigned to a
node which is being prepared for its job is held until that is over: the node does not know of it before.
"""

from __future__ import annotations

import asyncio
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
from local.azure.batch.scheduling.job_life import JobLife
from local.azure.batch.scheduling.job_tasks import JobTasks
from local.azure.batch.scheduling.mailbox import Mailbox
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
            if not node.leaving and not (node.state is NodeState.REBOOTING and node.reboot_pending):
                if event.state in (NodeState.STARTING, NodeState.REBOOTING):
                    node.booted = event.at
                if event.boot_id and event.boot_id != node.boot_id:
                    node.boot_id = event.boot_id
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
        task = self.state.runs.get(event.run_id)
        if task is None:
            return
        job = self.state.jobs[task.job_id.lower()]
        self.timers.cancel("task", event.run_id)
        outcome = scheduler.judge(task, job.state, event)
        if event.exit_code is not None and task.started is None:
            task.started = event.at
        with self.state.store.transaction():
            action = JobAction.NONE
            if outcome.event is TaskEvent.END:
                action = self._complete(task, event, outcome.failure)
                self._count(task, event)
            else:
                self._again(task, outcome.event, event.at)
            if task.deleting:
                self._erase_task(task)
            self.jobs.settle(job, action)
        node = self.state.nodes.get(event.node_id)
        if node is not None:
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
            node = self.state.nodes[task.node_id]
            self._start(task, job, node, self.state.pools[node.pool_id.lower()])
        else:
            self._again(task, TaskEvent.RETURN, self.clock.now())

    def is_released(self, job: Job) -> bool:
        """Have an ended job's release task run where it must; whether that is over."""
        return self.job_tasks.is_released(job)

    def _is_held(self, task: Task) -> bool:
        job = self.state.jobs[task.job_id.lower()]
        return task.state is TaskState.PREPARING and not self.job_tasks.is_ready(job, task.node_id or "")

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
        jobs = [job for job in jobs if job.pool_id.lower() == pool.id.lower() and self.state.waiting[job.id.lower()]]
        if not nodes or not jobs:
            return
        rooms = [scheduler.Room(node.id, node.slots, self.slots_used(node)) for node in nodes]
        made = scheduler.assign([self._line(job) for job in jobs], rooms, pack=pool.packs)
        now = self.clock.now()
        with self.state.store.transaction():
            for one in made:
                self._assign(one, pool, now)

    def _line(self, job: Job) -> scheduler.Line:
        waiting: Iterable[scheduler.Waiting] = (
            scheduler.Waiting(key, task.slots, _affinity(task))
            for key, task in self.state.waiting[job.id.lower()].items()
        )
        running, barred = self.state.running(job), self.job_tasks.barred(job)
        return scheduler.Line(job.id.lower(), waiting, job.priority, job.number, job.max_parallel, running, barred)

    def _assign(self, one: scheduler.Assignment, pool: Pool, now: datetime) -> None:
        job, node = self.state.jobs[one.job_id], self.state.nodes[one.node_id]
        task = self.state.tasks(job)[one.task_id]
        task.forget_run()
        task.pool_id, task.node_id, task.run_id = pool.id, node.id, uuid.uuid4().hex
        refusal = scheduler.container_failure(task, pool.containers is not None)
        task.happen(TaskEvent.ASSIGN, now)
        self.state.save(task)
        if refusal is not None:
            run_id = task.run_id
            asyncio.get_running_loop().call_soon(lambda: self._refuse(node.id, run_id, refusal))
            return
        self.job_tasks.prepare(job, node)
        if not self._is_held(task):
            self._start(task, job, node, pool)

    def _refuse(self, node_id: str, run_id: str, failure: FailureInfo) -> None:
        self.run_ended(RunEnded(node_id=node_id, run_id=run_id, at=self.clock.now(), failure=failure))

    def _start(self, task: Task, job: Job, node: Node, pool: Pool) -> None:
        spec = self.specs.task(task, job, node, pool)
        if task.ending is None:
            self.command(node.id, spec.run_id, lambda: self.executor.start_run(node.id, spec))

    def slots_used(self, node: Node) -> int:
        """Slots taken by runs on the node."""
        return sum(task.slots for task in self.state.on_node[node.id].values())

    def command(self, node_id: str, run_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Tell a node about a run; a node that does not answer has lost it and gets no other until it reports."""

        async def attempt() -> None:
            if run_id not in self.state.runs and run_id not in self.state.job_task_runs:
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

    # -- ending ------------------------------------------------------------------------------------------------------

    def end_run(self, task: Task, ending: Ending) -> None:
        """Ask the node to end the task's run; what becomes of the task is decided when the end is reported."""
        if not task.on_node or task.node_id is None or task.run_id is None:
            return
        if task.ending is not Ending.TERMINATE:
            task.ending = ending
            self.state.save(task)
        node_id, run_id = task.node_id, task.run_id
        if self._is_held(task):
            ended = RunEnded(node_id=node_id, run_id=run_id, at=self.clock.now())
            asyncio.get_running_loop().call_soon(self.run_ended, ended)
            return
        self.command(node_id, run_id, lambda: self.executor.terminate_run(node_id, run_id))

    def end_task(self, task: Task) -> None:
        """Terminate a task: at once when it waits, through its node when it runs."""
        if task.on_node:
            self.end_run(task, Ending.TERMINATE)
            return
        ended = RunEnded(node_id="", run_id="", at=self.clock.now())
        action = self._complete(task, ended, failures.ENDED_BY_USER)
        self.jobs.settle(self.state.jobs[task.job_id.lower()], action)
        self.wake(self.state.jobs[task.job_id.lower()].pool_id)

    def delete_task(self, task: Task) -> None:
        """Remove a task and its files; one that runs is ended first and cannot be seen meanwhile."""
        task.deleting = True
        self.state.save(task)
        if task.on_node:
            self.end_run(task, Ending.TERMINATE)
        else:
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
            elif task.ending is not None:
                self.end_run(task, task.ending)
            elif (refusal := scheduler.container_failure(task, pool.containers is not None)) is not None:
                self._refuse(node.id, run_id, refusal)
            elif self._is_held(task):
                self.job_tasks.prepare(job, node)
            else:
                self._start(task, job, node, pool)
                self._watch_task(task)
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
