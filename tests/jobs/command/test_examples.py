"""Every example of the manual, pasted: it does what it says, or is refused in words. Nothing ends in a defect.

The account has what the examples name: jobs nightly-6 and nightly-7, pools default and big, node tvm-1. Left out are
those that go on until somebody ends them, and those that start other programs (ssh, docker) or ask other services.
"""

from __future__ import annotations

import argparse
import io
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.command import cli
from jobs.command.parser import examples
from jobs.exits import Exit
from jobs.service.batch import NodeState, PoolState, TaskState
from jobs.session import Session
from jobs.terminal.render import Render
from jobs.verbs import VERBS
from tests.jobs.fakes import START, Stage, outputs, stage

ELSEWHERE = ("dashboard", "connect", "images", "doctor", "top", "top --interval 10s")
ALL: list[str] = [one for verb in VERBS for one in examples(verb)]
DONE = [one for one in ALL if one.split()[0] not in ELSEWHERE and one not in ELSEWHERE and "--watch" not in one.split()]
NIGHTLY = "job: {family: hello, id: nightly-7}\ntasks: {list: [{id: sim-0}, {id: sim-3}, {id: sim-4}]}\n"


def account() -> Stage:
    """Jobs that are over, with a failed task each; one of the examples' schedules."""
    scene = stage()
    batch = scene.batch
    pools = {"default": {"id": "default-9f3c", "image": "i", "node_identity_client_id": "c", "task_slots": 2}}
    pools |= {"big": {**pools["default"], "id": "big-1a2b"}}
    scene.session.__dict__["connection"] = replace(scene.session.connection, outputs=outputs(pools=pools))
    for pool in ("default-9f3c", "big-1a2b"):
        batch.pool_states[pool] = "active"
        batch.pools_known[pool] = PoolState(
            id=pool, state="active", allocation="steady", dedicated=1, target_dedicated=1
        )
    batch.node_list = [NodeState(id="tvm-1", state="idle", since=START, allocated=START, booted=START)]
    for job in ("nightly-6", "nightly-7"):
        definition = {"id": job, "poolInfo": {"poolId": "default-9f3c"}}
        batch.create_job({**definition, "metadata": [{"name": "family", "value": "nightly"}]})
        tasks = [{"id": name, "commandLine": "true", "containerSettings": {}} for name in ("sim-0", "sim-3", "sim-4")]
        batch.add_collection(job, tasks)
        for name, code in (("sim-0", 0), ("sim-3", 1), ("sim-4", 0)):
            result = "failure" if code else "success"
            task = TaskState(id=name, state="completed", exit_code=code, result=result, node_id="tvm-1", started=START)
            batch.set(job, replace(task, created=START, ended=START, changed=START))
            batch.files[job, name, "stdout.txt"] = b"out\n"
            batch.files[job, name, "stderr.txt"] = b"err\n"
        batch.end(job)
    return scene


@pytest.mark.parametrize("example", DONE)
def test_an_example_of_the_manual_can_be_pasted(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs" / "samples").mkdir(parents=True)
    hello = Path(__file__).parents[3] / "jobs" / "samples" / "hello.yaml"
    (tmp_path / "jobs" / "samples" / "hello.yaml").write_text(hello.read_text())
    for name in ("nightly", "weekly"):
        (tmp_path / f"{name}.yaml").write_text(NIGHTLY.replace("nightly-7", f"{name}-8"))
    scene = account()

    def session(arguments: argparse.Namespace, render: Render | None = None) -> Session:
        made = replace(scene.session, render=render or Render())
        made.__dict__["connection"] = scene.session.connection
        return made

    monkeypatch.setattr(cli, "_session", session)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(NIGHTLY.replace("-7", "-9").encode())))
    try:
        code = cli.main(shlex.split(example.partition(" < ")[0].partition(" > ")[0]))
    except SystemExit as end:  # --help
        code = int(end.code or 0)
    told = capfd.readouterr()
    assert code in (Exit.OK, Exit.TASKS_FAILED, Exit.USAGE, Exit.SERVICE), told.err
    assert "Traceback" not in told.err
    if code in (Exit.USAGE, Exit.SERVICE):
        assert re.search(r"^error: .{25}", told.err, re.MULTILINE), told.err
    assert told.out or told.err or "--tail 0" in example


def test_most_examples_are_pasted() -> None:
    assert len(DONE) > 60
