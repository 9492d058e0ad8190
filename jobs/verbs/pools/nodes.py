"""`nodes [POOL]`: the compute nodes as a map of their states, and what is wrong with those that do not work."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import Final

from ... import durations
from ...errors import JobsError, UsageError
from ...exits import Exit
from ...service.batch import NodeState
from ...session import Session
from ...terminal.render import Render
from ...terminal.table import Column, Listing, colour_of, form_of
from ...terminal.visible import visible
from ...terminal.wording import counted
from ..watching import Look, add_watch, watch_list

EXAMPLES: Final = ("nodes default", "nodes default --watch", "nodes default --list -o wide", "nodes -o name")
LINES_OF_LOG: Final = 10
LISTED: Final = 20  # nodes up to which each is on a line of its own without --list
MOST_WIDE: Final = 100  # cells of the map
# State -> its sign on the map. Signs differ, so that the map can be read without colours.
SIGNS: Final = {
    "idle": "□",
    "running": "■",
    "creating": "c",
    "starting": "s",
    "waitingforstarttask": "w",
    "starttaskfailed": "!",
    "unusable": "X",
    "unknown": "?",
    "preempted": "p",
    "rebooting": "r",
    "reimaging": "i",
    "leavingpool": "-",
    "offline": "o",
    "upgradingos": "u",
    "deallocating": "d",
    "deallocated": "d",
}


LISTING: Final = Listing[NodeState](
    columns=(
        Column(name="node", text=lambda node, now: node.id, keep=True),
        Column(name="state", text=lambda node, now: _state(node), colour=lambda node: colour_of(node.state)),
        Column(
            name="since",
            text=lambda node, now: durations.age(node.since, now),
            key=lambda node, now: node.since and now - node.since,
            short=True,
        ),
        Column(
            name="tasks",
            text=lambda node, now: node.running_tasks,
            key=lambda node, now: node.running_tasks,
            number=True,
        ),
        Column(name="kind", text=lambda node, now: "dedicated" if node.dedicated else "spot", wide=True, short=True),
        Column(name="why", text=lambda node, now: reason(node), free=True),
    ),
    name=lambda node: node.id,
    record=lambda node: _plain(node),
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pool",
        metavar="POOL",
        nargs="?",
        help="a pool's name in the stack, or its id; default: every pool of the stack",
    )
    parser.add_argument("--list", action="store_true", dest="every", help="a line for each node, also in a large pool")
    LISTING.options(parser)
    add_watch(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    wanted = pools(arguments.pool, session)
    if arguments.watch:
        return watch_list(session, arguments, LISTING, lambda: _look(arguments, session, wanted))
    render, now = session.render, session.clock.now()
    form = form_of(arguments, render)
    for pool in wanted:
        nodes = LISTING.sorted(arguments, session.batch.nodes(pool), now)
        if form in ("json", "yaml"):
            for node in nodes:
                log = list(evidence(session, pool, node)) if node.state == "starttaskfailed" else []
                found = {"pool": pool, **_plain(node), "start_task_stderr": log}
                (render.record if form == "json" else render.yaml)(found)
            continue
        if form == "name":
            LISTING.show(arguments, render, nodes, now, ordered=True)
            continue
        render.data(f"pool {pool}: {counted(len(nodes), 'node')}")
        for line in map_lines(nodes, render, render.size[0], colours=render.colours):
            render.drawn(line)
        shown = [node for node in nodes if arguments.every or len(nodes) <= LISTED or reason(node)]
        LISTING.show(arguments, render, shown, now, ordered=True)
        for node in nodes:
            if node.state == "starttaskfailed":
                render.data(f"start task of {node.id}, end of its output:")
                for line in evidence(session, pool, node):
                    render.data(f"   | {line}")
    return Exit.OK


def _look(arguments: argparse.Namespace, session: Session, wanted: list[str]) -> Look[NodeState]:
    """The map of each pool above; below those that the listing without --watch has."""
    render, above, shown = session.render, list[str](), list[NodeState]()
    for pool in wanted:
        nodes = list(session.batch.nodes(pool))
        above.append(f"pool {visible(pool)}: {counted(len(nodes), 'node')}")
        if render.live:
            above += map_lines(nodes, render, render.live_size[0], colours=render.live_colours)
        shown += [node for node in nodes if arguments.every or len(nodes) <= LISTED or reason(node)]
    return Look(things=shown, above=above)


def map_lines(nodes: list[NodeState], render: Render, width: int, *, colours: bool) -> list[str]:
    """A cell for each node, grouped by state, and what the signs mean."""
    if not nodes:
        return []
    from ...terminal import drawing

    counts = Counter(node.state for node in nodes)
    states = sorted(counts, key=lambda state: (list(SIGNS).index(state) if state in SIGNS else 99, state))
    cells = drawing.pieces(
        ((_sign(state, render), colour_of(state)) for state in states for _ in range(counts[state])), " "
    )
    legend = drawing.pieces(
        ((f"{_sign(state, render)} {counts[state]} {state}", colour_of(state)) for state in states), "   "
    )
    wide = min(MOST_WIDE, width - 2)
    return [f"  {line}" for drawn in (cells, legend) for line in drawing.lines(drawn, width=wide, colours=colours)]


def pools(given: str | None, session: Session) -> list[str]:
    """The ids of the pools that were asked for."""
    outputs = session.connection.outputs
    if given is None:
        if outputs is None:
            raise UsageError("there is no stack to take pools from", next_step="name one: python -m jobs nodes POOL")
        return list(outputs.pools.values())
    return [outputs.pools.get(given, given) if outputs else given]


def reason(node: NodeState) -> str:
    """Why a node does not work, in one line; empty when nothing is wrong."""
    if node.start_task_failure is not None:
        return f"start task: exit code {node.start_task_exit_code}: {node.start_task_failure.words()}"
    return "; ".join(node.errors)


def evidence(session: Session, pool: str, node: NodeState) -> Iterator[str]:
    """The end of the start task's stderr, or of its stdout when that is empty."""
    for name in ("stderr.txt", "stdout.txt"):
        try:
            data = b"".join(session.batch.read_node_file(pool, node.id, f"startup/{name}"))
        except JobsError as error:
            yield f"({name} cannot be read: {error.fact})"
            continue
        if lines := data.decode(errors="replace").splitlines():
            yield from lines[-LINES_OF_LOG:]
            return


def _state(node: NodeState) -> str:
    extra = [*([] if node.scheduling else ["takes no tasks"]), *([] if node.dedicated else ["spot"])]
    return f"{node.state} ({', '.join(extra)})" if extra else node.state


def _sign(state: str, render: Render) -> str:
    sign = SIGNS.get(state, "?")
    return sign if render.unicode else {"□": "i", "■": "R"}.get(sign, sign)


def _plain(node: NodeState) -> dict[str, object]:
    failure = node.start_task_failure
    return {**vars(node), "start_task_failure": vars(failure) if failure else None}
