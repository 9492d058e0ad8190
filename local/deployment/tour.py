"""`make up`: the main job from end to end, each step with its time.

Starts the local Azure, deploys the stack "local" with the unmodified program, waits for its nodes, gives the node
identity its database user, submits the sample job and shows its output. A second call finds everything as it is: it
deploys nothing and shows the last run again. The steps are ordinary commands that a user could type; this module only
orders them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from local import console
from local.deployment import database, project, recovery, resources, settings
from local.deployment.project import Stack
from local.node.image import ensure_base_image, ensure_node_image
from local.paths import CHECKOUT, Paths, jobs_command
from local.processes import background
from local.processes.running import read_cloud

INTERRUPTED_SECONDS = 10
TABLE_COLUMNS = 110  # of a terminal in which the CLI's table shows the state of our resources beside their names
SAMPLE = CHECKOUT / "jobs" / "samples" / "hello.yaml"
# Each line can be pasted in the checkout. {jobs}: the command that the set-up put into the virtual environment.
NEXT = """
What to try next:
  make preview                                     what a change would do (also STACK=dev, STACK=prod)
  {jobs} submit jobs/samples/hello.yaml    another run
  {jobs} tasks {job}    its tasks
  {jobs} logs -f {job}    what they write
  {jobs} nodes default    the pool's nodes
  {jobs} --help    all verbs; . .venv/bin/activate puts it on PATH
  .venv/bin/python -m local pulumi stack           any command of Pulumi on the stack
  make destroy                                     remove everything that was deployed
The stack's settings are in local/Pulumi.local.yaml: change them there, then: make up
"""


@dataclass
class Step:
    """A step under way; `code` is its exit code once it is known."""

    code: int = 0


@contextmanager
def step(name: str) -> Iterator[Step]:
    """Announce a step, and say how it ended and how long it took."""
    console.info(f"==> {name}")
    began, current = time.monotonic(), Step()
    yield current
    console.info(f"==> {name}: {'failed' if current.code else 'done'} ({time.monotonic() - began:.1f}s)")


def progress(text: str) -> None:
    console.info(f"    {text}")


def prepare(paths: Paths, show: Callable[[str], None] = progress) -> None:
    """Make the images and settings that the stack needs on this machine. Cached by content."""
    cloud = read_cloud(paths)
    base = ensure_base_image(paths, show)
    ensure_node_image(paths, show)
    settings.prepare(
        paths,
        {
            settings.key("worker"): {**settings.template_section("worker"), "base_image": base},
            settings.key("sql"): {**settings.template_section("sql"), "server": cloud["sql"]["server_from_nodes"]},
        },
    )


def repaired_stack(paths: Paths) -> Stack:
    """The stack "local" with the running local Azure as its cloud, fit for the next run of the CLI."""
    settings.require_settings(paths)
    stack = settings.stack(paths, settings.cloud_environment(paths))
    recovery.repair(stack, partial(resources.exists, paths))
    return stack


def command(stack: Stack, verb: str, columns: int | None = None) -> list[str]:
    """`pulumi up` or `destroy` as it is run here: without questions, and with its events written for `recovery`.

    In a narrow terminal (`columns`; the present one's, if not given) the CLI's table has no room for the columns that
    show what happens, and stands still for a minute while the image is built: there it prints a line for each event.
    """
    width = shutil.get_terminal_size((TABLE_COLUMNS, 24)).columns if columns is None else columns
    narrow = ["--non-interactive"] if width < TABLE_COLUMNS else []
    return [verb, "--yes", "--skip-preview", *narrow, "--event-log", str(recovery.event_log(stack))]


def outputs(stack: Stack) -> dict[str, Any]:
    """The outputs of the deployed stack; secret ones stay `[secret]`."""
    return json.loads(project.ask(stack, "stack", "output", "--json"))


def run(paths: Paths) -> int:
    """Take all the steps in order; the exit code of the first one that failed, else that of the sample job."""
    with step("local Azure"):
        progress("started" if background.start(paths) else "runs already")
    with step("images and settings of this machine"):
        prepare(paths)
    with step("pulumi up (stack local)") as deployment:
        stack = repaired_stack(paths)
        deployment.code = project.run(stack, *command(stack, "up"))
    if deployment.code:
        return deployment.code
    deployed = outputs(stack)
    with step("nodes of the pools") as nodes:
        nodes.code = jobs("pools", "wait")
    if nodes.code:
        return nodes.code
    with step("database user of the node identity"):
        database.provision(paths, deployed)
    code = sample_job(paths, deployed)
    if code == 0:
        console.info(next_steps(last_run(paths.stack / "last-run.json").get("job", "JOB")))
    return code


def next_steps(job: str) -> str:
    """`NEXT` with the command as it is in this checkout, its comments below one another."""
    lines = []
    for line in NEXT.format(jobs=jobs_command(CHECKOUT), job=job).splitlines():
        command_line, gap, comment = line.rpartition("    ")
        has_comment = bool(gap) and line.startswith("  ")
        lines.append(f"{command_line.rstrip():<56}  {comment.strip()}" if has_comment else line)
    return "\n".join(lines)


def sample_job(paths: Paths, deployed: Mapping[str, Any]) -> int:
    """Submit the sample, or show its last run again if nothing that it depends on changed since."""
    record = paths.stack / "last-run.json"
    inputs = hashlib.sha256(json.dumps(dict(deployed), sort_keys=True).encode() + SAMPLE.read_bytes()).hexdigest()
    last = last_run(record)
    if last.get("inputs") == inputs:
        with step(f"sample job: nothing changed since {last['job']}; its output again") as report:
            report.code = jobs("report", last["job"])
        return report.code
    job = f"hello-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    with step(f"sample job {job}") as run_of_sample:
        run_of_sample.code = jobs("submit", str(SAMPLE), "--yes", "--watch", "--report", "--job-id", job)
    if run_of_sample.code == 0:
        record.write_text(json.dumps({"job": job, "inputs": inputs}))
    return run_of_sample.code


def last_run(record: Path) -> dict[str, str]:
    """Job and inputs of the last sample; empty if the file cannot be read as that: the sample is then run again."""
    try:
        content = json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) and "job" in content else {}


def jobs(*arguments: str) -> int:
    """`python -m jobs ...`, as a user would type it; its exit code.

    Ctrl-C goes to both of us. It is held back in the new process until that can answer in words, where a Python that is
    just starting would print a traceback; and it has some seconds for what it leaves in order.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = subprocess.Popen([sys.executable, "-m", "jobs", *arguments], cwd=CHECKOUT)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            with suppress(subprocess.TimeoutExpired):
                process.wait(INTERRUPTED_SECONDS)
            process.kill()
            raise
