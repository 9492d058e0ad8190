"""Jobs of any size, made up with a seed: tasks of three kinds on nodes with slots; some fail or run again."""

from __future__ import annotations

import heapq
import random
from datetime import datetime, timedelta

from jobs.report.read import Reading
from jobs.service.batch import Failure, JobState, NodeState, TaskState

START = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
IMAGE = "registry.azurecr.io/docker-worker@sha256:0123456789abcdef"
CODES = ((1, 0.012), (137, 0.006), (126, 0.002), (None, 0.002))
GONE = Failure(category="ServerError", code="ContainerInvalidImage", message="The image could not be pulled")


def reading(count: int, *, nodes: int = 0, slots: int = 2, seed: int = 7, going: bool = False) -> Reading:
    """A job of so many tasks; by default on about a node for each 60."""
    dice = random.Random(seed)
    machines = [
        f"tvm-{dice.randrange(10**8):08d}_{number}" for number in range(nodes or max(2, min(1000, count // 60)))
    ]
    free = [(dice.uniform(0, 40), number % len(machines)) for number in range(len(machines) * slots)]
    heapq.heapify(free)
    tasks = []
    for number in range(count):
        kind, middle = (("prepare", 8), ("simulate", 45), ("merge", 20))[
            min(2, number * 12 // (count * 11) + (number > count // 12))
        ]
        at, machine = heapq.heappop(free)
        begun = at + dice.uniform(0.2, 2)
        took = dice.lognormvariate(0, 0.45) * middle * (8 if dice.random() < 0.004 else 1)
        code, chance, failure = 0, dice.random(), None
        for candidate, share in CODES:
            chance -= share
            if chance < 0:
                code = candidate
                failure = (
                    GONE if candidate is None else Failure(category="UserError", code="FailureExitCode", message="")
                )
                took *= 0.3
                break
        heapq.heappush(free, (begun + took, machine))
        tasks.append(
            TaskState(
                id=f"{kind}-{number:05d}",
                state="completed",
                result="failure" if failure else "success",
                exit_code=code,
                failure=failure,
                node_id=machines[machine],
                retries=int(dice.random() < 0.02),
                requeues=int(dice.random() < 0.01),
                created=START,
                started=START + timedelta(seconds=begun),
                ended=START + timedelta(seconds=begun + took),
                image=IMAGE,
            )
        )
    job = JobState(
        id="simulate-20261123", state="completed", pool_id="default-1a2b", created=START, family="simulate",
        container="job-simulate", terminate_reason="AllTasksComplete", ended=max(t.ended for t in tasks if t.ended),
    )  # fmt: skip
    return Reading(
        job=job,
        tasks=tasks,
        nodes=[NodeState(id=name, state="idle", dedicated=number % 4 != 3) for number, name in enumerate(machines)],
        slots=slots,
        definition={"id": job.id, "poolInfo": {"poolId": job.pool_id}},
        first={"id": tasks[0].id, "commandLine": "run --number 0"},
        stack="account.westeurope.batch.azure.com",
        blobs=f"https://account.blob.core.windows.net/job-simulate/{job.id}/",
    )
