"""`retentionTime`: how long the files of a completed task stay on its node."""

from __future__ import annotations

from datetime import timedelta

from local.azure.batch.model import Task
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.states import TaskState
from local.azure.batch.scheduling.orders import Orders
from local.azure.batch.scheduling.timers import Timers

_WATCHED_SECONDS = timedelta(days=7).total_seconds()
_RETENTION = "retention"


class Retention:
    """`retentionTime`: the folder of a completed task goes from its node when that is over (REST reference).

    The default of seven days is not watched: a node that is kept so long keeps its files until the job is deleted.
    """

    def __init__(self, state: AccountState, timers: Timers, orders: Orders) -> None:
        self._state, self._timers, self._orders = state, timers, orders

    def watch(self, task: Task) -> None:
        """A task is completed, or its constraints changed: its files go when their time is over."""
        name = f"{task.job_id.lower()}/{task.key}"
        self._timers.cancel(_RETENTION, name)
        seconds = _watched_seconds(task)
        if task.ended is None or task.node_id is None or seconds is None:
            return
        when, run_id = task.ended + timedelta(seconds=seconds), task.run_id
        self._timers.arm(_RETENTION, name, when, lambda: self._over(task, run_id))

    def resume(self) -> None:
        """After a restart."""
        for task in self._state.all_tasks():
            if task.state is TaskState.COMPLETED and _watched_seconds(task) is not None:
                self.watch(task)

    def _over(self, task: Task, run_id: str | None) -> None:
        job = self._state.jobs.get(task.job_id.lower())
        if job is None or self._state.tasks(job).get(task.key) is not task:
            return
        if task.state is TaskState.COMPLETED and task.run_id == run_id:
            self._orders.erase_files([task.node_id], task.directory)


def _watched_seconds(task: Task) -> float | None:
    seconds = task.retention_seconds
    return None if seconds is None or seconds >= _WATCHED_SECONDS else seconds
