"""`python -m tests.jobs.command.every_verb`: every verb once on the stack of a busy day, which is in memory.

`ROWS` says what each verb is run with. For `test_every_verb.py`, and for looking at what the verbs draw.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Final

from jobs.clock import SystemClock
from jobs.command import cli
from jobs.service import registry
from jobs.service.batch import Failure, TaskState
from jobs.session import Session
from jobs.terminal import streams
from jobs.terminal.render import Render
from tests.jobs.dashboard.exhibit import DEFAULT, OneRegistry, busy_day
from tests.jobs.fakes import START, Stage

SECONDS: Final = 1.5  # until Ctrl-C, for verbs that go on until then
JOB_FILE: Final = """\
job: {family: hello, id: nightly-7, pool: default}
schedule: {recurrence_interval: 1d}
tasks: {list: [{id: sim-0, image: worker, command: [simulate, --step, "0"]}]}
"""
LONG_ID: Final = "a-job-whose-name-somebody-made-as-long-as-the-service-allows-it-x"[:64]
LONG_TASK: Final = "a-task-" + "x" * 57


@dataclass(frozen=True)
class Row:
    """A command line. `data`: whether it has any for stdout. `until_ctrl_c`: it goes on until then. `verbatim`: what it
    prints is whole whatever the width, as with `-o wide`, or is a text of somebody else's."""

    line: str
    data: bool = True
    until_ctrl_c: bool = False
    verbatim: bool = False


ROWS: Final[dict[str, tuple[Row, ...]]] = {
    "submit": (
        Row("submit tasks.yaml --dry-run", verbatim=True),
        Row("submit tasks.yaml --yes", data=False),
        Row("submit nightly.yaml --yes", data=False),
        Row("submit tasks.yaml --yes --watch --timeout 1m", data=False),
        Row("submit wrong.yaml --yes", data=False),
    ),
    "validate": (Row("validate tasks.yaml nightly.yaml"), Row("validate wrong.yaml")),
    "retry": (Row("retry simulate-wing --dry-run", data=False), Row("retry simulate-wing --yes", data=False)),
    "list": (Row("list"), Row("list -o wide", verbatim=True), Row("list --watch", until_ctrl_c=True)),
    "show": (
        Row("show simulate-wing"),
        Row("show simulate-wing simulate-00042"),
        Row("show train-surrogate"),
        Row(f"show {LONG_ID}"),
        Row("show simulate-wong", data=False),
    ),
    "tasks": (
        Row("tasks simulate-wing --limit 20"),
        Row("tasks simulate-wing --state failed -o wide", verbatim=True),
        Row(f"tasks {LONG_ID}"),
        Row("tasks train-surrogate --limit 5 --watch", until_ctrl_c=True),
    ),
    "watch": (
        Row("watch simulate-wing", data=False),
        Row("watch train-surrogate --timeout 30s", data=False),
        Row("watch train-surrogate --timeout 30s --lines", data=False),
    ),
    "wait": (Row("wait simulate-wing", data=False), Row("wait train-surrogate --timeout 5s", data=False)),
    "top": (Row("top --once"), Row("top", until_ctrl_c=True)),
    "dashboard": (Row("dashboard", until_ctrl_c=True),),
    "logs": (
        Row("logs simulate-wing simulate-00042 --stderr"),
        Row("logs hello-20261123-0912 --tail 2"),
        Row(f"logs {LONG_ID} {LONG_TASK}", verbatim=True),
    ),
    "collect": (Row("collect simulate-wing results", data=False), Row(f"collect {LONG_ID} results", data=False)),
    "report": (Row("report simulate-wing --figures"), Row(f"report {LONG_ID}")),
    "cancel": (Row("cancel train-surrogate --yes", data=False), Row("cancel simulate-wing --yes", data=False)),
    "delete": (Row("delete simulate-wing hello-20261123-0912 --yes", data=False),),
    "disable": (Row("disable train-surrogate --running requeue --wait", data=False),),
    "enable": (Row("enable train-surrogate", data=False),),
    "move": (Row("move train-surrogate --to default --running requeue --yes", data=False),),
    "schedules": (
        Row("schedules"),
        Row("schedules -o wide", verbatim=True),
        Row("schedules show nightly"),
        Row("schedules delete nightly --yes", data=False),
    ),
    "nodes": (
        Row("nodes"),
        Row("nodes burst --list"),
        Row("nodes burst --list -o wide", verbatim=True),
        Row("nodes burst --watch", until_ctrl_c=True),
    ),
    "connect": (Row("connect tvm-0003 --print --password"), Row("connect nobody", data=False)),
    "pools": (
        Row("pools"),
        Row("pools burst", verbatim=True),
        Row("pools -o wide", verbatim=True),
        Row("pools default --nodes 4 --yes", data=False),
    ),
    "pools wait": (Row("pools wait --timeout 5s", data=False),),
    "pools drain": (Row(f"pools drain {DEFAULT} --to burst --timeout 1m --yes", data=False),),
    "images": (Row("images"), Row("images simulate -o wide", verbatim=True), Row("images push nowhere:1", data=False)),
    "doctor": (Row("doctor"),),
    "completion": (Row("completion bash", verbatim=True),),
    "help": (Row("help"), Row("help submit"), Row("submit --help"), Row("pools wait --help")),
}


