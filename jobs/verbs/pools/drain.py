"""`pools drain OLD [--to NEW]`: a pool that is to go loses its jobs first, and none of their work.

A pool that is deleted takes its running tasks with it, and jobs that named it wait for ever: so its jobs go to another
pool (`moves.py`), and the command ends when nothing runs on its nodes any more. Jobs of a pool that is gone already are
moved as well. New jobs that name the pool while it drains go the same way.
"""

from __future__ import annotations

import argparse
from typing import Final

from ...errors import Conflict, NotFound, Refused, UsageError
from ...exits import Exit
from ...service.batch import JobState, PoolState
from ...session import Session
from ...terminal import asking
from ...terminal.wording import counted
from ..manage import moves
from ..manage.move import add_running, add_timeout, target_pool
from ..manage.moves import Mover
from . import nodes

EXAMPLES: Final = ("pools drain default-9f3c", "pools drain default-9f3c --to big --running requeue --yes")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pool", metavar="OLD", help="the pool's id, or the hash that it ends with")
    parser.add_argument(
        "--to", metavar="NEW", help="where its jobs go (default: the stack's pool of which OLD is an older generation)"
    )
    add_running(parser, ("wait", "requeue"))
    add_timeout(parser)
    asking.add_yes(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render = session.render
    old = older_generation(session, arguments.pool)
    target = target_pool(session, arguments.to or successor(session, old))
    if target.id.lower() == old.lower():
        raise UsageError(f"{target.id} is both pools", next_step="name another one after --to")
    present = _pool(session, old)
    found = jobs_of(session, old)
    if present is None and not found:
        raise NotFound(f"pool {old} does not exist, and no job names it", next_step="python -m jobs pools")
    if present is None:
        render.words(f"pool {old} is not there any more; its jobs wait")
    shown = ", ".join(job.id for job in found[:3]) + (", ..." if len(found) > 3 else "")
    question = f"move {counted(len(found), 'job')} ({shown}) from pool {old} to {target.id}?"
    if found and not asking.agreed(question, yes=arguments.yes):
        render.words("nothing was done")
        return Exit.OK
    mover = Mover(session, target.id, arguments.running, moves.deadline(session, arguments.timeout))
    mover.move(lambda: jobs_of(session, old))
    if present is not None:
        _wait_until_idle(session, old, mover.deadline)
    _refuse_schedules(session, old, target.id)
    if render.as_json:
        render.record({"pool": old, "idle": True, "moved": mover.moved})
    render.words(
        f"pool {old} is idle: {len(mover.moved)} jobs went to {target.id}, no task was ended. It can be removed now"
    )
    return Exit.OK


def older_generation(session: Session, given: str) -> str:
    """A pool's id from its id, its name in the stack, or the hash that its generation ends with."""
    pool = nodes.pools(given, session)[0]
    if "-" not in pool and _pool(session, pool) is None:
        found = [one.id for one in session.batch.pools() if one.id.lower().endswith(f"-{pool.lower()}")]
        if len(found) == 1:
            return found[0]
    return pool


def successor(session: Session, old: str) -> str:
    """The stack's pool that jobs of an older generation of it go to: generations are NAME-HASH."""
    outputs = session.connection.outputs
    current = dict(outputs.pools) if outputs else {}
    named = [name for name in current if old.lower().startswith(f"{name.lower()}-")]
    found = current.get(max(named, key=len)) if named else next(iter(current.values()), None)
    if found is None or found == old or (not named and len(current) > 1):
        known = ", ".join(pool for pool in current.values() if pool != old) or "none in this stack"
        raise UsageError(
            f"it is not said where the jobs of pool {old} go", next_step=f"name a pool after --to (pools: {known})"
        )
    return found


def jobs_of(session: Session, pool: str) -> list[JobState]:
    """The jobs that name the pool or are on their way from it, and have not ended. One whose state changes while the
    lists are read may be in two of them: the later one counts."""
    every = (job for state in moves.UNDER_WAY for job in session.batch.jobs("", state=state))
    found = {job.id: job for job in every if pool.lower() in (job.pool_id.lower(), job.leaving.lower())}
    return list(found.values())


def _refuse_schedules(session: Session, old: str, target: str) -> None:
    """A job schedule would go on making jobs for the pool."""
    try:
        found = session.batch.schedules_on(old)
    except Refused as error:
        if error.code != "NotImplemented":
            raise
        return  # a service without job schedules
    if found:
        raise Conflict(
            f"job schedules {', '.join(found)} make jobs for pool {old}: every present job is on {target}, "
            "but the pool cannot go yet",
            next_step="give the schedules the new pool (az batch job-schedule set), then run this again",
        )


def _pool(session: Session, pool_id: str) -> PoolState | None:
    try:
        return session.batch.pool(pool_id)
    except NotFound:
        return None


def _wait_until_idle(session: Session, pool: str, until: float | None) -> None:
    """Until no task runs on its nodes: those of jobs that end take their time as well."""
    said = 0
    while running := _running(session, pool):
        if running != said:
            session.render.words(f"waiting for {counted(running, 'task')} on pool {pool}")
            said = running
        moves.pause(session, until, f"pool {pool} still runs {counted(running, 'task')}")


def _running(session: Session, pool: str) -> int:
    try:
        return sum(node.running_tasks for node in session.batch.nodes(pool))
    except NotFound:
        return 0  # deleted meanwhile
