"""A deployed local stack as an operator with evil intentions sees it: Batch API, nodes, containers, the database.

For the signal scenarios and the long chaos run. Everything a worker does goes through the Batch API and the real image.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.batch import models

from jobs.errors import ServiceError
from jobs.files.model.job import Job, Task
from jobs.plan.definitions import job_definition, pool_of, task_definition
from jobs.service.client import AzureBatch
from jobs.service.connection import connect
from local.azure.control_plane.cloud import Cloud
from local.node.docker_executor import HOME_LABEL, NODE_LABEL, home_id
from local.paths import Paths
from testbeds.worker_world import rows_for_administrator

DRILL = "docker_worker.examples.drill:handle"


GONE = ("is not running", "No such container")  # what docker says of a container that ended
DYING_SECONDS = 5.0  # in which a node that was killed is seen as such


def docker(*words: str) -> str:
    """An operator's docker command; what it printed, and nothing when its container is gone."""
    return _docker(words, lambda said: any(text in said for text in GONE))


def on_node(node: str, *words: str) -> str:
    """A command on a node; nothing when the node dies under it, which docker has many texts for."""
    began = datetime.now(UTC)
    return _docker(("exec", node, *words), lambda said: any(text in said for text in GONE) or died(node, began))


def _docker(words: Sequence[str], gone: Callable[[str], bool]) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode == 0:
        return done.stdout.strip()
    said = done.stdout + done.stderr
    assert gone(said), f"docker {' '.join(words)}: exit code {done.returncode}\n{said}"
    return ""


def died(node: str, began: datetime) -> bool:
    """Whether a node is down, or was started again after `began`."""
    deadline = time.monotonic() + DYING_SECONDS
    while time.monotonic() < deadline:
        state = docker("inspect", "--format", "{{.State.Running}} {{.State.StartedAt}}", node)
        running, _, started = state.partition(" ")
        if running != "true" or datetime.fromisoformat(started) > began:
            return True
        time.sleep(0.1)
    return False


def send(process: int | None, number: signal.Signals) -> bool:
    """A signal to a process by its descriptor; False when it is no more."""
    if process is None:
        return False
    try:
        signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return False
    return True


