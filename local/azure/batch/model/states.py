"""The state machines of Batch as tables: jobs, tasks, pools and their allocation, nodes.

Owns which (state, event) pairs exist; a missing pair raises `IllegalTransition`. Which error a client then gets is the
operations' business. States are the data plane's spelling (azure-batch 15.1.0 enums). Sources: the REST reference of
each verb (learn.microsoft.com/rest/api/batchservice); pairs marked [guess] are not documented.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from local.node.contract import NodeState

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class IllegalTransition(Exception):
    """This event cannot happen in this state: either a client's wrong moment, or our mistake."""

    def __init__(self, table: str, state: StrEnum, event: StrEnum) -> None:
        super().__init__(f"{table}: {event.value!r} cannot happen in state {state.value!r}")
        self.state = state
        self.event = event


class Moving(Protocol[S]):
    """A record in one of the states, which remembers the one before."""

    state: S

    def moved(self, state: StrEnum, now: datetime) -> None:
        """Remember `state`, which is being left, as the previous one."""
        ...


class Table(Generic[S, E]):
    """Transitions of one machine: (state, event) -> next state."""

    def __init__(self, name: str, transitions: Mapping[tuple[S, E], S]) -> None:
        self.name = name
        self._transitions = dict(transitions)

    def next(self, state: S, event: E) -> S:
        """The state after the event, or IllegalTransition."""
        try:
            return self._transitions[state, event]
        except KeyError:
            raise IllegalTransition(self.name, state, event) from None

    def advance(self, record: Moving[S], event: E, now: datetime) -> None:
        """Bring the record to the state after the event; IllegalTransition when there is none."""
        after = self.next(record.state, event)
        if after is not record.state:
            before, record.state = record.state, after
            record.moved(before, now)

    def allows(self, state: S, event: E) -> bool:
        """Whether the event can happen in the state."""
        return (state, event) in self._transitions

    def __iter__(self) -> Iterator[tuple[tuple[S, E], S]]:
        return iter(self._transitions.items())


class JobState(StrEnum):
    """`BatchJobState`."""

    ACTIVE = "active"
    DISABLING = "disabling"
    DISABLED = "disabled"
    ENABLING = "enabling"
    TERMINATING = "terminating"
    COMPLETED = "completed"
    DELETING = "deleting"


class JobEvent(StrEnum):
    """What happens to a job. QUIET: none of its tasks runs any more."""

    DISABLE = "disable"
    ENABLE = "enable"
    TERMINATE = "terminate"
    DELETE = "delete"
    QUIET = "quiet"


JOB = Table[JobState, JobEvent](
    "job",
    {
        (JobState.ACTIVE, JobEvent.DISABLE): JobState.DISABLING,
        (JobState.DISABLING, JobEvent.DISABLE): JobState.DISABLING,
        (JobState.DISABLED, JobEvent.DISABLE): JobState.DISABLED,
        (JobState.DISABLING, JobEvent.QUIET): JobState.DISABLED,
        (JobState.DISABLING, JobEvent.ENABLE): JobState.ENABLING,  # [guess]
        (JobState.DISABLED, JobEvent.ENABLE): JobState.ENABLING,
        (JobState.ENABLING, JobEvent.QUIET): JobState.ACTIVE,
        (JobState.ACTIVE, JobEvent.TERMINATE): JobState.TERMINATING,
        (JobState.DISABLING, JobEvent.TERMINATE): JobState.TERMINATING,
        (JobState.DISABLED, JobEvent.TERMINATE): JobState.TERMINATING,
        (JobState.ENABLING, JobEvent.TERMINATE): JobState.TERMINATING,
        (JobState.TERMINATING, JobEvent.QUIET): JobState.COMPLETED,
        **{(state, JobEvent.DELETE): JobState.DELETING for state in JobState if state is not JobState.DELETING},
    },
)


class JobScheduleState(StrEnum):
    """`BatchJobScheduleState`."""

    ACTIVE = "active"
    DISABLED = "disabled"
    TERMINATING = "terminating"
    COMPLETED = "completed"
    DELETING = "deleting"


