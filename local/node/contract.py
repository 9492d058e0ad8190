"""The records that the scheduler and the nodes exchange, and the interface of an executor; no behaviour.

`local/azure/batch` decides (which run goes to which node, whether a failed run is retried); `local/node` acts on
those decisions and reports events. Nothing here knows HTTP, Docker or the store. Every record survives a round trip
through JSON (`to_json`/`from_json`), because node agents and the store keep them on disk.
"""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

_Record = TypeVar("_Record")


class NodeState(StrEnum):
    """Compute node states in the data plane's spelling (azure-batch 15.1.0, `BatchNodeState`)."""

    CREATING = "creating"
    STARTING = "starting"
    WAITING_FOR_START_TASK = "waitingforstarttask"
    START_TASK_FAILED = "starttaskfailed"
    IDLE = "idle"
    RUNNING = "running"
    REBOOTING = "rebooting"
    REIMAGING = "reimaging"
    DEALLOCATING = "deallocating"
    DEALLOCATED = "deallocated"
    OFFLINE = "offline"
    LEAVING_POOL = "leavingpool"
    PREEMPTED = "preempted"
    UNUSABLE = "unusable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A user-assigned managed identity a node may speak as (through its own identity endpoint)."""

    resource_id: str
    client_id: str
    principal_id: str


@dataclass(frozen=True, kw_only=True)
class UserAccount:
    """A login of the node: a pool user account, or one added later through the data plane."""

    name: str
    password: str | None = field(default=None, repr=False)
    admin: bool = False
    ssh_public_key: str | None = None
    uid: int | None = None
    gid: int | None = None
    expiry: str | None = None


@dataclass(frozen=True, kw_only=True)
class UserIdentity:
    """Who a command runs as: a named user account, or an auto-user by scope ("pool"/"task") and elevation."""

    username: str | None = None
    auto_user_scope: str = "pool"
    admin: bool = False


@dataclass(frozen=True, kw_only=True)
class ContainerRegistry:
    """Where images are pulled from. At most one of identity (its client id) or user name and password is set."""

    server: str
    identity_client_id: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class ContainerSettings:
    """A task's container. `bind_mounts` is None for the whole node root, or Batch's `containerHostBatchBindMounts`."""

    image: str
    run_options: str = ""
    registry: ContainerRegistry | None = None
    working_directory: str = "taskWorkingDirectory"
    bind_mounts: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ResourceFile:
    """A file fetched into the working directory before the command starts."""

    http_url: str | None = None
    storage_container_url: str | None = None
    auto_storage_container_name: str | None = None
    blob_prefix: str | None = None
    file_path: str | None = None
    file_mode: str | None = None
    identity_client_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class OutputFile:
    """Files uploaded to a blob container after the command. `condition`: tasksuccess, taskfailure, taskcompletion.

    `headers` are sent with each upload: (name, value).
    """

    file_pattern: str
    container_url: str
    path: str | None = None
    identity_client_id: str | None = None
    condition: str = "taskcompletion"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ApplicationPackage:
    """One version of an application, unpacked on the node below `applications/FOLDER` unless that is there already.

    `url` is the package's zip file in auto-storage; it is empty for a package that was deleted. It is read by its own
    signature, or as the node's identity `identity_client_id`. `is_default`: the application's default version.
    """

    application: str
    version: str
    folder: str
    url: str = field(default="", repr=False)
    identity_client_id: str | None = None
    is_default: bool = False


@dataclass(frozen=True, kw_only=True)
class FileSystemMount:
    """A file system that the node mounts at `fsmounts/PATH`: a blob container, by a signed URL.

    `kind` begins the name of its log file. `refusal`: why it cannot be mounted here; then there is no URL.
    """

    kind: str
    path: str
    container: str = ""
    url: str = field(default="", repr=False)
    options: str = ""
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One attempt of one command on a node: a run of a task, of a job's preparation or release task, or the start task.

    `run_id` is unique per attempt and makes starting idempotent. `directory` is the task directory relative to the node
    root ("workitems/JOB/job-1/TASK" or "startup"), `preparation_directory` that of the job's preparation task, empty
    without one. Times are seconds.
    """

    run_id: str
    directory: str
    command_line: str
    job_id: str = ""
    task_id: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    user: UserIdentity = field(default_factory=UserIdentity)
    container: ContainerSettings | None = None
    resource_files: tuple[ResourceFile, ...] = ()
    output_files: tuple[OutputFile, ...] = ()
    max_wall_clock_seconds: float | None = None
    preparation_directory: str = ""
    application_packages: tuple[ApplicationPackage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NodeSpec:
    """A node to be made. `container_images` are prefetched at boot; None for a pool without container configuration.
    `application_packages` are installed and `mounts` made at each boot, before the start task."""

    node_id: str
    pool_id: str
    account_name: str
    account_url: str
    dedicated: bool = True
    slots: int = 1
    identities: tuple[Identity, ...] = ()
    user_accounts: tuple[UserAccount, ...] = ()
    container_images: tuple[str, ...] | None = None
    container_registries: tuple[ContainerRegistry, ...] = ()
    application_packages: tuple[ApplicationPackage, ...] = ()
    mounts: tuple[FileSystemMount, ...] = ()
    start_task: RunSpec | None = None
    start_task_retries: int = 0
    start_task_wait: bool = True


@dataclass(frozen=True, kw_only=True)
class FailureInfo:
    """Why a run failed, as the service shows it: category ("usererror", "servererror"), documented code, message."""

    category: str
    code: str
    message: str
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ContainerInfo:
    """`docker inspect` of a run's container."""

    container_id: str
    state: str
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class NodeChanged:
    """A node's state changed. `errors` are (code, message) pairs; start-task fields are set once the start task began.

    `boot_id` differs after each boot; it is empty when the executor reports the change, and not the node itself.
    """

    node_id: str
    state: NodeState
    at: datetime
    boot_id: str = ""
    errors: tuple[tuple[str, str], ...] = ()
    start_task_exit_code: int | None = None
    start_task_started: datetime | None = None
    start_task_ended: datetime | None = None
    start_task_retries: int = 0
    start_task_failure: FailureInfo | None = None


