"""One account's jobs, tasks, pools and nodes: held in memory, written through to the store at every change.

Owns the indexes that keep scheduling cheap (which tasks wait for a node and for no other task, which run where, how
many are unfinished) and their durability. Decides nothing. Ids compare without case.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from typing import TypeVar

from local.azure.batch.model import Job, JobTask, JobTaskKind, Node, Pool, Task
from local.azure.batch.model.dependencies import Dependencies
from local.azure.batch.model.states import JobTaskState, TaskState
from local.azure.platform.store import Store

R = TypeVar("R", Job, Task, JobTask, Pool, Node)
JOBS, TASKS, POOLS, NODES = "batch.job", "batch.task", "batch.pool", "batch.node"
JOB_TASKS = "batch.job-task"
SATISFIED = "batch.satisfied"
"""Deleted tasks that others may depend on: they satisfied once, and do so for good."""


class AccountState:
    """Everything of one Batch account. Change a record, then `save` it; `store.transaction()` groups saves."""

    def __init__(self, store: Store, account: str) -> None:
        """Read what an earlier process wrote."""
        self.store, self.account = store, account.lower()
        prefix = f"{self.account}/"
        self.jobs = {job.id.lower(): job for job in _sorted(store, JOBS, prefix, Job)}
        self.pools = {pool.id.lower(): pool for pool in _sorted(store, POOLS, prefix, Pool)}
        self.nodes = {node.id: node for node in _sorted(store, NODES, prefix, Node)}
        self._tasks: dict[str, dict[str, Task]] = defaultdict(dict)
        # In order: a plain dict is slow to give its first item once many before it were removed.
        self.waiting: dict[str, dict[str, Task]] = defaultdict(OrderedDict)
        self.dependencies: dict[str, Dependencies] = defaultdict(Dependencies)
        self.on_node: dict[str, dict[str, Task]] = defaultdict(dict)
        self.runs: dict[str, Task] = {}
        self._running: dict[str, int] = defaultdict(int)
        self._unfinished: dict[str, int] = defaultdict(int)
        self._ended: dict[str, Counter[bool]] = defaultdict(Counter)  # by whether they succeeded
        self._indexed: dict[tuple[str, str], tuple[TaskState, str | None, str | None, bool]] = {}
        self.job_tasks: dict[str, dict[tuple[str, JobTaskKind], JobTask]] = defaultdict(dict)
        self.job_task_runs: dict[str, JobTask] = {}
        for key, _ in store.items(SATISFIED, prefix):
            _, job_id, task_key = key.split("/")
            self.dependencies[job_id].satisfy(task_key)
        for task in _sorted(store, TASKS, prefix, Task):
            self._tasks[task.job_id.lower()][task.key] = task
            self._index(task)
        job_tasks = _sorted(store, JOB_TASKS, prefix, JobTask)
        for job_task in job_tasks:
            self._index_job_task(job_task)
        records = (*self.jobs.values(), *self.pools.values(), *self.nodes.values(), *self.all_tasks(), *job_tasks)
        self._last_number = max((record.number for record in records), default=0)

    def next_number(self) -> int:
        """Creation order."""
        self._last_number += 1
        return self._last_number

    def all_tasks(self) -> Iterator[Task]:
        """Every task of every job."""
        return (task for tasks in self._tasks.values() for task in tasks.values())

    def tasks(self, job: Job) -> dict[str, Task]:
        """A job's tasks by lower-case id."""
        return self._tasks[job.id.lower()]

    def running(self, job: Job) -> int:
        """How many of its tasks are on nodes."""
        return self._running[job.id.lower()]

    def unfinished(self, job: Job) -> int:
        """How many of its tasks are not completed."""
        return self._unfinished[job.id.lower()]

    def ended(self, job: Job) -> tuple[int, int]:
        """How many of its tasks completed (with success, without)."""
        counts = self._ended[job.id.lower()]
        return counts[True], counts[False]

    def nodes_of(self, pool_id: str) -> list[Node]:
        """A pool's nodes in creation order."""
        return [node for node in self.nodes.values() if node.pool_id.lower() == pool_id.lower()]

    def job_tasks_on(self, node_id: str) -> list[JobTask]:
        """Every job's preparation and release task on a node."""
        return [one for ones in self.job_tasks.values() for one in ones.values() if one.node_id == node_id]

    def save(self, record: Job | Task | JobTask | Pool | Node) -> None:
        """Write a new or changed record."""
        if isinstance(record, Task):
            self._tasks[record.job_id.lower()][record.key] = record
            self._index(record)
        elif isinstance(record, JobTask):
            self._index_job_task(record)
        elif isinstance(record, Job):
            self.jobs[record.id.lower()] = record
        elif isinstance(record, Pool):
            self.pools[record.id.lower()] = record
        else:
            self.nodes[record.id] = record
        self.store.put(*self._place(record), record.to_json())

    def drop(self, record: Job | Task | Pool | Node) -> None:
        """Forget a record; a job takes all that is its own with it."""
        if isinstance(record, Task):
            self._unindex(record)
            self._tasks[record.job_id.lower()].pop(record.key, None)
            if record.job_id.lower() in self.dependencies:
                self.dependencies[record.job_id.lower()].forget(record.key)
                if record.satisfies:
                    self.store.put(SATISFIED, f"{self.account}/{record.job_id.lower()}/{record.key}", {})
        elif isinstance(record, Job):
            self._drop_contents(record)
            self.jobs.pop(record.id.lower(), None)
        elif isinstance(record, Pool):
            self.pools.pop(record.id.lower(), None)
        else:
            self.nodes.pop(record.id, None)
            self.on_node.pop(record.id, None)
        self.store.delete(*self._place(record))

    def _drop_contents(self, job: Job) -> None:
        key = job.id.lower()
        self.dependencies.pop(key, None)
        with self.store.transaction():
            for task in list(self.tasks(job).values()):
                self.drop(task)
            for one in self.job_tasks[key].values():
                self.job_task_runs.pop(one.run_id or "", None)
                self.store.delete(*self._place(one))
            for satisfied, _ in self.store.items(SATISFIED, f"{self.account}/{key}/"):
                self.store.delete(SATISFIED, satisfied)
        for index in (self._tasks, self.waiting, self._running, self._unfinished, self._ended, self.job_tasks):
            index.pop(key, None)

    def erase(self) -> None:
        """Forget the whole account."""
        with self.store.transaction():
            for job in list(self.jobs.values()):
                self.drop(job)
            for record in (*self.pools.values(), *self.nodes.values()):
                self.store.delete(*self._place(record))
        self.pools.clear()
        self.nodes.clear()

    def _place(self, record: Job | Task | JobTask | Pool | Node) -> tuple[str, str]:
        if isinstance(record, Task):
            return TASKS, f"{self.account}/{record.job_id.lower()}/{record.key}"
        if isinstance(record, Job):
            return JOBS, f"{self.account}/{record.id.lower()}"
        if isinstance(record, Pool):
            return POOLS, f"{self.account}/{record.id.lower()}"
        if isinstance(record, JobTask):
            return JOB_TASKS, f"{self.account}/{record.job_id.lower()}/{record.node_id}/{record.kind}"
        return NODES, f"{self.account}/{record.pool_id.lower()}/{record.id}"

    def _index(self, task: Task) -> None:
        job, key = task.job_id.lower(), task.key
        if (job, key) not in self._indexed and (task.parents or task.parent_ranges):
            self.dependencies[job].add(key, task.parents, task.parent_ranges)
        self._unindex(task)
        if self._may_run(task):
            self.waiting[job][key] = task
        if task.on_node:
            self._running[job] += 1
            if task.node_id is not None and task.run_id is not None:
                self.on_node[task.node_id][task.run_id] = task
                self.runs[task.run_id] = task
        succeeded = task.result == "success"
        if task.state is not TaskState.COMPLETED:
            self._unfinished[job] += 1
        else:
            self._ended[job][succeeded] += 1
        self._indexed[job, key] = (task.state, task.node_id, task.run_id, succeeded)
        if task.satisfies and self.jobs[job].uses_dependencies:
            for met in self.dependencies[job].satisfy(key):
                dependent = self._tasks[job][met]
                if self._may_run(dependent):
                    self.waiting[job][met] = dependent

    def _may_run(self, task: Task) -> bool:
        """Whether it waits for a node only."""
        if task.state is not TaskState.ACTIVE or task.deleting:
            return False
        job = task.job_id.lower()
        return job not in self.dependencies or not self.dependencies[job].waits(task.key)

    def _index_job_task(self, one: JobTask) -> None:
        place = (one.node_id, one.kind)
        self.job_task_runs = {run: other for run, other in self.job_task_runs.items() if other is not one}
        self.job_tasks[one.job_id.lower()][place] = one
        if one.state is JobTaskState.RUNNING and one.run_id is not None:
            self.job_task_runs[one.run_id] = one

    def _unindex(self, task: Task) -> None:
        job, key = task.job_id.lower(), task.key
        before = self._indexed.pop((job, key), None)
        if before is None:
            return
        state, node_id, run_id, succeeded = before
        self.waiting[job].pop(key, None)
        if state in (TaskState.PREPARING, TaskState.RUNNING):
            self._running[job] -= 1
            if node_id is not None and run_id is not None:
                self.on_node[node_id].pop(run_id, None)
                self.runs.pop(run_id, None)
        if state is not TaskState.COMPLETED:
            self._unfinished[job] -= 1
        else:
            self._ended[job][succeeded] -= 1


def _sorted(store: Store, kind: str, prefix: str, record: type[R]) -> list[R]:
    return sorted((record.from_json(body) for _, body in store.items(kind, prefix)), key=lambda item: item.number)
