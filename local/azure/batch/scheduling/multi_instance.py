"""Multi-instance tasks: one node runs the task's command, once the coordination command ended well on all its nodes.

Rules (learn.microsoft.com/azure/batch/batch-mpi): the pool has inter-node communication and one task slot a node,
else the task stays active for good; all nodes are taken at once; the primary and every subtask run the coordination
command first; the main command runs on the primary only, when all of them are done. One that fails fails the task's
attempt, which is then retried or not by the rules of tasks; a node that is lost requeues all of it.

Owns the coordination runs. The task itself, its main run and its slots are the dispatcher's.
"""

from __future__ import annotations

import uuid

from local.azure.batch.decisions import failures
from local.azure.batch.model import Job, Pool, Task
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.task import Instance
from local.azure.batch.scheduling.loop import Loop
from local.azure.batch.scheduling.orders import Orders
from local.azure.platform.clock import Clock
from local.node.contract import RunEnded


class MultiInstance:
    """One account's coordination runs."""

    def __init__(self, state: AccountState, clock: Clock, loop: Loop, orders: Orders) -> None:
        self._state, self._clock, self._loop, self._orders = state, clock, loop, orders

    def instances(self, task: Task, pool: Pool) -> int:
        """How many nodes the task takes; 0: it can never run on this pool."""
        if task.multi_instance is None:
            return 1
        if not pool.body.get("enableInterNodeCommunication") or pool.slots != 1:
            return 0
        return task.multi_instance.get("numberOfInstances", 1)

    def assign(self, task: Task, node_ids: tuple[str, ...]) -> None:
        """Plan a coordination run for each node, the primary's first. The task is saved by the caller."""
        now = self._clock.now()
        task.instances = [
            Instance(number, node_id, uuid.uuid4().hex, now).to_json() for number, node_id in enumerate(node_ids)
        ]

    def start(self, task: Task, job: Job) -> None:
        """Run the coordination command wherever it has not ended, or go on to the task's command."""
        waiting = [one for one in task.instance_records if not one.over]
        for one in waiting:
            node = self._state.nodes[one.node_id]
            spec = self._orders.specs.coordination(task, one, job, node, self._state.pools[node.pool_id.lower()])
            self._orders.start_run(one.node_id, spec)
        if not waiting:
            self.start_main(task)

    def start_main(self, task: Task) -> None:
        """Start the task's own command on its node."""
        node, job = self._state.nodes[task.node_id or ""], self._state.jobs[task.job_id.lower()]
        self._orders.start_task(task, job, node, self._state.pools[node.pool_id.lower()])

    def ended(self, task: Task, event: RunEnded) -> None:
        """A coordination run is over: the last one starts the task's command, one that failed ends the attempt."""
        one = next(one for one in task.instance_records if one.run_id == event.run_id)
        succeeded = event.exit_code == 0 and event.failure is None
        failure = None if succeeded else event.failure or failures.EXIT_CODE
        task.keep_instance(one.finish(event.at, event.exit_code, failure))
        self._state.save(task)
        assert task.node_id is not None and task.run_id is not None, "an assigned task has both"
        if not succeeded:
            self._loop.post(
                RunEnded(
                    node_id=task.node_id, run_id=task.run_id, at=event.at, exit_code=event.exit_code,
                    failure=event.failure, lost=event.lost,
                )
            )  # fmt: skip
        elif task.is_coordinated and task.ending is None:
            self.start_main(task)

    def stop(self, task: Task) -> None:
        """End the coordination runs that are under way: the attempt is over."""
        for one in task.instance_records:
            if not one.over:
                task.keep_instance(one.finish(self._clock.now(), None, failures.ENDED_BY_USER))
                self._orders.stop_run(one.node_id, one.run_id)
