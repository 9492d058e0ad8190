"""A Batch service and containers in memory, a clock that does not wait, and a stack's outputs."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobs.errors import Conflict, NotFound
from jobs.service.batch import (
    LEAVING,
    Choice,
    Counts,
    JobState,
    NodeFile,
    NodeState,
    PoolState,
    PreparationState,
    Running,
    Shown,
    TaskPage,
    TaskState,
)
from jobs.service.connection import Connection, Outputs
from jobs.service.schedules import ScheduleState
from jobs.service.storage import Blob, Readable
from jobs.session import Session
from jobs.submission.verdicts import Verdict
from jobs.terminal.render import Render
from tests.jobs.submission.fake_transport import FakeTransport

START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
HELLO = Path(__file__).parents[2] / "jobs" / "samples" / "hello.yaml"
HELLO_JOB = "hello-20261123-120000"
"""The id under which `HELLO` is submitted at `START`."""

OUTPUTS = {
    "batch_endpoint": "account.westeurope.batch.azure.com",
    "blob_endpoint": "https://account.blob.core.windows.net/",
    "pools": {"default": {"id": "default-1a2b", "image": "i", "node_identity_client_id": "client", "task_slots": 2}},
    "worker_image": "registry.azurecr.io/docker-worker@sha256:0123",
    "job_containers": {"hello": "job-hello", "sql-check": "job-sql-check"},
    "worker_identity": {"client_id": "client", "resource_id": "/subscriptions/s/identities/node"},
    "sql": {"server": "sql.example,1433", "database": "app"},
}


def outputs(**changes: Any) -> Outputs:
    return Outputs.parse(OUTPUTS | changes, "test")


@dataclass
class FakeClock:
    """Sleeping moves it, and lets the world go on."""

    at: datetime = START
    on_sleep: list[Callable[[], None]] = field(default_factory=list)
    slept: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.at += timedelta(seconds=seconds)
        if self.on_sleep:
            self.on_sleep.pop(0)()


@dataclass
class FakeBatch:
    """Keeps jobs and tasks; `answers` lets a test say what a collection is answered with (an exception is raised)."""

    pool_states: dict[str, str] = field(default_factory=lambda: {"default-1a2b": "active"})
    node_list: list[NodeState] = field(default_factory=list)
    definitions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    states: dict[str, JobState] = field(default_factory=dict)
    sent: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    task_states: dict[str, dict[str, TaskState]] = field(default_factory=dict)
    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    node_contents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    answers: list[Any] = field(default_factory=list)
    asked: list[datetime | None] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    asked_some: list[tuple[str, int, datetime | None]] = field(default_factory=list)
    pools_known: dict[str, PoolState] = field(
        default_factory=lambda: {"default-1a2b": PoolState(id="default-1a2b", state="active", allocation="steady")}
    )
    users: list[dict[str, Any]] = field(default_factory=list)
    prepared: list[PreparationState] = field(default_factory=list)
    ends: dict[tuple[str, str], datetime | None] = field(default_factory=dict)
    schedule_pools: dict[str, str] = field(default_factory=dict)  # id of a schedule -> pool
    made_schedules: dict[str, ScheduleState] = field(default_factory=dict)

    def create_job(self, definition: Mapping[str, Any]) -> None:
        if definition["id"] in self.definitions:
            raise Conflict("exists", code="JobExists")
        self.order.append("create")
        self.definitions[definition["id"]] = definition
        self.states[definition["id"]] = replace(
            JobState.parse({**definition, "state": "active"}), created=START + timedelta(seconds=len(self.states))
        )
        self.sent[definition["id"]], self.task_states[definition["id"]] = {}, {}

    def add_collection(self, job_id: str, tasks: Sequence[Mapping[str, Any]]) -> list[Verdict]:
        self.order.append(f"add {len(tasks)}")
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        verdicts = answer(tasks) if answer else [Verdict(task_id=task["id"], status="success") for task in tasks]
        for task, verdict in zip(tasks, verdicts, strict=False):
            if verdict.status == "success":
                self.sent[job_id][task["id"]] = task
                self.set(job_id, TaskState(id=task["id"], state="active", changed=START))
        return verdicts

    def transport(self, *, timeout: float) -> FakeTransport:
        return FakeTransport(self)

    def set(self, job_id: str, task: TaskState) -> None:
        """The task's new state; what it depends on, and whether it blocks, follow from its definition."""
        sent = self.sent[job_id].get(task.id, {})
        defined = TaskState.parse({"id": task.id, **sent})
        self.task_states[job_id][task.id] = replace(
            task,
            display_name=defined.display_name,
            parents=defined.parents,
            parent_ranges=defined.parent_ranges,
            blocks=task.completed and task.blocking(sent.get("exitConditions")),
        )

    def end_when_done(self, job_id: str) -> None:
        if job_id not in self.states:
            raise NotFound(f"job {job_id} does not exist", code="JobNotFound")
        self.order.append("end when done")
        self.states[job_id] = replace(self.states[job_id], on_all_tasks_complete="terminatejob")

    def end(self, job_id: str, reason: str = "AllTasksComplete") -> None:
        self.states[job_id] = replace(self.states[job_id], state="completed", terminate_reason=reason)

    def delete_job(self, job_id: str) -> None:
        self.deleted.append(job_id)
        self.states.pop(job_id, None)

    def terminate_job(self, job_id: str, reason: str) -> None:
        self.order.append(f"terminate {job_id}")
        self.end(job_id, reason)

    def terminate_task(self, job_id: str, task_id: str) -> None:
        if self.task(job_id, task_id).completed:
            raise Conflict("completed", code="TaskCompleted")
        self.order.append(f"terminate {job_id}/{task_id}")

    def delete_task(self, job_id: str, task_id: str) -> None:
        self.task(job_id, task_id)
        self.order.append(f"delete {job_id}/{task_id}")
        del self.task_states[job_id][task_id], self.sent[job_id][task_id]

    def preparations(self, job_id: str) -> Iterator[PreparationState]:
        yield from self.prepared

    def disable_job(self, job_id: str, running: Running) -> None:
        self.order.append(f"disable {job_id} {running}")
        busy = running == "wait" and any(task.state == "running" for task in self.task_states[job_id].values())
        self.states[job_id] = replace(self.states[job_id], state="disabling" if busy else "disabled")

    def mark_job(self, job_id: str, name: str, value: str) -> None:
        assert name == LEAVING
        self.order.append(f"mark {job_id} {value}".rstrip())
        self.states[job_id] = replace(self.states[job_id], leaving=value)

    def enable_job(self, job_id: str) -> None:
        self.order.append(f"enable {job_id}")
        self.states[job_id] = replace(self.states[job_id], state="active")

    def move_job(self, job_id: str, pool_id: str) -> None:
        if self.states[job_id].state != "disabled":
            raise Conflict("the job is not disabled", code="JobNotDisabled")
        self.order.append(f"move {job_id} to {pool_id}")
        self.states[job_id] = replace(self.states[job_id], pool_id=pool_id)

    def job_definition(self, job_id: str) -> dict[str, Any]:
        if job_id not in self.states:
            raise NotFound(f"job {job_id} does not exist", code="JobNotFound")
        state = self.states[job_id]
        created = state.created.isoformat() if state.created else None
        ends = state.on_all_tasks_complete or "noaction"
        return {
            **self.definitions[job_id], "state": state.state, "creationTime": created, "onAllTasksComplete": ends,
        }  # fmt: skip

    def counts(self, job_id: str) -> Counts:
        every = list(self.task_states[job_id].values())
        done, good = [task for task in every if task.completed], [task for task in every if task.succeeded]
        running = sum(task.state == "running" for task in every)
        return Counts(
            active=len(every) - len(done) - running,
            running=running,
            completed=len(done),
            succeeded=len(good),
            failed=len(done) - len(good),
        )

    def some_tasks(self, job_id: str, chosen: Choice, most: int, since: datetime | None = None) -> list[TaskState]:
        self.asked_some.append((chosen, most, since))
        fits = {
            "failed": lambda task: task.completed and not task.succeeded,
            "running": lambda task: task.state == "running",
            "unended": lambda task: not task.completed,
            "changed": lambda task: True,
        }[chosen]
        every = self.task_states[job_id].values()
        return [t for t in every if fits(t) and (since is None or t.changed is None or t.changed >= since)][:most]

    def task_definition(self, job_id: str, task_id: str) -> dict[str, Any]:
        task = self.task(job_id, task_id)
        failure = task.failure and {"category": task.failure.category, "code": task.failure.code}
        info = {"result": task.result, "exitCode": task.exit_code, "failureInfo": failure, "retryCount": task.retries}
        node = {"nodeInfo": {"nodeId": task.node_id}} if task.node_id else {}
        return {**self.sent[job_id][task_id], "state": task.state, "executionInfo": info, **node}

    def task_page(
        self, job_id: str, *, shown: Shown = "all", prefix: str = "", most: int = 100, following: str = ""
    ) -> TaskPage:
        self.job(job_id)
        fits = {
            "all": lambda task: True,
            "active": lambda task: task.state == "active",
            "running": lambda task: task.state == "running",
            "succeeded": lambda task: task.succeeded,
            "failed": lambda task: task.completed and not task.succeeded,
        }[shown]
        every = [task for task in self.task_states[job_id].values() if fits(task) and task.id.startswith(prefix)]
        start = int(following or 0)
        more = str(start + most) if start + most < len(every) else ""
        return TaskPage(tuple(every[start : start + most]), more)

    def task_records(self, job_id: str) -> Iterator[TaskState]:
        for task in list(self.task_states[job_id].values()):
            container = self.sent[job_id].get(task.id, {}).get("containerSettings") or {}
            yield replace(task, image=task.image or container.get("imageName", ""))

    def first_definition(self, job_id: str) -> dict[str, Any] | None:
        first = next(iter(self.task_states[job_id]), None)
        return None if first is None else self.task_definition(job_id, first)

    def task_files(self, job_id: str, task_id: str) -> list[NodeFile]:
        self.task(job_id, task_id)
        found = [(path, data) for (job, task, path), data in self.files.items() if (job, task) == (job_id, task_id)]
        return [NodeFile(name=path, size=len(data), modified=START) for path, data in found]

    def node_files(self, pool_id: str, node_id: str) -> list[NodeFile]:
        found = [(path, data) for (node, path), data in self.node_contents.items() if node == node_id]
        return [NodeFile(name=path, size=len(data), modified=START) for path, data in found]

    def output_definitions(self, job_id: str) -> Iterator[dict[str, Any]]:
        for task in self.task_states[job_id].values():
            yield self.task_definition(job_id, task.id)

    def failed_definitions(self, job_id: str) -> Iterator[dict[str, Any]]:
        for task in self.task_states[job_id].values():
            if task.completed and not task.succeeded:
                yield self.task_definition(job_id, task.id)

    def job(self, job_id: str) -> JobState:
        if job_id not in self.states:
            raise NotFound(f"job {job_id} does not exist", code="JobNotFound")
        return self.states[job_id]

    def jobs(self, prefix: str, *, state: str = "") -> Iterator[JobState]:
        yield from (job for job in self.states.values() if job.id.startswith(prefix) and state in ("", job.state))

    def task(self, job_id: str, task_id: str) -> TaskState:
        try:
            return self.task_states[job_id][task_id]
        except KeyError:
            raise NotFound(f"task {task_id} does not exist", code="TaskNotFound") from None

    def tasks(self, job_id: str, changed_since: datetime | None = None) -> Iterator[TaskState]:
        self.asked.append(changed_since)
        for task in list(self.task_states[job_id].values()):
            if changed_since is None or task.changed is None or task.changed >= changed_since:
                yield task

    def pool_state(self, pool_id: str) -> str:
        if pool_id not in self.pool_states:
            raise NotFound(f"pool {pool_id}", code="PoolNotFound")
        return self.pool_states[pool_id]

    def pool(self, pool_id: str) -> PoolState:
        if pool_id not in self.pools_known:
            raise NotFound(f"pool {pool_id} does not exist", code="PoolNotFound")
        return self.pools_known[pool_id]

    def pools(self) -> Iterator[PoolState]:
        yield from self.pools_known.values()

    def resize(self, pool_id: str, dedicated: int | None, low_priority: int | None) -> None:
        self.order.append(f"resize {pool_id} {dedicated} {low_priority}")

    def stop_resize(self, pool_id: str) -> None:
        self.order.append(f"stop resize {pool_id}")

    def evaluate_autoscale(self, pool_id: str, formula: str) -> str:
        return "$TargetDedicatedNodes=3"

    def create_schedule(self, definition: Mapping[str, Any]) -> None:
        if definition["id"] in self.made_schedules:
            raise Conflict("exists", code="JobScheduleExists")
        self.order.append(f"create schedule {definition['id']}")
        self.made_schedules[definition["id"]] = ScheduleState.parse({**definition, "state": "active"})

    def schedule(self, schedule_id: str) -> ScheduleState:
        if schedule_id not in self.made_schedules:
            raise NotFound(f"job schedule {schedule_id} does not exist", code="JobScheduleNotFound")
        return self.made_schedules[schedule_id]

    def schedules(self) -> Iterator[ScheduleState]:
        yield from self.made_schedules.values()

    def disable_schedule(self, schedule_id: str) -> None:
        self.order.append(f"disable schedule {schedule_id}")

    def enable_schedule(self, schedule_id: str) -> None:
        self.order.append(f"enable schedule {schedule_id}")

    def terminate_schedule(self, schedule_id: str) -> None:
        self.order.append(f"terminate schedule {schedule_id}")

    def delete_schedule(self, schedule_id: str) -> None:
        self.order.append(f"delete schedule {schedule_id}")

    def schedules_on(self, pool_id: str) -> list[str]:
        return [name for name, pool in self.schedule_pools.items() if pool == pool_id]

    def image_ends(self) -> dict[tuple[str, str], datetime | None]:
        return self.ends

    def node(self, pool_id: str, node_id: str) -> NodeState:
        for node in self.node_list:
            if node.id == node_id:
                return node
        raise NotFound(f"node {node_id}", code="NodeNotFound")

    def create_user(self, pool_id: str, node_id: str, user: Mapping[str, Any]) -> None:
        self.users.append(dict(user))

    def delete_user(self, pool_id: str, node_id: str, name: str) -> None:
        self.order.append(f"delete user {name}")

    def ssh_address(self, pool_id: str, node_id: str) -> tuple[str, int]:
        return "127.0.0.1", 50001

    def nodes(self, pool_id: str) -> Iterator[NodeState]:
        yield from self.node_list

    def read_task_file(self, job_id: str, task_id: str, path: str, start: int = 0) -> Iterator[bytes]:
        if (job_id, task_id, path) not in self.files:
            raise NotFound(path, code="FileNotFound")
        yield self.files[job_id, task_id, path][start:]

    def read_node_file(self, pool_id: str, node_id: str, path: str) -> Iterator[bytes]:
        if (node_id, path) not in self.node_contents:
            raise NotFound(path, code="FileNotFound")
        yield self.node_contents[node_id, path]


