"""The figures of a job as lines for a terminal, and durations as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .. import durations
from .figures import Bar, Figures, Spread, seconds

BLOCKS = " ▁▂▃▄▅▆▇█"
SHOWN_TEMPLATES = 12
SHOWN_NODES = 12


def short(value: float | None) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`; `-` for none."""
    if value is None:
        return "-"
    return f"{value:.1f} s" if value < 10 else durations.words(value)


def lines(figures: Figures) -> Iterator[str]:
    """All figures, the most asked for first."""
    yield (
        f"{figures.total} tasks: {figures.succeeded} succeeded, {figures.failed} failed, "
        f"{figures.running} running, {figures.waiting} waiting"
    )
    if figures.first_start and figures.last_end:
        yield f"first start to last end: {short((figures.last_end - figures.first_start).total_seconds())}"
    for image, count in figures.images.items():
        yield f"image: {image}" + (f" ({count} tasks)" if len(figures.images) > 1 else "")
    yield ""
    names = [one.name for one in figures.templates[:SHOWN_TEMPLATES]]
    wide = max(8, *(len(name) for name in names)) if names else 8
    yield (
        f"{'template':<{wide}}  {'tasks':>6}  {'failed':>6}  "
        f"{'wait: median':>13}  {'95 %':>12}  {'run: median':>13}  {'95 %':>12}  run times"
    )
    for one in figures.templates[:SHOWN_TEMPLATES]:
        yield (
            f"{one.name:<{wide}}  {one.tasks:>6}  {one.failed:>6}  {short(one.wait.median):>13}  "
            f"{short(one.wait.p95):>12}  {short(one.run.median):>13}  {short(one.run.p95):>12}  {spark(one.run)}"
        )
    if (more := len(figures.templates) - SHOWN_TEMPLATES) > 0:
        yield f"and {more} more (--json, --html)"
    yield ""
    for ending in figures.endings:
        code = "no exit code" if ending.exit_code is None else f"exit code {ending.exit_code}"
        why = "succeeded" if ending.succeeded else f"failed: {ending.why}, first {ending.first}"
        yield f"{ending.tasks:>6}  {code}: {why}"
    yield (
        f"retries: {figures.retries} of {figures.retried} tasks; back to the queue (node lost or preempted): "
        f"{figures.requeues} times, {figures.requeued} tasks"
    )
    yield from _nodes(figures)
    if figures.slowest:
        yield ""
        yield "slowest tasks:"
    for task in figures.slowest:
        yield (
            f"  {short(seconds(task, figures.at)):>13}  {task.id}  on {task.node_id or '-'}"
            f"  python -m jobs logs {figures.job.id} {task.id}"
        )


def _nodes(figures: Figures) -> Iterator[str]:
    hours = ", ".join(f"{value:.2f} {kind}" for kind, value in figures.hours.items() if value or kind != "unknown")
    yield f"node hours: {hours} on {len(figures.nodes)} nodes"
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
