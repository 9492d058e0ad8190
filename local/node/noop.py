"""The `noop` executor: nodes and runs without processes, for tests and for scale.

Nodes become idle and runs end at once by themselves (`automatic`), or when a test says so. Files live in memory. It
forgets everything with its process, unless a test hands the same object to the next service, as real nodes would
survive.
"""

from __future__ import annotations

import asyncio
import posixpath
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from local.node.contract import (
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

_CHUNK = 64 * 1024
SIGTERM_EXIT = 143


class NoopExecutor:
    """See `contract.Executor`. `automatic` False: call `node_up`, `begin` and `end`. `create_seconds`: how long a node
    takes to be allocated, for clients that want to see a resize go on."""

    name = "noop"

    def __init__(
        self,
        *,
        automatic: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        create_seconds: float = 0.0,
    ) -> None:
        self.automatic = automatic
        self._create_seconds = create_seconds
        self.nodes: dict[str, NodeSpec] = {}
        self.states: dict[str, NodeState] = {}
        self.boot_ids: dict[str, str] = {}
        self.runs: dict[str, tuple[str, RunSpec]] = {}  # run id -> node id, spec; only runs under way
        self.ended: dict[str, RunEnded] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.users: dict[str, dict[str, UserAccount]] = {}
        self.unreachable: set[str] = set()
        self.terminated: list[str] = []
        self.starts: list[str] = []
        self._now = now
        self._on_event: Callable[[NodeEvent], None] | None = None

    async def open(self, on_event: Callable[[NodeEvent], None]) -> None:
        """Report every node's state and every ended run again."""
        self._on_event = on_event
        for node_id, state in self.states.items():
            boot_id = self.boot_ids.get(node_id, "")
            self._report(NodeChanged(node_id=node_id, state=state, at=self._now(), boot_id=boot_id))
        for event in list(self.ended.values()):
            self._report(event)

    async def close(self) -> None:
        """Say nothing any more; nodes stay."""
        self._on_event = None

    async def create_node(self, spec: NodeSpec) -> None:
        """A new node is starting, then idle."""
        if spec.node_id in self.nodes:
            return
        if self._create_seconds:
            await asyncio.sleep(self._create_seconds)
        self.nodes[spec.node_id] = spec
        self.files[spec.node_id] = {"startup/stdout.txt": b"", "startup/stderr.txt": b""} if spec.start_task else {}
        self.users[spec.node_id] = {user.name: user for user in spec.user_accounts}
        self._become(spec.node_id, NodeState.STARTING)
        if self.automatic:
            self.node_up(spec.node_id)

    async def reboot_node(self, node_id: str, spec: NodeSpec | None = None) -> None:
        """Lose the runs, start again."""
        self._reach(node_id)
        self.nodes[node_id] = spec or self.nodes[node_id]
        self._lose(node_id)
        if self.nodes[node_id].start_task:
            self.files[node_id] |= {"startup/stdout.txt": b"", "startup/stderr.txt": b""}
        self._become(node_id, NodeState.STARTING)
        if self.automatic:
            self.node_up(node_id)

    async def delete_node(self, node_id: str) -> None:
        """Forget the node and everything on it."""
        self._lose(node_id)
        for table in (self.nodes, self.states, self.boot_ids, self.files, self.users):
            table.pop(node_id, None)

    async def start_run(self, node_id: str, run: RunSpec) -> None:
        """Begin, and (automatic) end at once with success."""
        self._reach(node_id)
        if run.run_id in self.runs or run.run_id in self.ended:
            return
        self.runs[run.run_id] = (node_id, run)
        self.starts.append(run.run_id)
        self.files[node_id] |= {f"{run.directory}/{name}": b"" for name in ("stdout.txt", "stderr.txt")}
        if self.automatic:
            self.begin(run.run_id)
            self.end(run.run_id)

    async def terminate_run(self, node_id: str, run_id: str) -> None:
        """End it as SIGTERM does; one that never came here is over now, and is not started any more."""
        self._reach(node_id)
        self.terminated.append(run_id)
        if run_id in self.runs:
            self.end(run_id, SIGTERM_EXIT)
        elif run_id not in self.ended:
            self.ended[run_id] = RunEnded(node_id=node_id, run_id=run_id, at=self._now())
            self._report(self.ended[run_id])

    async def list_files(self, node_id: str, directory: str, recursive: bool) -> list[FileInfo]:
        """Files and folders below a folder, named relative to it."""
        self._reach(node_id)
        prefix = f"{directory}/" if directory else ""
        inside = {path[len(prefix) :]: path for path in self.files[node_id] if path.startswith(prefix)}
        if directory and not inside:
            raise FileNotFoundError(directory)
        folders = {name[: at + 1].rstrip("/") for name in inside for at, letter in enumerate(name) if letter == "/"}
        found = [FileInfo(path=name, is_directory=True) for name in folders]
        found += [self._info(node_id, path, name) for name, path in inside.items()]
        return [info for info in found if recursive or "/" not in info.path]

    async def stat_file(self, node_id: str, path: str) -> FileInfo:
        """One file or folder."""
        self._reach(node_id)
        if path in self.files[node_id]:
            return self._info(node_id, path, path)
        if any(name.startswith(f"{path}/") for name in self.files[node_id]):
            return FileInfo(path=path, is_directory=True)
        raise FileNotFoundError(path)

    async def read_file(self, node_id: str, path: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        """The bytes, in chunks."""
        self._reach(node_id)
        content = self.files[node_id][path][start:end]
        for at in range(0, len(content), _CHUNK):
            yield content[at : at + _CHUNK]

    async def delete_file(self, node_id: str, path: str, recursive: bool) -> None:
        """A file, or a folder with all in it."""
        self._reach(node_id)
        files = self.files[node_id]
        doomed = [name for name in files if name == path or name.startswith(f"{path}/")]
        if not doomed:
            raise FileNotFoundError(path)
        if doomed != [path] and not recursive:
            raise OSError(39, "Directory not empty", path)
        for name in doomed:
            del files[name]

    async def put_user(self, node_id: str, user: UserAccount) -> None:
        """Make or change a user."""
        self._reach(node_id)
        self.users[node_id][user.name] = user

    async def delete_user(self, node_id: str, name: str) -> None:
        """Remove a user."""
        self._reach(node_id)
        self.users[node_id].pop(name, None)

    def remote_login(self, node_id: str) -> tuple[str, int]:
        """An address of the form that others have; nobody listens."""
        self._reach(node_id)
        return "127.0.0.1", 50000 + list(self.nodes).index(node_id)

    # -- what a test or the automatic mode says ------------------------------------------------------------------

    def node_up(self, node_id: str) -> None:
        """The node is ready."""
        self._become(node_id, NodeState.IDLE)

    def node_state(self, node_id: str, state: NodeState, *errors: tuple[str, str]) -> None:
        """The node reports a state of the test's choice."""
        self._become(node_id, state, errors)

    def begin(self, run_id: str) -> None:
        """The command runs."""
        node_id, _ = self.runs[run_id]
        self._report(RunStarted(node_id=node_id, run_id=run_id, at=self._now()))

    def end(
        self, run_id: str, exit_code: int | None = 0, failure: FailureInfo | None = None, *, lost: bool = False
    ) -> None:
        """The command is over."""
        node_id, _ = self.runs.pop(run_id)
        event = RunEnded(
            node_id=node_id,
            run_id=run_id,
            at=self._now(),
            exit_code=None if lost else exit_code,
            failure=failure,
            lost=lost,
        )
        self.ended[run_id] = event
        self._report(event)

    def write(self, node_id: str, path: str, content: bytes) -> None:
        """Put a file on the node."""
        self.files[node_id][posixpath.normpath(path)] = content

    def run_of(self, task_id: str) -> str:
        """The run under way of a task."""
        return next(run_id for run_id, (_, run) in self.runs.items() if run.task_id == task_id)

    def _info(self, node_id: str, path: str, name: str) -> FileInfo:
        size = len(self.files[node_id][path])
        return FileInfo(
            path=name, is_directory=False, size=size, modified=self._now(), created=self._now(), mode="0o100644"
        )

    def _lose(self, node_id: str) -> None:
        for run_id in [run_id for run_id, (where, _) in self.runs.items() if where == node_id]:
            self.end(run_id, lost=True)

    def _become(self, node_id: str, state: NodeState, errors: tuple[tuple[str, str], ...] = ()) -> None:
        self.states[node_id] = state
        if state is NodeState.STARTING:
            self.boot_ids[node_id] = uuid.uuid4().hex
        spec = self.nodes.get(node_id)
        ran = spec is not None and spec.start_task is not None and state is NodeState.IDLE
        when = self._now() if ran else None
        self._report(
            NodeChanged(
                node_id=node_id,
                state=state,
                at=self._now(),
                errors=errors,
                boot_id=self.boot_ids.get(node_id, ""),
                start_task_started=when,
                start_task_ended=when,
                start_task_exit_code=0 if ran else None,
            )
        )

    def _report(self, event: NodeEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def _reach(self, node_id: str) -> None:
        if node_id not in self.nodes or node_id in self.unreachable:
            raise NodeUnreachable(node_id)
