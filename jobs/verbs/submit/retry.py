"""`retry JOB`: the failed tasks again, as new tasks: in the same job while it is active, else in a new job.

Why new tasks: a task cannot be edited, and one whose node is gone cannot be reactivated (the service refuses it).
In the same job the new task is `ID-r1` (then `-r2`, ...), or the next such id that no task has; that it is a later run
stands in its display name, never in its id. In a new job ids stay, and the new job is `JOB-retry1`, or the next free.
Tasks that wait for ever for a failed one are run again behind it (`jobs/plan/rerun.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...errors import Conflict, NotAllAdded, NotFound, UsageError
from ...exits import Exit
from ...plan.rerun import NewRun, Tasks
from ...service.batch import JobState, TaskState
from ...session import Session
from ...state.progress import describe
from ...terminal import asking
from ...terminal.wording import counted
from ..arguments import ID, batch_id

if TYPE_CHECKING:
    from ...submission import Result

EXAMPLES: Final = ("retry nightly-7", "retry nightly-7 --task sim-3", "retry nightly-7 --new-job --yes")
JOB_AGAIN: Final = re.compile(r"^(?P<base>.*?)(?:-retry(?P<number>\d{1,6}))?$")  # only a name: whose it is, is asked
# What of a job and a task is a definition; the rest is what became of it.
OF_JOB: Final = (
    "poolInfo",
    "constraints",
    "commonEnvironmentSettings",
    "metadata",
    "priority",
    "maxParallelTasks",
    "displayName",
    "usesTaskDependencies",
    "onTaskFailure",
    "jobPreparationTask",
    "jobReleaseTask",
)
OF_TASK: Final = (
    "commandLine",
    "containerSettings",
    "resourceFiles",
    "outputFiles",
    "environmentSettings",
    "constraints",
    "requiredSlots",
    "userIdentity",
    "exitConditions",
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=batch_id, metavar="JOB", help="the job's id")
    only = "only this failed task (may be given again)"
    parser.add_argument("--task", type=batch_id, action="append", metavar="TASK", help=only)
    parser.add_argument("--new-job", action="store_true", help="in a new job, also while the old one is active")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be run again")
    asking.add_yes(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True, kw_only=True)
class Retry:
    """What is run again. Tasks are by id in lower case; `held` are those that would wait for ever for the others."""

    job: JobState
    target: str
    new_job: bool
    tasks: Mapping[str, TaskState]
    held: Mapping[str, TaskState]
    runs: Mapping[str, NewRun]
    depends_on: Mapping[str, Mapping[str, Any]]
    failed: Sequence[TaskState]

    def summary(self) -> Iterator[str]:
        first, waiting = self.failed[0].id, len(self.tasks) - len(self.failed)
        more = f" and {waiting} that waited for them" if waiting else ""
        place = f"new job {self.target}" if self.new_job else f"job {self.job.id}"
        count = counted(len(self.failed), "failed task")
        yield f"{count}{more}, first {first} -> {self.runs[first.lower()].id}, in {place}"
        if self.held and not self.new_job:
            yield f"the {len(self.held)} that wait for ever are then removed from it"


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render = session.render
    job = session.batch.job(arguments.job)
    tasks = Tasks.of(session.batch.tasks(job.id))
    chosen = failed(session, job, tasks, arguments.task or [])
    if not chosen and tasks.run_again():
        render.words(
            f"every failed task of job {job.id} was run again already; watch it: python -m jobs watch {job.id}"
        )
        return Exit.OK
    if not chosen:
        render.words(f"no task of job {job.id} failed; there is nothing to run again")
        return Exit.OK
    retry = _plan(session, job, tasks, chosen, new_job=arguments.new_job or job.state != "active")
    for line in retry.summary():
        render.words(line)
    if arguments.dry_run or not asking.agreed("run them again?", yes=arguments.yes):
        render.words("nothing was sent")
        return Exit.OK
    result = _send(retry, session)
    _let_end(retry, session, result)
    _tell(retry, session, result)
    return Exit.OK


def _plan(session: Session, job: JobState, tasks: Tasks, chosen: Mapping[str, TaskState], *, new_job: bool) -> Retry:
    """The chosen tasks, those that wait for them, and in a job that is over those that they depended on."""
    held = tasks.behind(chosen)
    every = {**chosen, **held}
    if job.state != "active":
        every |= tasks.before(every)
    runs = tasks.new_runs(every, new_job=new_job)
    return Retry(
        job=job,
        target=_free_job_id(session, job.id) if new_job else job.id,
        new_job=new_job,
        tasks=every,
        held=held,
        runs=runs,
        depends_on={
            name: tasks.depends_on(task, runs, new_job=new_job) for name, task in every.items() if task.depends
        },
        failed=list(chosen.values()),
    )


def _send(retry: Retry, session: Session) -> Result:
    """Make the new job, if there is to be one, and add the tasks."""
    from ...submission import Options, submit_tasks  # takes long to load, and `--help` does not need it

    batch = session.batch
    if retry.new_job:
        batch.create_job({"id": retry.target, **_kept(batch.job_definition(retry.job.id), OF_JOB)})
    count = len(retry.tasks)
    result = submit_tasks(batch, retry.target, definitions(retry, session), Options(total=count))
    if result.stopped is not None:
        result.stopped.add_note(
            f"{result.accepted} of {count} tasks are in job {retry.target}; retry again for the rest"
        )
        raise result.stopped
    return result


def _let_end(retry: Retry, session: Session, result: Result) -> None:
    """A new job ends with its last task; the old one with those that have new runs, when none waits for ever."""
    if retry.new_job:
        with contextlib.suppress(Conflict):  # a task's rule may have ended it already
            session.batch.end_when_done(retry.target)
    elif result.complete:
        _remove(session, retry.job, retry.held)


def _tell(retry: Retry, session: Session, result: Result) -> None:
    """Raises `NotAllAdded` when the service refused some."""
    render, job = session.render, retry.job
    if render.as_json:
        added = result.accepted - result.existed
        render.record({"job": retry.target, "added": added, "running_already": result.existed})
    if result.existed:
        render.words(f"{result.existed} of them were run again already")
    if not result.complete:
        first_refused = "".join(f", first {one.task_id}: {one.code}: {one.message}" for one in result.failures[:1])
        count = len(retry.tasks)
        raise NotAllAdded(
            f"{count - result.accepted} of {count} tasks were not accepted{first_refused}",
            next_step="correct the cause and retry again",
        )
    if retry.new_job and retry.held and job.state == "active":
        render.words(f"job {job.id} still waits for what failed in it; end it: python -m jobs cancel {job.id}")
    render.words(f"next: python -m jobs watch {retry.target}")


def failed(session: Session, job: JobState, tasks: Tasks, chosen: list[str]) -> dict[str, TaskState]:
    """The tasks to run again: failed, and not themselves the older run of one that failed again."""
    newest = tasks.failed()
    if not chosen:
        return newest
    every = {name: task for name, task in tasks.states.items() if task.completed and not task.succeeded}
    for task_id in sorted(chosen):
        if task_id.lower() not in every:
            state = session.batch.task(job.id, task_id).state  # one that does not exist is told here
            raise UsageError(
                f"task {task_id} of job {job.id} is {state} and did not fail",
                next_step="leave it out: only failed tasks run again",
            )
        if (later := tasks.later_run(every[task_id.lower()])) is not None:
            raise UsageError(
                f"task {task_id} of job {job.id} was run again already: {later.id} is {describe(later)}",
                next_step=f"look at that one: python -m jobs show {job.id} {later.id}",
            )
    return {name: newest[name] for name in map(str.lower, chosen)}


def definitions(retry: Retry, session: Session) -> Iterator[dict[str, Any]]:
    """The tasks' definitions, under their new ids, with their own place for outputs and their dependencies."""
    batch, job = session.batch, retry.job
    ended = (wire for wire in batch.failed_definitions(job.id) if wire["id"].lower() in retry.tasks)
    unended = (batch.task_definition(job.id, task.id) for task in retry.tasks.values() if not task.completed)
    for wire in itertools.chain(ended, unended):
        name = wire["id"].lower()
        run, parents = retry.runs[name], retry.depends_on.get(name)
        yield {
            **_kept(wire, OF_TASK),
            "id": run.id,
            **({"displayName": run.display_name} if run.display_name else {}),
            **({"dependsOn": parents} if parents else {}),
            "outputFiles": [
                _moved(output, wire, job.id, run.id, retry.target) for output in wire.get("outputFiles") or ()
            ],
        }


