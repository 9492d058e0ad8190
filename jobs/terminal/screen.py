"""A job as a table that is drawn again in place: what `watch` shows in a terminal. Only escape codes of every terminal.

Owns no question to the service but one: which tasks run, at most as many as fit.
"""

from __future__ import annotations

import shutil
from typing import Final

from .. import durations
from ..errors import ServiceError
from ..progress import Look, describe
from ..service.batch import TaskState
from ..session import Session
from .visible import visible

RUNNING: Final = 8  # tasks shown that run
FAILED: Final = 5  # latest failures shown
_UP, _CLEAR, _HIDE, _SHOW = "\x1b[{}F", "\x1b[J", "\x1b[?25l", "\x1b[?25h"
_RED, _GREEN, _BLUE, _GREY, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[34m", "\x1b[90m", "\x1b[0m"


class Screen:
    """Draws each look over the one before; at the end the last one stays."""

    def __init__(self, session: Session) -> None:
        self._session, self._lines, self._failed, self._reason = session, 0, list[TaskState](), ""
        self._began = session.clock.monotonic()

    def __enter__(self) -> Screen:
        self._session.render.escape(_HIDE)
        return self

    def __exit__(self, *_: object) -> None:
        self._session.render.escape(_SHOW)

    def show(self, look: Look) -> None:
        wide, high = shutil.get_terminal_size()
        self._failed += [task for task in look.changed if task.completed and not task.succeeded]
        self._failed = self._failed[-FAILED:]
        if look.reason or look.changed or look.counted:
            self._reason = look.reason
        lines = [line[: wide + line.count("\x1b") * 5 - 1] for line in self._draw(look, wide)][: high - 1]
        start = _UP.format(self._lines) if self._lines else ""
        self._session.render.escape(start + _CLEAR + "\n".join(lines) + "\n")
        self._lines = len(lines)

    def _draw(self, look: Look, wide: int) -> list[str]:
        job, counts = look.job, look.counts
        spent = durations.words(self._session.clock.monotonic() - self._began)
        lines = [
            visible(f"job {job.id}   {job.state}   pool {job.pool_id}   {spent}", lines=False),
            bar(counts.succeeded, counts.failed, counts.running, counts.active, min(wide - 2, 60)),
            f"{look.summary()}{look.pace()}",
            "",
        ]
        running = self._running(look)
        for task in running:
            lines.append(f"{_BLUE}running{_PLAIN}  {visible(f'{task.id}   {since(task, self._session)}', lines=False)}")
        for task in self._failed:
            why = describe(task).removeprefix("failed, ")
            lines.append(f"{_RED}failed{_PLAIN}   {visible(f'{task.id}   {why}', lines=False)}")
        return [*lines, *([f"{_GREY}{visible(self._reason, lines=False)}{_PLAIN}"] if self._reason else [])]

    def _running(self, look: Look) -> list[TaskState]:
        if not look.large:
            return [task for task in look.states.values() if task.state == "running"][:RUNNING]
        try:
            return self._session.batch.some_tasks(look.job.id, "running", RUNNING) if look.counts.running else []
        except ServiceError:
            return []  # what is shown is no part of the work: the next look asks again


def bar(succeeded: int, failed: int, running: int, active: int, width: int) -> str:
    """Shares of the tasks as a bar; whatever there is has at least one cell."""
    total = succeeded + failed + running + active
    parts = ((succeeded, _GREEN, "█"), (failed, _RED, "█"), (running, _BLUE, "▒"), (active, _GREY, "·"))
    cells = [max(1, count * width // total) if count else 0 for count, _, _ in parts] if total else [0] * 4
    most = max(range(4), key=cells.__getitem__)
    cells[most] += width - sum(cells)
    if not total:
        return f"{_GREY}{'·' * width}{_PLAIN}"
    return "".join(f"{colour}{sign * cell}" for cell, (_, colour, sign) in zip(cells, parts, strict=True)) + _PLAIN


def since(task: TaskState, session: Session) -> str:
    """For how long a task has run, and where."""
    node = f" on {task.node_id}" if task.node_id else ""
    return durations.age(task.started or task.changed, session.clock.now()) + node
