"""Pools that scale themselves: samples each 30 s, evaluations at each pool's interval, resizes by what they give.

Owns when a formula is evaluated and with which samples; what it means is `autoscale/`'s, how nodes come and go
`allocation.py`'s. Samples are kept in memory, a day of them: after a restart the history begins anew, and a formula
that asks for a percentage sees that. All of them are of the local Azure's own counts, and there at once (Azure's come
about a minute late).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from local.azure.batch import errors
from local.azure.batch.autoscale import evaluation
from local.azure.batch.autoscale.evaluation import MESSAGES, Evaluation
from local.azure.batch.autoscale.samples import PERIOD, Metric
from local.azure.batch.autoscale.syntax import TOO_LONG, FormulaError
from local.azure.batch.model import Pool
from local.azure.batch.model.account_state import AccountState
from local.azure.batch.model.durations import parse_duration, stamp
from local.azure.batch.model.states import TAKES_TASKS, JobState, PoolState
from local.azure.batch.scheduling.allocation import Allocation
from local.azure.batch.scheduling.events import PoolMade
from local.azure.batch.scheduling.loop import Loop
from local.azure.batch.scheduling.timers import Timers
from local.azure.platform.clock import Clock
from local.node.contract import NodeState

DEFAULT_INTERVAL: Final = "PT15M"
_KEPT: Final = timedelta(days=1) // PERIOD
_BETWEEN_REQUESTS: Final = timedelta(seconds=30)  # to enable it (documented)
_SAMPLING, _EVALUATION = "autoscale sample", "autoscale evaluation"


class Autoscaling:
    """One account's."""

    def __init__(self, state: AccountState, clock: Clock, loop: Loop, timers: Timers, allocation: Allocation) -> None:
        self._state, self._clock, self._loop, self._timers, self._allocation = state, clock, loop, timers, allocation
        self._history: dict[str, deque[tuple[datetime, Mapping[str, float]]]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._enabled: dict[str, datetime] = {}
        self._sampling = False

    def pool_made(self, event: PoolMade) -> None:
        """There is a new pool."""
        self.watch(event.pool)

    def watch(self, pool: Pool) -> None:
        """Call when a pool was made or its scaling changed: a formula is evaluated now and at each interval from now on
        (recorded of a pool that becomes autoscaled: its answer has the first evaluation)."""
        self._begin_sampling()
        if not self._history[pool.id.lower()]:
            self._history[pool.id.lower()].append((self._clock.now(), measure(self._state, pool)))
        self._timers.cancel(_EVALUATION, pool.id.lower())
        if pool.formula is not None:
            self._evaluate(pool)

    def enable(self, pool: Pool, formula: str | None, interval: str | None) -> None:
        """Have the pool scale itself; what is None stays as it is. The formula has been accepted (`accept`)."""
        now, before = self._clock.now(), self._enabled.get(pool.id.lower())
        if before is not None and now - before < _BETWEEN_REQUESTS:
            raise errors.TooManyEnableAutoScaleRequests
        self._enabled[pool.id.lower()] = now
        present = pool.body if pool.formula is not None else {}
        pool.body = {
            **pool.body,
            "enableAutoScale": True,
            "autoScaleFormula": formula or present["autoScaleFormula"],
            "autoScaleEvaluationInterval": interval or present.get("autoScaleEvaluationInterval", DEFAULT_INTERVAL),
        }
        pool.touch(now)
        self._state.save(pool)
        self.watch(pool)

    def disable(self, pool: Pool) -> None:
        """Have the pool keep the size that it shall have now."""
        if pool.formula is None:
            return
        kept = {name: value for name, value in pool.body.items() if not name.startswith("autoScale")}
        pool.body, pool.autoscale_run = {**kept, "enableAutoScale": False}, None  # no new etag (recorded)
        self._state.save(pool)
        self.watch(pool)

    def forget(self, pool: Pool) -> None:
        """The pool is gone."""
        self._timers.cancel(_EVALUATION, pool.id.lower())
        self._history.pop(pool.id.lower(), None)
        self._enabled.pop(pool.id.lower(), None)

    def resume(self) -> None:
        """After a restart: go on at the times that were due."""
        for pool in self._state.pools.values():
            self._begin_sampling()
            if pool.formula is not None:
                run = pool.autoscale_run
                last = self._clock.now() if run is None else datetime.fromisoformat(run["timestamp"])
                self._arm(pool, last)

    def preview(self, pool: Pool, formula: str) -> Evaluation:
        """What a formula would give for the pool now; nothing is changed."""
        now, present = self._clock.now(), measure(self._state, pool)
        history = self._history[pool.id.lower()]
        metrics = {
            name: Metric(name, value, [(at, sample[name]) for at, sample in history])
            for name, value in present.items()
            if name in formula  # a name that is not in the text is not asked for
        }
        return evaluation.evaluate(
            formula, evaluation.Pool(pool.target_dedicated, pool.target_low_priority, metrics), now
        )

    def _evaluate(self, pool: Pool) -> None:
        if pool.formula is None or pool.state is PoolState.DELETING:
            return
        found = self.preview(pool, pool.formula)
        pool.autoscale_run = run_view(found)
        self._arm(pool, found.at)
        targets = (found.target_dedicated, found.target_low_priority)
        with self._loop.turn():  # what was evaluated is also asked for, or neither
            self._state.save(pool)
            if targets != (pool.target_dedicated, pool.target_low_priority):
                self._allocation.resize(pool, *targets, found.option)

    def _arm(self, pool: Pool, last: datetime) -> None:
        when = last + parse_duration(pool.body.get("autoScaleEvaluationInterval", DEFAULT_INTERVAL))
        self._timers.arm(_EVALUATION, pool.id.lower(), when, lambda: self._due(pool))

    def _due(self, pool: Pool) -> None:
        if self._state.pools.get(pool.id.lower()) is pool:
            self._evaluate(pool)

    def _begin_sampling(self) -> None:
        if not self._sampling:
            self._sampling = True
            self._sample()

    def _sample(self) -> None:
        if not self._state.pools:
            self._sampling = False
            return
        now = self._clock.now()
        for pool in self._state.pools.values():
            self._history[pool.id.lower()].append((now, measure(self._state, pool)))
        self._timers.arm(_SAMPLING, "", now + PERIOD, self._sample)


def accept(formula: str) -> None:
    """Refuse a formula that cannot be read or names what there is not; a pool is never given one [guess: how far the
    service looks, and that undefined names get this code]."""
    try:
        evaluation.check(formula)
    except FormulaError as error:
        raise refusal(error) from error


def refusal(error: FormulaError) -> errors.BatchError:
    """The refused request for a formula with this fault."""
    kind = errors.AutoScalingFormulaTooLong if error.code == TOO_LONG else errors.AutoScalingFormulaSyntaxError
    return kind(details=[("Message", str(error))])


def measure(state: AccountState, pool: Pool) -> dict[str, float]:
    """The service-defined variables of a pool as they are now.

    Tasks are those of jobs that name the pool; waiting ones of active jobs only, because no others can run [guess]. A
    task that is being prepared on its node counts as running.
    """
    nodes = state.nodes_of(pool.id)
    jobs = [job for job in state.jobs.values() if job.pool_id.lower() == pool.id.lower()]
    active = sum(len(state.waiting(job)) for job in jobs if job.state is JobState.ACTIVE)
    running = sum(len(state.on_node[node.id]) for node in nodes)
    ended = [state.ended(job) for job in jobs]
    dedicated = sum(node.dedicated for node in nodes)
    found = {
        "$ActiveTasks": active,
        "$RunningTasks": running,
        "$PendingTasks": active + running,
        "$SucceededTasks": sum(succeeded for succeeded, _ in ended),
        "$FailedTasks": sum(failed for _, failed in ended),
        "$TaskSlotsPerNode": pool.slots,
        "$CurrentDedicatedNodes": dedicated,
        "$CurrentLowPriorityNodes": len(nodes) - dedicated,
        "$UsableNodeCount": sum(node.state in TAKES_TASKS for node in nodes),
        "$PreemptedNodeCount": sum(node.state is NodeState.PREEMPTED for node in nodes),
        "$SampleNodeCount": len(nodes),
    }
    return {name: float(value) for name, value in found.items()}


def run_view(found: Evaluation) -> dict[str, Any]:
    """`autoScaleRun` of the data plane."""
    shown: dict[str, Any] = {"timestamp": stamp(found.at), "results": found.results}
    if found.error is not None:
        shown["error"] = error_view(found.error)
    return shown


def error_view(error: FormulaError) -> dict[str, Any]:
    """What is wrong with a formula, in the service's form."""
    values = [{"name": "Message", "value": str(error)}]
    return {"code": error.code, "message": MESSAGES[error.code], "values": values}
