"""One way of adding tasks, measured in its own process: `python -m benchmarks.contenders KIND PORT TASKS WORKERS`.

sdk: `BatchClient.create_tasks` with models. ours: `jobs.submission` with definitions as `jobs.tasks` makes them.
bare: a loop over aiohttp that posts bodies that were made before and reads the answers without looking at them.
simple: `bare` with retries.
Prints one JSON line: tasks a second of the sending alone (the SDK's models and the bare bodies are made before).
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KEY = base64.b64encode(b"k" * 64).decode()
COMMAND, IMAGE = '/bin/sh -c "echo hi"', "localhost:5000/w:1"


def definitions(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "id": f"task-{number:08d}",
            "commandLine": COMMAND,
            "containerSettings": {"imageName": IMAGE, "containerRunOptions": "--rm"},
            "environmentSettings": [{"name": "I", "value": str(number)}],
        }


def sdk(port: int, count: int, workers: int) -> dict[str, Any]:
    from azure.batch import BatchClient, models
    from azure.core.credentials import AzureNamedKeyCredential
    from azure.core.pipeline.transport import RequestsTransport
    from requests import Session
    from requests.adapters import HTTPAdapter

    logging.disable(logging.CRITICAL)
    session = Session()
    session.mount("http://", HTTPAdapter(pool_connections=4, pool_maxsize=128))
    transport = RequestsTransport(session=session, session_owner=False)
    client = BatchClient(f"http://127.0.0.1:{port}", AzureNamedKeyCredential("a", KEY), transport=transport)
    tasks = [
        models.BatchTaskCreateOptions(
            id=f"task-{number:08d}",
            command_line=COMMAND,
            container_settings=models.BatchTaskContainerSettings(image_name=IMAGE, container_run_options="--rm"),
            environment_settings=[models.EnvironmentSetting(name="I", value=str(number))],
        )
        for number in range(count)
    ]
    began, cpu = time.perf_counter(), time.process_time()
    try:
        client.create_tasks("j", tasks, max_concurrency=workers)
        note = ""
    except Exception as error:
        note = f"{type(error).__name__}: {len(getattr(error, 'pending_tasks', ()))} tasks pending"
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu, "note": note}


def ours(port: int, count: int, workers: int) -> dict[str, Any]:
    from jobs.service.client import AzureBatch
    from jobs.service.connection import Connection, SharedKey
    from jobs.submission import Options, http, submit_tasks  # noqa: F401 - http: imported before the clock runs

    key = SharedKey(account="a", key=KEY)
    batch = AzureBatch(Connection(batch_endpoint=f"http://127.0.0.1:{port}", credential=key))
    with tempfile.TemporaryDirectory() as folder:
        options = Options(total=count, workers=workers, checkpoint=Path(folder) / "checkpoint")
        began, cpu = time.perf_counter(), time.process_time()
        result = submit_tasks(batch, "j", definitions(count), options)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    note = "" if result.complete else f"accepted {result.accepted}: {result.stopped}"
    return {"seconds": seconds, "cpu": cpu, "note": note, "throttled": result.throttled}


def bare(port: int, count: int, workers: int) -> dict[str, Any]:
    import aiohttp

    from jobs.ids import IdSet
    from jobs.submission.chunks import cut

    bodies = [chunk.body for chunk in cut(definitions(count), IdSet())]
    url = f"http://127.0.0.1:{port}/jobs/j/addtaskcollection?api-version=2025-06-01"
    headers = {"Content-Type": "application/json; odata=minimalmetadata"}

    async def run() -> tuple[float, float]:
        waiting = iter(bodies)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=workers)) as session:

            async def work() -> None:
                for body in waiting:
                    async with session.post(url, data=body, headers=headers) as answer:
                        await answer.read()

            began, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*[work() for _ in range(workers)])
            return time.perf_counter() - began, time.process_time() - cpu

    seconds, cpu = asyncio.run(run())
    return {"seconds": seconds, "cpu": cpu, "note": ""}


def simple(port: int, count: int, workers: int) -> dict[str, Any]:
    """What one would write in an hour: `bare`, which sends a collection again at once until the answer is a 200."""
    import aiohttp

    from jobs.ids import IdSet
    from jobs.submission.chunks import cut

    bodies = [chunk.body for chunk in cut(definitions(count), IdSet())]
    url = f"http://127.0.0.1:{port}/jobs/j/addtaskcollection?api-version=2025-06-01"

    async def run() -> tuple[float, float]:
        waiting = iter(bodies)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=workers)) as session:

            async def work() -> None:
                for body in waiting:
                    while True:
                        try:
                            async with session.post(url, data=body) as answer:
                                await answer.read()
                                if answer.status == 200:
                                    break
                        except aiohttp.ClientError:
                            continue

            began, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*[work() for _ in range(workers)])
            return time.perf_counter() - began, time.process_time() - cpu

    seconds, cpu = asyncio.run(run())
    return {"seconds": seconds, "cpu": cpu, "note": ""}


if __name__ == "__main__":
    kind, (port, count, workers) = sys.argv[1], map(int, sys.argv[2:5])
    figures = {"sdk": sdk, "ours": ours, "bare": bare, "simple": simple}[kind](port, count, workers)
    figures |= {
        "rate": count / figures["seconds"],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))
