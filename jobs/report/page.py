"""The report as one HTML file: no other file, no other host. The texts in it come from outside and are escaped.

Its own policy (CSP) admits its own script and styles by their hashes and nothing else, so that a task's id or message
that got past the escaping would still do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ..files.checks.secrecy import masked
from ..service.batch import TaskState
from ..terminal.visible import visible
from ..terminal.wording import counted
from .figures import BARS, Bar, Figures, NodeUse, Spread, logs_command, seconds
from .read import Reading
from .words import short

ASSETS: Final = Path(__file__).parent / "assets"
MOST_NODES: Final = 400  # in the table of nodes; the picture has all
KEYS: Final = (
    ("good", "succeeded", '<rect width="26" height="12" rx="2" fill="var(--good)"/>'),
    (
        "bad",
        "failed",
        '<rect width="26" height="12" rx="2" fill="var(--bad)"/>'
        '<path d="M-2 12 10 0M6 12 18 0M14 12 26 0M22 12 34 0" stroke="var(--panel)" stroke-width="1.6"/>',
    ),
    (
        "busy",
        "running",
        '<rect x=".5" y=".5" width="25" height="11" rx="2" fill="var(--busy)" fill-opacity=".35"'
        ' stroke="var(--busy)"/>',
    ),
)


def page(reading: Reading, figures: Figures, *, job_file: tuple[str, str] | None = None) -> str:
    """The whole file. `job_file`: name and text of the file that the job was submitted from, when that is known."""
    style = (ASSETS / "palette.css").read_text(encoding="utf-8") + (ASSETS / "report.css").read_text(encoding="utf-8")
    script = (ASSETS / "timeline.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    body = "\n".join(_body(reading, figures, job_file))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(figures.job.id)}: report</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n"
        f'<script type="application/json" id="tasks">{_json(timeline(reading.tasks, figures))}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def timeline(tasks: list[TaskState], figures: Figures) -> dict[str, Any]:
    """The picture's data, in columns, sorted by node and start; seconds since the first start, to a hundredth."""
    nodes = {node.id: number for number, node in enumerate(figures.nodes)}
    begin = figures.first_start
    rows = sorted(
        (
            (nodes[task.node_id], (task.started - begin).total_seconds(), took, task)
            for task in tasks
            if begin and task.started and task.node_id in nodes and (took := seconds(task, figures.at)) is not None
        ),
        key=lambda row: (row[0], row[1], row[3].id),
    )
    kinds = {None: "gone", True: "dedicated", False: "spot"}
    return {
        "nodes": [[visible(node.id), kinds[node.dedicated]] for node in figures.nodes],
        "ids": [visible(task.id) for _, _, _, task in rows],
        "node": [node for node, _, _, _ in rows],
        "start": [round(start, 2) for _, start, _, _ in rows],
        "took": [round(took, 2) for _, _, took, _ in rows],
        "result": "".join("r" if not task.completed else "s" if task.succeeded else "f" for _, _, _, task in rows),
        "codes": {
            str(index): task.exit_code for index, (*_, task) in enumerate(rows) if task.completed and task.exit_code
        },
    }


def _body(reading: Reading, figures: Figures, job_file: tuple[str, str] | None) -> Iterator[str]:
    job = figures.job
    yield "<header>"
    yield f"<h1>{_text(job.id)}</h1>"
    ended = f": {_text(job.terminate_reason)}" if job.terminate_reason else ""
    yield (
        f'<p class="soft">job {_text(job.state)}{ended}, pool {_text(job.pool_id)}, {_text(reading.stack)}'
        f", as of {figures.at:%Y-%m-%d %H:%M:%S} UTC</p>"
    )
    yield "</header><main>"
    yield from _heads(figures)
    yield _share(figures)
    yield from _picture(figures)
    yield from _templates(figures)
    yield '<div class="pair">'
    yield from _endings(figures)
    yield from _slowest(reading, figures)
    yield "</div>"
    yield from _nodes(figures)
    yield from _origin(reading, figures, job_file)
    yield "</main>"


def _heads(figures: Figures) -> Iterator[str]:
    lasted = None
    if figures.first_start and figures.last_end:
        lasted = (figures.last_end - figures.first_start).total_seconds()
    hours = figures.hours
    gone = f", {hours['unknown']:.1f} h on nodes that are gone" if hours["unknown"] else ""
    heads = (
        ("", f"{figures.total:,}", "tasks"),
        ("", f"{figures.succeeded:,}", "succeeded"),
        ("bad" if figures.failed else "", f"{figures.failed:,}", "failed"),
        ("", f"{figures.running + figures.waiting:,}", f"not over; {figures.running:,} running"),
        ("", short(lasted), "first start to last end"),
        ("", short(figures.wait.median), f"median wait; 95 % within {short(figures.wait.p95)}"),
        ("", short(figures.run.median), f"median run; 95 % within {short(figures.run.p95)}"),
        (
            "",
            f"{sum(hours.values()):.1f} h",
            f"of nodes: {hours['dedicated']:.1f} dedicated, {hours['spot']:.1f} spot{gone}",
        ),
        ("", f"{figures.retries:,}", f"retries, of {figures.retried:,} tasks"),
        ("", f"{figures.requeues:,}", "times back to the queue: node lost or preempted"),
    )
    yield '<div class="heads">'
    for kind, value, name in heads:
        yield f'<div class="{kind}"><b>{_text(value)}</b><span class="soft">{_text(name)}</span></div>'
    yield "</div>"


