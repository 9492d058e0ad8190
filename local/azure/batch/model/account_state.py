"""One account's job schedules, jobs, tasks, pools and nodes: held in memory, written to the store at every change.

Owns the indexes that keep scheduling cheap (which tasks wait for a node and for no other task, which run where, how
many are unfinished) and their durability. Decides nothing. Ids compare without case.
"""

from __future__ import annotations

import gc
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from local.azure.batch.model import Job, JobSchedule, JobTask, JobTaskKind, Node, Pool, Task
from local.azure.batch.model.record import Record
from local.azure.batch.model.states import JobTaskState
from local.azure.batch.model.task_table import Standing, TaskTable
from local.azure.platform.store import Store

AnyRecord = JobSchedule | Job | Task | JobTask | Pool | Node
R = TypeVar("R", JobSchedule, Job, Task, JobTask, Pool, Node)
Place = tuple[str, str]
JOBS, TASKS, POOLS, NODES = "batch.job", "batch.task", "batch.pool", "batch.node"
JOB_TASKS = "batch.job-task"
JOB_SCHEDULES = "batch.job-schedule"
_Located = tuple[str | None, str | None, tuple[tuple[str, str], ...]]
_NO_TASKS = TaskTable()
_MANY = 10_000
SATISFIED = "batch.satisfied"
"""Deleted tasks that others may depend on: they satisfied once, and do so for good."""


@dataclass(slots=True)
class Changes:
    """What turns changed: the record at each place of the store, None where it is gone. `cleared`: kinds and the
    beginnings of keys that are deleted before anything is written."""

    writes: dict[Place, Record | None] = field(default_factory=dict)
    cleared: list[Place] = field(default_factory=list)

    @classmethod
    def of(cls, parts: Iterable[Changes]) -> Changes:
        """The changes of several turns, one after the other, as one."""
        whole = cls()
        for part in parts:
            for kind, prefix in part.cleared:
                whole.clear(kind, prefix)
            whole.writes |= part.writes
        return whole

    def clear(self, kind: str, prefix: str) -> None:
        """Delete all of a kind whose key begins so, also what was to be written."""
        self.cleared.append((kind, prefix))
        for place in [place for place in self.writes if place[0] == kind and place[1].startswith(prefix)]:
            del self.writes[place]


@dataclass
class Contents:
    """What was a removed job's own."""

    table: TaskTable | None = None
    job_tasks: list[JobTask] = field(default_factory=list)


@dataclass
class ScalingHistory:
    """What autoscaling remembers of pools, by lower-case id, in memory only: measured variables and when, and when a
    client last enabled it."""

    samples: dict[str, deque[tuple[datetime, Mapping[str, float]]]] = field(default_factory=dict)
    enabled_at: dict[str, datetime] = field(default_factory=dict)

    def forget(self, pool: Pool) -> None:
        """The pool is gone."""
        self.samples.pop(pool.id.lower(), None)
        self.enabled_at.pop(pool.id.lower(), None)