@dataclass
class FakeBlobs:
    content: dict[tuple[str, str], bytes] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    written: list[str] = field(default_factory=list)

    def list(self, container: str, prefix: str) -> Iterator[Blob]:
        for (where, name), data in sorted(self.content.items()):
            if where == container and name.startswith(prefix):
                yield Blob(name, len(data), hashlib.md5(data).digest())

    def size_of(self, container: str, name: str) -> int | None:
        found = self.content.get((container, name))
        return None if found is None else len(found)

    def write(self, container: str, name: str, content: Readable, size: int) -> None:
        pieces = []
        while sum(map(len, pieces)) < size:
            pieces.append(content.read(3))
        self.content.setdefault((container, name), b"".join(pieces))
        self.written.append(name)

    def read(self, container: str, name: str) -> Iterator[bytes]:
        if (container, name) not in self.content:
            raise NotFound(name, code="BlobNotFound")
        data = self.content[container, name]
        yield from (data[:5],) if name in self.damaged else (data[:5], data[5:])


@dataclass
class Stage:
    """A session on fakes, and what it printed."""

    batch: FakeBatch
    blobs: FakeBlobs
    clock: FakeClock
    out: io.StringIO
    err: io.StringIO
    session: Session


def stage(*, as_json: bool = False, with_stack: bool = True) -> Stage:
    batch, blobs, clock, out, err = FakeBatch(), FakeBlobs(), FakeClock(), io.StringIO(), io.StringIO()
    connection = Connection(batch_endpoint="https://x", credential=None, outputs=outputs() if with_stack else None)
    session = Session(
        find_connection=lambda: connection,
        render=Render(as_json=as_json, out=out, err=err),
        clock=clock,
        make_batch=lambda _: batch,
        make_blobs=lambda _: blobs,
    )
    return Stage(batch, blobs, clock, out, err, session)
