"""`logs JOB [TASK]`: what tasks wrote; from their nodes, or from the job's container when a node is gone."""

from __future__ import annotations

import argparse
import zlib
from datetime import timedelta
from typing import Final

from ... import durations
from ...errors import NotFound, Throttled, Unreachable, UsageError
from ...exits import Exit
from ...service.batch import JobState
from ...session import Session
from ...state import task_output
from ...state.following import OUTAGE, PAUSE, Line, follow_job, last_lines
from ...terminal.render import add_raw
from ...terminal.visible import visible
from ..arguments import batch_id

EXAMPLES: Final = (
    "logs nightly-7 sim-0",
    "logs nightly-7 sim-0 --stderr --tail 20",
    "logs -f nightly-7",
    "logs -f nightly-7 --tail 0 --timestamps",
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=batch_id, metavar="JOB", help="the job's id")
    default = "the task's id; default: every task, one after the other, with --follow all at once"
    parser.add_argument("task", type=batch_id, metavar="TASK", nargs="?", help=default)
    parser.add_argument("--stderr", action="store_true", help="stderr instead of stdout")
    parser.add_argument(
        "--follow", "-f", action="store_true", help="go on until the task ends; without TASK, until the job does"
    )
    parser.add_argument(
        "--tail", type=_lines, metavar="N", help="only the last N lines of what is there already (0: only new ones)"
    )
    parser.add_argument(
        "--since",
        type=durations.argument,
        metavar="TIME",
        help="only tasks that ran within this time, for example 10m: what they wrote has no times of its own",
    )
    parser.add_argument(
        "--timestamps", "-t", action="store_true", help="with --follow: when each line was read, before it"
    )
    add_raw(parser)
    parser.set_defaults(run=run)


def _lines(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number of lines, got {text!r}")
    return int(text)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    name = "stderr.txt" if arguments.stderr else "stdout.txt"
    if arguments.timestamps and not arguments.follow:
        raise UsageError(
            "--timestamps are those of reading, so they need --follow", next_step="add it, or leave them out"
        )
    if arguments.task and arguments.since is not None:
        raise UsageError("--since chooses among a job's tasks", next_step="leave it out, or leave TASK out")
    job = session.batch.job(arguments.job)
    if arguments.follow and arguments.task and not arguments.timestamps:
        follow(session, job, arguments.task, name, tail=arguments.tail)
        return Exit.OK
    if arguments.follow:
        return _follow_lines(arguments, session, job, name)
    since = None if arguments.since is None else session.clock.now() - timedelta(seconds=arguments.since)
    if arguments.task:
        names = [arguments.task]
    else:
        tasks = session.batch.tasks(job.id)
        names = sorted(task.id for task in tasks if since is None or task.ended is None or task.ended >= since)
    for task_id in names:
        if arguments.task is None:
            session.render.words(f"-- {task_id}")
        found = task_output.anywhere(session, job, task_id, name)
        if found is None:
            state = session.batch.task(job.id, task_id)  # a task that does not exist is told here
            text = f"task {task_id} is {state.state} and has no {name}, on its node or in the container"
            if arguments.task:
                raise NotFound(f"{text}", next_step=f"look at it: python -m jobs show {job.id} {task_id}")
            session.render.words(text)
            continue
        data = last_lines(found.data, arguments.tail)
        if session.render.as_json:
            session.render.record(
                {"task": task_id, "source": found.source, "text": b"".join(data).decode(errors="replace")}
            )
            continue
        for piece in data:
            session.render.raw(piece)
            if session.render.lost:
                return Exit.OK  # nobody reads the rest
        session.render.raw(b"", last=True)
    return Exit.OK


def _follow_lines(arguments: argparse.Namespace, session: Session, job: JobState, name: str) -> Exit:
    """Lines of every task as they come (or of one), each with its task before it."""
    render = session.render
    since = None if arguments.since is None else session.clock.now() - timedelta(seconds=arguments.since)
    widest = 0
    for line in follow_job(session, job.id, name, only=arguments.task, tail=arguments.tail, since=since):
        widest = max(widest, len(line.task))
        if line.told:
            render.words(f"-- task {line.task} {line.text}")
        elif render.as_json:
            render.record({"task": line.task, "at": line.at, "text": line.text})
        else:
            render.drawn(_prefixed(line, session, widest, timestamps=arguments.timestamps, prefix=not arguments.task))
        if render.lost:
            break  # nobody reads the rest
    return Exit.OK


def _prefixed(line: Line, session: Session, widest: int, *, timestamps: bool, prefix: bool) -> str:
    """`task | line`, the task in a colour of its own; on a terminal what acts on it is shown and not obeyed."""
    render = session.render
    text = visible(line.text, lines=False) if render.shows_visibly else line.text
    head = f"{line.task:<{widest}} | " if prefix else ""
    if head and render.colours:
        from ...terminal.drawing import TASK_COLOURS, coloured

        head = coloured(head, TASK_COLOURS[zlib.crc32(line.task.encode()) % len(TASK_COLOURS)])
    at = f"{line.at:%Y-%m-%dT%H:%M:%SZ} " if timestamps else ""
    return f"{at}{head}{text}"


def follow(session: Session, job: JobState, task_id: str, name: str, *, tail: int | None = None) -> None:
    """Print one task's file as it grows, byte for byte. `tail`: of what is there at first only so many lines."""
    printed = 0
    shown_run: tuple[int, int] | None = None
    last_answer = session.clock.monotonic()
    while True:
        try:
            task = session.batch.task(job.id, task_id)
            this_run = (task.retries, task.requeues)
            if shown_run not in (None, this_run) and printed:
                session.render.words(f"-- task {task_id} began again (retry {task.retries}, requeue {task.requeues})")
                printed = 0
            shown_run = this_run
            ended = task.completed  # known before reading: what is read after the end is all there is
            found = task_output.from_node(session, job, task_id, name, printed)
            from_node = found is not None
            pieces = list(found.data) if found and tail is not None else found.data if found else ()
            if tail is not None:
                printed += sum(map(len, pieces))
                pieces = last_lines(iter(pieces), tail)
            for piece in pieces:
                session.render.raw(piece)
                printed += len(piece) if tail is None else 0
                if session.render.lost:
                    return  # nobody reads the rest
            if ended:
                if not from_node:
                    _rest_from_blob(session, job, task_id, name, printed, tail)
                session.render.raw(b"", last=True)
                return
            tail, last_answer = None, session.clock.monotonic()  # what comes now is new
        except (Unreachable, Throttled):
            if session.clock.monotonic() - last_answer >= OUTAGE:
                raise
        session.clock.sleep(PAUSE)


def _rest_from_blob(session: Session, job: JobState, task_id: str, name: str, printed: int, tail: int | None) -> None:
    """The node is gone: what was not printed yet is in the container, or lost, which is told."""
    kept = task_output.from_blob(session, job, task_id, name)
    if kept is None:
        raise NotFound(
            f"the node of task {task_id} is gone and {name} is not in the container: nothing after byte "
            f"{printed} can be shown",
            next_step=f"look at it: python -m jobs show {job.id} {task_id}",
        )
    skip = printed
    for piece in last_lines(kept.data, tail):
        if skip < len(piece):
            session.render.raw(piece[skip:])
            if session.render.lost:
                return
            printed += len(piece) - skip
        skip = max(0, skip - len(piece))
