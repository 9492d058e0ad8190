"""`pools [POOL]`: sizes and autoscale; resize a pool. `pools_wait.py` and `pools_drain.py` have the longer ones.

What is changed here is changed until the next `up`, which sets the pool to what the stack's settings say.
"""

from __future__ import annotations

import argparse
from typing import Final

from ... import durations
from ...errors import Conflict, UsageError
from ...exits import Exit
from ...service.batch import PoolState
from ...session import Session
from ...terminal import asking
from ...terminal.table import Column, Listing, form_of
from . import nodes

EXAMPLES: Final = ("pools", "pools default", "pools default --nodes 4")


def _nodes(name: str, now_there: str, wanted: str) -> Column[PoolState]:
    """How many nodes of a kind there are, of how many that are wanted."""
    return Column(
        name=name,
        text=lambda pool, now: f"{getattr(pool, now_there)} of {getattr(pool, wanted)}",
        key=lambda pool, now: getattr(pool, now_there),
        short=True,
    )


LISTING: Final = Listing[PoolState](
    columns=(
        Column(name="pool", text=lambda pool, now: pool.id, keep=True),
        Column(name="state", text=lambda pool, now: _state(pool)),
        Column(name="size", text=lambda pool, now: pool.vm_size, spare=True),
        _nodes("nodes", "dedicated", "target_dedicated"),
        _nodes("spot", "low_priority", "target_low_priority"),
        Column(
            name="slots", text=lambda pool, now: pool.task_slots, key=lambda pool, now: pool.task_slots, number=True
        ),
        Column(name="scale", text=lambda pool, now: "by formula" if pool.autoscale_formula else "fixed", short=True),
        Column(name="image", text=lambda pool, now: pool.os_image, wide=True),
    ),
    name=lambda pool: pool.id,
    record=lambda pool: pool,
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pool", metavar="POOL", nargs="?", help="a pool's name in the stack, or its id; default: all")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--nodes", type=int, metavar="N", help="resize to N dedicated nodes")
    what.add_argument("--stop-resize", action="store_true", help="stop a resize that goes on")
    what.add_argument("--evaluate", action="store_true", help="what the autoscale formula would do now")
    parser.add_argument("--spot", type=int, metavar="N", help="resize to N spot nodes")
    asking.add_yes(parser)
    LISTING.options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    acting = arguments.nodes is not None or arguments.spot is not None
    if not (acting or arguments.stop_resize or arguments.evaluate):
        return show(session, arguments)
    if arguments.pool is None:
        raise UsageError("no pool is named", next_step="name it: python -m jobs pools POOL ...")
    pool = session.batch.pool(nodes.pools(arguments.pool, session)[0])
    if arguments.evaluate:
        return evaluate(session, pool)
    if arguments.stop_resize:
        session.batch.stop_resize(pool.id)
        session.render.words(f"the resize of pool {pool.id} is being stopped")
        return Exit.OK
    return resize(session, pool, arguments.nodes, arguments.spot, yes=arguments.yes)


def show(session: Session, arguments: argparse.Namespace) -> Exit:
    """Every pool of the account, or one with its autoscale."""
    render, given = session.render, arguments.pool
    found = [session.batch.pool(nodes.pools(given, session)[0])] if given else sorted(session.batch.pools(), key=_id)
    LISTING.show(arguments, render, found, session.clock.now())
    if form_of(arguments, render) not in ("table", "wide"):
        return Exit.OK
    for pool in found:
        for error in pool.resize_errors:
            render.advice(f"pool {pool.id}: the last resize failed: {error}")
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
        raise Conflict(f"pool {pool.id} has a fixed size, so there is no formula", next_step="resize it: --nodes N")
    session.render.data(session.batch.evaluate_autoscale(pool.id, pool.autoscale_formula))
    return Exit.OK


def resize(session: Session, pool: PoolState, dedicated: int | None, spot: int | None, *, yes: bool) -> Exit:
    """Ask for a size; the pool is on its way there when this returns."""
    if any(number is not None and number < 0 for number in (dedicated, spot)):
        raise UsageError("a pool has 0 or more nodes", next_step="give a number like --nodes 4")
    if pool.autoscale_formula:
        raise Conflict(
            f"pool {pool.id} is scaled by a formula, so Batch refuses a size",
            next_step="change the stack's pool settings and run up",
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
