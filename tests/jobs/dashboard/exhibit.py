"""A stack as it might be on a busy day, for the pictures in docs/pictures and for the tests in a browser."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from jobs.service.batch import Failure, NodeState, PoolState, RecentTask, TaskState
from jobs.service.registry import Manifest
from tests.jobs.fakes import START, FakeBatch, Stage, outputs, stage
from tests.jobs.report import made_up

SERVER = "registryexample.azurecr.io"
DIGEST = "sha256:9f2c7be0a51f4d2d8f0c3f2b6f6fd3f8a1c0e7d6b5a4938271605f4e3d2c1b0a"
DEFAULT, BURST = "default-1a2b", "burst-77c0"
FORMULA = """$samples = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 5);
$tasks = $samples < 70 ? max(0, $PendingTasks.GetSample(1)) : avg($PendingTasks.GetSample(TimeInterval_Minute * 5));
$TargetLowPriorityNodes = max(0, min(240, $tasks / 4));
$NodeDeallocationOption = taskcompletion;"""
LOST = Failure(category="ServerError", code="ContainerInvalidImage", message="The image cannot be pulled")
OWN = Failure(category="UserError", code="FailureExitCode", message="The task exited with an exit code")
STATES = (
    ("running", 70),
    ("idle", 14),
    ("starting", 5),
    ("waitingforstarttask", 3),
    ("preempted", 4),
    ("rebooting", 1),
    ("starttaskfailed", 2),
    ("unusable", 1),
)
TRACE = """Traceback (most recent call last):
  File "/opt/worker/simulate.py", line 88, in <module>
    main()
  File "/opt/worker/simulate.py", line 61, in main
    mesh = load(arguments.mesh)
  File "/opt/worker/simulate.py", line 23, in load
    raise ValueError(f"{path}: the mesh has {count} open edges")
