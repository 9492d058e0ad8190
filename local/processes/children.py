"""The children of the supervisor as data: the table, in the order in which they start, and when each is ready."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.azure.app import READY_FILE
from local.azure.blobs.azurite import azurite_command, azurite_port
from local.azure.control_plane.cloud import Cloud
from local.azure.platform.ports import HOST, PortInUse, Ports
from local.azure.registry.upstream import upstream_command, upstream_socket, write_upstream_config
from local.errors import LocalError
from local.paths import Paths

_LOOK_SECONDS = 0.05
_DYING_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Child:
    """A program to keep running. `ready` returns once the service answers; times are seconds.

    `ready_seconds` is for a program that hangs, and bears a loaded machine, a million tasks to read and a database that
    recovers: one that ends is seen at once.
    `stop_signal` is also what the kernel sends it when the supervisor is killed: a program that saves on SIGTERM then
    still saves.
    """

    name: str
    argv: Sequence[str]
    ready: Callable[[], Awaitable[None]]
    env: Mapping[str, str] = field(default_factory=dict)
    ready_seconds: float = 120.0
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 10.0


def children(paths: Paths) -> list[Child]:
    """The table, for one folder of the local Azure. Opens the store to learn ports and secrets, and closes it again."""
    cloud = Cloud.open(paths)
    try:
        _wait_for_ports(cloud.ports)
        write_upstream_config(paths)
        azurite, azurite_environment = azurite_command(paths, cloud.store, cloud.ports)
        blobs, sql = azurite_port(cloud.ports), cloud.ports.reserve("sql")
    finally:
        cloud.close()
    require_programs([upstream_command(paths), azurite])
    socket, ready = upstream_socket(paths), paths.run / READY_FILE
    socket.unlink(missing_ok=True)
    ready.unlink(missing_ok=True)
    home = {"LOCAL_AZURE_HOME": str(paths.home)}
    return [
        Child(name="registry", argv=upstream_command(paths), ready=accepting_socket(socket)),
        Child(name="azurite", argv=azurite, env=azurite_environment, ready=accepting_port(blobs)),
        Child(name="azure", argv=[sys.executable, "-m", "local.azure"], env=home, ready=existing(ready)),
        Child(name="sql", argv=[sys.executable, "-m", "local.azure.sql"], env=home, ready=accepting_port(sql)),
    ]


def require_programs(commands: Iterable[Sequence[str]]) -> None:
    """Refuse to start without what the set-up installs, before anything runs."""
    for program, *arguments in commands:
        missing = [] if shutil.which(program) else [program]
        missing += [word for word in arguments if word.endswith(".js") and not Path(word).is_file()]
        if missing:
            cause = "the set-up did not run, or not to its end"
            raise LocalError(f"{missing[0]} is not on this machine", cause=cause, next_step="make setup")


def _wait_for_ports(ports: Ports) -> None:
    """Raise `PortInUse` for a port that stays taken: children of a killed supervisor are given time to end."""
    deadline = time.monotonic() + _DYING_SECONDS
    while True:
        try:
            return ports.check()
        except PortInUse:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_SECONDS)


def accepting_port(port: int) -> Callable[[], Awaitable[None]]:
    """Ready when the port accepts connections."""
    return _accepting(lambda: asyncio.open_connection(HOST, port))


def accepting_socket(path: Path) -> Callable[[], Awaitable[None]]:
    """Ready when the Unix socket accepts connections."""
    return _accepting(lambda: asyncio.open_unix_connection(str(path)))


def existing(file: Path) -> Callable[[], Awaitable[None]]:
    """Ready when the child has written its file."""

    async def ready() -> None:
        while not file.exists():  # noqa: ASYNC110, ASYNC240  another process writes it
            await asyncio.sleep(_LOOK_SECONDS)

    return ready


def _accepting(
    connect: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]],
) -> Callable[[], Awaitable[None]]:
    async def ready() -> None:
        while True:
            try:
                _, writer = await connect()
            except OSError:
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                writer.close()
                return

    return ready
