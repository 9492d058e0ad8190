"""Where nodes meet faults on purpose: an executor around the real one, whichever that is.

Owns what each kind of fault does to a node: it changes what the real executor is asked to do, and what it reports. A
node that a fault took away (preempted, unusable) says nothing more until it is made or booted again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Final

from local.azure.platform.clock import Clock
from local.azure.platform.faults import BOOT, NOW, RUN, SERVICES, Faults, Rule
from local.node.contract import (
    Executor,
    FailureInfo,
    FileInfo,
    NodeChanged,
    NodeEvent,
    NodeSpec,
    NodeState,
    NodeUnreachable,
    RunEnded,
    RunSpec,
    RunStarted,
    UserAccount,
)

_log = logging.getLogger("local.azure.nodes")
_ON_PURPOSE: Final = "a fault on purpose"
_START_TASK_FAILED: Final = FailureInfo(
    category="usererror",
    code="FailureExitCode",
    message="The task exited with an exit code representing a failure",
    details=(("Message", _ON_PURPOSE),),
)
_RUN_FAILURES: Final = {
    "pull-failed": FailureInfo(
        category="usererror",
        code="ContainerInvalidImage",
        message="One or more container images specified are invalid",
        details=(("Message", _ON_PURPOSE),),
    ),
    # Code documented (https://learn.microsoft.com/azure/batch/batch-pool-node-error-checking), text [guess].
    "disk-full": FailureInfo(
        category="usererror",
        code="DiskFull",
        message="There is not enough disk space on the node",
        details=(("Message", _ON_PURPOSE),),
    ),
}
_BOOT_ERRORS: Final = {kind: (one.code, f"{one.message}: {_ON_PURPOSE}") for kind, one in _RUN_FAILURES.items()}
_TAKEN: Final = {"preempt": NodeState.PREEMPTED, "unusable": NodeState.UNUSABLE}
_NODE_KINDS: Final = frozenset(kind for kind, one in SERVICES["nodes"].items() if NOW in one.stages)


@dataclass
class _KnownNode:
    """A node, what runs on it, and which faults hold."""

    node_id: str
    spec: NodeSpec | None = None
    runs: set[str] = field(default_factory=set)
    taken: bool = False
    boot_fault: str = ""

    def text(self, stage: str, run: RunSpec | None = None) -> str:
        """What rules are matched with."""
        pool = "-" if self.spec is None else self.spec.pool_id
        words = [stage, pool, self.node_id, *([run.job_id, run.task_id] if run else [])]
        return " ".join(word for word in words if word)


class NodesWithFaults:
    """See `contract.Executor`."""

    def __init__(self, inner: Executor, faults: Faults, clock: Clock) -> None:
        self.name = inner.name
        self._inner = inner
        self._faults = faults
        self._clock = clock
        self._nodes: dict[str, _KnownNode] = {}
        self._on_event: Callable[[NodeEvent], None] = lambda event: None
        self._working: set[asyncio.Task[None]] = set()

    # -- faults ------------------------------------------------------------------------------------------------------

    def _rule_set(self, rule: Rule) -> None:
        if rule.service == "nodes" and rule.kind in _NODE_KINDS:
            self._loop.call_soon_threadsafe(self._meet_now)

    def _meet_now(self) -> None:
        """A rule was set: it holds for the nodes that there are."""
        for node in sorted(self._nodes.values(), key=lambda node: node.node_id):
            if not node.taken:
                self._strike(node, self._faults.meet("nodes", NOW, node.text(NOW), _NODE_KINDS))

    def _strike(self, node: _KnownNode, rules: list[Rule]) -> bool:
        for rule in rules:
            _log.info("fault on purpose", extra={"kind": rule.kind, "node": node.node_id})
            if state := _TAKEN.get(rule.kind):
                node.taken = True
                error = ("FaultOnPurpose", _ON_PURPOSE)
                self._on_event(NodeChanged(node_id=node.node_id, state=state, at=self._clock.now(), errors=(error,)))
            self._soon(self._carry_out(node, rule))
        return bool(rules)

    async def _carry_out(self, node: _KnownNode, rule: Rule) -> None:
        """What becomes of the machine. Runs of a node that is taken end: they are run again elsewhere."""
        runs, node.runs = node.runs, set()
        if rule.kind == "kill":
            return await self._inner.reboot_node(node.node_id)
        if rule.kind == "unusable":
            for run_id in runs:
                await self._inner.terminate_run(node.node_id, run_id)
            return None
        await self._inner.delete_node(node.node_id)
        if rule.seconds and node.spec is not None:  # capacity is there again
            await asyncio.sleep(rule.seconds)
            if self._nodes.get(node.node_id) is node and node.taken:
                await self.create_node(node.spec)
        return None

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        async def run() -> None:
            try:
                await work
            except NodeUnreachable as error:
                _log.info("a node that a fault was for is gone", extra={"node": str(error)})

        task = asyncio.ensure_future(run())
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _boots(self, node: _KnownNode) -> None:
        """The node is about to boot: which fault it will come up with."""
        node.taken, node.runs, node.boot_fault = False, set(), ""
        spec = node.spec
        if spec is None:
            return
        possible = {"disk-full"} | ({"start-task-failed"} if spec.start_task else set())
        possible |= {"pull-failed"} if spec.container_images else set()
        for rule in self._faults.meet("nodes", BOOT, node.text(BOOT), possible):
            node.boot_fault = node.boot_fault or rule.kind

    def _take(self, event: NodeEvent) -> None:
        """A report of the real executor, changed where a fault holds."""
        node = self._nodes.setdefault(event.node_id, _KnownNode(event.node_id))
        if node.taken:
            return
        if isinstance(event, RunStarted):
            node.runs.add(event.run_id)
        elif isinstance(event, RunEnded):
            node.runs.discard(event.run_id)
        elif event.state is NodeState.IDLE and node.boot_fault:
            event = self._with_boot_fault(event, node)
        self._on_event(event)

    def _with_boot_fault(self, event: NodeChanged, node: _KnownNode) -> NodeChanged:
        if node.boot_fault != "start-task-failed":
            return replace(event, state=NodeState.UNUSABLE, errors=(_BOOT_ERRORS[node.boot_fault],))
        waits = node.spec is not None and node.spec.start_task_wait
        return replace(
            event,
            state=NodeState.START_TASK_FAILED if waits else event.state,
            start_task_started=event.start_task_started or event.at,
            start_task_ended=event.start_task_ended or event.at,
            start_task_exit_code=1,
            start_task_failure=_START_TASK_FAILED,
        )

    def _reach(self, node_id: str) -> None:
        node = self._nodes.get(node_id)
        if node is not None and node.taken:
            raise NodeUnreachable(node_id)

    # -- the executor ------------------------------------------------------------------------------------------------

    async def open(self, on_event: Callable[[NodeEvent], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        self._faults.on_set = self._rule_set
        await self._inner.open(self._take)

    async def close(self) -> None:
        self._faults.on_set = lambda rule: None
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)
        await self._inner.close()

    async def create_node(self, spec: NodeSpec) -> None:
        node = self._nodes.setdefault(spec.node_id, _KnownNode(spec.node_id))
        if node.spec is None or node.taken:
            node.spec = spec
            self._boots(node)
        await self._inner.create_node(spec)

    async def reboot_node(self, node_id: str, spec: NodeSpec | None = None) -> None:
        node = self._nodes.setdefault(node_id, _KnownNode(node_id))
        node.spec = spec or node.spec
        self._boots(node)
        await self._inner.reboot_node(node_id, spec)

    async def delete_node(self, node_id: str) -> None:
        self._nodes.pop(node_id, None)
        await self._inner.delete_node(node_id)

    async def start_run(self, node_id: str, run: RunSpec) -> None:
        self._reach(node_id)
        node = self._nodes.setdefault(node_id, _KnownNode(node_id))
        possible = {*_NODE_KINDS, "disk-full"} | ({"pull-failed"} if run.container else set())
        rules = self._faults.meet("nodes", RUN, node.text(RUN, run), possible)
        failure = next((_RUN_FAILURES[rule.kind] for rule in rules if rule.kind in _RUN_FAILURES), None)
        if failure is not None:
            return self._on_event(RunEnded(node_id=node_id, run_id=run.run_id, at=self._clock.now(), failure=failure))
        await self._inner.start_run(node_id, run)
        self._strike(node, rules)
        return None

    async def terminate_run(self, node_id: str, run_id: str) -> None:
        self._reach(node_id)
        await self._inner.terminate_run(node_id, run_id)

    async def list_files(self, node_id: str, directory: str, recursive: bool) -> list[FileInfo]:
        self._reach(node_id)
        return await self._inner.list_files(node_id, directory, recursive)

    async def stat_file(self, node_id: str, path: str) -> FileInfo:
        self._reach(node_id)
        return await self._inner.stat_file(node_id, path)

    def read_file(self, node_id: str, path: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        self._reach(node_id)
        return self._inner.read_file(node_id, path, start, end)

    async def delete_file(self, node_id: str, path: str, recursive: bool) -> None:
        self._reach(node_id)
        await self._inner.delete_file(node_id, path, recursive)

    async def put_user(self, node_id: str, user: UserAccount) -> None:
        self._reach(node_id)
        await self._inner.put_user(node_id, user)

    async def delete_user(self, node_id: str, name: str) -> None:
        self._reach(node_id)
        await self._inner.delete_user(node_id, name)

    def remote_login(self, node_id: str) -> tuple[str, int]:
        self._reach(node_id)
        return self._inner.remote_login(node_id)