class JobScheduleEvent(StrEnum):
    """What happens to a job schedule. OVER: it makes no job any more, and none of its jobs is under way."""

    DISABLE = "disable"
    ENABLE = "enable"
    TERMINATE = "terminate"
    DELETE = "delete"
    OVER = "over"


JOB_SCHEDULE = Table[JobScheduleState, JobScheduleEvent](
    "job schedule",
    {
        (JobScheduleState.ACTIVE, JobScheduleEvent.DISABLE): JobScheduleState.DISABLED,
        (JobScheduleState.DISABLED, JobScheduleEvent.ENABLE): JobScheduleState.ACTIVE,
        (JobScheduleState.ACTIVE, JobScheduleEvent.ENABLE): JobScheduleState.ACTIVE,  # [guess]
        (JobScheduleState.ACTIVE, JobScheduleEvent.OVER): JobScheduleState.COMPLETED,
        (JobScheduleState.ACTIVE, JobScheduleEvent.TERMINATE): JobScheduleState.TERMINATING,
        (JobScheduleState.DISABLED, JobScheduleEvent.TERMINATE): JobScheduleState.TERMINATING,
        (JobScheduleState.TERMINATING, JobScheduleEvent.OVER): JobScheduleState.COMPLETED,
        **{
            (state, JobScheduleEvent.DELETE): JobScheduleState.DELETING
            for state in JobScheduleState
            if state is not JobScheduleState.DELETING
        },
    },
)


class TaskState(StrEnum):
    """`BatchTaskState`."""

    ACTIVE = "active"
    PREPARING = "preparing"
    RUNNING = "running"
    COMPLETED = "completed"


class TaskEvent(StrEnum):
    """What happens to a task. END is final; RETRY, REQUEUE and RETURN (its node could not be prepared) make it
    wait again."""

    ASSIGN = "assign"
    START = "start"
    END = "end"
    RETRY = "retry"
    REQUEUE = "requeue"
    RETURN = "return"
    REACTIVATE = "reactivate"


TASK = Table[TaskState, TaskEvent](
    "task",
    {
        (TaskState.ACTIVE, TaskEvent.ASSIGN): TaskState.PREPARING,
        (TaskState.ACTIVE, TaskEvent.END): TaskState.COMPLETED,  # terminated before it ever ran
        (TaskState.PREPARING, TaskEvent.START): TaskState.RUNNING,
        (TaskState.PREPARING, TaskEvent.END): TaskState.COMPLETED,
        (TaskState.PREPARING, TaskEvent.RETRY): TaskState.ACTIVE,
        (TaskState.PREPARING, TaskEvent.REQUEUE): TaskState.ACTIVE,
        (TaskState.PREPARING, TaskEvent.RETURN): TaskState.ACTIVE,
        (TaskState.RUNNING, TaskEvent.START): TaskState.RUNNING,  # reported again after a restart
        (TaskState.RUNNING, TaskEvent.END): TaskState.COMPLETED,
        (TaskState.RUNNING, TaskEvent.RETRY): TaskState.ACTIVE,
        (TaskState.RUNNING, TaskEvent.REQUEUE): TaskState.ACTIVE,
        (TaskState.COMPLETED, TaskEvent.REACTIVATE): TaskState.ACTIVE,
    },
)