class AccountState:
    """Everything of one Batch account. Records are changed, added and dropped by turns (`scheduling/turn.py`)."""

    def __init__(self, store: Store, account: str, pool_gone: Callable[[str], None] = lambda pool_id: None) -> None:
        """Read what an earlier process wrote. `pool_gone` is called in the transaction that deletes a pool, so that
        ARM's resource of it goes as well, or neither."""
        self.store = store
        self.account = account.lower()
        self.scaling = ScalingHistory()
        self._pool_gone = pool_gone
        self.tables: dict[str, TaskTable] = defaultdict(TaskTable)
        self.on_node: dict[str, dict[str, Task]] = defaultdict(dict)
        self.runs: dict[str, Task] = {}
        self.coordination_runs: dict[str, Task] = {}
        self._located: dict[tuple[str, str], _Located] = {}  # of tasks on nodes: the node, the run, the other parts
        self.job_tasks: dict[str, dict[tuple[str, JobTaskKind], JobTask]] = defaultdict(dict)
        self.job_task_runs: dict[str, JobTask] = {}
        self._job_task_run: dict[tuple[str, str, JobTaskKind], str] = {}  # of those that run
        self._job_tasks_on: dict[str, dict[tuple[str, JobTaskKind], JobTask]] = defaultdict(dict)
        self._nodes_of: dict[str, dict[str, Node]] = defaultdict(dict)
        with _without_collection():
            self._read()

    def _read(self) -> None:
        store, prefix = self.store, f"{self.account}/"
        self.schedules = {one.key: one for one in _sorted(store, JOB_SCHEDULES, prefix, JobSchedule)}
        self.jobs = {job.id.lower(): job for job in _sorted(store, JOBS, prefix, Job)}
        self.pools = {pool.id.lower(): pool for pool in _sorted(store, POOLS, prefix, Pool)}
        self.nodes = {node.id: node for node in _sorted(store, NODES, prefix, Node)}
        for node in self.nodes.values():
            self._nodes_of[node.pool_id.lower()][node.id] = node
        for key, _ in store.items(SATISFIED, prefix):
            _, job_id, task_key = key.split("/")
            self.tables[job_id].satisfied_for_good.add(task_key)
            self.tables[job_id].dependencies.satisfy(task_key)
        tasks = _sorted(store, TASKS, prefix, Task)
        for task in tasks:
            self._index(task)
        job_tasks = _sorted(store, JOB_TASKS, prefix, JobTask)
        for job_task in job_tasks:
            self._index_job_task(job_task)
        if len(tasks) > _MANY:
            gc.freeze()  # the collector does not look at them again: most stay as they are for good
        kinds = (self.schedules.values(), self.jobs.values(), self.pools.values(), self.nodes.values())
        self._last_number = max((record.number for kind in (*kinds, tasks, job_tasks) for record in kind), default=0)

    def next_number(self) -> int:
        """Creation order."""
        self._last_number += 1
        return self._last_number

    def all_tasks(self) -> Iterator[Task]:
        """Every task of every job."""
        return (task for table in self.tables.values() for task in table.records.values())

    def tasks(self, job: Job) -> Mapping[str, Task]:
        """A job's tasks by lower-case id."""
        return self._table(job).records

    def tasks_in_order(
        self, job: Job, after: str, prefix: str = "", standings: Collection[Standing] = tuple(Standing)
    ) -> Iterator[Task]:
        """A job's tasks in the order of their ids (recorded): those behind `after` only, those whose lower-case id
        begins with `prefix`, and those that count as one of `standings`."""
        return self._table(job).in_order(after, prefix, standings)

    def counts(self, job: Job) -> tuple[Mapping[Standing, int], Mapping[Standing, int]]:
        """How many of its tasks count as what, and how many slots these need."""
        table = self._table(job)
        return table.counts, table.slots

    def waiting(self, job: Job) -> Mapping[str, Task]:
        """Its tasks that wait for a node and for no other task, in the order in which they came to wait."""
        return self._table(job).waiting

    def running(self, job: Job) -> int:
        """How many of its tasks are on nodes."""
        return self._table(job).counts[Standing.RUNNING]

    def running_tasks(self, job: Job) -> list[Task]:
        """Its tasks on nodes."""
        return list(self._table(job).in_order("", standings=(Standing.RUNNING,)))

    def unfinished(self, job: Job) -> int:
        """How many of its tasks are not completed."""
        return self._table(job).unfinished

    def _table(self, job: Job) -> TaskTable:
        return self.tables.get(job.id.lower(), _NO_TASKS)

    def jobs_of(self, schedule: JobSchedule) -> list[Job]:
        """The jobs that a schedule made."""
        return [job for job in self.jobs.values() if (job.schedule_id or "").lower() == schedule.key]

    def ended(self, job: Job) -> tuple[int, int]:
        """How many of its tasks completed (with success, without)."""
        counts = self._table(job).counts
        return counts[Standing.SUCCEEDED], counts[Standing.FAILED]

    def nodes_of(self, pool_id: str) -> list[Node]:
        """A pool's nodes in creation order."""
        return list(self._nodes_of.get(pool_id.lower(), {}).values())

    def job_tasks_on(self, node_id: str) -> list[JobTask]:
        """Every job's preparation and release task on a node."""
        return list(self._job_tasks_on.get(node_id, {}).values())

    def knows_run(self, run_id: str) -> bool:
        """Whether a run of any kind is under way."""
        return run_id in self.runs or run_id in self.job_task_runs or run_id in self.coordination_runs

    # -- changes, by turns -------------------------------------------------------------------------------------------

    def put(self, record: AnyRecord) -> None:
        """Take a new or changed record into the indexes."""
        if isinstance(record, Task):
            self._index(record)
        elif isinstance(record, JobSchedule):
            self.schedules[record.key] = record
        elif isinstance(record, JobTask):
            self._index_job_task(record)
        elif isinstance(record, Job):
            self.jobs[record.id.lower()] = record
        elif isinstance(record, Pool):
            self.pools[record.id.lower()] = record
        else:
            self.nodes[record.id] = record
            self._nodes_of[record.pool_id.lower()][record.id] = record

    def remove(self, record: AnyRecord) -> Contents:
        """Take a record out of the indexes, a job with all that is its own, which is returned."""
        if isinstance(record, Task):
            self._leave_node(record.job_id.lower(), record.key)
            self.tables[record.job_id.lower()].remove(record)
        elif isinstance(record, Job):
            self.jobs.pop(record.id.lower(), None)
            return self._remove_contents(record)
        elif isinstance(record, JobSchedule):
            self.schedules.pop(record.key, None)
        elif isinstance(record, JobTask):
            self._remove_job_task(record)
        elif isinstance(record, Pool):
            self.pools.pop(record.id.lower(), None)
        else:
            self.nodes.pop(record.id, None)
            self.on_node.pop(record.id, None)
            self._nodes_of[record.pool_id.lower()].pop(record.id, None)
        return Contents()

    def _remove_contents(self, job: Job) -> Contents:
        key = job.id.lower()
        for task in self.running_tasks(job):
            self._leave_node(key, task.key)
        job_tasks = self.job_tasks.pop(key, {})
        for one in job_tasks.values():
            self.job_task_runs.pop(self._job_task_run.pop((key, one.node_id, one.kind), ""), None)
            self._job_tasks_on[one.node_id].pop((key, one.kind), None)
        return Contents(self.tables.pop(key, None), list(job_tasks.values()))

    def _remove_job_task(self, one: JobTask) -> None:
        key = one.job_id.lower()
        self.job_task_runs.pop(self._job_task_run.pop((key, one.node_id, one.kind), ""), None)
        self.job_tasks[key].pop((one.node_id, one.kind), None)
        self._job_tasks_on[one.node_id].pop((key, one.kind), None)

    def bring_back(self, record: AnyRecord, contents: Contents) -> None:
        """Undo a `remove`. Of a turn's records that one comes back first which was removed last."""
        if contents.table is not None and isinstance(record, Job):
            self.tables[record.id.lower()] = contents.table
        self.put(record)
        if isinstance(record, Job):
            for task in self.running_tasks(record):
                self._index(task)
        for one in contents.job_tasks:
            self._index_job_task(one)

    def restore(self, changed: Iterable[AnyRecord], job_ids: Iterable[str]) -> None:
        """Make the indexes anew for records that are what they were before; of tasks, as a restart does it: those of
        the jobs `job_ids`."""
        for job_id in job_ids:
            self._restore_tasks(job_id.lower())
        for record in changed:
            if isinstance(record, Task):
                self._locate(record)
            else:
                self.put(record)

    def _restore_tasks(self, job_id: str) -> None:
        before, anew = self.tables[job_id], TaskTable()
        for key in before.satisfied_for_good:
            anew.satisfied_for_good.add(key)
            anew.dependencies.satisfy(key)
        uses_dependencies = self._uses_dependencies(job_id)
        for task in sorted(before.records.values(), key=lambda task: task.number):
            anew.put(task, uses_dependencies=uses_dependencies)
        self.tables[job_id] = anew
        if job_id not in self.jobs:
            del self.tables[job_id]

    def write(self, changes: Changes) -> None:
        """Write what was changed, in one transaction."""
        if not changes.writes and not changes.cleared:
            return
        with self.store.transaction():
            for kind, prefix in changes.cleared:
                self.store.delete_all(kind, prefix)
            for place, record in changes.writes.items():
                if record is None:
                    self.store.delete(*place)
                    if place[0] == POOLS:
                        self._pool_gone(place[1].rpartition("/")[2])
            for place, record in changes.writes.items():
                if record is not None:
                    self.store.put_later(*place, record.to_json)

    def place(self, record: AnyRecord) -> Place:
        """Where the store has a record: its kind, and its key."""
        if isinstance(record, Task):
            return TASKS, f"{self.account}/{record.job_id.lower()}/{record.key}"
        if isinstance(record, Job):
            return JOBS, f"{self.account}/{record.id.lower()}"
        if isinstance(record, Pool):
            return POOLS, f"{self.account}/{record.id.lower()}"
        if isinstance(record, JobSchedule):
            return JOB_SCHEDULES, f"{self.account}/{record.key}"
        if isinstance(record, JobTask):
            return JOB_TASKS, f"{self.account}/{record.job_id.lower()}/{record.node_id}/{record.kind}"
        return NODES, f"{self.account}/{record.pool_id.lower()}/{record.id}"

    def places_of(self, job: Job) -> list[Place]:
        """Where the store has what is a job's own: kinds, and how the keys begin."""
        return [(kind, f"{self.account}/{job.id.lower()}/") for kind in (TASKS, JOB_TASKS, SATISFIED)]

    def keep_satisfied(self, task: Task) -> Place | None:
        """Remember that a deleted task satisfied those that depend on it; where the store has to keep that. None if it
        is remembered already, and in a job without dependencies."""
        job_id = task.job_id.lower()
        if not self._uses_dependencies(job_id) or task.key in self.tables[job_id].satisfied_for_good:
            return None
        self.tables[job_id].satisfied_for_good.add(task.key)
        return SATISFIED, f"{self.account}/{job_id}/{task.key}"

    def forget_satisfied(self, task: Task) -> None:
        """Undo `keep_satisfied`."""
        self.tables[task.job_id.lower()].satisfied_for_good.discard(task.key)

    def erase(self) -> None:
        """Forget the whole account."""
        with self.store.transaction():
            for kind in (JOB_SCHEDULES, JOBS, POOLS, NODES, TASKS, JOB_TASKS, SATISFIED):
                self.store.delete_all(kind, f"{self.account}/")
        for job in list(self.jobs.values()):
            self.remove(job)
        self.schedules.clear()
        self.pools.clear()
        self.nodes.clear()
        self._nodes_of.clear()

    # -- indexes -----------------------------------------------------------------------------------------------------

    def _index(self, task: Task) -> None:
        job = task.job_id.lower()
        self.tables[job].put(task, uses_dependencies=self._uses_dependencies(job))
        self._locate(task)

    def _locate(self, task: Task) -> None:
        """Enter which nodes have a task's runs now."""
        job = task.job_id.lower()
        self._leave_node(job, task.key)
        if not task.on_node:
            return
        if task.node_id is not None and task.run_id is not None:
            self.on_node[task.node_id][task.run_id] = task
            self.runs[task.run_id] = task
        for one in task.instances:
            self.coordination_runs[one["run_id"]] = task
            self.on_node[one["node_id"]].setdefault(task.run_id or "", task)
        parts = tuple((one["node_id"], one["run_id"]) for one in task.instances)
        self._located[job, task.key] = (task.node_id, task.run_id, parts)

    def _uses_dependencies(self, job_id: str) -> bool:
        job = self.jobs.get(job_id)
        return job is not None and job.uses_dependencies

    def _leave_node(self, job_id: str, key: str) -> None:
        node_id, run_id, parts = self._located.pop((job_id, key), (None, None, ()))
        if node_id is not None and run_id is not None:
            self.on_node[node_id].pop(run_id, None)
            self.runs.pop(run_id, None)
        for part_node_id, part_run_id in parts:
            self.coordination_runs.pop(part_run_id, None)
            self.on_node[part_node_id].pop(run_id or "", None)

    def _index_job_task(self, one: JobTask) -> None:
        job_id = one.job_id.lower()
        place = (job_id, one.node_id, one.kind)
        self.job_task_runs.pop(self._job_task_run.pop(place, ""), None)
        self.job_tasks[job_id][one.node_id, one.kind] = one
        self._job_tasks_on[one.node_id][job_id, one.kind] = one
        if one.state is JobTaskState.RUNNING and one.run_id is not None:
            self.job_task_runs[one.run_id] = one
            self._job_task_run[place] = one.run_id


def _sorted(store: Store, kind: str, prefix: str, record: type[R]) -> list[R]:
    return sorted((record.from_json(body) for body in store.scan(kind, prefix)), key=lambda item: item.number)


@contextmanager
def _without_collection() -> Iterator[None]:
    """No garbage collection while records are read: none of them is garbage, and each look costs more than the last."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
