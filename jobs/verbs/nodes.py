"""`nodes [POOL]`: the compute nodes as a map of their states, and what is wrong with those that do not work."""

from __future__ import annotations

import argparse
import shutil
from collections import Counter
from collections.abc import Iterator
from typing import Final

from .. import durations
from ..errors import JobsError, UsageError
from ..exits import Exit
from ..service.batch import NodeState
from ..session import Session
from ..terminal.visible import visible

LINES_OF_LOG: Final = 10
LISTED: Final = 20  # nodes up to which each is on a line of its own without --list
# State -> its sign and colour on the map. Signs differ, so that the map can be read without colours.
SIGNS: Final = {
    "idle": ("□", 32), "running": ("■", 34), "creating": ("c", 36), "starting": ("s", 36),
    "waitingforstarttask": ("w", 36), "starttaskfailed": ("!", 31), "unusable": ("X", 31), "unknown": ("?", 31),
    "preempted": ("p", 35), "rebooting": ("r", 33), "reimaging": ("i", 33), "leavingpool": ("-", 90),
    "offline": ("o", 90), "upgradingos": ("u", 33), "deallocating": ("d", 90), "deallocated": ("d", 90),
}  # fmt: skip


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pool",
        metavar="POOL",
        nargs="?",
        help="a pool's name in the stack, or its id; default: every pool of the stack",
    )
    parser.add_argument("--list", action="store_true", dest="every", help="a line for each node, also in a large pool")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    for pool in pools(arguments.pool, session):
        nodes = list(session.batch.nodes(pool))
        if session.render.as_json:
            for node in nodes:
                log = list(evidence(session, pool, node)) if node.state == "starttaskfailed" else []
                session.render.record({"pool": pool, **_plain(node), "start_task_stderr": log})
            continue
        session.render.data(f"pool {pool}: {len(nodes)} nodes")
        show_map(session, nodes)
        show_list(session, [node for node in nodes if arguments.every or len(nodes) <= LISTED or reason(node)])
        for node in nodes:
            if node.state == "starttaskfailed":
                session.render.data(f"start task of {node.id}, end of its output:")
                for line in evidence(session, pool, node):
                    session.render.data(f"   | {line}")
    return Exit.OK


def show_map(session: Session, nodes: list[NodeState]) -> None:
    """A cell for each node, grouped by state, and what the signs mean."""
    if not nodes:
        return
    render, counts = session.render, Counter(node.state for node in nodes)
    states = sorted(counts, key=lambda state: (list(SIGNS).index(state) if state in SIGNS else 99, state))
    cells = [_sign(state, render.colours) for state in states for _ in range(counts[state])]
    wide = max(1, min(100, shutil.get_terminal_size().columns - 2) // 2)
    for start in range(0, len(cells), wide):
        render.drawn("  " + " ".join(cells[start : start + wide]))
    legend = (f"{_sign(state, render.colours)} {counts[state]} {visible(state)}" for state in states)
    render.drawn("  " + "   ".join(legend))


def show_list(session: Session, nodes: list[NodeState]) -> None:
    now = session.clock.now()
    if nodes:
        session.render.table(
            ("node", "state", "since", "tasks", "what is wrong"),
            ((n.id, _state(n), durations.age(n.since, now), n.running_tasks, reason(n)) for n in nodes),
        )


def pools(given: str | None, session: Session) -> list[str]:
    """The ids of the pools that were asked for."""
    outputs = session.connection.outputs
    if given is None:
        if outputs is None:
            raise UsageError("there is no stack to take pools from. Name one: python -m jobs nodes POOL")
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
            yield f"({name} cannot be read: {error})"
            continue
        if lines := data.decode(errors="replace").splitlines():
            yield from lines[-LINES_OF_LOG:]
            return


def _state(node: NodeState) -> str:
    extra = [*([] if node.scheduling else ["takes no tasks"]), *([] if node.dedicated else ["spot"])]
    return f"{node.state} ({', '.join(extra)})" if extra else node.state


def _sign(state: str, colours: bool) -> str:
    sign, colour = SIGNS.get(state, ("?", 31))
    return f"\x1b[{colour}m{sign}\x1b[0m" if colours else sign


def _plain(node: NodeState) -> dict[str, object]:
    failure = node.start_task_failure
    return {**vars(node), "start_task_failure": vars(failure) if failure else None}