class JobTaskState(StrEnum):
    """A job preparation or release task on one node. PENDING, which no client sees: it shall run when it can."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"


class JobTaskEvent(StrEnum):
    """What happens to one. LOSE: its node went down under it. OUTDATE: after it, so that it counts no more. END of a
    pending one: its node is gone, or did not come up in time.
    """

    START = "start"
    RETRY = "retry"
    LOSE = "lose"
    END = "end"
    OUTDATE = "outdate"


JOB_TASK = Table[JobTaskState, JobTaskEvent](
    "job task",
    {
        (JobTaskState.PENDING, JobTaskEvent.START): JobTaskState.RUNNING,
        (JobTaskState.PENDING, JobTaskEvent.END): JobTaskState.COMPLETED,
        (JobTaskState.PENDING, JobTaskEvent.OUTDATE): JobTaskState.PENDING,
        (JobTaskState.RUNNING, JobTaskEvent.RETRY): JobTaskState.RUNNING,
        (JobTaskState.RUNNING, JobTaskEvent.LOSE): JobTaskState.PENDING,
        (JobTaskState.RUNNING, JobTaskEvent.END): JobTaskState.COMPLETED,
        (JobTaskState.COMPLETED, JobTaskEvent.OUTDATE): JobTaskState.PENDING,
    },
)


class PoolState(StrEnum):
    """`BatchPoolState`."""

    ACTIVE = "active"
    DELETING = "deleting"


class PoolEvent(StrEnum):
    """What happens to a pool."""

    DELETE = "delete"


POOL = Table[PoolState, PoolEvent]("pool", {(PoolState.ACTIVE, PoolEvent.DELETE): PoolState.DELETING})


class AllocationState(StrEnum):
    """`AllocationState`."""

    STEADY = "steady"
    RESIZING = "resizing"
    STOPPING = "stopping"


class AllocationEvent(StrEnum):
    """RETARGET is ARM's: it replaces the target of a resize that goes on [guess]; the data plane refuses that."""

    RESIZE = "resize"
    RETARGET = "retarget"
    STOP = "stop"
    DONE = "done"


ALLOCATION = Table[AllocationState, AllocationEvent](
    "allocation",
    {
        (AllocationState.STEADY, AllocationEvent.RESIZE): AllocationState.RESIZING,
        (AllocationState.STEADY, AllocationEvent.RETARGET): AllocationState.RESIZING,
        (AllocationState.RESIZING, AllocationEvent.RETARGET): AllocationState.RESIZING,
        (AllocationState.STOPPING, AllocationEvent.RETARGET): AllocationState.RESIZING,
        (AllocationState.RESIZING, AllocationEvent.STOP): AllocationState.STOPPING,
        (AllocationState.RESIZING, AllocationEvent.DONE): AllocationState.STEADY,
        (AllocationState.STOPPING, AllocationEvent.DONE): AllocationState.STEADY,
    },
)


class NodeEvent(StrEnum):
    """What the service itself does to a node; everything else is reported by its executor."""

    REBOOT = "reboot"
    REIMAGE = "reimage"
    DEALLOCATE = "deallocate"
    DEALLOCATED = "deallocated"
    START = "start"
    REMOVE = "remove"


_HAS_MACHINE = (
    NodeState.IDLE,
    NodeState.RUNNING,
    NodeState.OFFLINE,
    NodeState.START_TASK_FAILED,
    NodeState.UNUSABLE,
    NodeState.UNKNOWN,
    NodeState.WAITING_FOR_START_TASK,
)

NODE = Table[NodeState, NodeEvent](
    "node",
    {
        **{(state, NodeEvent.REBOOT): NodeState.REBOOTING for state in _HAS_MACHINE},
        **{(state, NodeEvent.REIMAGE): NodeState.REIMAGING for state in _HAS_MACHINE},
        **{(state, NodeEvent.DEALLOCATE): NodeState.DEALLOCATING for state in _HAS_MACHINE},
        (NodeState.DEALLOCATING, NodeEvent.DEALLOCATED): NodeState.DEALLOCATED,
        (NodeState.DEALLOCATED, NodeEvent.START): NodeState.STARTING,
        **{(state, NodeEvent.REMOVE): NodeState.LEAVING_POOL for state in NodeState},
    },
)

TAKES_TASKS = frozenset({NodeState.IDLE, NodeState.RUNNING})
"""Reported states in which a node may get a run; a node waiting for its start task takes none."""

LOSES_TASKS = frozenset(
    {
        NodeState.CREATING,
        NodeState.STARTING,
        NodeState.REIMAGING,
        NodeState.DEALLOCATED,
        NodeState.PREEMPTED,
        NodeState.UNUSABLE,
    }
)
"""A node reported in one of these no longer has the runs it had: they are requeued."""
