"""What the worker costs: `python -m benchmarks.worker [overhead connect scaling image]`. One JSON line a measurement.

- overhead: items a second with a 50 ms handler, beside a loop of the same transactions without lease and checkpoint;
- scaling: the same with 1 to 8 workers (on PostgreSQL behind the stand-in; all of them share this machine's cores);
- connect: the worker's connection, probe and translation included, beside the bare driver's;
- image: size and start, beside the base image; of the deployed local stack, unless --image and --base name others.
Both sides of a pair are processes of this machine against the same server process, taken in turns.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from local.deployment import settings
from local.deployment.project import read_yaml
from local.paths import Paths
from testbeds.worker_world import DATABASE, Worker, World, open_world

ITEMS, SECONDS, TURNS = 60, 0.05, 3
HANDLER = "testbeds.worker_steps:handle"
# The rival: what anybody would write who needs no lease. Reports as the worker does.
LOOP = """
import json, os, sys, time, datetime as dt
from docker_worker import database, settings
say = lambda event: print(json.dumps({"event": event, "at": dt.datetime.now(dt.UTC).isoformat()}), flush=True)
connection = database.log_in(settings.load_sql(os.environ))
cursor = connection.cursor()
say("started")
for number in range(int(sys.argv[1])):
    time.sleep(float(sys.argv[2]))
    cursor.execute("INSERT INTO dbo.steps_done (item, step) VALUES (?, ?)", ("loop", number))
    connection.commit()
say("ended")
"""
CONNECT = """
import json, os, sys, time
from docker_worker import database, settings
import mssql_python
mssql_python.pooling(enabled=False)
sql = settings.load_sql(os.environ)
bare = lambda: mssql_python.connect(database.connection_string(sql))
ways = {"worker": lambda: database.connect(sql), "driver": bare}
ways["driver"]().close()
taken = {name: [] for name in ways}
for _ in range(int(sys.argv[1])):
    for name, way in ways.items():
        began = time.perf_counter()
        connection = way()
        taken[name].append(time.perf_counter() - began)
        connection.close()
print(json.dumps({"event": "connect", **{name: sorted(values)[len(values) // 2] for name, values in taken.items()}}))
"""


def report(name: str, **facts: Any) -> None:
    print(json.dumps({"benchmark": name, **facts}), flush=True)


@contextmanager
def world_with_server() -> Iterator[World]:
    """Open what the tests open, but with the server in a process of its own."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        world = open_world(stack, home)
        world.port = world.cloud.ports.reserve("sql")
        command = [sys.executable, "-m", "local.azure.sql", "--home", str(home), "--database", DATABASE]
        server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        stack.callback(lambda: (server.terminate(), server.wait()))
        _await_port(world.port)
        world.let_in()
        world.run("migrate", "--handler", HANDLER)
        yield world


def _await_port(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the server did not answer")


def seconds_of(worker: Worker) -> tuple[float, float]:
    """When its work began and ended: connecting and importing are measured elsewhere."""
    began, ended = (datetime.fromisoformat(worker.events(name)[0]["at"]) for name in ("started", "ended"))
    return began.timestamp(), ended.timestamp()


def rate(workers: list[Worker], items: int) -> float:
    times = [seconds_of(worker) for worker in workers]
    return items / (max(end for _, end in times) - min(begin for begin, _ in times))


def run_workers(world: World, queue: str, count: int, items: int) -> float:
    """Items a second of `count` workers."""
    file = world.cloud.paths.home / f"{queue}.jsonl"
    file.write_text("".join(json.dumps({"name": f"{n}", "seconds": SECONDS}) + "\n" for n in range(items)))
    world.run("enqueue", "--queue", queue, "--key", "name", str(file))
    arguments = ("run", "--queue", queue, "--until-empty", "--handler", HANDLER)
    workers = [world.start(*arguments) for _ in range(count)]
    for worker in workers:
        if worker.end(300):
            raise SystemExit(worker.text)
    return rate(workers, items)


def run_loop(world: World, items: int) -> float:
    worker = _python(world, LOOP, str(items), str(SECONDS))
    return rate([worker], items)


def _python(world: World, program: str, *arguments: str) -> Worker:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=world.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    worker = Worker(process)
    if worker.end(300):
        raise SystemExit(worker.text)
    return worker


def overhead(world: World) -> None:
    pairs = [(run_loop(world, ITEMS), run_workers(world, f"one-{turn}", 1, ITEMS)) for turn in range(TURNS)]
    loop, worker = (statistics.median(side) for side in zip(*pairs, strict=True))
    report(
        "overhead",
        handler_ms=SECONDS * 1000,
        loop_items_per_s=round(loop, 2),
        worker_items_per_s=round(worker, 2),
        overhead_percent=round((loop / worker - 1) * 100, 1),
        turns=[[round(x, 2) for x in pair] for pair in pairs],
    )


def scaling(world: World) -> None:
    for count in (1, 2, 4, 8):
        rate = run_workers(world, f"scale-{count}", count, ITEMS * count)
        report("scaling", workers=count, items_per_s=round(rate, 1), ideal_items_per_s=round(count / SECONDS, 1))


def connecting(world: World) -> None:
    line = _python(world, CONNECT, "15").events("connect")[0]
    report("connect", **{f"{name}_ms": round(line[name] * 1000, 1) for name in ("worker", "driver")})


def image(name: str, base: str) -> None:
    """Size and start of the image, and of the one it is made from."""
    starts = {
        name: ["--entrypoint", "/opt/worker/bin/python3", name, "-P", "-m", "docker_worker", "wait", "--seconds", "0"],
        base: ["--entrypoint", "python3", base, "-c", "pass"],
    }
    for which, arguments in starts.items():
        size = int(_output("docker", "image", "inspect", "--format", "{{.Size}}", which))
        durations = []
        for _ in range(7):
            began = time.perf_counter()
            _output("docker", "run", "--rm", "--network", "none", *arguments)
            durations.append(time.perf_counter() - began)
        report(
            "image",
            image="worker" if which == name else "base",
            megabytes=round(size / 1e6, 1),
            start_ms=round(statistics.median(durations) * 1000),
        )


def deployed_images() -> tuple[str, str]:
    """The worker's image and its base on this machine's engine, as `make up` made them."""
    paths = Paths.default()
    file = settings.stack(paths).settings_file
    if not file.exists():
        raise SystemExit(f"image: no stack is deployed in {paths.home}; run `make up`, or give --image and --base")
    base = read_yaml(file)["config"][settings.key("worker")]["base_image"]
    outputs = _output(sys.executable, "-m", "local", "pulumi", "stack", "output", "--json")
    return json.loads(outputs)["worker_image"], base


def _output(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    with_server = {"overhead": overhead, "connect": connecting, "scaling": scaling}
    names = (*with_server, "image")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(names)} (default: all)")
    parser.add_argument("--image", help="the worker's image")
    parser.add_argument("--base", help="the image it was built from")
    given = parser.parse_args()
    chosen_names = given.names or names
    if unknown := set(chosen_names) - set(names):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
    if (given.image is None) != (given.base is None):
        parser.error("--image and --base go together: give both or none")
    if chosen := [with_server[name] for name in chosen_names if name in with_server]:
        with world_with_server() as world:
            for measure in chosen:
                measure(world)
    if "image" in chosen_names:
        image(*((given.image, given.base) if given.image else deployed_images()))


if __name__ == "__main__":
    main()