def _remove(session: Session, job: JobState, held: Mapping[str, TaskState]) -> None:
    """The tasks that waited for ever: they never ran, their new runs are there, and the job could not end with them."""
    for task in held.values():
        with contextlib.suppress(NotFound):
            session.batch.delete_task(job.id, task.id)
    if held:
        names = ", ".join(task.id for task in itertools.islice(held.values(), 5))
        session.render.words(
            f"removed from the job, because they would wait for ever: {counted(len(held), 'task')} ({names})"
        )


def _moved(
    output: Mapping[str, Any], wire: Mapping[str, Any], job_id: str, task_id: str, target: str
) -> dict[str, Any]:
    """The output file with its place below the new run's; also where its pattern names the task or the job."""
    from ...files.model import patterns

    container, pattern = output["destination"]["container"], output["filePattern"]
    path, old, new = container.get("path") or "", f"{job_id}/{wire['id']}", f"{target}/{task_id}"
    values = {item["name"]: item.get("value", "") for item in wire.get("environmentSettings") or ()}
    if path == patterns.blob_path(old, pattern, values | patterns.of_task(job_id, wire["id"])):
        path = patterns.blob_path(new, pattern, values | patterns.of_task(target, task_id))
    elif path == old or path.startswith(f"{old}/"):
        path = new + path[len(old) :]
    return {**output, "destination": {"container": {**container, "path": path}}}


def _kept(wire: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: wire[name] for name in names if wire.get(name) is not None}


def _free_job_id(session: Session, job_id: str) -> str:
    match = JOB_AGAIN.match(job_id)
    assert match is not None
    base, number = match["base"], int(match["number"] or 0)
    for again_number in range(number + 1, number + 100):
        result = f"{base}-retry{again_number}"
        if not ID.fullmatch(result):
            raise UsageError(
                f"job id {result!r} would be longer than 64 characters", next_step="submit the file again instead"
            )
        try:
            session.batch.job(result)
        except NotFound:
            return result
    raise Conflict(f"jobs {base}-retry1 to -retry99 exist", next_step="delete some of them")
