"""The scheduling of one account, put together: its parts from the lowest to the highest, and who takes which event.

A part knows those below it and calls them; what it finds out that concerns a part above, it posts to the loop. The
table of `handlers` is therefore the whole way back.
"""

from __future__ import annotations

from collections.abc import Callable

from local.azure.batch.decisions.run_specs import SpecWriter
from local.azure.batch.model import Pool
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.scheduling.allocation import Allocation
from local.azure.batch.scheduling.autoscaling import Autoscaling
from local.azure.batch.scheduling.dispatcher import Dispatcher
from local.azure.batch.scheduling.events import (
    AutoPoolOver,
    AutoPoolWanted,
    JobOver,
    JobSettled,
    JobTaskOver,
    NodeSettled,
    PoolGone,
    PoolMade,
    PoolSettled,
    ScheduleSettled,
    WorkWanted,
)
from local.azure.batch.scheduling.job_life import JobLife
from local.azure.batch.scheduling.job_tasks import JobTasks
from local.azure.batch.scheduling.loop import Loop
from local.azure.batch.scheduling.multi_instance import MultiInstance
from local.azure.batch.scheduling.orders import Orders
from local.azure.batch.scheduling.retention import Retention
from local.azure.batch.scheduling.schedules import Schedules
from local.azure.batch.scheduling.timers import Timers
from local.azure.platform.clock import Clock
from local.node.contract import Executor, NodeChanged, RunEnded, RunStarted


class Scheduling:
    """`pool_gone`: who else must know of a pool that was deleted."""

    def __init__(
        self,
        state: AccountState,
        clock: Clock,
        executor: Executor,
        specs: SpecWriter,
        pool_gone: Callable[[Pool], None] = lambda pool: None,
    ) -> None:
        self.loop = loop = Loop(state.store)
        self.timers = timers = Timers(clock, loop)
        self.orders = orders = Orders(state, clock, executor, specs, loop)
        self.retention = Retention(state, timers, orders)
        self.job_tasks = JobTasks(state, clock, loop, timers, orders)
        multi_instance = MultiInstance(state, clock, loop, orders)
        self.dispatcher = Dispatcher(state, clock, loop, timers, orders, self.job_tasks, multi_instance, self.retention)
        self.jobs = JobLife(state, clock, loop, timers, orders, self.job_tasks, self.dispatcher)
        self.allocation = Allocation(state, clock, loop, timers, orders, self.job_tasks, self.dispatcher)
        self.schedules = Schedules(state, clock, loop, timers, self.jobs)
        self.autoscaling = Autoscaling(state, clock, loop, timers, self.allocation)
        self._pool_gone = pool_gone
        loop.handlers = {
            NodeChanged: self.dispatcher.node_changed,
            RunStarted: self.dispatcher.run_started,
            RunEnded: self.dispatcher.run_ended,
            JobTaskOver: self.dispatcher.job_task_over,
            WorkWanted: self.dispatcher.schedule,
            JobSettled: self.jobs.settle,
            NodeSettled: self.allocation.node_settled,
            PoolSettled: self.allocation.settle,
            AutoPoolWanted: self.allocation.make_auto_pool,
            AutoPoolOver: self.allocation.end_auto_pool,
            JobOver: self.schedules.job_over,
            ScheduleSettled: self.schedules.settle,
            PoolMade: self.autoscaling.pool_made,
            PoolGone: self._forget_pool,
        }

    def resume(self) -> None:
        """Go on after a restart, once the executor has reported: what it said is taken first."""
        self.loop.settle()
        with self.loop.turn():
            self.allocation.resume()
            self.dispatcher.resume()
            self.retention.resume()
            self.jobs.resume()
            self.schedules.resume()
            self.autoscaling.resume()

    async def close(self) -> None:
        """Stop timers and orders; state stays as it is on disk."""
        self.loop.close()
        self.timers.close()
        await self.orders.close()

    def _forget_pool(self, event: PoolGone) -> None:
        self.autoscaling.forget(event.pool)
        self._pool_gone(event.pool)
