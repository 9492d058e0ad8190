"""The azure process: which services it runs, in which order.

Owns assembly, readiness and the end. Services that register ARM hooks stand before ARM, so that no request and no
resumed operation meets a type without them.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from local.azure.arm.service import ArmService
from local.azure.batch.service import BatchService
from local.azure.blobs.service import BlobService
from local.azure.cloudfile import keep_written
from local.azure.control_plane.cloud import Cloud
from local.azure.executors import build_executor
from local.azure.identity.service import IdentityService
from local.azure.platform.clock import Clock, MovableClock
from local.azure.platform.faults import AZURE, FaultRefused, Listener
from local.azure.platform.sites import Service
from local.azure.registry.service import RegistryService
from local.node.contract import Executor
from local.paths import write_private

READY_FILE = "azure.ready"
_COLLECT_AFTER = (50_000, 20, 50)
"""New objects before the garbage collector looks at the young, middle and old ones. Python's own 700, 10 and 10 cost a
quarter of the time with a million tasks, which stay: what the services let go is freed without it, but for circles."""
_log = logging.getLogger("local.azure")


def build_services(cloud: Cloud, executor: Executor | None = None) -> list[Service]:
    """The ordered list; stopped in reverse. The executor is the environment's choice, unless one is given."""
    return [
        IdentityService(cloud),
        BlobService(cloud),
        RegistryService(cloud),
        BatchService(cloud, executor or build_executor(cloud)),
        ArmService(cloud),
    ]


async def serve(cloud: Cloud, *, stop: asyncio.Event | None = None, services: Sequence[Service] | None = None) -> None:
    """Run until SIGTERM or SIGINT (or `stop`); readiness is `run/azure.ready` with our process id."""
    ending = stop or asyncio.Event()
    if stop is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ending.set)
    ready = cloud.paths.run / READY_FILE
    ready.unlink(missing_ok=True)
    started: list[Service] = []
    control = Listener(cloud.paths, AZURE, cloud.faults, {"clock": functools.partial(_clock, cloud.clock)})
    before = gc.get_threshold()
    gc.set_threshold(*_COLLECT_AFTER)
    try:
        for service in services if services is not None else build_services(cloud):
            started.append(service)
            await service.start()
            _log.info("started", extra={"service": service.name})
        keep_written(cloud)
        with control:
            write_private(ready, f"{os.getpid()}\n".encode())
            await ending.wait()
    finally:
        ready.unlink(missing_ok=True)
        for service in reversed(started):
            await service.stop()
        gc.set_threshold(*before)
        _log.info("stopped")


def _clock(clock: Clock, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Move the clock ahead; by 0 it is only read."""
    if asked["seconds"]:
        if not isinstance(clock, MovableClock):
            raise FaultRefused("this local Azure was started with a clock of its own")
        clock.move(timedelta(seconds=asked["seconds"]))
    return {"now": clock.now().isoformat(), "offset": clock.offset.total_seconds()}
