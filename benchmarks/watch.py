"""What `watch` costs: service calls and bytes a minute for small and large jobs, `python -m benchmarks.watch`.

A service on loopback keeps a number of tasks of which so many a second complete, one in fifty with a failure, and
answers as recorded. It counts requests and the bytes of its answers. Prints a JSON line for each size.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jobs.clock import SystemClock
from jobs.service.client import AzureBatch
from jobs.service.connection import Connection, SharedKey
from jobs.session import Session
from jobs.terminal.render import Render
from jobs.verbs import watch

RATE = 40  # tasks a second that complete
FAILS = 50  # one of so many


class Service:
    """A job of `size` tasks, completing one after the other since the start."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.began = time.time()
        self.requests = 0
        self.bytes = 0

    def completed(self) -> int:
        return min(self.size - 1, int((time.time() - self.began) * RATE))

    def answer(self, path: str, query: dict[str, list[str]]) -> dict[str, Any]:
        if path == "/jobs/j":
            return {"id": "j", "state": "active", "onAllTasksComplete": "terminatejob", "poolInfo": {"poolId": "p"}}
        done = self.completed()
        if path == "/jobs/j/taskcounts":
            failed = done // FAILS
            counts = {"active": self.size - done, "running": 0, "completed": done}
            return {"taskCounts": {**counts, "succeeded": done - failed, "failed": failed}}
        if path == "/jobs/j/tasks":
            return {"value": self.tasks(query.get("$filter", [""])[0], int(query.get("maxresults", ["1000"])[0]), done)}
        return {"value": []}

    def tasks(self, chosen: str, most: int, done: int) -> list[dict[str, Any]]:
        since = re.search(r"DateTime'([^']+)'", chosen)
        after = datetime.fromisoformat(since[1]).timestamp() if since else 0.0
        first = max(0, int((after - self.began) * RATE)) if since else 0
        numbers = range(first, done if since or "failure" in chosen else self.size)
        step = [n for n in numbers if n % FAILS == 0] if "failure" in chosen else numbers
        return [self.task(number, done) for number in step[:most]]

    def task(self, number: int, done: int) -> dict[str, Any]:
        at = datetime.fromtimestamp(self.began + number / RATE, UTC).isoformat().replace("+00:00", "Z")
        if number >= done:
            return {"id": f"t{number}", "state": "active", "stateTransitionTime": at}
        bad = number % FAILS == 0
        info = {"exitCode": int(bad), "result": "failure" if bad else "success", "retryCount": 0, "requeueCount": 0}
        return {"id": f"t{number}", "state": "completed", "stateTransitionTime": at, "executionInfo": info}


def serve(service: Service) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            where = urlsplit(self.path)
            body = json.dumps(service.answer(where.path, parse_qs(where.query))).encode()
            service.requests += 1
            service.bytes += len(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/json; odata=minimalmetadata")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def measure(size: int, seconds: float) -> dict[str, Any]:
    """Watch a job of this size for so long."""
    service = Service(size)
    server = serve(service)
    credential = SharedKey(account="a", key=base64.b64encode(b"k" * 64).decode())
    connection = Connection(batch_endpoint=f"http://127.0.0.1:{server.server_port}", credential=credential)
    told = io.StringIO()
    session = Session(
        find_connection=lambda: connection, render=Render(err=told), clock=SystemClock(), make_batch=AzureBatch
    )
    began = time.perf_counter()
    try:
        watch.follow(session, "j", timeout=seconds)
    except watch.GaveUpWaiting:
        pass
    finally:
        server.shutdown()
        server.server_close()
    minutes = (time.perf_counter() - began) / 60
    return {
        "tasks": size,
        "calls_a_minute": round(service.requests / minutes, 1),
        "kilobytes_a_minute": round(service.bytes / 1000 / minutes, 1),
        "lines_told": len(told.getvalue().splitlines()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[3_000, 100_000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    for size in arguments.sizes:
        print(json.dumps(measure(size, arguments.seconds)), flush=True)


if __name__ == "__main__":
    main()
