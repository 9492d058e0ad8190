"""`show JOB [TASK]`: a job, or one task of it, and why it failed, with what evidence there is on its node."""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from ... import durations
from ...errors import NotFound, ServiceError
from ...exits import Exit
from ...service.batch import Counts, JobState, TaskState
from ...session import Session
from ...state import blocked, failure_texts, preparation, task_output
from ...state.following import end_of
from ...state.progress import SMALL, describe
from ...terminal.render import add_raw
from ...terminal.wording import counted, size_in_words
from ..arguments import batch_id
from ..pools import nodes

EXAMPLES: Final = ("show nightly-7", "show nightly-7 sim-3", "show nightly-7 sim-3 --json")
MOST_FAILURES: Final = 10
MOST_PARENTS: Final = 20  # of a task, looked at one by one
LINES_OF_LOG: Final = 15
MOST_OUTPUTS: Final = 1000  # files of a task that are listed
SHOWN_OUTPUTS: Final = 10
TIME: Final = "%Y-%m-%d %H:%M:%S UTC"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=batch_id, metavar="JOB", help="the job's id")
    parser.add_argument("task", type=batch_id, metavar="TASK", nargs="?", help="one of its tasks; default: the job")
    add_raw(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    job = session.batch.job(arguments.job)
    if arguments.task is None:
        return show_job(session, job)
    return show_task(session, job, arguments.task)


def show_job(session: Session, job: JobState) -> Exit:
    render, batch = session.render, session.batch
    counts = batch.counts(job.id)
    failures = batch.some_tasks(job.id, "failed", MOST_FAILURES)
    if len(failures) < MOST_FAILURES and counts.failed != len(failures):
        counts = batch.counts(job.id)  # one failed between the two reads, or the counts lag behind
        if counts.failed != len(failures):
            failures = batch.some_tasks(job.id, "failed", MOST_FAILURES)
    prepared = preparation.of_job(session, job)
    exit_code = Exit.TASKS_FAILED if failures else Exit.OK
    if render.as_json:
        found = {"tasks": vars(counts), "failures": [_plain(task) for task in failures]}
        render.record({**vars(job), **found, "preparation": [preparation.plain(session, one) for one in prepared]})
        return exit_code
    _facts(session, _job_facts(session, job, counts))
    preparation.tell(session, prepared)
    if failures:
        render.data(f"failed tasks{f' (the first {len(failures)})' if counts.failed > len(failures) else ''}:")
        for task in failures:
            render.advice(f"  {task.id}: {describe(task).removeprefix('failed, ')}")
        render.words(
            f"next: python -m jobs show {job.id} {failures[0].id}; run them again: python -m jobs retry {job.id}"
        )
    if counts.active and not counts.running:
        reasons = list(why_waiting(session, job, counts))
        if not batch.counts(job.id).running:  # a task may have begun while we looked for reasons
            for line in reasons:
                render.advice(f"  {line}")
    return exit_code


def _job_facts(session: Session, job: JobState, counts: Counts) -> Iterator[tuple[str, str]]:
    now = session.clock.now()
    yield "job", f"{job.id} ({job.state}{f': {job.terminate_reason}' if job.terminate_reason else ''})"
    yield "pool", job.pool_id
    yield "submitted", f"{durations.age(job.created, now)} ago" if job.created else "?"
    if job.created and job.ended:
        yield "took", durations.words((job.ended - job.created).total_seconds())
    yield (
        "tasks",
        (
            f"{counts.total}: {counts.active} waiting, {counts.running} running, "
            f"{counts.succeeded} succeeded, {counts.failed} failed"
        ),
    )
    yield "output", f"{job.container}/{job.folder}/" if job.container else "on its nodes (submitted without a stack)"


def why_waiting(session: Session, job: JobState, counts: Counts) -> Iterator[str]:
    """Nothing runs: because of the job, because of tasks that failed, or mostly because of the nodes."""
    if job.state != "active":
        yield f"nothing runs: the job is {job.state}"
        return
    states = None
    if job.uses_dependencies and counts.total <= SMALL:
        states = {task.id: task for task in session.batch.tasks(job.id)}
    held = blocked.of_job(session.batch, job, states)
    if held.blocked:
        yield f"{'all' if held.stuck else len(held.blocked)} waiting tasks wait for ever:"
        yield from (f"  {line}" for line in held.lines())
    if held.stuck:
        yield f"the job cannot end by itself; run the failed tasks and these again: python -m jobs retry {job.id}"
        return
    found = list(session.batch.nodes(job.pool_id))
    yield f"nothing runs; pool {job.pool_id} has {counted(len(found), 'node')}"
    for node in found:
        if told := nodes.reason(node):
            yield f"{node.id} is {node.state}: {told}"
    if not found:
        pool = session.batch.pool(job.pool_id)
        yield from pool.resize_errors
        wanted = f"{pool.target_dedicated} dedicated and {pool.target_low_priority} spot nodes"
        yield f"it wants {wanted} ({pool.allocation})"


def show_task(session: Session, job: JobState, task_id: str) -> Exit:
    render = session.render
    wire = session.batch.task_definition(job.id, task_id)
    task = TaskState.parse(wire)
    failed = task.completed and not task.succeeded
    evidence = list(node_evidence(session, job, task)) if failed else []
    nothing = task_output.of_task(session, job, wire)
    outputs = _outputs(session, job, task)
    if render.as_json:
        found = {"why": failure_texts.why(task), "evidence": evidence, "uploaded_nothing": nothing, "outputs": outputs}
        found["definition"] = wire
        render.record({**_plain(task), **found})
        return Exit.TASKS_FAILED if failed else Exit.OK
    _facts(session, _task_facts(job, task, wire, session.clock.now()))
    for line in (*failure_texts.why(task), *evidence, *waits_for(session, job, task)):
        render.advice(f"  {line}")
    if outputs:
        render.data(f"outputs    {counted(len(outputs), 'file')} in {job.container}/{job.folder}/{task.id}/")
        for one in outputs[:SHOWN_OUTPUTS]:
            render.data(f"   {one['name']} ({size_in_words(one['size'])})")
        if len(outputs) > SHOWN_OUTPUTS:
            render.data(f"   and {counted(len(outputs) - SHOWN_OUTPUTS, 'file')} more")
    for pattern in nothing:
        render.data(f"  nothing was uploaded by the pattern {pattern!r}: no file of the task is of it")
    if failed:
        ends = [_tail(session, job, task.id, name) for name in ("stderr.txt", "stdout.txt")]
        for line in failure_texts.container_needs(task.exit_code, "\n".join(ends)):
            render.data(f"  {line}")
        render.words(f"next: python -m jobs retry {job.id} --task {task.id}")
    return Exit.TASKS_FAILED if failed else Exit.OK


def _task_facts(job: JobState, task: TaskState, wire: dict[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    container = wire.get("containerSettings") or {}
    yield "task", f"{task.id} of job {job.id}"
    yield "state", describe(task)
    yield "command", wire.get("commandLine") or "(the image decides)"
    yield "image", container.get("imageName") or "(none: on the node itself)"
    yield "options", container.get("containerRunOptions") or "(none)"
    yield "node", task.node_id or "none yet"
    yield from _times(task, now)
    yield "runs", f"{counted(task.retries, 'retry')}, {counted(task.requeues, 'time')} back to the queue"


def _times(task: TaskState, now: datetime) -> Iterator[tuple[str, str]]:
    """When it was created, began and ended, how long it waited and ran; without what the service does not say."""
    if task.created:
        yield "created", f"{task.created:{TIME}}"
    if task.started:
        waited = durations.words((task.started - task.created).total_seconds()) if task.created else ""
        yield "began", f"{task.started:{TIME}}{f' ({waited} after it was created)' if waited else ''}"
        if task.state == "running":
            yield "runs for", durations.age(task.started, now)
    if task.ended:
        yield "ended", f"{task.ended:{TIME}}"
    if task.started and task.ended:
        yield "took", durations.words((task.ended - task.started).total_seconds())


def _outputs(session: Session, job: JobState, task: TaskState) -> list[dict[str, Any]]:
    """What the task left in the job's container: names from its own folder there, and sizes."""
    if not job.container or session.connection.outputs is None or not task.completed:
        return []
    prefix = task_output.blob_name(job, task.id, "")
    try:
        blobs = itertools.islice(session.blobs.list(job.container, prefix), MOST_OUTPUTS)
        return [{"name": blob.name.removeprefix(prefix), "size": blob.size} for blob in blobs]
    except ServiceError:
        return []  # who may not read the container is still shown the rest


def waits_for(session: Session, job: JobState, task: TaskState) -> Iterator[str]:
    """What a task that has not begun waits for. Of a large job only failures and a few parents are looked at."""
    if task.state != "active" or not task.depends:
        return
    small = session.batch.counts(job.id).total <= SMALL
    known = list(session.batch.tasks(job.id)) if small else _some_around(session, job, task)
    all_there = small and job.on_all_tasks_complete == "terminatejob"
    if held := blocked.blocked_tasks([task, *known], all_there=all_there).get(task.id.lower()):
        yield f"it never runs: {held.explain()}; run them again: python -m jobs retry {job.id}"
        return
    unended = [one for one in known if not one.completed and task.parent_among({one.id.lower()})]
    yield from (f"it waits for {one.id}, which is {describe(one)}" for one in unended[:MOST_PARENTS])
    if (more := len(unended if small else task.parents) - MOST_PARENTS) > 0:
        yield f"and for {more} more"
    if not small:
        yield from (f"it depends on the tasks {first} to {last}" for first, last in task.parent_ranges)


def _some_around(session: Session, job: JobState, task: TaskState) -> list[TaskState]:
    """Of a large job: failures, which may block, and the first of the task's parents."""
    found = session.batch.some_tasks(job.id, "failed", blocked.MOST_FAILED)
    for parent in task.parents[:MOST_PARENTS]:
        with contextlib.suppress(NotFound):
            found.append(session.batch.task(job.id, parent))
    return found


def node_evidence(session: Session, job: JobState, task: TaskState) -> Iterator[str]:
    """How the node is now: one that is gone or broken explains much."""
    if task.node_id is None:
        return
    try:
        node = session.batch.node(job.pool_id, task.node_id)
    except NotFound:
        yield f"its node {task.node_id} is not in pool {job.pool_id} any more"
        return
    except ServiceError as error:
        yield f"its node cannot be looked at: {error.fact}"
        return
    yield f"its node is {node.state} now" + (f": {told}" if (told := nodes.reason(node)) else "")
    if node.start_task_failure is not None:
        yield from (f"start task | {line}" for line in nodes.evidence(session, job.pool_id, node))


def _tail(session: Session, job: JobState, task_id: str, name: str) -> str:
    """Show the end of a file; its text."""
    found = task_output.anywhere(session, job, task_id, name)
    if found is None:
        session.render.data(f"{name}: none, on its node or in the container")
        return ""
    lines = end_of(found.data, 65536).decode(errors="replace").splitlines()
    if lines:
        session.render.data(f"end of {name}, from {found.source}:")
        for line in lines[-LINES_OF_LOG:]:
            session.render.data(f"   | {line}")
    return "\n".join(lines[-LINES_OF_LOG:])


def _facts(session: Session, facts: Iterator[tuple[str, str]]) -> None:
    for name, value in facts:
        line = f"{name:<10} {value}"
        if name == "state":  # words; what somebody may copy is never folded
            session.render.advice(line, hang=11)
        else:
            session.render.data(line)


def _plain(task: TaskState) -> dict[str, Any]:
    failure = vars(task.failure) if task.failure else None
    return {**vars(task), "failure": failure}
