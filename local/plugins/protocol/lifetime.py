"""The life of a plugin's process: one line with the port, then service until told to stop or until the parent is gone.

Contract (pulumi, pkg/resource/plugin/plugin.go): the port and nothing else on stdout; the engine sends Cancel, then
SIGINT, and kills after five seconds; nobody stops an orphan, so the parent's pid is watched.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NoReturn

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS

PARENT_CHECK_SECONDS: Final = 0.5


def run(
    register: Callable[[grpc.Server], None], end: Callable[[], None], *, threads: int, grace_seconds: float
) -> NoReturn:
    """Serve what `register` adds until SIGINT or SIGTERM, or until the parent process has gone; then `end`, and the
    process is over."""
    parent = os.getppid()
    server = grpc.server(ThreadPoolExecutor(threads), options=_GRPC_CHANNEL_OPTIONS)
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    print(port, flush=True)
    while not stop.wait(PARENT_CHECK_SECONDS) and os.getppid() == parent:
        pass
    end()
    server.stop(grace_seconds).wait()
    # Threads may sit in a read from Docker or ARM; interpreter shutdown would join them.
    os._exit(0)