ValueError: /mnt/inputs/wing-0042.msh: the mesh has 17 open edges
"""


class ByPool(FakeBatch):
    """Nodes belong to pools."""

    by_pool: dict[str, list[NodeState]]

    def nodes(self, pool_id: str) -> Iterator[NodeState]:
        yield from self.by_pool.get(pool_id, [])

    def node(self, pool_id: str, node_id: str) -> NodeState:
        self.node_list = self.by_pool.get(pool_id, [])
        return super().node(pool_id, node_id)


class OneRegistry:
    """Instead of `jobs.service.registry.Registry`."""

    def __init__(self, _: object) -> None:
        self.server = SERVER

    def repositories(self) -> list[str]:
        return ["docker-worker", "simulate"]

    def manifests(self, repository: str) -> list[Manifest]:
        if repository == "docker-worker":
            return [Manifest(repository, DIGEST, ("1.4.0", "latest"), START - timedelta(days=2), 148_000_000)]
        older = "sha256:" + "4b" * 32
        return [
            Manifest(repository, "sha256:" + "c3" * 32, ("mesh-fix",), START - timedelta(hours=5), 912_000_000),
            Manifest(repository, older, (), START - timedelta(days=31), 899_000_000),
        ]


def busy_day(*, nodes: int = 240, tasks: int = 600) -> Stage:
    """Two pools and five jobs: one that failed in part, one under way, one that waits, and older ones."""
    scene = stage()
    batch = ByPool()
    batch.by_pool = {}
    scene.batch = batch
    scene.session.make_batch = lambda _: batch
    connection = replace(
        scene.session.connection,
        batch_endpoint="https://accountexample.westeurope.batch.azure.com",
        outputs=outputs(
            registry_server=SERVER,
            worker_image=f"{SERVER}/docker-worker@{DIGEST}",
            pools={
                "default": {"id": DEFAULT, "image": f"{SERVER}/docker-worker@{DIGEST}"},
                "burst": {"id": BURST, "image": f"{SERVER}/simulate:mesh-fix"},
            },
        ),
    )
    scene.session.__dict__["connection"] = connection
    dice = random.Random(3)
    _pools(batch, dice, nodes)
    _job_with_failures(scene, tasks)
    _job_under_way(scene, dice, tasks * 4)
    for number, (name, count) in enumerate(
        (("hello-20261123-0912", 5), ("sql-check-20261123-0800", 4), ("nightly-20261122", 48))
    ):
        _old_job(scene, name, count, hours=4 + 9 * number)
    scene.clock.at = START + timedelta(minutes=50)
    return scene


def _pools(batch: ByPool, dice: random.Random, nodes: int) -> None:
    batch.pools_known = {
        DEFAULT: PoolState(
            id=DEFAULT,
            state="active",
            allocation="steady",
            vm_size="standard_d4s_v5",
            dedicated=12,
            target_dedicated=12,
            task_slots=4,
        ),
        BURST: PoolState(
            id=BURST,
            state="active",
            allocation="resizing",
            vm_size="standard_f8s_v2",
            low_priority=nodes,
            target_low_priority=nodes + 20,
            task_slots=4,
            autoscale_formula=FORMULA,
            autoscale_at=START + timedelta(minutes=48),
            autoscale_results="$TargetLowPriorityNodes=260;",
            resize_errors=("AllocationTimedout: the desired number of spot nodes could not be allocated in time",),
        ),
    }
    names, weights = zip(*STATES, strict=True)
    found = []
    for _ in range(nodes):
        state = dice.choices(names, weights)[0]
        running = dice.randint(1, 4) if state == "running" else 0
        failed = state == "starttaskfailed"
        found.append(
            NodeState(
                id=f"tvmps_{dice.getrandbits(64):016x}_p",
                state=state,
                dedicated=dice.random() < 0.15,
                running_tasks=running,
                slots_used=running,
                scheduling=dice.random() > 0.02,
                since=START + timedelta(minutes=dice.randint(0, 45)),
                start_task_exit_code=1 if failed else 0,
                start_task_failure=OWN if failed else None,
                errors=("DiskFull: there is not enough disk space on the node",) if state == "unusable" else (),
            )
        )
    batch.by_pool[BURST] = found
    batch.by_pool[DEFAULT] = [
        NodeState(
            id=f"tvm-{number:04d}",
            state="running" if number < 9 else "idle",
            running_tasks=number % 4 + 1 if number < 9 else 0,
            slots_used=number % 4 + 1 if number < 9 else 0,
            since=START,
            vm_size="standard_d4s_v5",
            ip_address=f"10.0.0.{number + 4}",
            allocated=START - timedelta(hours=3),
            booted=START - timedelta(hours=3),
            tasks_run=212 + number,
            tasks_succeeded=209,
            start_task_command="/bin/bash -c 'set -e; docker pull registryexample.azurecr.io/docker-worker'",
            start_task_state="completed",
            start_task_exit_code=0,
            start_task_started=START - timedelta(minutes=174),
            start_task_ended=START - timedelta(minutes=172),
            recent_tasks=tuple(
                RecentTask(
                    job_id="simulate-wing",
                    task_id=f"simulate-{40 + n:05d}",
                    state="completed",
                    exit_code=int(n == 2),
                    started=START,
                    ended=START + timedelta(seconds=50 + n),
                )
                for n in range(5)
            ),
        )
        for number in range(12)
    ]
    for node in batch.by_pool[DEFAULT]:
        batch.node_contents[node.id, "startup/stdout.txt"] = (
            b"1.4.0: Pulling from docker-worker\nStatus: Image is up to date\n"
        )
        batch.node_contents[node.id, "startup/stderr.txt"] = b""
        batch.node_contents[node.id, "workitems/simulate-wing/job-1/simulate-00042/stderr.txt"] = TRACE.encode()


def _add(scene: Stage, job_id: str, pool: str, family: str, tasks: list[TaskState], image: str) -> None:
    batch = scene.batch
    metadata = [{"name": "family", "value": family}, {"name": "container", "value": "job-hello"}]
    batch.create_job({"id": job_id, "poolInfo": {"poolId": pool}, "metadata": metadata})
    batch.sent[job_id] = {
        task.id: {
            "id": task.id,
            "commandLine": f"simulate --step {task.id.rpartition('-')[2]}",
            "containerSettings": {"imageName": image},
        }
        for task in tasks
    }
    batch.task_states[job_id] = {task.id: replace(task, image=image) for task in tasks}


def _job_with_failures(scene: Stage, count: int) -> None:
    """A job that is over; `simulate-00042` failed for a reason of its own, on node `tvm-0003`."""
    found = made_up.reading(count, nodes=12, slots=4)
    names = {node.id: f"tvm-{number:04d}" for number, node in enumerate(found.nodes)}
    image = f"{SERVER}/simulate@sha256:{'c3' * 32}"
    tasks = [replace(task, node_id=names[task.node_id or ""]) for task in found.tasks if not task.failure]
    failed = TaskState(
        id="simulate-00042",
        state="completed",
        result="failure",
        exit_code=3,
        failure=OWN,
        node_id="tvm-0003",
        retries=1,
        created=START,
        started=START + timedelta(seconds=71),
        ended=START + timedelta(seconds=79),
        changed=START + timedelta(seconds=79),
    )
    lost = replace(
        failed, id="merge-00001", exit_code=None, failure=LOST, retries=0, started=None, ended=None, node_id=None
    )
    tasks = [task for task in tasks if task.id not in (failed.id, lost.id)]
    tasks[40:40] = [failed]
    _add(scene, "simulate-wing", DEFAULT, "simulate", [*tasks, lost], image)
    batch = scene.batch
    batch.states["simulate-wing"] = replace(
        batch.states["simulate-wing"],
        state="completed",
        created=START,
        ended=found.job.ended,
        terminate_reason="AllTasksComplete",
    )
    for name in ("stdout.txt", "stderr.txt"):
        scene.blobs.content["job-hello", f"simulate-wing/{failed.id}/{name}"] = (
            TRACE.encode() if name == "stderr.txt" else b"step 42: reading the mesh\n"
        )
        batch.files["simulate-wing", failed.id, name] = (
            TRACE.encode() if name == "stderr.txt" else b"step 42: reading the mesh\n"
        )


def _job_under_way(scene: Stage, dice: random.Random, count: int) -> None:
    nodes = [node.id for node in scene.batch.nodes(BURST)]
    tasks = []
    for number in range(count):
        begun = START + timedelta(seconds=20 + number * 1.4 + dice.uniform(0, 30))
        base = TaskState(id=f"train-{number:05d}", state="active", created=START + timedelta(minutes=5), changed=begun)
        if number < count * 0.7:
            base = replace(
                base,
                state="completed",
                result="success",
                exit_code=0,
                node_id=dice.choice(nodes),
                started=begun,
                ended=begun + timedelta(seconds=dice.lognormvariate(4, 0.4)),
            )
        elif number < count * 0.85:
            base = replace(base, state="running", node_id=dice.choice(nodes), started=begun)
        tasks.append(base)
    _add(scene, "train-surrogate", BURST, "train", tasks, f"{SERVER}/simulate:mesh-fix")


def _old_job(scene: Stage, name: str, count: int, *, hours: float) -> None:
    created = START - timedelta(hours=hours)
    tasks = [
        TaskState(
            id=f"step-{number}",
            state="completed",
            result="success",
            exit_code=0,
            node_id="tvm-0001",
            created=created,
            started=created + timedelta(seconds=4),
            ended=created + timedelta(seconds=20),
            changed=created,
        )
        for number in range(count)
    ]
    _add(scene, name, DEFAULT, name.partition("-2026")[0], tasks, f"{SERVER}/docker-worker@{DIGEST}")
    scene.batch.states[name] = replace(
        scene.batch.states[name],
        state="completed",
        created=created,
        ended=created + timedelta(minutes=2),
        terminate_reason="AllTasksComplete",
    )