def _share(figures: Figures) -> str:
    """One line of the results, in proportion."""
    parts, at = [], 0.0
    for count, colour in (
        (figures.failed, "bad"),
        (figures.succeeded, "good"),
        (figures.running, "busy"),
        (figures.waiting, "gone"),
    ):
        width = 1000 * count / max(1, figures.total)
        if count:
            parts.append(f'<rect x="{at:.2f}" width="{max(width, 3):.2f}" height="10" fill="var(--{colour})"/>')
        at += width
    label = (
        f"{figures.failed} failed, {figures.succeeded} succeeded, {figures.running} running, {figures.waiting} waiting"
    )
    return (
        f'<div class="share"><svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg></div>"
    )


def _picture(figures: Figures) -> Iterator[str]:
    yield '<section><div class="tools"><h2>Tasks on nodes over time</h2><span class="soft" id="view"></span>'
    yield '<button id="in" type="button">zoom in</button><button id="out" type="button">zoom out</button>'
    yield '<button id="all" type="button">all</button></div>'
    what = f"{counted(figures.total, 'task')} on {counted(len(figures.nodes), 'node')}"
    label = f"{what} over time; the tables below have the figures"
    yield f'<div id="timeline"><canvas tabindex="0" role="img" aria-label="{label}"></canvas>'
    yield '<div id="tip" hidden></div></div>'
    if not figures.nodes:
        yield "<p>No task has begun on a node.</p>"
    yield '<div class="key">'
    for _, name, shape in KEYS:
        yield f'<span><svg viewBox="0 0 26 12" aria-hidden="true">{shape}</svg>{name}</span>'
    yield "<span>drag: zoom; double click: all; keys on the picture: + - 0 and arrows</span></div></section>"


def _templates(figures: Figures) -> Iterator[str]:
    yield "<section><h2>Waiting and running, by template</h2>"
    yield _table(
        "wide",
        "Templates",
        "tasks named",
        "#tasks",
        "#failed",
        "#wait: median",
        "#95 %",
        "waits",
        "#run: median",
        "#95 %",
        "#longest",
        "run times",
    )
    for one in figures.templates:
        failed = f'<span class="dot bad">{one.failed:,}</span>' if one.failed else "0"
        yield (
            f'<tr><td class="id">{_text(one.name)}</td><td class="n">{one.tasks:,}</td><td class="n">{failed}</td>'
            f'<td class="n">{short(one.wait.median)}</td><td class="n">{short(one.wait.p95)}</td>'
            f"<td>{_histogram(one.wait, 'wait')}</td>"
            f'<td class="n">{short(one.run.median)}</td><td class="n">{short(one.run.p95)}</td>'
            f'<td class="n">{short(one.run.longest)}</td><td>{_histogram(one.run, "")}</td></tr>'
        )
    yield '</table></div><p class="soft">A wait lasts from the task\'s creation to its latest start, with the time for'
    yield " tasks it depends on. Hover a histogram for its steps.</p></section>"


def _histogram(spread: Spread, kind: str) -> str:
    if not spread.histogram:
        return '<span class="soft">none</span>'
    most = max(bar.count for bar in spread.histogram)
    wide, high = 190, 34
    step = wide / max(len(spread.histogram), BARS)

    def drawn(number: int, bar: Bar) -> str:
        tall = max(1.5, (high - 2) * bar.count / most) if bar.count else 0
        title = f"{short(bar.low)} to {short(bar.high)}: {bar.count:,} tasks"
        return (
            f"<g><title>{title}</title>"
            f'<rect x="{number * step:.1f}" width="{step:.1f}" height="{high}" fill-opacity="0"/>'
            f'<rect x="{number * step:.1f}" y="{high - tall:.1f}" width="{step - 1:.1f}" height="{tall:.1f}"/></g>'
        )

    bars = "".join(drawn(number, bar) for number, bar in enumerate(spread.histogram))
    label = f"{counted(spread.count, 'task')}, median {short(spread.median)}, 95 % within {short(spread.p95)}"
    return (
        f'<svg class="bars {kind}" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" role="img"'
        f' aria-label="{label}">{bars}'
        f'<rect y="{high - 0.6}" width="{wide}" height=".6" fill="var(--line-strong)"/></svg>'
    )


def _endings(figures: Figures) -> Iterator[str]:
    yield "<section><h2>How tasks ended</h2>"
    yield _table("tall", "How tasks ended", "#tasks", "#exit code", "why", "for example")
    for one in figures.endings:
        kind, word = ("good", "succeeded") if one.succeeded else ("bad", one.why)
        sign = "●" if one.succeeded else "▲"
        code = "none" if one.exit_code is None else one.exit_code
        yield (
            f'<tr><td class="n">{one.tasks:,}</td><td class="n"><span class="dot {kind}">{sign} {code}</span></td>'
            f'<td>{_text(word)}</td><td class="id">{_text(one.first)}</td></tr>'
        )
    if not figures.endings:
        yield '<tr><td colspan="4">No task has ended.</td></tr>'
    yield "</table></div></section>"


