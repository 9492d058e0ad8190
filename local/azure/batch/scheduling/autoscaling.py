"""Pools that scale themselves: samples each 30 s, evaluations at each pool's interval, resizes by what they give.

Owns when a formula is evaluated and with which samples; what it means is `autoscale/`'s, how nodes come and go
`allocation.py`'s. Samples are kept in memory, a day of them: after a restart the history begins anew, and a formula
that asks for a percentage sees that. All of them are of the local Azure's own counts, and there at once (Azure's come
about a minute late).
"""

from __future__ import annotations

from collections import deque
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
from local.azure.batch.scheduling import allocation
from local.azure.batch.scheduling.messages import Arm, Disarm, EvaluationDue, PoolMade, SamplingDue
from local.azure.batch.scheduling.turn import Turn
from local.node.contract import NodeState

DEFAULT_INTERVAL: Final = "PT15M"
_KEPT: Final = timedelta(days=1) // PERIOD
_BETWEEN_REQUESTS: Final = timedelta(seconds=30)  # to enable it (documented)
_SAMPLING = "autoscale sample"
_EVALUATION = "autoscale evaluation"


def pool_made(turn: Turn, event: PoolMade) -> None:
    """There is a new pool."""
    watch(turn, event.pool)


def watch(turn: Turn, pool: Pool) -> None:
    """Call when a pool was made or its scaling changed: a formula is evaluated now and at each interval from now on
    (recorded of a pool that becomes autoscaled: its answer has the first evaluation)."""
    samples = _samples(turn.state, pool)
    if not samples:
        samples.append((turn.now, measure(turn.state, pool)))
    turn.command(Arm(_SAMPLING, "", turn.now + PERIOD, SamplingDue(), if_idle=True))
    turn.command(Disarm(_EVALUATION, pool.id.lower()))
    if pool.formula is not None:
        _evaluate(turn, pool)


def enable(turn: Turn, pool: Pool, formula: str | None, interval: str | None) -> None:
    """Have the pool scale itself; what is None stays as it is. The formula has been accepted (`accept`). Raises
    TooManyEnableAutoScaleRequests within 30 seconds of the last time (documented)."""
    enabled_at = turn.state.scaling.enabled_at
    before = enabled_at.get(pool.id.lower())
    if before is not None and turn.now - before < _BETWEEN_REQUESTS:
        raise errors.TooManyEnableAutoScaleRequests
    present = pool.body if pool.formula is not None else {}
    with turn.change(pool):
        pool.body = {
            **pool.body,
            "enableAutoScale": True,
            "autoScaleFormula": formula or present["autoScaleFormula"],
            "autoScaleEvaluationInterval": interval or present.get("autoScaleEvaluationInterval", DEFAULT_INTERVAL),
        }
        pool.touch(turn.now)
    watch(turn, pool)
    enabled_at[pool.id.lower()] = turn.now


def disable(turn: Turn, pool: Pool) -> None:
    """Have the pool keep the size that it shall have now."""
    if pool.formula is None:
        return
    kept = {name: value for name, value in pool.body.items() if not name.startswith("autoScale")}
    with turn.change(pool):
        pool.body = {**kept, "enableAutoScale": False}  # no new etag (recorded)
        pool.autoscale_run = None
    watch(turn, pool)


def resume(turn: Turn) -> None:
    """After a restart: go on at the times that were due."""
    sampling_due(turn, SamplingDue())
    for pool in turn.state.pools.values():
        if pool.formula is not None:
            run = pool.autoscale_run
            _arm(turn, pool, turn.now if run is None else datetime.fromisoformat(run["timestamp"]))


def preview(state: AccountState, pool: Pool, formula: str, now: datetime) -> Evaluation:
    """What a formula would give for the pool now; nothing is changed."""
    samples = _samples(state, pool)
    metrics = {
        name: Metric(name, value, [(at, sample[name]) for at, sample in samples])
        for name, value in measure(state, pool).items()
        if name in formula  # a name that is not in the text is not asked for
    }
    present = evaluation.Pool(pool.target_dedicated, pool.target_low_priority, metrics)
    return evaluation.evaluate(formula, present, now)


def _samples(state: AccountState, pool: Pool) -> deque[tuple[datetime, Mapping[str, float]]]:
    """The measured variables of the last day, the oldest first."""
    return state.scaling.samples.setdefault(pool.id.lower(), deque(maxlen=_KEPT))


def evaluation_due(turn: Turn, event: EvaluationDue) -> None:
    """Evaluate a pool's formula at its interval."""
    pool = turn.state.pools.get(event.pool_id)
    if pool is not None:
        _evaluate(turn, pool)


def _evaluate(turn: Turn, pool: Pool) -> None:
    if pool.formula is None or pool.state is PoolState.DELETING:
        return
    outcome = preview(turn.state, pool, pool.formula, turn.now)
    with turn.change(pool):
        pool.autoscale_run = run_view(outcome)
    _arm(turn, pool, outcome.at)
    targets = (outcome.target_dedicated, outcome.target_low_priority)
    if targets != (pool.target_dedicated, pool.target_low_priority):
        allocation.resize(turn, pool, *targets, outcome.option)


def _arm(turn: Turn, pool: Pool, last: datetime) -> None:
    when = last + parse_duration(pool.body.get("autoScaleEvaluationInterval", DEFAULT_INTERVAL))
    turn.command(Arm(_EVALUATION, pool.id.lower(), when, EvaluationDue(pool.id.lower())))


def sampling_due(turn: Turn, event: SamplingDue) -> None:
    """Measure all pools, and again in 30 s as long as there are any."""
    for pool in turn.state.pools.values():
        _samples(turn.state, pool).append((turn.now, measure(turn.state, pool)))
    if turn.state.pools:
        turn.command(Arm(_SAMPLING, "", turn.now + PERIOD, event))


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
    variables = {
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
    return {name: float(value) for name, value in variables.items()}


def run_view(outcome: Evaluation) -> dict[str, Any]:
    """`autoScaleRun` of the data plane."""
    shown: dict[str, Any] = {"timestamp": stamp(outcome.at), "results": outcome.results}
    if outcome.error is not None:
        shown["error"] = error_view(outcome.error)
    return shown


def error_view(error: FormulaError) -> dict[str, Any]:
    """What is wrong with a formula, in the service's form."""
    values = [{"name": "Message", "value": str(error)}]
    return {"code": error.code, "message": MESSAGES[error.code], "values": values}
