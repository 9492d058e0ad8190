"""`pools [POOL]`: sizes and autoscale; resize a pool. `pools_wait.py` and `pools_drain.py` have the longer ones.

What is changed here is changed until the next `up`, which sets the pool to what the stack's settings say.
"""

from __future__ import annotations

import argparse

from .. import durations
from ..errors import Conflict, UsageError
from ..exits import Exit
from ..service.batch import PoolState
from ..session import Session
from ..terminal import asking
from . import nodes


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pool", metavar="POOL", nargs="?", help="a pool's name in the stack, or its id; default: all")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--nodes", type=int, metavar="N", help="resize to N dedicated nodes")
    what.add_argument("--stop-resize", action="store_true", help="stop a resize that goes on")
    what.add_argument("--evaluate", action="store_true", help="what the autoscale formula would do now")
    parser.add_argument("--spot", type=int, metavar="N", help="resize to N spot nodes")
    asking.add_yes(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    acting = arguments.nodes is not None or arguments.spot is not None
    if not (acting or arguments.stop_resize or arguments.evaluate):
        return show(session, arguments.pool)
    if arguments.pool is None:
        raise UsageError("which pool? Name it: python -m jobs pools POOL ...")
    pool = session.batch.pool(nodes.pools(arguments.pool, session)[0])
    if arguments.evaluate:
        return evaluate(session, pool)
    if arguments.stop_resize:
        session.batch.stop_resize(pool.id)
        session.render.words(f"the resize of pool {pool.id} is being stopped")
        return Exit.OK
    return resize(session, pool, arguments.nodes, arguments.spot, yes=arguments.yes)


def show(session: Session, given: str | None) -> Exit:
    """Every pool of the account, or one with its autoscale."""
    render = session.render
    found = [session.batch.pool(nodes.pools(given, session)[0])] if given else sorted(session.batch.pools(), key=_id)
    if render.as_json:
        for pool in found:
            render.record(pool)
        return Exit.OK
    render.table(
        ("pool", "state", "size", "nodes", "wanted", "spot", "wanted", "slots", "scale"),
        (
            (
                p.id, _state(p), p.vm_size, p.dedicated, p.target_dedicated, p.low_priority, p.target_low_priority,
                p.task_slots, "by formula" if p.autoscale_formula else "fixed",
            )
            for p in found
        ),
    )  # fmt: skip
    for pool in found:
        for error in pool.resize_errors:
            render.data(f"pool {pool.id}: the last resize failed: {error}")
        if pool.autoscale_formula and given:
            _show_autoscale(session, pool)
    return Exit.OK


def _show_autoscale(session: Session, pool: PoolState) -> None:
    render = session.render
    render.data("autoscale formula:")
    for line in pool.autoscale_formula.splitlines():
        render.data(f"   | {line}")
    at = f"{durations.age(pool.autoscale_at, session.clock.now())} ago" if pool.autoscale_at else "not yet"
    render.data(f"last evaluated {at}: {pool.autoscale_results or '(no result)'}")
    if pool.autoscale_error:
        render.data(f"the last evaluation failed: {pool.autoscale_error}")


def evaluate(session: Session, pool: PoolState) -> Exit:
    if not pool.autoscale_formula:
        raise Conflict(f"pool {pool.id} has a fixed size, so there is no formula. Resize it: --nodes N")
    session.render.data(session.batch.evaluate_autoscale(pool.id, pool.autoscale_formula))
    return Exit.OK


def resize(session: Session, pool: PoolState, dedicated: int | None, spot: int | None, *, yes: bool) -> Exit:
    """Ask for a size; the pool is on its way there when this returns."""
    if any(number is not None and number < 0 for number in (dedicated, spot)):
        raise UsageError("a pool has 0 or more nodes. Give a number like --nodes 4")
    if pool.autoscale_formula:
        raise Conflict(
            f"pool {pool.id} is scaled by a formula, so Batch refuses a size. "
            "Change the stack's pool settings and run up"
        )
    wanted = [
        f"{now} -> {new} {kind} nodes"
        for now, new, kind in (
            (pool.target_dedicated, dedicated, "dedicated"),
            (pool.target_low_priority, spot, "spot"),
        )
        if new is not None
    ]
    if not asking.agreed(f"resize pool {pool.id}: {', '.join(wanted)}?", yes=yes):
        session.render.words("nothing was done")
        return Exit.OK
    session.batch.resize(pool.id, dedicated, spot)
    if session.render.as_json:
        session.render.record({"pool": pool.id, "target_dedicated": dedicated, "target_low_priority": spot})
    session.render.words(
        f"pool {pool.id} is being resized: {', '.join(wanted)}. The next `up` sets what the stack says. "
        f"Look: python -m jobs nodes {pool.id}"
    )
    return Exit.OK


def _id(pool: PoolState) -> str:
    return pool.id


def _state(pool: PoolState) -> str:
    return pool.state if pool.allocation in ("", "steady") else f"{pool.state}, {pool.allocation}"
