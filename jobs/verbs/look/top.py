"""`top`: what the account does at this moment: its pools, the jobs that are not over, and the tasks that run longest.

In a terminal it is drawn again until Ctrl-C; elsewhere, with --once and with --json it is shown once.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from ... import durations
from ...errors import NotFound, ServiceError
from ...exits import Exit
from ...service.batch import Counts, JobState, NodeState, PoolState, TaskState
from ...session import Session
from ...signals import Ended
from ...terminal.screen import Screen
from ...terminal.table import colour_of
from ...terminal.wording import counted
from ..watching import add_interval

EXAMPLES: Final = ("top", "top --interval 10s", "top --once", "top --json")
MOST_JOBS: Final = 15  # the newest that are not over
MOST_TASKS: Final = 10  # that run
ASKING: Final = 8  # questions at a time
BAR: Final = 20  # cells


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What was found at one moment. `running`: (job id, task) of the shown jobs."""

    pools: list[tuple[PoolState, list[NodeState]]]
    jobs: list[tuple[JobState, Counts]]
    running: list[tuple[str, TaskState]]
    more_jobs: int


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="show it once")
    add_interval(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render = session.render
    if render.as_json:
        render.record(plain(look(session)))
        return Exit.OK
    if arguments.once or not (render.live and render.on_terminal):
        for line in picture(session, look(session), render.size[0], colours=render.colours):
            render.drawn(line)
        return Exit.OK
    try:
        with Screen(render) as screen:
            last: Moment | None = None
            while True:
                try:
                    last = look(session)
                except ServiceError:
                    if last is None:
                        raise
                shown = last
                screen.draw(lambda wide, high, shown=shown: picture(session, shown, wide, colours=render.live_colours))
                session.clock.sleep(arguments.interval)
    except Ended:
        raise
    except KeyboardInterrupt:
        return Exit.OK  # the usual end


def look(session: Session) -> Moment:
    """Ask for pools, their nodes, and the newest active jobs: a number of questions that no job's size changes."""
    batch = session.batch
    pools = sorted(batch.pools(), key=lambda pool: pool.id)
    active = sorted(
        batch.jobs("", state="active"), key=lambda job: (job.created is not None, job.created), reverse=True
    )
    jobs = active[:MOST_JOBS]
    with ThreadPoolExecutor(ASKING) as asking:
        nodes = list(asking.map(lambda pool: _nodes(session, pool), pools))
        counts = list(asking.map(lambda job: _counts(session, job), jobs))
        busy = [job for job, one in zip(jobs, counts, strict=True) if one.running]
        found = list(asking.map(lambda job: _running(session, job), busy))
    running = [(job.id, task) for job, some in zip(busy, found, strict=True) for task in some]
    latest = session.clock.now()
    running.sort(key=lambda one: one[1].started or latest)
    return Moment(
        pools=list(zip(pools, nodes, strict=True)),
        jobs=list(zip(jobs, counts, strict=True)),
        running=running[:MOST_TASKS],
        more_jobs=len(active) - len(jobs),
    )


def _nodes(session: Session, pool: PoolState) -> list[NodeState]:
    try:
        return list(session.batch.nodes(pool.id))
    except NotFound:
        return []  # deleted meanwhile


def _counts(session: Session, job: JobState) -> Counts:
    try:
        return session.batch.counts(job.id)
    except NotFound:
        return Counts()


def _running(session: Session, job: JobState) -> list[TaskState]:
    try:
        return session.batch.some_tasks(job.id, "running", MOST_TASKS)
    except NotFound:
        return []


def picture(session: Session, moment: Moment, width: int, *, colours: bool) -> list[str]:
    """The lines to show, none wider than `width`."""
    return [
        *_pools(moment, width, colours),
        "",
        *_jobs(session, moment, width, colours),
        *_tasks(session, moment, width, colours),
    ]


def _pools(moment: Moment, width: int, colours: bool) -> list[str]:
    from ...terminal.drawing import Cell, Heading, bar, lines, table

    rows = []
    for pool, nodes in moment.pools:
        busy, slots = sum(node.running_tasks for node in nodes), pool.task_slots * len(nodes)
        states = ", ".join(f"{count} {state}" for state, count in sorted(Counter(node.state for node in nodes).items()))
        wanted = pool.target_dedicated + pool.target_low_priority
        wrong = any(colour_of(node.state) == "red" for node in nodes) or bool(pool.resize_errors)
        (drawn,) = lines(bar(0, 0, busy, max(0, slots - busy), BAR), width=BAR, colours=False)
        rows.append(
            (
                Cell(pool.id),
                Cell(f"{len(nodes)} of {wanted}"),
                Cell(drawn if slots else "", "blue"),
                Cell(f"{busy} of {slots}"),
                Cell("; ".join(filter(None, (states, *pool.resize_errors))) or pool.allocation, "red" if wrong else ""),
            )
        )
    headings = [
        Heading(text="pool", most=24),
        Heading(text="nodes", short=True),
        Heading(text="slots in use", short=True),
        Heading(text="", short=True),
        Heading(text="states", free=True),
    ]
    return table(headings, rows, width=width, colours=colours)


def _jobs(session: Session, moment: Moment, width: int, colours: bool) -> list[str]:
    from ...terminal.drawing import Cell, Heading, bar, lines, table

    if not moment.jobs:
        return ["no job is active"]
    now, rows = session.clock.now(), []
    for job, counts in moment.jobs:
        drawn = bar(counts.succeeded, counts.failed, counts.running, counts.active, BAR, unicode=session.render.unicode)
        rows.append(
            (
                Cell(job.id),
                Cell("".join(lines(drawn, width=BAR, colours=False)), "red" if counts.failed else ""),
                Cell(str(counts.active)),
                Cell(str(counts.running)),
                Cell(str(counts.succeeded)),
                Cell(str(counts.failed), "red" if counts.failed else ""),
                Cell(durations.age(job.created, now)),
            )
        )
    headings = [
        Heading(text="job", keep=True),
        Heading(text="", short=True, spare=True),
        *(Heading(text=name, number=True) for name in ("waiting", "running", "succeeded", "failed")),
        Heading(text="age", short=True),
    ]
    more = [f"and {counted(moment.more_jobs, 'older job')}"] if moment.more_jobs else []
    return [*table(headings, rows, width=width, colours=colours), *more]


def _tasks(session: Session, moment: Moment, width: int, colours: bool) -> Iterator[str]:
    from ...terminal.drawing import Cell, Heading, table

    if not moment.running:
        return
    now = session.clock.now()
    rows = [
        (Cell(task.id), Cell(job_id), Cell(durations.age(task.started, now)), Cell(task.node_id or ""))
        for job_id, task in moment.running
    ]
    headings = [
        Heading(text="runs longest", keep=True),
        Heading(text="job", keep=True),
        Heading(text="for", short=True),
        Heading(text="node", most=20),
    ]
    yield ""
    yield from table(headings, rows, width=width, colours=colours)


def plain(moment: Moment) -> dict[str, Any]:
    """For JSON."""
    return {
        "pools": [
            {**vars(pool), "states": dict(Counter(node.state for node in nodes))} for pool, nodes in moment.pools
        ],
        "jobs": [{**vars(job), "tasks": vars(counts)} for job, counts in moment.jobs],
        "running": [
            {"job": job_id, "task": task.id, "node": task.node_id, "started": task.started}
            for job_id, task in moment.running
        ],
    }
