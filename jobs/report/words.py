"""The figures of a job as lines for a terminal, and durations as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .. import durations
from ..terminal.wording import counted
from .figures import Bar, Figures, Spread, seconds

BLOCKS = " ▁▂▃▄▅▆▇█"
SHOWN_TEMPLATES = 12
SHOWN_NODES = 12


def short(value: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`; `-` for none."""
    if value is None:
        return "-"
    return f"{value:.1f} s" if value < 10 else durations.words(value)


def lines(figures: Figures, width: int) -> Iterator[str]:
    """All figures, the most asked for first, for a terminal of so many columns."""
    yield (
        f"{counted(figures.total, 'task')}: {figures.succeeded} succeeded, {figures.failed} failed, "
        f"{figures.running} running, {figures.waiting} waiting"
    )
    if figures.first_start and figures.last_end:
        yield f"first start to last end: {short((figures.last_end - figures.first_start).total_seconds())}"
    for image, count in figures.images.items():
        yield f"image: {image}" + (f" ({counted(count, 'task')})" if len(figures.images) > 1 else "")
    yield ""
    yield from _templates(figures, width)
    if (more := len(figures.templates) - SHOWN_TEMPLATES) > 0:
        yield f"and {more} more (--json, --html)"
    yield ""
    for ending in figures.endings:
        code = "no exit code" if ending.exit_code is None else f"exit code {ending.exit_code}"
        why = "succeeded" if ending.succeeded else f"failed: {ending.why}, first {ending.first}"
        yield f"{ending.tasks:>6}  {code}: {why}"
    yield (
        f"{counted(figures.retries, 'retry')} of {counted(figures.retried, 'task')}; "
        f"{counted(figures.requeues, 'time')} back to the queue (node lost or preempted), "
        f"{counted(figures.requeued, 'task')}"
    )
    yield from _nodes(figures)
    if figures.slowest:
        yield ""
        yield f"slowest tasks; what one wrote: python -m jobs logs {figures.job.id} TASK"
    for task in figures.slowest:
        yield f"  {short(seconds(task, figures.at)):>13}  {task.id}  on {task.node_id or '-'}"


def _templates(figures: Figures, width: int) -> Iterator[str]:
    """A table as wide as what is in it; the pictures of run times are left out where they have no room."""
    heading = ("template", "tasks", "failed", "wait: median", "95 %", "run: median", "95 %", "run times")
    rows: list[tuple[str, ...]] = [heading]
    for one in figures.templates[:SHOWN_TEMPLATES]:
        times = (short(value) for value in (one.wait.median, one.wait.p95, one.run.median, one.run.p95))
        rows.append((one.name, str(one.tasks), str(one.failed), *times, spark(one.run)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if sum(widths) + 2 * (len(widths) - 1) > width:
        rows, widths = [row[:-1] for row in rows], widths[:-1]
    for name, *cells in rows:
        drawn = [f"{cell:>{wide}}" for cell, wide in zip(cells, widths[1:], strict=True)]
        yield "  ".join([f"{name:<{widths[0]}}", *drawn]).rstrip()


def _nodes(figures: Figures) -> Iterator[str]:
    hours = ", ".join(f"{value:.2f} {kind}" for kind, value in figures.hours.items() if value or kind != "unknown")
    yield f"node hours: {hours} on {counted(len(figures.nodes), 'node')}"
    for node in figures.nodes[:SHOWN_NODES]:
        kind = "gone" if node.dedicated is None else "dedicated" if node.dedicated else "spot"
        filled = round(node.used * 20)
        bar = f"{'█' * filled}{'·' * (20 - filled)}"
        yield f"  {node.id}  {kind:<9}  {node.tasks:>6} tasks  {bar} {node.used:.0%} of its slots"
    if (more := len(figures.nodes) - SHOWN_NODES) > 0:
        yield f"  and {more} more (--json, --html)"


def spark(spread: Spread) -> str:
    """The histogram on one line."""
    return "".join(BLOCKS[_height(bar, spread.histogram)] for bar in spread.histogram)


def _height(bar: Bar, every: Sequence[Bar]) -> int:
    most = max(one.count for one in every)
    return 0 if not bar.count else 1 + round(bar.count / most * (len(BLOCKS) - 2))
