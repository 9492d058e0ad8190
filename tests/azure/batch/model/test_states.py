"""Every pair of every table: either it leads somewhere, or it raises. The lists of refusals are written out."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest

from local.azure.batch.model.states import (
    ALLOCATION,
    JOB,
    JOB_SCHEDULE,
    JOB_TASK,
    NODE,
    POOL,
    TASK,
    AllocationEvent,
    AllocationState,
    IllegalTransition,
    JobEvent,
    JobScheduleEvent,
    JobScheduleState,
    JobState,
    JobTaskEvent,
    JobTaskState,
    NodeEvent,
    PoolEvent,
    PoolState,
    Table,
    TaskEvent,
    TaskState,
)
from local.node.contract import NodeState

MACHINES: list[tuple[Table[Any, Any], type[StrEnum], type[StrEnum], int]] = [
    (JOB, JobState, JobEvent, 18),
    (TASK, TaskState, TaskEvent, 12),
    (JOB_TASK, JobTaskState, JobTaskEvent, 7),
    (POOL, PoolState, PoolEvent, 1),
    (ALLOCATION, AllocationState, AllocationEvent, 7),
    (NODE, NodeState, NodeEvent, 38),
    (JOB_SCHEDULE, JobScheduleState, JobScheduleEvent, 11),
]


@pytest.mark.parametrize(("table", "states", "events", "legal"), MACHINES, ids=lambda value: getattr(value, "name", ""))
def test_every_pair_leads_to_a_known_state_or_raises(
    table: Table[Any, Any], states: type[StrEnum], events: type[StrEnum], legal: int
) -> None:
    seen = 0
    for state in states:
        for event in events:
            if table.allows(state, event):
                assert table.next(state, event) in states
                seen += 1
            else:
                with pytest.raises(IllegalTransition, match=table.name):
                    table.next(state, event)
    assert seen == legal == len(list(table))


def test_a_job_can_be_deleted_in_every_state_but_while_it_is_being_deleted() -> None:
    assert {state for state in JobState if not JOB.allows(state, JobEvent.DELETE)} == {JobState.DELETING}


def test_a_completed_job_does_nothing_but_disappear() -> None:
    assert {event for event in JobEvent if JOB.allows(JobState.COMPLETED, event)} == {JobEvent.DELETE}


def test_every_way_out_of_a_tasks_run_ends_or_waits() -> None:
    for state in (TaskState.PREPARING, TaskState.RUNNING):
        after = {TASK.next(state, event) for event in TaskEvent if TASK.allows(state, event)}
        assert after <= {TaskState.ACTIVE, TaskState.COMPLETED, TaskState.RUNNING}


def test_only_a_task_that_is_not_started_is_returned_by_its_node() -> None:
    assert {state for state in TaskState if TASK.allows(state, TaskEvent.RETURN)} == {TaskState.PREPARING}


def test_a_job_task_runs_from_pending_only_and_a_running_one_ends_runs_again_or_is_lost() -> None:
    assert {state for state in JobTaskState if JOB_TASK.allows(state, JobTaskEvent.START)} == {JobTaskState.PENDING}
    out = {event for event in JobTaskEvent if JOB_TASK.allows(JobTaskState.RUNNING, event)}
    assert out == {JobTaskEvent.RETRY, JobTaskEvent.LOSE, JobTaskEvent.END}