def scene() -> Stage:
    """The busy day, and beside it what makes lines long: ids of 64 characters, and a failure in many words."""
    found = busy_day(nodes=60)
    batch = found.batch
    batch.pool_states |= dict.fromkeys(batch.pools_known, "active")
    batch.create_job(
        {"id": LONG_ID, "poolInfo": {"poolId": DEFAULT}, "metadata": [{"name": "family", "value": "hello"}]}
    )
    name = LONG_TASK
    batch.add_collection(LONG_ID, [{"id": name, "commandLine": "true", "containerSettings": {}}])
    message = "Container 'registryexample.azurecr.io/simulate:mesh-fix' could not be created on the node. " * 3
    batch.set(
        LONG_ID,
        TaskState(
            id=name,
            state="completed",
            exit_code=127,
            result="failure",
            node_id="tvm-0003",
            created=START,
            started=START + timedelta(seconds=2),
            ended=START + timedelta(minutes=1),
            changed=START + timedelta(minutes=1),
            failure=Failure(category="UserError", code="ContainerError", message=message),
        ),
    )
    batch.files[LONG_ID, name, "stdout.txt"] = ("a word and another " * 12 + "\n").encode() * 3
    batch.files[LONG_ID, name, "stderr.txt"] = b""
    batch.end(LONG_ID)
    for old in batch.task_states["hello-20261123-0912"]:
        batch.files["hello-20261123-0912", old, "stdout.txt"] = f"hello from {old}\n".encode()
    batch.create_schedule(
        {
            "id": "nightly",
            "schedule": {"recurrenceInterval": "P1D"},
            "jobSpecification": {"poolInfo": {"poolId": DEFAULT}},
        }
    )
    return found


@contextmanager
def on_stage(found: Stage) -> Iterator[None]:
    """The command line works on this stage while the block lasts, in a folder of its own with two job files."""

    def session(arguments: argparse.Namespace, render: Render | None = None) -> Session:
        goes_on = bool({"watch"} & {name for name, value in vars(arguments).items() if value is True})
        clock = SystemClock() if goes_on or arguments.verb == "top" else found.clock
        made = replace(found.session, render=render or Render(), clock=clock)
        made.__dict__["connection"] = found.session.connection  # with the outputs of the busy day's stack
        return made

    before = cli._session, registry.Registry, Path.cwd()
    cli._session, registry.Registry = session, OneRegistry  # type: ignore[assignment, misc]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("nightly.yaml").write_text(JOB_FILE)
        Path("tasks.yaml").write_text(JOB_FILE.replace("schedule: {recurrence_interval: 1d}\n", ""))
        Path("wrong.yaml").write_text("job: {family: hello, pol: default, max_retries: many}\ntasks: {list: []}\n")
        try:
            yield
        finally:
            cli._session, registry.Registry, folder_before = before
            os.chdir(folder_before)


def run(row: Row, *more: str) -> int:
    """The row's exit code. One that goes on until Ctrl-C gets that after `SECONDS`."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, SECONDS if row.until_ctrl_c else 60)
    try:
        with on_stage(scene()):
            return cli.main([*shlex.split(row.line), *more])
    except SystemExit as end:  # --help
        return int(end.code or 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


def main() -> None:
    """Each row between two lines that say which it is. Arguments: the verbs, by default all."""
    streams.prepare()
    for verb in sys.argv[1:] or ROWS:
        for number, row in enumerate(ROWS[verb]):
            print(f"begin={verb}/{number}: {row.line}", flush=True)
            code = run(row)
            print(f"end={verb}/{number}: exit code {code}", flush=True)


if __name__ == "__main__":
    main()
