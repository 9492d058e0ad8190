"""How long the dashboard's pages take with many tasks and nodes, `python -m benchmarks.dashboard`.

The local Azure's Batch service in this process with the `noop` executor: a pool, a job whose tasks have run, and the
dashboard before it, asked over HTTP as the pages ask. Each page is asked for three times, with nothing kept
from before. Prints a line for each: the best and the worst, in milliseconds, and how often the service was asked.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jobs.clock import SystemClock
from jobs.dashboard.access import KEY_HEADER, Access
from jobs.dashboard.server import Dashboard, serve
from jobs.report import page, read
from jobs.service.connection import Connection, SharedKey
from jobs.session import Session
from jobs.terminal.render import Render
from local.azure.batch.model.states import TaskState
from local.azure.batch.model.task import Task, with_defaults
from testbeds.batch_service import BATCH_DATA_CONTRIBUTOR, SUBMITTER, LocalBatch

ROUNDS = 3
CHUNK = 5_000  # tasks that are put into the service's state at a time
FAILS = 50  # one of so many


def session_of(local: LocalBatch) -> Session:
    account = local.account("bench", allowedAuthenticationModes=["AAD", "SharedKey"])
    local.grant(SUBMITTER, BATCH_DATA_CONTRIBUTOR, account.id)
    key = local.key("bench").named_key
    connection = Connection(
        batch_endpoint=local.endpoint("bench"), credential=SharedKey(account=key.name, key=key.key), ca=local.paths.ca
    )
    return Session(find_connection=lambda: connection, render=Render(), clock=SystemClock())


def fill(local: LocalBatch, session: Session, tasks: int, nodes: int) -> str:
    """The pool, and the job with tasks that have run: put into the service's state, which takes seconds, where running
    them one by one takes minutes. Gives the node of the first task."""
    local.pool("pool", nodes=nodes, account="bench", taskSlotsPerNode=4)
    local.settle()
    session.batch.create_job({"id": "large", "poolInfo": {"poolId": "pool"}})
    account = local.service.account("bench")
    assert account is not None
    state, names, now = account.state, local.node_ids(), datetime.now(UTC)
    definition = with_defaults({"commandLine": "true"}, 0)

    async def put(numbers: range) -> None:
        with account.loop.turn() as turn:
            for number in numbers:
                begun = now - timedelta(seconds=(tasks - number) / 50)
                code = 9 if number % FAILS == 7 else 0
                turn.add(
                    Task(
                        id=f"task-{number:06d}",
                        job_id="large",
                        body={**definition, "id": f"task-{number:06d}"},
                        created=now - timedelta(hours=1),
                        state_since=begun,
                        changed=begun,
                        number=state.next_number(),
                        state=TaskState.COMPLETED,
                        pool_id="pool",
                        node_id=names[number % len(names)],
                        started=begun,
                        ended=begun + timedelta(seconds=3),
                        exit_code=code,
                        result="failure" if code else "success",
                    )
                )

    began = time.perf_counter()
    for first in range(0, tasks, CHUNK):
        local.run(put(range(first, min(tasks, first + CHUNK))))
    print(f"{tasks} tasks on {nodes} nodes are there after {time.perf_counter() - began:.0f} s", flush=True)
    return names[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=1_000)
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        local = LocalBatch(Path(folder) / "home", automatic=True)
        try:
            session = session_of(local)
            node = fill(local, session, arguments.tasks, arguments.nodes)
            measure(session, node)
            began = time.perf_counter()
            reading = read.read(session, "large")
            read_at = time.perf_counter()
            html = page.page(reading, reading.figures(session)).encode()
            print(
                f"report: read in {read_at - began:.1f} s, made in {time.perf_counter() - read_at:.1f} s, "
                f"{len(html) / 1e6:.1f} MB"
            )
        finally:
            local.close()


def measure(session: Session, node: str) -> None:
    access = Access()
    dashboard = Dashboard(session, access)
    listening = threading.Event()

    def run() -> None:
        import asyncio

        asyncio.run(serve(dashboard, 0, listening.set))

    threading.Thread(target=run, daemon=True).start()
    listening.wait(10)
    cookie, key = access.exchange(access.token) or ("", "")
    headers = {"Cookie": f"{access.cookie_name}={cookie}", KEY_HEADER: key}
    pages = {
        "pools": ("/api/pools",),
        "node": (f"/api/pools/pool/{node}",),
        "jobs": ("/api/jobs",),
        "job, first page": ("/api/jobs/large", "/api/jobs/large/tasks"),
        "tasks, next page": ("/api/jobs/large/tasks?page=1",),
        "tasks, failed": ("/api/jobs/large/tasks?shown=failed",),
        "tasks, succeeded": ("/api/jobs/large/tasks?shown=succeeded",),
        "tasks by beginning": ("/api/jobs/large/tasks?prefix=task-0999",),
        "task": ("/api/jobs/large/tasks/task-000500", "/api/jobs/large/tasks/task-000500/files"),
        "output": ("/api/jobs/large/tasks/task-000500/output?name=stdout.txt",),
    }
    for name, paths in pages.items():
        times, size, calls = [], 0, 0
        for _ in range(ROUNDS):
            dashboard.cache.forget()
            before, began = dashboard.cache.asked, time.perf_counter()
            size = sum(ask(access.port, path, headers) for path in paths)
            times.append((time.perf_counter() - began) * 1000)
            calls = dashboard.cache.asked - before
        print(
            f"{name:<20} {min(times):>7.0f} to {max(times):>5.0f} ms {calls:>3} calls {size / 1000:>7.1f} kB",
            flush=True,
        )


def ask(port: int, path: str, headers: dict[str, str]) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        body = answer.read()
        json.loads(body)
        return len(body)


if __name__ == "__main__":
    main()
