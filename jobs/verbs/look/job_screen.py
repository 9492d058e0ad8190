"""What live displays show of a job: its counts as a bar, what runs, what failed last and why."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ... import durations
from ...errors import ServiceError
from ...service.batch import TaskState
from ...session import Session
from ...state.progress import Look, describe
from ...terminal import drawing
from ...terminal.screen import Screen
from ...terminal.visible import visible
from ...terminal.wording import folded, pasteable

RUNNING: Final = 8  # tasks shown that run
FAILED: Final = 5  # latest failures shown


class JobScreen:
    """A job as `watch` shows it. Asks the service one question only: which tasks run, at most as many as fit."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._screen = Screen(session.render)
        self._failed: list[TaskState] = []
        self._reason = ""
        self._began = session.clock.monotonic()

    def __enter__(self) -> JobScreen:
        self._screen.__enter__()
        return self

    def __exit__(self, *ended: object) -> None:
        self._screen.__exit__(*ended)

    def show(self, look: Look) -> None:
        self._failed += [task for task in look.changed if task.completed and not task.succeeded]
        self._failed = self._failed[-FAILED:]
        if look.reason or look.changed or look.counted:
            self._reason = look.reason
        running = self._running(look)
        self._screen.draw(lambda wide, high: self._draw(look, running, wide))

    def _draw(self, look: Look, running: list[TaskState], wide: int) -> list[str]:
        job, counts, render = look.job, look.counts, self._session.render
        spent = durations.words(self._session.clock.monotonic() - self._began)
        now = self._session.clock.now()
        drawn = [
            drawing.one_line(f"job {job.id}   {job.state}   pool {job.pool_id}   {spent}"),
            drawing.bar(counts.succeeded, counts.failed, counts.running, counts.active, wide, unicode=render.unicode),
            drawing.one_line(f"{look.summary()}{look.pace()}"),
            drawing.one_line(""),
        ]
        drawn += [drawing.one_line(("running", "blue"), f"  {task.id}   {since(task, now)}") for task in running]
        for task in self._failed:
            why = describe(task).removeprefix("failed, ")
            drawn.append(drawing.one_line(("failed", "red"), f"   {task.id}   {why}"))
        if self._reason:
            # Folded like words on stderr: a command in it stays whole, so that it can be pasted.
            reason = folded(visible(pasteable(self._reason)), wide).split("\n")
            drawn += [drawing.one_line((line, "bright_black")) for line in reason]
        return [line for one in drawn for line in drawing.lines(one, width=wide, colours=render.live_colours)]

    def _running(self, look: Look) -> list[TaskState]:
        if not look.large:
            return [task for task in look.states.values() if task.state == "running"][:RUNNING]
        try:
            return self._session.batch.some_tasks(look.job.id, "running", RUNNING) if look.counts.running else []
        except ServiceError:
            return []  # what is shown is no part of the work: the next look asks again


def since(task: TaskState, now: datetime) -> str:
    """For how long a task has run, and where."""
    node = f" on {task.node_id}" if task.node_id else ""
    return durations.age(task.started or task.changed, now) + node
