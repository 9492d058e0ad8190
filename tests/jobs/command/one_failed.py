"""A job on a service in memory: task `a` failed with exit code 3, `b` succeeded. For tests of the verbs."""

from __future__ import annotations

import json
from typing import Any

from jobs.command.parser import parse
from jobs.exits import Exit
from jobs.service.batch import Failure, TaskState
from tests.jobs.fakes import START, Stage, stage

OUTPUT = {"destination": {"container": {"containerUrl": "https://s/job-hello", "path": "j/a"}}, "filePattern": "*"}
FAILED = Failure(category="usererror", code="FailureExitCode", message="exit code 3")


def one_failed() -> Stage:
    scene = stage()
    metadata = [{"name": "family", "value": "hello"}, {"name": "container", "value": "job-hello"}]
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "default-1a2b"}, "metadata": metadata})
    scene.batch.add_collection(
        "j", [{"id": "a", "commandLine": "x", "outputFiles": [OUTPUT]}, {"id": "b", "commandLine": "y"}]
    )
    scene.batch.set("j", task("a", exit_code=3))
    scene.batch.set("j", task("b", exit_code=0))
    return scene


def task(name: str, *, exit_code: int | None, **changes: Any) -> TaskState:
    good = exit_code == 0
    return TaskState(
        id=name,
        state="completed",
        changed=START,
        result="success" if good else "failure",
        exit_code=exit_code,
        failure=None if good else FAILED,
        **changes,
    )


def run(scene: Stage, *words: str) -> Exit:
    scene.session.render.as_json = "--json" in words
    arguments = parse(list(words))
    return arguments.run(arguments, scene.session)


def records(scene: Stage) -> list[dict[str, Any]]:
    return [json.loads(line) for line in scene.out.getvalue().splitlines()]
