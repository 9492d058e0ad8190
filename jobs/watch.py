"""`watch JOB`: print what changes until the job is over. A client must ask again; it asks for what changed since."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from .batch import Batch, JobState, TaskState
from .clock import Clock
from .errors import JobsError, Unreachable
from .exits import Exit
from .jobfile.model import Duration
from .session import Session

FIRST_PAUSE: Final = 0.3  # seconds between two looks; grows while nothing changes
LONGEST_PAUSE: Final = 3.0
OUTAGE: Final = 60.0  # seconds for which a service that answered before may be away
QUIET: Final = 20.0  # seconds without a change after which the nodes are looked at


class GaveUpWaiting(JobsError):
    exit = Exit.GAVE_UP_WAITING


def seconds(text: str) -> float:
    """`10m` as seconds, for argparse."""
    try:
        return TypeAdapter(Duration).validate_python(text).total_seconds()
    except ValidationError as error:
        raise argparse.ArgumentTypeError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def register(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("watch", parents=parents, help="follow a job to its end")
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("--timeout", type=seconds, metavar="TIME", help="give up after this, for example 10m")
    parser.set_defaults(run=lambda arguments, session: follow(session, arguments.job, timeout=arguments.timeout))


def follow(session: Session, job_id: str, *, timeout: float | None) -> Exit:
    """Watch and print; the exit code folds all tasks."""
    render, clock = session.render, session.clock
    states: dict[str, TaskState] = {}
    told_nodes = ""
    for change in changes(session.batch, job_id, clock=clock, timeout=timeout):
        if change is None:
            told_nodes = _tell_nodes(session, job_id, told_nodes)
            continue
        states[change.id] = change
        if render.as_json:
            render.record(change)
        else:
            render.words(f"{clock.now():%H:%M:%S}  {change.id}: {describe(change)}")
    succeeded = sum(state.succeeded for state in states.values())
    completed = sum(state.completed for state in states.values())
    unended = len(states) - completed
    job = session.batch.job(job_id)
    ending = (
        f"; the job ended first ({job.terminate_reason or job.state}), {unended} tasks never did" if unended else ""
    )
    render.words(f"job {job_id} is over: {succeeded} succeeded, {completed - succeeded} failed{ending}")
    if succeeded == len(states):
        return Exit.OK
    first = next((state for state in states.values() if state.completed and not state.succeeded), None)
    if first is not None:
        render.words(f"next: python -m jobs logs {job_id} {first.id} --stderr")
    return Exit.TASKS_FAILED


def changes(batch: Batch, job_id: str, *, clock: Clock, timeout: float | None) -> Iterator[TaskState | None]:
    """Every change of a task's state (present states first) until the job is over. None: nothing changed for long."""
    states: dict[str, TaskState] = {}
    latest: datetime | None = None
    began = quiet_since = clock.monotonic()
    pause = FIRST_PAUSE
    last_answer: float | None = None
    while True:
        try:
            job, found = _look(batch, job_id, latest)
        except Unreachable:
            # Only what answered before: a service that restarts is waited for, a wrong address is told at once.
            if last_answer is None or clock.monotonic() - last_answer >= OUTAGE:
                raise
            clock.sleep(LONGEST_PAUSE)
            continue
        last_answer = clock.monotonic()
        changed = False
        for task in found:
            if states.get(task.id) != task:
                before = states.get(task.id)
                states[task.id] = task
                if before is None or (before.state, before.retries, before.requeues) != (
                    task.state,
                    task.retries,
                    task.requeues,
                ):
                    changed = True
                    yield task
            if task.changed is not None:
                latest = max(latest, task.changed) if latest else task.changed
        if is_over(job, states):
            return
        now = clock.monotonic()
        if timeout is not None and now - began >= timeout:
            left = sum(not state.completed for state in states.values())
            raise GaveUpWaiting(
                f"job {job_id} is not over after {timeout:g} s ({left} to go). Go on: python -m jobs watch {job_id}"
            )
        if changed:
            quiet_since, pause = now, FIRST_PAUSE
        elif now - quiet_since >= QUIET:
            quiet_since = now
            yield None
        clock.sleep(pause)
        pause = min(pause * 1.3, LONGEST_PAUSE)


def _look(batch: Batch, job_id: str, latest: datetime | None) -> tuple[JobState, list[TaskState]]:
    """The job, then its changed tasks: once the job is over, tasks read after it are final."""
    job = batch.job(job_id)
    return job, list(batch.tasks(job_id, latest))


def is_over(job: JobState, states: dict[str, TaskState]) -> bool:
    """A job that ends by itself is over when the service says so; any other once all its tasks completed."""
    if job.state in ("completed", "deleting"):
        return True
    return (
        job.on_all_tasks_complete != "terminatejob"
        and bool(states)
        and all(state.completed for state in states.values())
    )


def describe(task: TaskState) -> str:
    """A task's state in words, with the cause of a failure."""
    again = f" (retry {task.retries})" if task.retries else ""
    again += f" (requeued {task.requeues} times)" if task.requeues else ""
    if not task.completed:
        return f"{task.state}{again}" + (f" on {task.node_id}" if task.node_id and task.state == "running" else "")
    code = "never started" if task.exit_code is None else f"exit code {task.exit_code}"
    if task.succeeded:
        return f"succeeded, {code}{again}"
    return f"failed, {code}{again}" + (f": {task.failure.words()}" if task.failure else "")


def _tell_nodes(session: Session, job_id: str, told: str) -> str:
    """When nothing happens, the reason is mostly on the nodes: say how they are, once per change."""
    pool = session.batch.job(job_id).pool_id
    counts: dict[str, int] = {}
    for node in session.batch.nodes(pool):
        counts[node.state] = counts.get(node.state, 0) + 1
    words = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no nodes"
    if words != told:
        session.render.words(
            f"{session.clock.now():%H:%M:%S}  still waiting; pool {pool}: {words} (python -m jobs nodes {pool})"
        )
    return words
