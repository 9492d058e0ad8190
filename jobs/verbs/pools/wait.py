"""`pools wait [POOL ...]`: a deployment says that a pool exists, this says when its nodes work.

Ends with 0 when every node that the pool shall have is idle or running, and with 3 when something keeps them that does
not pass by itself: a resize that failed, an unusable node, a failed start task (with the end of its log), a formula
that cannot be evaluated.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from typing import Final

from ... import durations
from ...errors import GaveUpWaiting
from ...exits import Exit, worst
from ...service.batch import NodeState, PoolState
from ...session import Session
from . import nodes

EXAMPLES: Final = ("pools wait", "pools wait default --timeout 10m")
PAUSE: Final = 2.0  # seconds between two looks
SHOWN: Final = 3  # problems in the message of a wait that ended too early; `nodes` has all
DEFAULT_TIMEOUT: Final = 30 * 60.0
WORKING: Final = ("idle", "running")
CHANGING: Final = (
    "creating",
    "starting",
    "waitingforstarttask",
    "rebooting",
    "reimaging",
    "upgradingos",
    "leavingpool",
    "unknown",
    "deallocating",
)
"""Of `unknown` nodes nothing was heard lately: they come back, or become unusable."""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pools", metavar="POOL", nargs="*", help="a pool's name in the stack, or its id; default: every pool of it"
    )
    parser.add_argument(
        "--timeout",
        type=durations.argument,
        default=DEFAULT_TIMEOUT,
        metavar="TIME",
        help="give up after this, for example 10m (default 30m)",
    )
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class Condition:
    """A pool and its nodes at one look."""

    pool: PoolState
    nodes: tuple[NodeState, ...]

    @property
    def wanted(self) -> int:
        return self.pool.target_dedicated + self.pool.target_low_priority

    @property
    def working(self) -> int:
        return sum(node.state in WORKING for node in self.nodes)

    @property
    def changing(self) -> bool:
        """Whether it goes on by itself."""
        return self.pool.allocation not in ("", "steady") or any(node.state in CHANGING for node in self.nodes)

    @property
    def problems(self) -> list[str]:
        """What does not pass by itself, each with what to do about it."""
        pool = self.pool
        found = [f"the last resize failed: {error}" for error in pool.resize_errors]
        if pool.autoscale_error:
            found.append(f"the autoscale formula cannot be evaluated: {pool.autoscale_error}")
        if pool.state != "active":
            found.append(f"the pool is {pool.state}")
        for node in self.nodes:
            if node.state not in (*WORKING, *CHANGING):
                found.append(f"node {node.id} is {node.state}" + (f": {why}" if (why := nodes.reason(node)) else ""))
        if not found and not self.changing and len(self.nodes) != self.wanted:
            found.append(f"it has {len(self.nodes)} of {self.wanted} nodes, and no resize goes on")
        return found

    def summary(self) -> str:
        states = Counter(node.state for node in self.nodes)
        shown = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"pool {self.pool.id}: {self.working} of {self.wanted} nodes work" + (f" ({shown})" if shown else "")


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    names = arguments.pools or [None]
    pools = list(dict.fromkeys(pool for name in names for pool in nodes.pools(name, session)))
    until = session.clock.monotonic() + arguments.timeout
    return worst([_wait(session, pool, until) for pool in pools])


def _wait(session: Session, pool_id: str, until: float) -> Exit:
    said, before = "", list[str]()
    while True:
        found = look(session, pool_id)
        # Pool and nodes are two answers, and something may happen between them: what is wrong is so at two looks.
        if not found.changing and (not found.problems or found.problems == before):
            return _end(session, found)
        before = found.problems
        if (summary := found.summary()) != said:
            session.render.words(summary)
            said = summary
        if session.clock.monotonic() >= until:
            why = "; ".join(found.problems[:SHOWN]) or "nothing is wrong that Batch tells of"
            if len(found.problems) > SHOWN:
                why += f"; and {len(found.problems) - SHOWN} more"
            raise GaveUpWaiting(
                f"{summary}: {why}", next_step=f"wait longer (--timeout), or look: python -m jobs nodes {pool_id}"
            )
        session.clock.sleep(PAUSE)


def look(session: Session, pool_id: str) -> Condition:
    return Condition(session.batch.pool(pool_id), tuple(session.batch.nodes(pool_id)))


def _end(session: Session, found: Condition) -> Exit:
    render, problems = session.render, found.problems
    failed = [node for node in found.nodes if node.state == "starttaskfailed"]
    logs = {node.id: list(nodes.evidence(session, found.pool.id, node)) for node in failed}
    if render.as_json:
        render.record(
            {
                "pool": found.pool.id,
                "ready": not problems,
                "wanted": found.wanted,
                "working": found.working,
                "problems": problems,
                "start_task_stderr": logs,
            }
        )
    render.words(found.summary())
    for problem in problems:
        render.words(f"  {problem}")
    for node_id, lines in logs.items():
        render.words(f"  start task of {node_id}, end of its output:")
        for line in lines:
            render.words(f"     | {line}")
    if not problems:
        return Exit.OK
    render.words(f"next: python -m jobs nodes {found.pool.id}; quotas and rights: python -m jobs doctor")
    return Exit.SERVICE