def _slowest(reading: Reading, figures: Figures) -> Iterator[str]:
    yield "<section><h2>The slowest</h2>"
    yield _table("tall", "The slowest", "#took", "task", "node", "logs")
    for task in figures.slowest:
        links = " ".join(
            f'<a href="{_text(reading.blobs + task.id)}/{name}.txt" rel="noreferrer">{name}</a>'
            for name in ("stdout", "stderr")
            if reading.blobs
        )
        links = links or f"<code>{_text(logs_command(figures.job.id, task.id))}</code>"
        yield (
            f'<tr><td class="n">{short(seconds(task, figures.at))}</td><td class="id">{_text(task.id)}</td>'
            f'<td class="id">{_text(task.node_id or "")}</td><td>{links}</td></tr>'
        )
    yield "</table></div>"
    command = logs_command(figures.job.id, "TASK --stderr")
    yield f'<p class="soft">In a terminal: <code>{_text(command)}</code></p></section>'


def _nodes(figures: Figures) -> Iterator[str]:
    yield "<section><h2>How much of the nodes the job used</h2>"
    if len(figures.nodes) > MOST_NODES:
        yield f'<p class="soft">The {MOST_NODES} least used of {len(figures.nodes)} nodes.</p>'
    yield _table("tall", "Nodes", "node", "kind", "#tasks", "#failed", "#hours", "use of its slots")
    shown = sorted(figures.nodes, key=lambda node: (node.used, node.id))[:MOST_NODES]
    for node in shown if len(figures.nodes) > MOST_NODES else figures.nodes:
        failed = f'<span class="dot bad">{node.failed:,}</span>' if node.failed else "0"
        yield (
            f'<tr><td class="id">{_text(node.id)}</td><td>{_kind(node)}</td><td class="n">{node.tasks:,}</td>'
            f'<td class="n">{failed}</td><td class="n">{node.hours:.2f}</td><td>{_use(node)}</td></tr>'
        )
    yield "</table></div>"
    yield (
        f'<p class="soft">A node counts from its first task of this job to its last; {figures.slots_of_a_node} slots'
        " a node. What other jobs did there is not counted.</p></section>"
    )


def _table(kind: str, label: str, *heads: str) -> str:
    """The beginning of a table that scrolls by itself; `#` before a head: a column of numbers."""
    cells = "".join(f'<th class="n">{head[1:]}</th>' if head.startswith("#") else f"<th>{head}</th>" for head in heads)
    return f'<div class="{kind}" tabindex="0" role="region" aria-label="{label}"><table><tr>{cells}</tr>'


def _kind(node: NodeUse) -> str:
    return "gone" if node.dedicated is None else "dedicated" if node.dedicated else "spot"


def _use(node: NodeUse) -> str:
    return (
        f'<svg width="160" height="10" viewBox="0 0 160 10" role="img" aria-label="{node.used:.0%}">'
        f'<rect class="use-back" width="160" height="10" rx="3"/>'
        f'<rect class="use" width="{160 * node.used:.1f}" height="10" rx="3"/></svg> {node.used:.0%}'
    )


def _origin(reading: Reading, figures: Figures, job_file: tuple[str, str] | None) -> Iterator[str]:
    """What ran: stack, image, job file and definitions."""
    job = figures.job
    yield "<section><h2>What ran</h2><dl>"
    facts = [("stack", reading.stack), ("pool", job.pool_id)]
    facts += [("image", f"{name} ({count:,} tasks)") for name, count in figures.images.items()]
    facts += [("submitted", f"{job.created:%Y-%m-%d %H:%M:%S} UTC" if job.created else "")]
    facts += [("outputs and logs", reading.blobs or "on the nodes (submitted without a stack)")]
    for name, value in facts:
        yield f"<dt>{name}</dt><dd><code>{_text(value)}</code></dd>"
    yield "</dl>"
    shown: list[tuple[str, str]] = []
    if job_file is not None:
        shown.append((f"job file {job_file[0]}", job_file[1]))
    shown.append(("the job, as Batch has it", _pretty(reading.definition)))
    if reading.first is not None:
        shown.append((f"one of its tasks, as Batch has it: {reading.first.get('id', '')}", _pretty(reading.first)))
    for title, text in shown:
        yield f'<details><summary>{_text(title)}</summary><pre tabindex="0">{_text(text)}</pre></details>'
    yield "</section>"


def _pretty(wire: Mapping[str, Any]) -> str:
    return json.dumps(masked(wire), indent=2, ensure_ascii=False, default=str)


def _text(value: object) -> str:
    """Text from outside as HTML, also within quotes; control characters are shown as escapes."""
    return html.escape(visible(str(value)), quote=True)


def _json(value: object) -> str:
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
