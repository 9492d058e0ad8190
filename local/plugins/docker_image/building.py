"""Build an image, and turn the engine's stream of progress into a few lines or one error."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import docker
import requests
from docker.errors import APIError

from local.plugins.docker_image.context import archive
from local.plugins.docker_image.names import split
from local.plugins.protocol.errors import Cancelled, InvalidInput, PluginError

KEPT_LINES: Final = 15
SECONDS_BETWEEN_LINES: Final = 2.0
"""Of progress that is shown. Layers report many times a second, and without a terminal the CLI prints every line."""

Show = Callable[[str], None]
_STEP: Final = re.compile(r"Step (\d+)/(\d+) : (.*)")
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Credentials:
    """How to sign in to one registry. Written into the request's header and nowhere else."""

    server: str
    username: str
    password: str = field(repr=False)

    @property
    def auth(self) -> dict[str, str]:
        """In the words of Docker's SDK."""
        return {"username": self.username, "password": self.password, "serveraddress": self.server}


@dataclass
class Progress:
    """What the stream said so far."""

    step: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    image_id: str = ""
    error: str = ""

    def take(self, message: Mapping[str, Any]) -> Iterator[str]:
        """Note one message; yield lines worth showing."""
        if message.get("errorDetail") or message.get("error"):
            self.error = str((message.get("errorDetail") or {}).get("message") or message["error"])
        self.image_id = (message.get("aux") or {}).get("ID", self.image_id)
        for line in _COLOUR.sub("", str(message.get("stream", ""))).splitlines():
            if not line.strip():
                continue
            if found := _STEP.match(line):
                self.step = f"step {found[1]} of {found[2]}: {found[3]}"
                self.lines.clear()
            elif not line.startswith((" ---> ", "Removing intermediate")):
                self.lines.append(line.rstrip())
            yield line.strip()
        if message.get("status"):
            yield " ".join(str(message[key]) for key in ("id", "status", "progress") if message.get(key))


def thinned(show: Show, now: Callable[[], float] = time.monotonic) -> Show:
    """Show every step of a build, and of all other progress a line now and then."""
    due = float("-inf")

    def take(line: str) -> None:
        nonlocal due
        if now() >= due or _STEP.match(line):
            show(line)
            due = now() + SECONDS_BETWEEN_LINES

    return take


def build(
    client: docker.APIClient,
    name: str,
    spec: Mapping[str, Any],
    credentials: Credentials | None,
    show: Show,
    is_cancelled: Callable[[], bool],
) -> str:
    """Build and tag; the image's id."""
    if credentials:  # base images may come from the same registry; this reaches the request's header and nothing else
        cast(Any, client)._auth_configs.add_auth(credentials.server, credentials.auth)
    progress = Progress()
    try:
        for message in _stream(client, name, spec):
            for line in progress.take(message):
                show(line)
            if is_cancelled():
                raise Cancelled(f"the build of {name} was cancelled by the engine")
    except APIError as error:
        progress.error = str(error.explanation or error)
    except requests.exceptions.RequestException as error:
        progress.error = f"the connection to the Docker engine was lost ({error}); what is built is kept by its cache"
    if progress.error or not progress.image_id:
        raise PluginError(_failed(name, spec, progress))
    return progress.image_id


def _stream(client: docker.APIClient, name: str, spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    content, dockerfile = archive(str(spec["context"]), str(spec["dockerfile"]))
    repository, tag = split(name)
    arguments = {
        "fileobj": content,
        "custom_context": True,
        "tag": f"{repository}:{tag}",
        "dockerfile": dockerfile,
        "buildargs": spec.get("args") or None,
        "platform": spec.get("platform"),
        "target": spec.get("target"),
        "network_mode": spec.get("network"),
        "extra_hosts": _hosts(spec.get("addHosts") or ()),
        "cache_from": (spec.get("cacheFrom") or {}).get("images"),
        "rm": True,
        "forcerm": True,
        "decode": True,
    }
    with content:
        yield from client.build(**{key: value for key, value in arguments.items() if value is not None})


def _hosts(entries: Iterable[str]) -> dict[str, str] | None:
    hosts = {}
    for entry in entries:
        name, colon, address = entry.partition(":")
        if not (name and colon and address):
            raise InvalidInput(f"build.addHosts has {entry!r}; expected NAME:ADDRESS")
        hosts[name] = address
    return hosts or None


def _failed(name: str, spec: Mapping[str, Any], progress: Progress) -> str:
    """One message: where, why, the last output, what to do."""
    at = f" at {progress.step}" if progress.step else ""
    text = f"building {name} failed{at}\n  {progress.error or 'the engine sent no image'}"
    if progress.lines:
        text += "\nlast output of this step:\n" + "\n".join(f"  {line}" for line in progress.lines)
    command = f"docker build -f {spec['dockerfile']} {spec['context']}"
    return f"{text}\nCorrect {spec['dockerfile']} (or what it copies) and try again; `{command}` shows everything"
