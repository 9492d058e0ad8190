"""Tasks in containers beside a bare `docker run` on the same nodes: `python -m benchmarks.docker_executor [--tasks N]`.

Wants the stack "local" deployed (`make up`) and nothing else to do. bare: on each node of the pool "default" as many
loops as a node has task slots, each starting one container of the worker image after the other, which runs a program
for a moment (`--seconds`). tasks: a job of as many tasks with the same image and program; its time is from the
first task's start to the last one's end, as the service tells them. The two take turns; medians count. What a task has
besides (its folder and log files, limits, environment, the report of its end) is in the second figure.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from local.deployment import settings, tour
from local.node.docker_executor import HOME_LABEL, home_id
from local.paths import CHECKOUT, Paths


def bare(nodes: list[str], image: str, loops: int, count: int, seconds: float) -> float:
    """Seconds for `count` containers, over all nodes and loops."""
    each = count // (len(nodes) * loops)
    script = f"for i in $(seq {each}); do docker run --rm --entrypoint sleep {image} {seconds}; done"
    began = time.monotonic()
    with ThreadPoolExecutor(len(nodes) * loops) as pool:
        work = [
            pool.submit(subprocess.run, ["docker", "exec", node, "sh", "-c", script], check=True, capture_output=True)
            for node in nodes
            for _ in range(loops)
        ]
    for one in work:
        one.result()
    return time.monotonic() - began


def tasks(count: int, seconds: float, turn: int) -> float:
    """Seconds from the first task's start to the last one's end."""
    job = f"bench-{int(time.time())}-{turn}"
    file = {
        "job": {"family": "hello"},
        "tasks": {
            "template": {"id": "t{number}", "entrypoint": "sleep", "command": [str(seconds)]},
            "sweep": {"number": {"range": [1, count]}},
        },
    }
    jobs("submit", "-", "--yes", "--job-id", job, given=json.dumps(file))
    jobs("wait", job, "--timeout", "10m")
    tasks = [json.loads(line) for line in jobs("tasks", job, "--json", "--limit", "0").splitlines()]
    assert len(tasks) == count and all(one["exit_code"] == 0 for one in tasks), tasks
    return (max(when(one, "ended") for one in tasks) - min(when(one, "started") for one in tasks)).total_seconds()


def when(task: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(task[name])


def jobs(*words: str, given: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "jobs", *words], cwd=CHECKOUT, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.docker_executor")
    parser.add_argument("--tasks", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--turns", type=int, default=3)
    given = parser.parse_args()
    paths = Paths.default()
    pool = tour.outputs(settings.stack(paths))["pools"]["default"]
    names = ["docker", "ps", "--filter", f"label={HOME_LABEL}={home_id(paths)}", "--format", "{{.Names}}"]
    nodes = subprocess.run(names, capture_output=True, text=True, check=True).stdout.split()
    if not nodes:
        sys.exit("no node runs; make up starts them")
    loops, figures = int(pool["task_slots"]), ([], [])
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {len(nodes)} nodes with {loops} slots", flush=True)
    for turn in range(given.turns):
        figures[0].append(bare(nodes, pool["image"], loops, given.tasks, given.seconds))
        figures[1].append(tasks(given.tasks, given.seconds, turn))
    plain, ours = (given.tasks / statistics.median(one) for one in figures)
    print(f"docker run {plain:6.2f} a second\ntasks      {ours:6.2f} a second   {ours / plain:.0%}")


if __name__ == "__main__":
    main()
