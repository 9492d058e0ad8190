"""The local Azure's Batch service with very many tasks, `python -m benchmarks.local_batch [--tasks N]`.

The service runs in a process of its own, on a real port with TLS, with the `noop` executor: tasks end as soon as their
node is told of them. Clients in this process send the bodies that the SDK sends, 100 tasks in each. Every figure stands
beside its bar; the rate of acceptance stands beside a floor as well: one process that does
nothing but read the same bodies and write the same number of rows.

Measured, in this order: tasks accepted while the pool has no nodes, memory for each 100,000 tasks, pages of listings
and counts, tasks scheduled and completed, the pages once more, and the start after kill -9.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import os
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azure.batch import models
from azure.batch._utils.model_base import SdkJSONEncoder  # what the SDK's own operations write bodies with

from local.azure.app import serve
from local.azure.batch.account.authentication import string_to_sign
from local.azure.batch.service import BatchService
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import Resource
from local.node.noop import NoopExecutor
from local.paths import Paths

ACCOUNT, VERSION = "bench", "2025-06-01"
CHUNK = 100  # tasks in a request: the most that Batch takes
STEP = 100_000  # tasks between two looks at the memory
ROUNDS = 5
MIB = 1024
BARS = {"accepted": 20_000, "completed": 5_000, "memory": 4096, "start": 30}


# -- the service's process ---------------------------------------------------------------------------------------------


def run_service(home: Path) -> None:
    """What the local Azure's process does, with one service and one account."""
    cloud = Cloud.open(Paths(home))
    resource_id = f"{cloud.subscription_scope}/resourceGroups/g/providers/Microsoft.Batch/batchAccounts/{ACCOUNT}"
    if cloud.resources.get(resource_id) is None:
        cloud.resources.put(
            Resource(
                id=resource_id,
                type="Microsoft.Batch/batchAccounts",
                name=ACCOUNT,
                location="westeurope",
                properties={"allowedAuthenticationModes": ["SharedKey"]},
                system={},
            )
        )
    service = BatchService(cloud, NoopExecutor())
    asyncio.run(serve(cloud, services=[service, Announcement(service)]))


class Announcement:
    """Prints how the service is reached, once it is."""

    name = "announcement"

    def __init__(self, service: BatchService) -> None:
        self._service = service

    async def start(self) -> None:
        account = self._service.account(ACCOUNT)
        assert account is not None, "its resource was put before"
        print(json.dumps({"port": account.port, "key": account.keys()["primary"]}), flush=True)

    async def stop(self) -> None:
        """Nothing was started."""


