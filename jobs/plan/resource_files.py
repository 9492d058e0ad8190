"""Inputs -> resource files as the Batch data plane takes them, and the files of this machine to upload for them.

A file of this machine becomes the blob `.inputs/DIGEST` of the job's container (no job's id begins with a dot), so the
same content is there once, whatever jobs and tasks use it. Nodes read it with their identity; what is on another host
than the stack's storage account is fetched without one, so no token goes there.

Facts: azure-batch 15.1 `ResourceFile`. Its `filePath` is a file's path with `httpUrl`, and a folder with a container,
below which blobs keep their whole names. The default mode on Linux, 0770, is of no use to a container's root without
capabilities, so a mode is always said.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ..files.model.inputs import Input
from ..service.connection import Outputs
from .input_files import InputError, LocalFile, LocalFiles

PREFIX: Final = ".inputs/"
MOST_BYTES: Final = 400_000  # of a task's resource files as JSON, so that a request, which has 1 MB, has room for two
KEPT: Final = 1000  # inputs whose files are remembered for the next task
_PLAIN, _EXECUTABLE = "0644", "0755"
ListNames = Callable[[str, str], Iterable[Any]]  # (container, prefix) -> blobs


@dataclass(frozen=True)
class Uploads:
    """What has to be in the container before a task runs, by digest."""

    container: str = ""
    files: dict[str, LocalFile] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files.values())


class Resources:
    """The resource files of one job's tasks. `list_names` None: there is no storage account to ask."""

    def __init__(
        self,
        folder: Path,
        container: str | None,
        outputs: Outputs | None,
        *,
        local: LocalFiles,
        list_names: ListNames | None = None,
    ) -> None:
        self._folder = folder
        self._outputs = outputs
        self._local = local
        self._list_names = list_names
        self._container = container or ""
        self._kept: OrderedDict[tuple[str | None, ...], list[dict[str, Any]]] = OrderedDict()
        self._prefixes: set[tuple[str, str]] = set()  # those that have blobs
        self.uploads = Uploads(self._container)

    def of(self, inputs: Sequence[Input]) -> list[dict[str, Any]]:
        """The resource files of one task. Raises `InputError`."""
        found = [wire for one in inputs for wire in self._remembered(one)]
        if len(inputs) > 1:
            _check_places(found)
        if len(found) > 100 and (size := len(json.dumps(found))) > MOST_BYTES:
            raise InputError(
                f"{len(found)} files make {size} bytes of definition, and a task has room for {MOST_BYTES}; pack them "
                "(tar -czf inputs.tar.gz FOLDER) and unpack them in the task"
            )
        return found

    def _remembered(self, one: Input) -> list[dict[str, Any]]:
        key = (one.kind, one.source, one.to, one.container, one.below)
        if key not in self._kept:
            self._kept[key] = list(self._resources(one))
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _resources(self, one: Input) -> Iterator[dict[str, Any]]:
        if one.kind == "url":
            yield {"httpUrl": one.source, "filePath": one.destination, "fileMode": _PLAIN, **self._identity(one.source)}
            return
        if self._outputs is None:
            raise InputError("without a stack no storage account is known for inputs. Use --stack")
        if one.kind == "blobs":
            yield self._blobs(one, self._outputs)
            return
        for place, file in self._local.of(one, self._folder):
            self.uploads.files.setdefault(file.digest, file)
            url = f"{self._url(self._container, self._outputs)}/{PREFIX}{file.digest}"
            mode = _EXECUTABLE if file.executable else _PLAIN
            yield {"httpUrl": url, "filePath": place, "fileMode": mode, **self._identity(url)}

    def _blobs(self, one: Input, outputs: Outputs) -> dict[str, Any]:
        container = one.container or self._container
        if container not in outputs.job_containers.values():
            known = ", ".join(sorted(outputs.job_containers.values()))
            raise InputError(f"container {container!r} is none that this stack's nodes may read (known: {known})")
        if (container, one.source) not in self._prefixes and self._list_names is not None:
            if next(iter(self._list_names(container, one.source)), None) is None:
                raise InputError(f"container {container} has no blob whose name begins with {one.source!r:.80}")
            self._prefixes.add((container, one.source))
        url = self._url(container, outputs)
        place = {} if one.destination == "." else {"filePath": one.destination}
        prefix = {"blobPrefix": one.source} if one.source else {}
        return {"storageContainerUrl": url, **prefix, **place, "fileMode": _PLAIN, **self._identity(url)}

    @staticmethod
    def _url(container: str, outputs: Outputs) -> str:
        return f"{outputs.blob_endpoint.rstrip('/')}/{container}"

    def _identity(self, url: str) -> dict[str, Any]:
        """The node's identity, for the stack's own storage account only."""
        outputs = self._outputs
        if outputs is None or not outputs.identity_resource_id or not _is_below(url, outputs.blob_endpoint):
            return {}
        return {"identityReference": {"resourceId": outputs.identity_resource_id}}


def _is_below(url: str, endpoint: str) -> bool:
    """Whether the address is of the storage account, however its host is spelled."""
    given, ours = urlsplit(url), urlsplit(endpoint)
    same_host = (given.scheme, given.hostname, given.port or 443) == (ours.scheme, ours.hostname, ours.port or 443)
    return same_host and f"{given.path}/".startswith(f"{ours.path.rstrip('/')}/")


def _check_places(found: Sequence[Mapping[str, Any]]) -> None:
    """No two files of a task at one place, and no file where another needs a folder."""
    places = [one["filePath"] for one in found if "httpUrl" in one]
    taken: set[str] = set()
    for place in places:
        if place in taken:
            raise InputError(f"{place!r} is given to the task twice; write another `to` for one")
        taken.add(place)
    for place in places:
        parts = place.split("/")
        for end in range(1, len(parts)):
            if (above := "/".join(parts[:end])) in taken:
                raise InputError(f"{above!r} is a file, and {place!r} needs a folder of that name; write another `to`")