class Cluster:
    """The stack deployed in this home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.paths = Paths(home)
        environment = {**os.environ, "LOCAL_AZURE_HOME": str(home)}
        outputs = home / "run" / "outputs.json"
        command = [sys.executable, "-m", "local", "pulumi", "stack", "output", "--json"]
        outputs.write_text(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
        self.connection = connect("local", outputs, environment)
        assert self.connection.outputs is not None
        self.outputs = self.connection.outputs
        self.batch = AzureBatch(self.connection)
        self.client: Any = self.batch._client
        self.pool = pool_of(Job(family="hello"), self.outputs)
        self._cloud = Cloud.open(self.paths)

    def close(self) -> None:
        self._cloud.close()

    # -- work --------------------------------------------------------------------------------------------------------

    def submit(
        self, commands: Sequence[Sequence[str]], *, retries: int = 0, name: str = "drill", **environment: str
    ) -> str:
        """A job with a task for each command, in the worker's image, all with this environment."""
        return self.submit_tasks([(command, environment) for command in commands], retries=retries, name=name)

    def submit_tasks(
        self, tasks: Sequence[tuple[Sequence[str], Mapping[str, str]]], *, retries: int = 0, name: str = "drill"
    ) -> str:
        """A job with tasks w0, w1, ...: each a command and its environment."""
        job = Job(family="hello", max_retries=retries)
        identifier = f"{name}-{datetime.now(UTC):%H%M%S%f}"
        self.batch.create_job(job_definition(job, identifier, self.outputs))
        definitions = [
            task_definition(
                Task(id=f"w{number}", command=list(command), environment=dict(environment)),
                job=job,
                identifier=identifier,
                outputs=self.outputs,
            )
            for number, (command, environment) in enumerate(tasks)
        ]
        group = models.BatchTaskGroup({"value": definitions})
        answer = self.client.create_task_collection(identifier, group).as_dict()
        assert all(one["status"].casefold() == "success" for one in answer["value"]), answer
        self.batch.end_when_done(identifier)
        return identifier

    def task(self, job: str, task: str = "w0") -> dict[str, Any]:
        return self.client.get_task(job, task).as_dict()

    def task_ids(self, job: str) -> list[str]:
        return [task.id for task in self.client.list_tasks(job)]

    def wait(self, what: str, holds: Callable[[], Any], seconds: float = 180) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
            time.sleep(0.1)
        return found

    def wait_for_task(self, job: str, task: str = "w0", seconds: float = 180) -> dict[str, Any]:
        """The task's execution info once it is completed."""

        def completed() -> dict[str, Any] | None:
            found = self.task(job, task)
            return found["executionInfo"] if found["state"] == "completed" else None

        return self.wait(f"task {task} of {job}", completed, seconds)

    def run(self, *command: str, expect: int = 0, **environment: str) -> str:
        """One task to its end; what it wrote, stdout and then stderr."""
        return self.end_of(self.submit_tasks([(command, environment)]), expect=expect)

    def end_of(self, job: str, task: str = "w0", expect: int = 0) -> str:
        """Wait for the task's end with this exit code; what it wrote, stdout and then stderr."""
        info = self.wait_for_task(job, task)
        text = self.text(job, task) + self.text(job, task, file="stderr.txt")
        assert info["exitCode"] == expect, f"{info}\n{text}"
        return text

    def start(
        self, *words: str, seconds: float = 0.2, steps: int = 2000, retries: int = 0, wait_for: str = ""
    ) -> tuple[str, str]:
        """A job with one worker that did a step of its item, or wrote the line `wait_for`; job and queue."""
        queue = f"q-{uuid.uuid4().hex[:8]}"
        self.enqueue(queue, {"item": {"steps": steps, "seconds": seconds}})
        command = ("run", "--queue", queue, "--until-empty", "--handler", DRILL, *words)
        job = self.submit([command], retries=retries)
        if wait_for:
            self.wait(f"the task of {job}", lambda: self.task(job)["state"] == "running")
            self.wait(wait_for, lambda: wait_for in [line["event"] for line in self.said(job)])
        else:
            self.wait("a step", lambda: self.steps(queue))
        return job, queue

    def said(self, job: str) -> list[dict[str, Any]]:
        """The JSON lines of its first task; none while there is no file."""
        try:
            lines = self.text(job).splitlines(keepends=True)
        except ServiceError:
            return []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def terminate(self, job: str, task: str = "w0") -> None:
        self.client.terminate_task(job, task)

    def forget(self, job: str) -> None:
        self.client.begin_delete_job(job)

    def text(self, job: str, task: str = "w0", file: str = "stdout.txt") -> str:
        return b"".join(self.batch.read_task_file(job, task, file)).decode()

    def nodes_idle(self, count: int = 2) -> bool:
        """Whether the pool has this many nodes that take work."""
        states = [node.as_dict()["state"].casefold() for node in self.client.list_nodes(self.pool)]
        return len(states) == count and set(states) <= {"idle", "running"}

    def renew_nodes(self, count: int = 2) -> None:
        """New nodes for the old ones: a setting of nodes holds for those that are made."""
        for number in (0, count):
            options = models.BatchPoolResizeOptions(
                {"targetDedicatedNodes": number, "nodeDeallocationOption": "requeue"}
            )
            self.client.begin_resize_pool(self.pool, options)
            self.wait(f"{number} nodes", lambda n=number: self.nodes_idle(n))

    # -- evil --------------------------------------------------------------------------------------------------------

    def node_containers(self) -> list[str]:
        home = f"label={HOME_LABEL}={home_id(self.paths)}"
        return docker("ps", "--quiet", "--filter", home, "--filter", f"label={NODE_LABEL}").split()

    def workers(self) -> list[tuple[str, str]]:
        """Node and container of every running task."""
        return [
            (node, inner) for node in self.node_containers() for inner in on_node(node, "docker", "ps", "-q").split()
        ]

    def signal_worker(self, place: tuple[str, str], name: str) -> bool:
        """Whether it met anybody: not a container that had ended."""
        node, inner = place
        return bool(on_node(node, "docker", "kill", "--signal", name, inner))

    def kill_node(self, container: str) -> bool:
        """Whether it ran. The local Azure starts it again, one that died twice in half a minute when that is over."""
        return bool(docker("kill", container))

    @contextmanager
    def database(self) -> Iterator[int | None]:
        """A descriptor of the server's process, which no other process can get, whatever becomes of its id; None when
        the server is down."""
        pid = int(json.loads((self.paths.run / "supervisor.json").read_text())["sql"])
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            yield None
            return
        try:
            ours = b"local.azure.sql" in Path(f"/proc/{pid}/cmdline").read_bytes()
            yield process if ours else None
        except (FileNotFoundError, ProcessLookupError):
            yield None
        finally:
            os.close(process)

    def kill_database(self) -> bool:
        """Whether it ran. The supervisor starts it again."""
        with self.database() as process:
            return send(process, signal.SIGKILL)

    def pause_database(self, seconds: float) -> bool:
        """Whether it ran; it may have been killed while it stood still."""
        with self.database() as process:
            if not send(process, signal.SIGSTOP):
                return False
            time.sleep(seconds)
            send(process, signal.SIGCONT)
            return True

    # -- the database ------------------------------------------------------------------------------------------------

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the administrator."""
        port = self._cloud.ports.reserve("sql")
        return rows_for_administrator(self._cloud, self.outputs.sql_database, port, statement, values)

    def enqueue(self, queue: str, items: Mapping[str, Mapping[str, Any]]) -> None:
        for key, data in items.items():
            self.rows(
                "INSERT INTO dbo.work_items (queue, item_key, exact_key, data, status, step, attempts, failures, "
                "available_at, changed_at) VALUES (%s, %s, %s, %s, 'pending', 0, 0, 0, 0, 0)",
                queue,
                key,
                f"{key}.",
                json.dumps(data),  # the worker's KEY_END (docker_worker/schema.py)
            )

    def items(self, queue: str) -> dict[str, tuple[str, int, int]]:
        found = self.rows("SELECT item_key, status, step, attempts FROM dbo.work_items WHERE queue = %s", queue)
        return {key: (status, step, attempts) for key, status, step, attempts in found}

    def steps(self, queue: str) -> list[tuple[str, int]]:
        found = self.rows("SELECT item, step FROM dbo.drill_steps WHERE queue = %s", queue)
        return sorted((item, step) for item, step in found)
