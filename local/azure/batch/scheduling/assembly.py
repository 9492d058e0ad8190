"""The scheduling of one account, put together: its state, its loop, and who takes which event.

Handlers call those below them in this order, and nobody above: `job_tasks` <- `assignment` <- `task_runs` <-
`job_life`, `allocation` <- `schedules`, `autoscaling`. What concerns a part above is left as an event;
the table here is therefore the whole way back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from local.azure.batch.decisions.run_specs import SpecWriter
from local.azure.batch.model import Pool
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.scheduling import (
    allocation,
    assignment,
    autoscaling,
    job_life,
    job_tasks,
    messages,
    schedules,
    task_runs,
)
from local.azure.batch.scheduling.loop import Handler, Loop
from local.azure.batch.scheduling.performer import Performer
from local.azure.batch.scheduling.turn import Turn
from local.azure.platform.clock import Clock
from local.node.contract import Executor, NodeChanged, RunEnded, RunStarted

P = ParamSpec("P")
R = TypeVar("R")

HANDLERS: dict[type, Handler] = {
    NodeChanged: allocation.node_changed,
    RunStarted: task_runs.run_started,
    RunEnded: task_runs.run_ended,
    messages.RunUnreachable: task_runs.run_unreachable,
    messages.JobTaskOver: task_runs.job_task_over,
    messages.WorkWanted: assignment.schedule,
    messages.JobSettled: job_life.settle,
    messages.JobOver: schedules.job_over,
    messages.ScheduleSettled: schedules.settle,
    messages.NodeSettled: allocation.node_settled,
    messages.NodeFree: allocation.node_free,
    messages.NodeNotMade: allocation.node_not_made,
    messages.MachineGone: allocation.machine_gone,
    messages.MachineStays: allocation.machine_stays,
    messages.TakeDownDue: allocation.take_down,
    messages.PoolSettled: allocation.settle,
    messages.AutoPoolWanted: allocation.make_auto_pool,
    messages.AutoPoolOver: allocation.end_auto_pool,
    messages.PoolMade: autoscaling.pool_made,
    messages.EvaluationDue: autoscaling.evaluation_due,
    messages.SamplingDue: autoscaling.sampling_due,
    messages.TaskOverdue: task_runs.overdue,
    messages.RetentionOver: task_runs.retention_over,
    messages.JobTaskOverdue: job_tasks.overdue,
    messages.ReleaseOverdue: job_tasks.release_overdue,
    messages.JobOverdue: job_life.overdue,
}


class Scheduling:
    """One account's."""

    def __init__(self, state: AccountState, clock: Clock, executor: Executor, specs: SpecWriter) -> None:
        self.state = state
        self.loop = Loop(state, clock, specs)
        self.performer = Performer(state, clock, executor, self.loop, self._announce_gone)
        self.loop.handlers = HANDLERS
        self.loop.perform = self.performer.perform
        self._waiting: dict[str, asyncio.Event] = {}

    def do(self, work: Callable[Concatenate[Turn, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do one thing, in a turn of its own."""
        with self.loop.turn() as turn:
            return work(turn, *args, **kwargs)

    def delete_pool(self, pool: Pool) -> asyncio.Event:
        """Remove every node of a pool, then the pool; the event is set when it is gone."""
        key = pool.id.lower()
        if self.state.pools.get(key) is not pool:
            gone = asyncio.Event()
            gone.set()
            return gone
        gone = self._waiting.setdefault(key, asyncio.Event())
        self.do(allocation.delete, pool)
        return gone

    def resume(self) -> None:
        """Go on after a restart, once the executor has reported: what it said is taken first."""
        with self.loop.turn() as turn:
            allocation.resume(turn)
            task_runs.resume(turn)
            job_life.resume(turn)
            schedules.resume(turn)
            autoscaling.resume(turn)

    async def idle(self) -> None:
        """Wait until every node was told what it was to be told."""
        await self.performer.mailbox.idle()

    async def close(self) -> None:
        """Stop timers and commands; state stays as it is on disk."""
        self.loop.close()
        await self.performer.close()

    def _announce_gone(self, pool: Pool) -> None:
        gone = self._waiting.pop(pool.id.lower(), None)
        if gone is not None:
            gone.set()