@dataclass
class Running:
    """A running service: its process, and how to reach it."""

    process: subprocess.Popen[str]
    port: int
    key: str
    context: ssl.SSLContext

    @classmethod
    def start(cls, home: Path) -> Running:
        command = [sys.executable, "-m", "benchmarks.local_batch", "--serve", str(home)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None, "it is a pipe"
        facts = json.loads(process.stdout.readline())
        return cls(process, facts["port"], facts["key"], ssl.create_default_context(cafile=str(Paths(home).ca)))

    def memory(self, name: str = "VmRSS") -> float:
        """MiB of the process; VmHWM is the most it ever had."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / MIB

    def processor_seconds(self) -> float:
        """Processor time of the process."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """SIGKILL, as `kill -9` sends it."""
        self.process.kill()
        self.process.wait()


class Connection:
    """One kept connection, with the shared key."""

    def __init__(self, service: Running) -> None:
        self._service = service
        self._http = http.client.HTTPSConnection("127.0.0.1", service.port, context=service.context, timeout=600)

    def ask(
        self, method: str, path: str, body: bytes | None = None, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Send a request; the answer's body, {} when it has none."""
        query = {"api-version": VERSION, **(query or {})}
        text = "&".join(f"{quote(name)}={quote(value)}" for name, value in query.items())
        headers = {"ocp-date": formatdate(usegmt=True)}
        if body is not None:
            headers |= {"Content-Type": "application/json; odata=minimalmetadata", "Content-Length": str(len(body))}
        signed = string_to_sign(method, headers, ACCOUNT, path, text).encode()
        digest = hmac.new(base64.b64decode(self._service.key), signed, hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
        self._http.request(method, f"{path}?{text}", body, headers)
        answer = self._http.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content.decode()[:500]}")
        return json.loads(content) if content else {}


# -- bodies ------------------------------------------------------------------------------------------------------------


def definition(number: int) -> models.BatchTaskCreateOptions:
    """A task of a common kind: a container, an environment, limits and an upload of its output."""
    return models.BatchTaskCreateOptions(
        id=f"task-{number:07d}",
        command_line=f"/bin/sh -c 'process --item {number}'",
        container_settings=models.BatchTaskContainerSettings(image_name="registry.azurecr.io/worker:1.0"),
        environment_settings=[models.EnvironmentSetting(name="ITEM", value=str(number))],
        constraints=models.BatchTaskConstraints(max_task_retry_count=2),
    )


def bodies(first: int, last: int) -> Iterator[bytes]:
    """Requests of `addtaskcollection` as the SDK writes them: one is written by the SDK's encoder, the others are that
    one with other numbers, so that this client costs little."""
    marker = 7_654_321
    model = json.dumps(definition(marker), cls=SdkJSONEncoder, exclude_readonly=True)
    for start in range(first, last, CHUNK):
        numbers = range(start, min(last, start + CHUNK))
        tasks = ",".join(model.replace(str(marker), f"{number:07d}") for number in numbers)
        yield f'{{"value": [{tasks}]}}'.encode()


def floor(count: int, folder: Path) -> float:
    """Tasks a second of one process that reads the bodies and writes a row for each task, and nothing else."""
    database = sqlite3.connect(folder / "floor.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute("CREATE TABLE documents (kind TEXT, key TEXT, body TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID")
    sent = list(bodies(0, count))
    began = time.perf_counter()
    for body in sent:
        rows = [("batch.task", one["id"], json.dumps(one)) for one in json.loads(body)["value"]]
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", rows)
        database.execute("COMMIT")
    rate = count / (time.perf_counter() - began)
    database.close()
    return rate


# -- measuring ---------------------------------------------------------------------------------------------------------


def line(name: str, figure: str, bar: str = "") -> None:
    print(f"{name:<44} {figure:>34}   {bar}", flush=True)


def accept(service: Running, first: int, last: int, connections: int) -> float:
    """Send tasks over some connections at once; the seconds it took."""
    waiting = iter(list(bodies(first, last)))
    lock, failed = threading.Lock(), []

    def work() -> None:
        connection = Connection(service)
        while True:
            with lock:
                body = next(waiting, None)
            if body is None or failed:
                return
            try:
                results = connection.ask("POST", "/jobs/large/addtaskcollection", body)["value"]
                if refused := [one for one in results if one["status"] != "Success"]:
                    raise RuntimeError(str(refused[0]))
            except Exception as error:
                failed.append(error)
                raise

    threads = [threading.Thread(target=work) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return time.perf_counter() - began


def pages(service: Running, tasks: int) -> None:
    """Measure pages of each kind: prints the milliseconds of the best and of the worst of some rounds."""
    connection = Connection(service)
    middle = "LOCAL!" + base64.urlsafe_b64encode(f"task-{tasks // 2:07d}".encode()).decode()
    late = f"startswith(id, 'task-{(tasks - 1) // 1000 * 1000:07d}"[:-3] + "')"
    requests: dict[str, tuple[str, dict[str, str]]] = {
        "tasks, first page": ("/jobs/large/tasks", {}),
        "tasks, page in the middle": ("/jobs/large/tasks", {"$skiptoken": middle}),
        "tasks, $select": ("/jobs/large/tasks", {"$select": "id,state"}),
        "tasks, page of 10": ("/jobs/large/tasks", {"maxresults": "10", "$skiptoken": middle}),
        "tasks, startswith, the last 1,000": ("/jobs/large/tasks", {"$filter": late}),
        "tasks, state eq 'active'": ("/jobs/large/tasks", {"$filter": "state eq 'active'"}),
        "tasks, state eq 'running'": ("/jobs/large/tasks", {"$filter": "state eq 'running'"}),
        "tasks, failed": (
            "/jobs/large/tasks",
            {"$filter": "state eq 'completed' and executionInfo/result eq 'failure'"},
        ),
        "taskcounts": ("/jobs/large/taskcounts", {}),
        "jobs": ("/jobs", {}),
        "pools": ("/pools", {}),
        "nodecounts": ("/nodecounts", {}),
        "nodes": ("/pools/pool/nodes", {}),
    }
    for name, (path, query) in requests.items():
        times, answer = [], {}
        for _ in range(ROUNDS):
            began = time.perf_counter()
            answer = connection.ask("GET", path, query=query)
            times.append((time.perf_counter() - began) * 1000)
        count = f"{len(answer['value'])} rows" if "value" in answer else ""
        line(f"  {name}", f"{min(times):.1f} to {max(times):.1f} ms", count)


def complete(service: Running, tasks: int, nodes: int) -> None:
    """Give the pool its nodes and wait until all tasks are completed."""
    connection = Connection(service)
    began, before = time.perf_counter(), service.processor_seconds()
    connection.ask("POST", "/pools/pool/resize", json.dumps({"targetDedicatedNodes": nodes}).encode())
    done, slowest = 0, 0.0
    while done < tasks:
        time.sleep(0.5)
        began_count = time.perf_counter()
        counts = connection.ask("GET", "/jobs/large/taskcounts")["taskCounts"]
        slowest = max(slowest, time.perf_counter() - began_count)
        if counts["completed"] == done and time.perf_counter() - began > 60:
            raise RuntimeError(f"nothing more is completed: {counts}")
        done = counts["completed"]
    seconds = time.perf_counter() - began
    line(
        f"scheduled and completed on {nodes} nodes",
        f"{tasks / seconds:,.0f} tasks/s ({seconds:.1f} s)",
        f"bar {BARS['completed']:,}",
    )
    used = (service.processor_seconds() - before) / tasks * 1e6
    line("  processor time; slowest answer meanwhile", f"{used:.0f} us/task; {slowest * 1000:.0f} ms")


def measure(tasks: int, nodes: int, connections: int, home: Path) -> None:
    line("floor: read bodies, write rows, no service", f"{floor(min(tasks, STEP), home):,.0f} tasks/s")
    service = Running.start(home / "cloud")
    try:
        connection = Connection(service)
        pool = {
            "id": "pool",
            "vmSize": "STANDARD_D2S_V3",
            "taskSlotsPerNode": 4,
            "targetDedicatedNodes": 0,
            "virtualMachineConfiguration": {
                "imageReference": {
                    "publisher": "microsoft-dsvm",
                    "offer": "ubuntu-hpc",
                    "sku": "2404",
                    "version": "latest",
                },
                "nodeAgentSKUId": "batch.node.ubuntu 24.04",
                "containerConfiguration": {"type": "dockerCompatible"},
            },
        }
        connection.ask("POST", "/pools", json.dumps(pool).encode())
        connection.ask("POST", "/jobs", json.dumps({"id": "large", "poolInfo": {"poolId": "pool"}}).encode())
        empty, seconds, processor = service.memory(), 0.0, service.processor_seconds()
        line("memory of the service without tasks", f"{empty:.0f} MiB")
        for first in range(0, tasks, STEP):
            last = min(tasks, first + STEP)
            took = accept(service, first, last, connections)
            seconds += took
            line(f"  {last:,} tasks", f"{(last - first) / took:,.0f} tasks/s, {service.memory():.0f} MiB")
        line("accepted", f"{tasks / seconds:,.0f} tasks/s ({seconds:.1f} s)", f"bar {BARS['accepted']:,}")
        line("  processor time", f"{(service.processor_seconds() - processor) / tasks * 1e6:.1f} us/task")
        line("  memory for each 100,000 tasks", f"{(service.memory() - empty) / tasks * 100_000:.0f} MiB")
        print(f"pages with {tasks:,} waiting tasks", flush=True)
        pages(service, tasks)
        complete(service, tasks, nodes)
        line(
            "  memory for each 100,000 tasks; the most ever",
            f"{(service.memory() - empty) / tasks * 100_000:.0f} MiB; {service.memory('VmHWM'):.0f} MiB",
            f"bar {BARS['memory']:,} MiB",
        )
        print(f"pages with {tasks:,} completed tasks and {nodes:,} nodes", flush=True)
        pages(service, tasks)
        service.kill()
        began = time.perf_counter()
        service = Running.start(home / "cloud")
        counts = Connection(service).ask("GET", "/jobs/large/taskcounts")["taskCounts"]
        line("start after kill -9", f"{time.perf_counter() - began:.1f} s", f"bar {BARS['start']} s")
        line("  processor time of that", f"{service.processor_seconds():.1f} s")
        line("  memory then", f"{service.memory():.0f} MiB, at most {service.memory('VmHWM'):.0f} MiB")
        assert counts["completed"] == tasks, counts
    finally:
        service.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        run_service(arguments.serve)
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments.tasks, arguments.nodes, arguments.connections, Path(folder))


if __name__ == "__main__":
    main()
