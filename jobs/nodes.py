"""`nodes [POOL]`: the compute nodes, their states, and what is wrong with those that do not work."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from .batch import NodeState
from .errors import JobsError, UsageError
from .exits import Exit
from .session import Session

LINES_OF_LOG = 10


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pool",
        metavar="POOL",
        nargs="?",
        help="a pool's name in the stack, or its id; default: every pool of the stack",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    for pool in pools(arguments.pool, session):
        nodes = list(session.batch.nodes(pool))
        if session.render.as_json:
            for node in nodes:
                session.render.record({"pool": pool, **vars(node)})
            continue
        session.render.data(f"pool {pool}: {len(nodes)} nodes")
        session.render.table(
            ("node", "state", "tasks", "what is wrong"), ((n.id, n.state, n.running_tasks, reason(n)) for n in nodes)
        )
        for node in nodes:
            if node.state == "starttaskfailed":
                session.render.data(f"start task of {node.id}, end of stderr:")
                for line in evidence(session, pool, node):
                    session.render.data(f"   | {line}")
    return Exit.OK


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
    """The end of the start task's stderr."""
    try:
        data = b"".join(session.batch.read_node_file(pool, node.id, "startup/stderr.txt"))
    except JobsError as error:
        yield f"(cannot be read: {error})"
        return
    yield from data.decode(errors="replace").splitlines()[-LINES_OF_LOG:]
