"""`retry JOB`: the failed tasks again, as new tasks: in the same job while it is active, else in a new job.

Why new tasks: a task cannot be edited, and one whose node is gone cannot be reactivated (the service refuses it).
In the same job the new task is `ID-r1` (then `-r2`, ...); in a new job ids stay, and the new job is `JOB-retry1`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..errors import Conflict, NotAllAdded, NotFound, UsageError
from ..exits import Exit
from ..jobfile.model import ID
from ..service.batch import JobState
from ..session import Session
from ..submission import Options, submit_tasks
from ..terminal import asking

AGAIN: Final = re.compile(r"^(?P<base>.*?)(?:-r(?P<number>\d+))?$")
JOB_AGAIN: Final = re.compile(r"^(?P<base>.*?)(?:-retry(?P<number>\d+))?$")
# What of a job and a task is a definition; the rest is what became of it.
OF_JOB: Final = (
    "poolInfo", "constraints", "commonEnvironmentSettings", "metadata", "priority", "maxParallelTasks", "displayName",
)  # fmt: skip
OF_TASK: Final = (
    "displayName", "commandLine", "containerSettings", "resourceFiles", "outputFiles", "environmentSettings",
    "constraints", "requiredSlots", "userIdentity",
)  # fmt: skip


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("--task", action="append", metavar="TASK", help="only this failed task (may be given again)")
    parser.add_argument("--new-job", action="store_true", help="in a new job, also while the old one is active")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be run again")
    asking.add_yes(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render, batch = session.render, session.batch
    job = batch.job(arguments.job)
    wanted = failed(session, job, arguments.task or [])
    if not wanted:
        render.words(f"no task of job {job.id} failed; there is nothing to run again")
        return Exit.OK
    new_job = arguments.new_job or job.state != "active"
    target = _free_job_id(session, job.id) if new_job else job.id
    place = f"new job {target}" if new_job else f"job {job.id}"
    first = next(iter(wanted))
    render.words(f"{len(wanted)} failed tasks, first {first} -> {_task_id(first, new_job)}, in {place}")
    if arguments.dry_run or not asking.agreed("run them again?", yes=arguments.yes):
        render.words("nothing was sent")
        return Exit.OK
    if new_job:
        batch.create_job({"id": target, **_kept(batch.job_definition(job.id), OF_JOB)})
    result = submit_tasks(batch, target, again(session, job, wanted, target), Options(total=len(wanted)))
    if result.stopped is not None:
        result.stopped.add_note(
            f"{result.accepted} of {len(wanted)} tasks are in job {target}; retry again for the rest"
        )
        raise result.stopped
    if new_job:
        batch.end_when_done(target)
    if render.as_json:
        added = result.accepted - result.existed
        render.record({"job": target, "added": added, "running_already": result.existed})
    if result.existed:
        render.words(f"{result.existed} of them were run again already")
    if not result.complete:
        first_refused = "".join(f", first {one.task_id}: {one.code}: {one.message}" for one in result.failures[:1])
        raise NotAllAdded(
            f"{len(wanted) - result.accepted} of {len(wanted)} tasks were not accepted{first_refused}. "
            "Correct the cause and retry again"
        )
    render.words(f"next: python -m jobs watch {target}")
    return Exit.OK


def failed(session: Session, job: JobState, chosen: list[str]) -> set[str]:
    """Ids of the tasks to run again: failed, and not themselves the older run of one that failed again."""
    found = {task.id for task in session.batch.tasks(job.id) if task.completed and not task.succeeded}
    if unknown := sorted(set(chosen) - found):
        state = session.batch.task(job.id, unknown[0]).state  # one that does not exist is told here
        raise UsageError(f"task {unknown[0]} of job {job.id} is {state} and did not fail. Only failed tasks run again")
    latest: dict[str, int] = {}
    for task_id in found:
        base, number = _split(AGAIN, task_id)
        latest[base] = max(number, latest.get(base, 0))
    newest = {task_id for task_id in found if latest[_split(AGAIN, task_id)[0]] == _split(AGAIN, task_id)[1]}
    return newest & set(chosen) if chosen else newest


def again(session: Session, job: JobState, wanted: set[str], target: str) -> Iterator[dict[str, Any]]:
    """The wanted tasks' definitions, under their new ids and with their own place for outputs."""
    for wire in session.batch.failed_definitions(job.id):
        if wire["id"] in wanted:
            task_id = _task_id(wire["id"], target != job.id)
            yield {
                **_kept(wire, OF_TASK),
                "id": task_id,
                "outputFiles": [
                    _moved(output, f"{job.id}/{wire['id']}", f"{target}/{task_id}")
                    for output in wire.get("outputFiles") or ()
                ],
            }


def _moved(output: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    container = output["destination"]["container"]
    path = container.get("path") or ""
    if path == old or path.startswith(f"{old}/"):
        path = new + path[len(old) :]
    return {**output, "destination": {"container": {**container, "path": path}}}


def _kept(wire: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: wire[name] for name in names if wire.get(name) is not None}


def _split(pattern: re.Pattern[str], name: str) -> tuple[str, int]:
    match = pattern.match(name)
    assert match is not None
    return match["base"], int(match["number"] or 0)


def _task_id(task_id: str, new_job: bool) -> str:
    if new_job:
        return task_id
    base, number = _split(AGAIN, task_id)
    result = f"{base}-r{number + 1}"
    if not ID.fullmatch(result):
        raise UsageError(f"task id {result!r} would be longer than 64 characters. Use --new-job, which keeps ids")
    return result


def _free_job_id(session: Session, job_id: str) -> str:
    base, number = _split(JOB_AGAIN, job_id)
    for again_number in range(number + 1, number + 100):
        result = f"{base}-retry{again_number}"
        if not ID.fullmatch(result):
            raise UsageError(f"job id {result!r} would be longer than 64 characters. Submit the file again instead")
        try:
            session.batch.job(result)
        except NotFound:
            return result
    raise Conflict(f"jobs {base}-retry1 to -retry99 exist. Delete some of them")