@dataclass(frozen=True, kw_only=True)
class RunStarted:
    node_id: str
    run_id: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class RunEnded:
    """A run is over. `exit_code` None: it never started, or was lost with its node (`lost`: the run is requeued)."""

    node_id: str
    run_id: str
    at: datetime
    exit_code: int | None = None
    failure: FailureInfo | None = None
    container: ContainerInfo | None = None
    lost: bool = False


NodeEvent = NodeChanged | RunStarted | RunEnded


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """A file or folder below the node root. `path` is relative to the folder that was listed; `size` in bytes."""

    path: str
    is_directory: bool
    size: int = 0
    modified: datetime | None = None
    created: datetime | None = None
    mode: str = ""
    content_type: str = "application/octet-stream"


class Executor(Protocol):
    """Makes nodes and runs commands on them. One instance serves the whole local Azure.

    Every method may be called again after a crash with the same arguments: creating an existing node or starting a
    known run is not an error; a run that is terminated before it came is reported as ended, and does not start any
    more. `reboot_node` with a specification boots the node by that one (its start task may have changed). Errors:
    `NodeUnreachable` when the node does not answer, `FileNotFoundError` for a file that is not there, `ActionRefused`
    with the node's own message for anything else.
    Events arrive on the event loop's thread, each exactly once per `open`, in order per node; after `open` the present
    state of each known node and every run that ended meanwhile is reported again (receivers compare run ids).
    """

    name: str

    async def open(self, on_event: Callable[[NodeEvent], None]) -> None: ...
    async def close(self) -> None: ...
    async def create_node(self, spec: NodeSpec) -> None: ...
    async def reboot_node(self, node_id: str, spec: NodeSpec | None = None) -> None: ...
    async def delete_node(self, node_id: str) -> None: ...
    async def start_run(self, node_id: str, run: RunSpec) -> None: ...
    async def terminate_run(self, node_id: str, run_id: str) -> None: ...
    async def list_files(self, node_id: str, directory: str, recursive: bool) -> list[FileInfo]: ...
    async def stat_file(self, node_id: str, path: str) -> FileInfo: ...
    def read_file(self, node_id: str, path: str, start: int, end: int | None) -> AsyncIterator[bytes]: ...
    async def delete_file(self, node_id: str, path: str, recursive: bool) -> None: ...
    async def put_user(self, node_id: str, user: UserAccount) -> None: ...
    async def delete_user(self, node_id: str, name: str) -> None: ...
    def remote_login(self, node_id: str) -> tuple[str, int]: ...


class NodeUnreachable(Exception):
    """The node does not answer: it is gone, or not up yet."""


class ActionRefused(Exception):
    """The node did not do what it was asked for; the message is the node's."""


def to_json(record: Any) -> dict[str, Any]:
    """A record as JSON data (dates in ISO form). Passwords are in it: write it only where they may be."""

    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return value

    return plain(asdict(record))


def from_json(record_type: type[_Record], data: Mapping[str, Any]) -> _Record:
    """The record that `to_json` wrote. A key the record does not have is an error."""
    hints = _hints(record_type)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise ValueError(f"{record_type.__name__} has no {', '.join(unknown)}; it has {', '.join(sorted(hints))}")
    return record_type(**{key: _restored(hints[key], value) for key, value in data.items()})


@cache
def _hints(record_type: type) -> dict[str, Any]:
    every = get_type_hints(record_type)
    return {item.name: every[item.name] for item in fields(record_type)}


def _restored(hint: Any, value: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if value is None:
        return None
    if origin in (Union, types.UnionType):
        return _restored(next(argument for argument in arguments if argument is not type(None)), value)
    if origin is tuple:
        inner = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        return tuple(_restored(one, item) for one, item in zip(inner, value, strict=True))
    if hint is datetime:
        return datetime.fromisoformat(value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    return from_json(hint, value) if is_dataclass(hint) and isinstance(hint, type) else value
