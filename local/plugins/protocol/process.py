"""The life of a plugin process: one line with the port, then service until told to stop or until the parent is gone.

Contract (pulumi, pkg/resource/plugin/plugin.go): the port and nothing else on stdout; the engine's address is the last
argument; the engine sends Cancel, then SIGINT, and kills after five seconds; nobody stops an orphan, so the parent's
pid is watched.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2_grpc

from local.plugins.protocol.log import EngineLog
from local.plugins.protocol.provider import Provider
from local.plugins.protocol.servicer import Servicer

# A create blocks its thread until Azure is done, and the engine sends all that may run at once (threads are made
# lazily).
THREADS: Final = 256
PARENT_CHECK_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 3.0


def engine_address(arguments: Sequence[str]) -> str | None:
    """The engine's `host:port`: the last argument, after flags such as --logtostderr (absent in attach mode)."""
    last = arguments[-1] if arguments else ""
    return last if ":" in last and not last.startswith("-") else None


def serve(make: Callable[[EngineLog], Provider]) -> None:
    """Serve until SIGINT or SIGTERM, or until the parent process has gone. Does not return."""
    parent = os.getppid()
    provider = make(EngineLog(engine_address(sys.argv[1:])))
    server = grpc.server(ThreadPoolExecutor(THREADS), options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    print(port, flush=True)
    while not stop.wait(PARENT_CHECK_SECONDS):
        if os.getppid() != parent:
            break
    provider.cancelled.set()
    server.stop(GRACE_SECONDS).wait()
    # Threads may sit in a read from Docker or ARM; interpreter shutdown would join them.
    os._exit(0)
