"""Operations on files of tasks and nodes: lists, properties, content (streamed; a range is answered with 200),
deletion.

Names in a task's list are relative to the task's directory, in a node's to the node root. Files are read on the node
when they are asked for, also while the task runs; nothing is cached.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from local.azure.batch import errors
from local.azure.batch.data_plane.call import Call, check_conditions
from local.azure.batch.data_plane.query import page
from local.azure.batch.data_plane.schema import wire_names
from local.azure.batch.data_plane.wire import Answer, rfc1123
from local.azure.batch.model import Task
from local.azure.batch.model.durations import stamp
from local.azure.batch.model.states import TaskState
from local.node.contract import FileInfo, NodeUnreachable

SHOWN = wire_names("BatchNodeFile")


@dataclass(frozen=True)
class Place:
    """A folder on a node: `base` relative to the node root, "" for the root itself; `url` of its file list."""

    node_id: str
    base: str
    url: str

    def path(self, name: str) -> str:
        """A name in this folder relative to the node root. It must stay inside."""
        parts = name.replace("\\", "/").split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise errors.FileNotFound(details=[("FilePath", name)])
        return f"{self.base}/{name}".lstrip("/")


def of_task(call: Call) -> Place:
    """The task's folder, while its node is there."""
    task = call.task()
    if task.node_id is None or task.state is TaskState.ACTIVE:
        raise errors.TaskFilesUnavailable("The task has no files: it is not on a node.")
    if task.files_erased is not None:
        raise errors.TaskFilesCleanedup
    node = call.account.state.nodes.get(task.node_id)
    if node is None:
        raise errors.TaskFilesUnavailable(
            f"The task's files are gone with the node {task.node_id}, which is not in the pool any more."
        )
    return Place(task.node_id, task.directory, _task_url(call, task))


def of_node(call: Call) -> Place:
    """The node's root."""
    node = call.node()
    return Place(node.id, "", f"{call.account.url}/pools/{node.pool_id}/nodes/{node.id}/files")


def _task_url(call: Call, task: Task) -> str:
    return f"{call.account.url}/jobs/{task.job_id}/tasks/{task.id}/files"


async def list_task_files(call: Call) -> Answer:
    """GET files of a task."""
    return await _list(call, of_task(call))


async def list_node_files(call: Call) -> Answer:
    """GET files of a node."""
    return await _list(call, of_node(call))


async def task_file_properties(call: Call) -> Answer:
    """HEAD file of a task."""
    return (await _file(call, of_task(call)))[0]


async def node_file_properties(call: Call) -> Answer:
    """HEAD file of a node."""
    return (await _file(call, of_node(call)))[0]


async def download_task_file(call: Call) -> Answer:
    """GET file of a task."""
    return await _download(call, of_task(call))


async def download_node_file(call: Call) -> Answer:
    """GET file of a node."""
    return await _download(call, of_node(call))


async def delete_task_file(call: Call) -> Answer:
    """DELETE file of a task."""
    return await _delete(call, of_task(call))


async def delete_node_file(call: Call) -> Answer:
    """DELETE file of a node."""
    return await _delete(call, of_node(call))


async def _list(call: Call, place: Place) -> Answer:
    try:
        infos = await call.account.executor.list_files(place.node_id, place.base, call.flag("recursive"))
    except FileNotFoundError:
        infos = []  # a task whose directory is not made yet
    except NodeUnreachable as error:
        raise errors.NodeNotReady from error
    rows = ((info.path, _entry(info, place)) for info in sorted(infos, key=lambda info: info.path))
    return Answer(body=page(rows, call.query, SHOWN, call.url), entity="files")


def _entry(info: FileInfo, place: Place) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": info.path,
        "url": f"{place.url}/{quote(info.path, safe='/')}",
        "isDirectory": info.is_directory,
    }
    if not info.is_directory:
        entry["properties"] = {
            "contentLength": str(info.size),
            "contentType": _content_type(info),
            **({"fileMode": info.mode} if info.mode else {}),
            **({"creationTime": stamp(info.created)} if info.created else {}),
            **({"lastModified": stamp(info.modified)} if info.modified else {}),
        }
    return entry


async def _file(call: Call, place: Place) -> tuple[Answer, FileInfo, str]:
    name = call.params["filePath"].rstrip("/")
    path = place.path(name)
    try:
        info = await call.account.executor.stat_file(place.node_id, path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.FileNotFound(details=[("FilePath", name)]) from error
    except NodeUnreachable as error:
        raise errors.NodeNotReady from error
    changed = info.modified or call.now
    check_conditions(call.headers, None, changed, read=True)
    headers = {
        "ocp-batch-file-isdirectory": str(info.is_directory),
        "ocp-batch-file-url": quote(f"{place.url}/{name}", safe=""),  # as a whole (recorded)
        "ocp-creation-time": rfc1123(info.created or changed),
        "Content-Length": "0" if info.is_directory else str(info.size),
        "Content-Type": _content_type(info),
        **({"ocp-batch-file-mode": info.mode} if info.mode else {}),
    }
    return Answer(headers=headers, changed=changed), info, path


async def _download(call: Call, place: Place) -> Answer:
    answer, info, path = await _file(call, place)
    if info.is_directory:
        raise errors.FileNotFound("The specified path is a directory.", details=[("FilePath", call.params["filePath"])])
    start, end = _range(call.headers.get("ocp-range") or call.headers.get("Range"), info.size)
    del answer.headers["Content-Length"]  # sent in chunks, without an etag (recorded)
    answer.length = max(0, end - start)
    stream = call.account.executor.read_file(place.node_id, path, start, end)
    try:
        first = await anext(stream, b"")  # so that a node that is gone is an answer, not a broken one
    except FileNotFoundError as error:
        raise errors.FileNotFound(details=[("FilePath", path)]) from error
    except NodeUnreachable as error:
        raise errors.NodeNotReady from error
    answer.stream = _resumed(first, stream)
    return answer


async def _resumed(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def _delete(call: Call, place: Place) -> Answer:
    name = call.params["filePath"].rstrip("/")
    try:
        await call.account.executor.delete_file(place.node_id, place.path(name), call.flag("recursive"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.FileNotFound(details=[("FilePath", name)]) from error
    except NodeUnreachable as error:
        raise errors.NodeNotReady from error
    except OSError as error:
        raise errors.OperationInvalidForCurrentState(f"{name} cannot be deleted: {error.strerror}.") from error
    return Answer(200)


def _range(text: str | None, size: int) -> tuple[int, int]:
    """The half-open range to send; the file may grow meanwhile, `size` is what it has now."""
    if text is None:
        return 0, size
    match = re.fullmatch(r"bytes=([0-9]{1,19})-([0-9]{0,19})", text.strip())
    if match is None:
        raise errors.InvalidHeaderValue(details=[("HeaderName", "ocp-range"), ("HeaderValue", text)])
    start = int(match[1])
    end = min(size, int(match[2]) + 1) if match[2] else size
    if start >= size or end <= start:
        raise errors.InvalidRange(details=[("Range", text), ("Size", str(size))])
    return start, end


def _content_type(info: FileInfo) -> str:
    if info.content_type != "application/octet-stream":
        return info.content_type
    return mimetypes.guess_type(info.path)[0] or "application/octet-stream"
