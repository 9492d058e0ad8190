"""Job preparation and job release tasks: one of each on every node that works for the job.

Rules (REST reference of `BatchJobPreparationTask` and `BatchJobReleaseTask`, 2025-06-01): a node is prepared before the
first task of the job runs there, and again when it was made anew, or rebooted (`rerunOnNodeRebootAfterSuccess`); where
the preparation failed, no task of the job runs until the node is made anew. When the job ends, its release task runs
wherever its tasks could; it takes no slot and is not retried, and the job waits for it, not for its success.

Owns when these two run and what becomes of them; the tasks that wait for a preparation are the dispatcher's.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from local.azure.batch.decisions import failures, scheduler
from local.azure.batch.model import Ending, Job, JobTask, JobTaskKind, Node
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.durations import limit_seconds
from local.azure.batch.model.states import TAKES_TASKS, JobTaskEvent, JobTaskState
from local.azure.batch.scheduling.events import JobTaskOver
from local.azure.batch.scheduling.loop import Loop
from local.azure.batch.scheduling.orders import Orders
from local.azure.batch.scheduling.timers import Timers
from local.azure.platform.clock import Clock
from local.node.contract import RunEnded, RunStarted

_RUN, _PENDING = "job task", "pending job task"


class JobTasks:
    """One account's."""

    def __init__(self, state: AccountState, clock: Clock, loop: Loop, timers: Timers, orders: Orders) -> None:
        self._state, self._clock, self._loop, self._timers, self._orders = state, clock, loop, timers, orders

    # -- preparation -------------------------------------------------------------------------------------------------

    def is_ready(self, job: Job, node_id: str) -> bool:
        """Whether tasks of the job may run on the node now."""
        if job.preparation is None or not job.preparation["waitForSuccess"]:
            return True
        found = self._find(job, node_id, JobTaskKind.PREPARATION)
        return found is not None and found.succeeded

    def barred(self, job: Job) -> frozenset[str]:
        """The nodes that get no task of the job, because they could not be prepared."""
        if job.preparation is None or not job.preparation["waitForSuccess"]:
            return frozenset()
        ones = self._state.job_tasks[job.id.lower()].values()
        over = [one for one in ones if one.kind is JobTaskKind.PREPARATION and one.state is JobTaskState.COMPLETED]
        return frozenset(one.node_id for one in over if not one.succeeded)

    def prepare(self, job: Job, node: Node) -> None:
        """Have the node prepared, unless it is, or is being."""
        if job.preparation is None:
            return
        one = self._find(job, node.id, JobTaskKind.PREPARATION)
        one = one or self._make(job, JobTaskKind.PREPARATION, node.id, node.pool_id)
        if one.state is JobTaskState.PENDING:
            self._start(one, job)

    # -- release -----------------------------------------------------------------------------------------------------

    def is_released(self, job: Job) -> bool:
        """Have the nodes that worked for the ended job released; whether that, and every preparation, is over."""
        for one in list(self._state.job_tasks[job.id.lower()].values()):
            if one.kind is JobTaskKind.PREPARATION and one.state is JobTaskState.RUNNING:
                if one.ending is not Ending.TERMINATE:
                    self._end_run(one, Ending.TERMINATE)
            elif self._needs_release(one, job):
                release = self._make(job, JobTaskKind.RELEASE, one.node_id, one.pool_id)
                self._wait_for_node(release, job)
        return not any(
            one.state is JobTaskState.RUNNING or (one.kind is JobTaskKind.RELEASE and one.state is JobTaskState.PENDING)
            for one in self._state.job_tasks[job.id.lower()].values()
        )

    def _needs_release(self, preparation: JobTask, job: Job) -> bool:
        """Where the preparation ran to its end and tasks could follow; on a rebooted node, the one before counts."""
        if preparation.kind is not JobTaskKind.PREPARATION or job.preparation is None or job.release is None:
            return False
        if preparation.result is None or (preparation.result != "success" and job.preparation["waitForSuccess"]):
            return False
        node = self._state.nodes.get(preparation.node_id)
        found = self._find(job, preparation.node_id, JobTaskKind.RELEASE)
        return found is None and node is not None and not node.leaving

    def _wait_for_node(self, release: JobTask, job: Job) -> None:
        """Start it when its node is up. A node that does not come up is given as long as the task may run [guess]."""
        node = self._state.nodes.get(release.node_id)
        if node is not None and node.state in TAKES_TASKS:
            self._start(release, job)
            return
        key = (release.job_id, release.node_id)
        when = release.since + timedelta(seconds=self._max_seconds(release, job) or 0)
        self._timers.arm(_PENDING, "/".join(key), when, lambda: self._give_up(release))

    def _give_up(self, one: JobTask) -> None:
        """It will not run any more: its node is gone, or does not come up."""
        if one.state is JobTaskState.PENDING:
            one.finish(self._clock.now(), None, failures.NODE_GONE, None)
            self._state.save(one)
            self._loop.post(JobTaskOver(one))

    def give_up(self, job: Job) -> None:
        """The job does not wait for its preparation and release tasks any more: whatever runs is stopped, and over."""
        self.is_released(job)
        for one in list(self._state.job_tasks[job.id.lower()].values()):
            if one.state is JobTaskState.RUNNING:
                self._orders.stop_run(one.node_id, one.run_id or "")
                one.finish(self._clock.now(), None, failures.ENDED_BY_USER, None)
                self._state.save(one)
            elif one.kind is JobTaskKind.RELEASE and one.state is JobTaskState.PENDING:
                one.finish(self._clock.now(), None, failures.NODE_GONE, None)
                self._state.save(one)

    # -- nodes -------------------------------------------------------------------------------------------------------

    def node_up(self, node: Node) -> None:
        """Start the release tasks that waited for it."""
        for one in self._state.job_tasks_on(node.id):
            job = self._state.jobs[one.job_id.lower()]
            if one.kind is JobTaskKind.RELEASE and one.state is JobTaskState.PENDING:
                self._start(one, job)

    def node_booted(self, node: Node, *, anew: bool) -> None:
        """It booted. `anew`: not because it was asked to reboot, so that nothing of before counts [guess: recovered
        nodes are taken as reimaged ones]."""
        for one in self._state.job_tasks_on(node.id):
            job = self._state.jobs[one.job_id.lower()]
            if one.kind is not JobTaskKind.PREPARATION or one.state is JobTaskState.RUNNING or job.preparation is None:
                continue
            if anew:
                one.forget_run()
            elif not (one.succeeded and job.preparation["rerunOnNodeRebootAfterSuccess"]):
                continue
            one.happen(JobTaskEvent.OUTDATE, self._clock.now())
            one.retries, one.last_retry = 0, None
            self._state.save(one)

    def lose(self, node_id: str) -> None:
        """The runs on a node that is gone are lost."""
        for run_id, one in list(self._state.job_task_runs.items()):
            if one.node_id == node_id:
                self.run_ended(one, RunEnded(node_id=node_id, run_id=run_id, at=self._clock.now(), lost=True))

    def node_gone(self, node_id: str) -> None:
        """The node does not come back."""
        self.lose(node_id)
        for one in self._state.job_tasks_on(node_id):
            if one.result is None:
                self._give_up(one)

    # -- runs --------------------------------------------------------------------------------------------------------

    def run_started(self, one: JobTask, event: RunStarted) -> None:
        """A node reports that the command runs."""
        if one.started is None:
            one.started = event.at
            self._state.save(one)
        self._watch(one, self._state.jobs[one.job_id.lower()])

    def run_ended(self, one: JobTask, event: RunEnded) -> None:
        """Decide about an ended run; afterwards it is over, runs again, or waits for its node."""
        job, now = self._state.jobs[one.job_id.lower()], event.at
        self._timers.cancel(_RUN, event.run_id)
        what, failure = scheduler.judge_job_task(one, self._max_retries(one, job), event)
        if what is JobTaskEvent.END:
            if event.exit_code is not None and one.started is None:
                one.started = now
            one.finish(now, event.exit_code, failure, event.container)
        elif what is JobTaskEvent.RETRY:
            one.retries, one.last_retry = one.retries + 1, now
            self._start(one, job, JobTaskEvent.RETRY)
        else:
            one.happen(JobTaskEvent.LOSE, now)
            one.forget_run()
        self._state.save(one)
        if what is JobTaskEvent.LOSE and one.kind is JobTaskKind.RELEASE:
            self._wait_for_node(one, job)
        self._loop.post(JobTaskOver(one))

    def resume(self) -> None:
        """After a restart: say again what may not have reached the nodes."""
        for one in [one for ones in self._state.job_tasks.values() for one in ones.values()]:
            job = self._state.jobs.get(one.job_id.lower())
            if job is None:
                continue  # it was deleted when the last of its nodes was found gone
            if one.node_id not in self._state.nodes and one.result is None:
                self.node_gone(one.node_id)
            elif one.state is JobTaskState.RUNNING:
                self._send(one, job)
                self._watch(one, job)
                if one.ending is not None:
                    self._end_run(one, one.ending)
            elif one.state is JobTaskState.PENDING and one.kind is JobTaskKind.RELEASE:
                self._wait_for_node(one, job)

    def _start(self, one: JobTask, job: Job, event: JobTaskEvent = JobTaskEvent.START) -> None:
        self._timers.cancel(_PENDING, f"{one.job_id}/{one.node_id}")
        one.forget_run()
        one.run_id = uuid.uuid4().hex
        one.happen(event, self._clock.now())
        self._state.save(one)
        self._send(one, job)

    def _send(self, one: JobTask, job: Job) -> None:
        node, pool = self._state.nodes[one.node_id], self._state.pools[one.pool_id.lower()]
        spec = self._orders.specs.job_task(one, job, node, pool)
        if spec.container is not None and pool.containers is None:
            self._orders.refuse_run(node.id, spec.run_id, failures.NO_CONTAINER_POOL)
            return
        self._orders.start_run(node.id, spec)

    def _end_run(self, one: JobTask, ending: Ending) -> None:
        if one.ending is not Ending.TERMINATE:
            one.ending = ending
            self._state.save(one)
        assert one.run_id is not None, "a running task has a run id"
        self._orders.terminate_run(one.node_id, one.run_id)

    def _watch(self, one: JobTask, job: Job) -> None:
        seconds = self._max_seconds(one, job)
        if seconds is None or one.started is None or one.run_id is None or one.ending is not None:
            return
        run_id, when = one.run_id, one.started + timedelta(seconds=seconds)
        self._timers.arm(_RUN, run_id, when, lambda: self._overdue(run_id))

    def _overdue(self, run_id: str) -> None:
        one = self._state.job_task_runs.get(run_id)
        if one is not None and one.ending is None:
            self._end_run(one, Ending.WALL_CLOCK)

    # -- records -----------------------------------------------------------------------------------------------------

    def _find(self, job: Job, node_id: str, kind: JobTaskKind) -> JobTask | None:
        return self._state.job_tasks[job.id.lower()].get((node_id, kind))

    def _make(self, job: Job, kind: JobTaskKind, node_id: str, pool_id: str) -> JobTask:
        definition = job.preparation if kind is JobTaskKind.PREPARATION else job.release
        assert definition is not None, "callers know that the job has this task"
        one = JobTask(
            job_id=job.id, kind=kind, id=definition["id"], node_id=node_id, pool_id=pool_id,
            number=self._state.next_number(), since=self._clock.now(),
        )  # fmt: skip
        self._state.save(one)
        return one

    @staticmethod
    def _max_retries(one: JobTask, job: Job) -> int:
        if one.kind is JobTaskKind.RELEASE or job.preparation is None:
            return 0
        return job.preparation["constraints"]["maxTaskRetryCount"]

    @staticmethod
    def _max_seconds(one: JobTask, job: Job) -> float | None:
        if one.kind is JobTaskKind.RELEASE:
            return limit_seconds((job.release or {}).get("maxWallClockTime"))
        return limit_seconds((job.preparation or {}).get("constraints", {}).get("maxWallClockTime"))
